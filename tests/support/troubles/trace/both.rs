//! Faults of one flow that is traced at both sites.

use super::super::{At, Trouble};
use super::FAULT;

/// Command about a guest of the portal, at both sites.
const OF_BOTH_SITES: &str = "portals trace 10.77.1.70 192.175.48.10 --both";

/// Faults of one flow at both sites.
pub(crate) const OF_BOTH: &[Trouble] = &[
    Trouble {
        fault: "A chain of another program at the other site drops the packets",
        command: OF_BOTH_SITES,
        words:
            "At paris: it stops in the chain `inet mine forward` of another program: ip daddr 192.175.48.10 \
                drop.
→ Accept the traffic there, or run `portals apply`, which opens what portals needs.
",
        at: At::Peer,
        breaks: "nft 'add table inet mine
            add chain inet mine forward { type filter hook forward priority 10; }
            add rule inet mine forward ip daddr 192.175.48.10 drop'",
        mends: "nft delete table inet mine",
    },
    Trouble {
        fault: "The packets vanish on their way to the other site",
        command: OF_BOTH_SITES,
        words: "It stops between the sites: the packet left by to-paris, and did not come in at paris.
→ Run `portals doctor` at both sites.
",
        at: At::Peer,
        breaks: "nft 'add table netdev mine
            add chain netdev mine ingress { type filter hook ingress device to-nyc priority 0; }
            add rule netdev mine ingress ip protocol icmp drop'",
        mends: "nft delete table netdev mine",
    },
    Trouble {
        fault: "The answers vanish on their way back from the other site",
        command: OF_BOTH_SITES,
        words: "The answer stops between the sites: it left paris, and did not come in at nyc.
→ Run `portals doctor` at both sites.
",
        breaks: "nft 'add table netdev mine
            add chain netdev mine ingress { type filter hook ingress device to-paris priority 0; }
            add rule netdev mine ingress ip protocol icmp drop'",
        mends: "nft delete table netdev mine",
        ..FAULT
    },
    Trouble {
        fault: "A chain of another program at this site drops the answers that the other site has sent",
        command: OF_BOTH_SITES,
        words: "At nyc: the answer stops in the chain `inet mine forward` of another program: iifname \
                \"to-paris\" drop.
",
        breaks: "nft 'add table inet mine
            add chain inet mine forward { type filter hook forward priority 10; }
            add rule inet mine forward iifname to-paris drop'",
        mends: "nft delete table inet mine",
        ..FAULT
    },
];

/// Faults of one flow at both sites, in legacy iptables.
pub(crate) const OF_BOTH_IPTABLES: &[Trouble] = &[Trouble {
    fault: "A chain of iptables at the other site drops the packets",
    command: OF_BOTH_SITES,
    words: "At paris: it stops in the chain `mangle FORWARD` of another program: -d 192.175.48.10/32 -j DROP.
→ Accept the traffic there, or run `portals apply`, which opens what portals needs.
",
    at: At::Peer,
    breaks: "iptables-legacy -t mangle -A FORWARD -d 192.175.48.10 -j DROP",
    mends: "iptables-legacy -t mangle -D FORWARD -d 192.175.48.10 -j DROP",
}];

/// Faults of one flow, while no agent runs at the other site.
pub(crate) const OF_SILENT: &[Trouble] = &[Trouble {
    fault: "The agent of the other site does not answer",
    command: OF_BOTH_SITES,
    words: "at paris:
the agent of `paris` does not answer this question: it does not run, or it is of an older version
",
    ..FAULT
}];
