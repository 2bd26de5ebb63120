//! Table of the kernel's reasons for drops, with words for each.

use super::evidence::Evidence;
use super::faults::Ending;

/// Part of a packet's way in which a cause drops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// On the way in, or at a decision about the packet.
    Passing,
    /// On the way out, behind the firewall.
    Leaving,
    /// At this host, which the packet is for.
    Arriving,
}

/// Cause of drops.
#[derive(Debug)]
pub(super) struct Cause {
    /// Reasons of the kernel (`SKB_DROP_REASON_*`, without these words), and counters; none for all others.
    names: &'static [&'static str],
    part: Part,
    /// Cause in words, which may have details.
    pub(super) words: &'static str,
    /// Way out; if empty, that of the ending.
    pub(super) way_out: &'static str,
}

/// Causes. The last one stands for all that are not in the table.
const CAUSES: [Cause; 17] = [
    Cause {
        names: &["IP_RPFILTER", "IPReversePathFilter"],
        part: Part::Passing,
        words: "the reverse-path filter does not expect {from} on {in}",
        way_out: "Add a route to {from} out of {in}, or run `sysctl -w net.ipv4.conf.{in}.rp_filter=2`.",
    },
    Cause {
        names: &["XFRM_POLICY", "XfrmInPolBlock", "XfrmInNoPols", "XfrmInTmplMismatch", "XfrmOutPolBlock"],
        part: Part::Passing,
        words: "a policy of IPsec does not let it pass",
        way_out: "Look at `ip xfrm policy`, and change the program that made the policy.",
    },
    Cause {
        names: &["NETFILTER_DROP"],
        part: Part::Passing,
        words: "a module or a program in a hook of netfilter",
        way_out: "",
    },
    Cause {
        names: &["IPV6DISABLED", "InDiscards"],
        part: Part::Passing,
        words: "{in} takes no packets of this address family",
        way_out: "If IPv6 is off on {in}, run `sysctl -w net.ipv6.conf.{in}.disable_ipv6=0`.",
    },
    Cause {
        names: &["IP_INADDRERRORS", "InAddrErrors"],
        part: Part::Passing,
        words: "{to} is no address of this router, and packets from {in} are not forwarded to it",
        way_out: "",
    },
    Cause {
        names: &["IP_INNOROUTES", "IP_OUTNOROUTES", "InNoRoutes", "OutNoRoutes"],
        part: Part::Passing,
        words: "there is no route for it",
        way_out: "See `ip rule` and `ip route show table all`.",
    },
    Cause {
        names: &["IP_INHDR", "InHdrErrors"],
        part: Part::Passing,
        words: "its header is wrong, or its time to live is over",
        way_out: "",
    },
    Cause {
        names: &["TC_INGRESS"],
        part: Part::Passing,
        words: "a filter of traffic control on {in}",
        way_out: "Look at `tc filter show dev {in} ingress`.",
    },
    Cause {
        names: &["XDP"],
        part: Part::Passing,
        words: "an XDP program on {in}",
        way_out: "Look at `ip link show dev {in}`, and stop the program that loaded it.",
    },
    Cause {
        names: &["UNHANDLED_PROTO"],
        part: Part::Passing,
        words: "no part of this kernel takes such packets",
        way_out: "",
    },
    Cause {
        names: &["rx_dropped"],
        part: Part::Passing,
        words: "the interface {in} drops what comes in",
        way_out: "Look at `ip -s -d link show dev {in}`: it may be the spare half of a bond.",
    },
    Cause {
        names: &["PKT_TOO_BIG"],
        part: Part::Leaving,
        words: "it is larger than the MTU of {out}",
        way_out: "Run `portals doctor`, which measures the MTU of the way.",
    },
    Cause {
        names: &["TC_EGRESS"],
        part: Part::Leaving,
        words: "a filter of traffic control on {out}",
        way_out: "Look at `tc filter show dev {out} egress`.",
    },
    Cause {
        names: &["QDISC_DROP", "QDISC_OVERLIMIT", "QDISC_CONGESTED", "tx_dropped"],
        part: Part::Leaving,
        words: "the queue of {out} takes no packet",
        way_out: "Look at `tc -s qdisc show dev {out}`.",
    },
    Cause {
        names: &["NEIGH_FAILED", "NEIGH_CREATEFAIL", "NEIGH_QUEUEFULL", "NEIGH_DEAD"],
        part: Part::Leaving,
        words: "the next host does not answer on {out}",
        way_out: "Look at `ip neighbour show dev {out}`.",
    },
    Cause {
        names: &["NO_SOCKET", "SOCKET_FILTER"],
        part: Part::Arriving,
        words: "no program of this router takes it",
        way_out: "Start the program that listens at this port, or look at its settings.",
    },
    Cause { names: &[], part: Part::Passing, words: "see the kernel's word for it", way_out: "" },
];

/// Returns the kernel's name for the cause of an ending, and the cause, if the kernel tells it.
pub(super) fn cause<'a>(evidence: &'a Evidence, ending: Ending) -> Option<(&'a str, &'static Cause)> {
    let parts: &[Part] = match ending {
        Ending::NotEntered | Ending::Unknown | Ending::Impossible | Ending::Vanished => {
            &[Part::Passing, Part::Leaving]
        }
        Ending::NoAnswer => &[Part::Leaving],
        Ending::Here => &[Part::Arriving],
        _ => return None,
    };
    for name in evidence.drops {
        let is_it = |cause: &&Cause| cause.names.is_empty() || cause.names.contains(&name.as_str());
        let cause = CAUSES.iter().find(is_it)?;
        if parts.contains(&cause.part) && name != "NOT_SPECIFIED" {
            return Some((name, cause));
        }
    }
    None
}
