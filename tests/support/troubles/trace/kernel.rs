//! Faults of one flow that the kernel drops without a report of the firewall.

use super::super::Trouble;
use super::{FAULT, OF_OTHER};

/// Faults of one flow that the kernel counts.
pub(crate) const OF_KERNEL: &[Trouble] = &[Trouble {
    fault: "A policy of IPsec blocks the packets of a device",
    command: OF_OTHER,
    words: "It stops ⟨behind the hook prerouting: the packet comes to no other hook⟩. The kernel dropped \
                a packet each time: a policy of IPsec does not let it pass (XfrmInPolBlock).
→ Look at `ip xfrm policy`, and change the program that made the policy.
",
    breaks: IPSEC,
    mends: "ip xfrm policy flush",
    ..FAULT
}];

/// Faults of one flow for which the kernel's tracepoint tells the reason.
pub(crate) const OF_TRACEPOINT: &[Trouble] = &[
    Trouble {
        fault: "A policy of IPsec blocks the packets of a device, and the kernel tells its reason",
        command: OF_OTHER,
        words:
            "It stops ⟨behind the hook prerouting: the packet comes to no other hook⟩. The kernel dropped \
                a packet each time: a policy of IPsec does not let it pass (XFRM_POLICY).
→ Look at `ip xfrm policy`, and change the program that made the policy.
",
        breaks: IPSEC,
        mends: "ip xfrm policy flush",
        ..FAULT
    },
    Trouble {
        fault: "The queue of the uplink takes no packet",
        command: OF_OTHER,
        words: "✗ kernel       dropped it: QDISC_DROP

It stops at uplink: the packet passes the firewall, and does not leave. The kernel dropped a packet each \
                time: the queue of uplink takes no packet (QDISC_DROP).
→ Look at `tc -s qdisc show dev uplink`.
",
        // Without an answer to ARP, no packet would come to the queue.
        breaks: "entry=$(ip neighbour show $gateway dev uplink | grep -o 'lladdr [^ ]*')
            ip neighbour replace $gateway $entry dev uplink nud permanent
            tc qdisc add dev uplink root tbf rate 8bit burst 1 limit 1",
        mends: "tc qdisc delete dev uplink root; ip neighbour delete $gateway dev uplink",
        ..FAULT
    },
];

const IPSEC: &str = "ip xfrm policy add dir fwd src 192.168.1.60 dst 192.175.48.10 action block";
