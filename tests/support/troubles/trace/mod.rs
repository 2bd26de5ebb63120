//! Faults that `portals trace` names.

pub(crate) mod both;
pub(crate) mod kernel;

use super::{At, Trouble};

/// Command about the device behind the portal.
const OF_DEVICE: &str = "portals trace 192.168.1.50 192.175.48.10";

/// Command about a device outside all portals.
const OF_OTHER: &str = "portals trace 192.168.1.60 192.175.48.10";

/// Command about a device that reaches for a service of this router.
const TO_ROUTER: &str = "portals trace 192.168.1.60 192.168.1.1:22";

const FAULT: Trouble =
    Trouble { fault: "", command: OF_DEVICE, words: "", at: At::Router, breaks: "", mends: "" };

/// Faults of one flow, while the agent runs.
pub(crate) const OF_FLOWS: &[Trouble] = &[
    Trouble {
        fault: "Answers to a device would leave by another interface, and `rp_filter` is strict",
        words: "✗ rp_filter    strict: answers to 192.168.1.50 leave by uplink

It stops at the reverse-path filter of lan0: answers to 192.168.1.50 would leave by uplink.
→ Correct the address of the device, or add a route to it out of lan0. If the way is right as it is, run \
                `sysctl -w net.ipv4.conf.lan0.rp_filter=2`.
",
        breaks: "ip route add 192.168.1.50 via $gateway",
        mends: "ip route delete 192.168.1.50",
        ..FAULT
    },
    Trouble {
        fault: "Answers to a device leave by another interface, and `rp_filter` is loose",
        words: "The answer goes astray: it is routed to uplink, and 192.168.1.50 is on lan0.
→ Look for a wrong route to 192.168.1.50: `ip route get 192.168.1.50`.
",
        breaks: "ip route add 192.168.1.50 via $gateway; echo 2 >/proc/sys/net/ipv4/conf/lan0/rp_filter",
        mends: "ip route delete 192.168.1.50; echo 1 >/proc/sys/net/ipv4/conf/lan0/rp_filter",
        ..FAULT
    },
    Trouble {
        fault: "A route of another program drops the traffic of a device",
        command: OF_OTHER,
        words: "                 32766: from all lookup main
                 → refused: Invalid argument
⋮
It stops at the routing decision: the route `blackhole 192.175.48.10/32` in table main of another program \
                refuses the packet.
",
        breaks: "ip route add blackhole 192.175.48.10",
        mends: "ip route delete blackhole 192.175.48.10",
        ..FAULT
    },
    Trouble {
        fault: "A policy rule of another program refuses the traffic of a device",
        command: OF_OTHER,
        words: "✗ rules        50: from 192.168.1.60/32 unreachable
                 → refused: Network is unreachable
⋮
It stops at the routing decision: the rule `50: from 192.168.1.60/32 unreachable` of another program \
                refuses the packet.
→ See `ip rule` and `ip route show table all`, and change the program that made it.
",
        breaks: "ip rule add from 192.168.1.60 priority 50 unreachable",
        mends: "ip rule delete priority 50",
        ..FAULT
    },
    Trouble {
        fault: "A policy rule of another program forbids the traffic of a device",
        command: OF_OTHER,
        words: "✗ rules        50: from 192.168.1.60/32 prohibit
                 → refused: Permission denied
⋮
It stops at the routing decision: the rule `50: from 192.168.1.60/32 prohibit` of another program refuses \
                the packet.
",
        breaks: "ip rule add from 192.168.1.60 priority 50 prohibit",
        mends: "ip rule delete priority 50",
        ..FAULT
    },
    Trouble {
        fault: "A route of another program refuses the traffic of a device",
        command: OF_OTHER,
        words: "                 32766: from all lookup main
                 → refused: No route to host
⋮
It stops at the routing decision: the route `unreachable 192.175.48.0/24` in table main of another program \
                refuses the packet.
",
        breaks: "ip route add unreachable 192.175.48.0/24",
        mends: "ip route delete unreachable 192.175.48.0/24",
        ..FAULT
    },
    Trouble {
        fault: "A route of another program forbids the traffic of a portal",
        words: "✗ rules        60: from 192.168.1.50/32 lookup default
                 → refused: Permission denied
⋮
It stops at the routing decision: the route `prohibit 192.175.48.0/24` in table default of another program \
                refuses the packet.
",
        breaks: "ip rule add from 192.168.1.50 priority 60 lookup default
            ip route add prohibit 192.175.48.0/24 table default",
        mends: "ip rule delete priority 60; ip route flush table default",
        ..FAULT
    },
];

/// Faults of one flow, while no agent runs.
pub(crate) const OF_STOPPED: &[Trouble] = &[
    Trouble {
        fault: "The tunnel of a portal's exit is gone",
        words: "✗ rules        112: from 192.168.1.50/32 lookup 7702
                 → refused: No route to host
⋮
It stops at the routing decision: the portal way is closed, because its exit paris is not up.
→ See `portals status`. The portal opens by itself as soon as an exit is up.
",
        breaks: "ip link delete to-paris 2>/dev/null || true",
        ..FAULT
    },
    Trouble {
        fault: "The tunnel to another site is gone",
        command: "portals trace 192.168.1.60 10.77.2.70",
        words: "                 32766: from all lookup main
                 → refused: No route to host
⋮
It stops at the routing decision: the route `unreachable ⟨10.77.2.0/24⟩` in table main of portals refuses \
                the packet, because no tunnel leads there now.
→ See `portals status`. If no agent runs, start it with `portals run`.
",
        breaks: "ip link delete to-paris 2>/dev/null || true",
        ..FAULT
    },
    Trouble {
        fault: "This router does not forward packets",
        command: OF_OTHER,
        words: "It stops at the routing decision: this router does not forward packets \
                (net.ipv4.ip_forward is 0).
→ Start the agent with `portals run`, or run `sysctl -w net.ipv4.ip_forward=1`.
",
        breaks: "echo 0 >/proc/sys/net/ipv4/ip_forward",
        mends: "echo 1 >/proc/sys/net/ipv4/ip_forward",
        ..FAULT
    },
    Trouble {
        fault: "This router does not forward packets of one interface",
        command: OF_OTHER,
        words: "It stops at the routing decision: this router does not forward packets \
                (net.ipv4.conf.lan0.forwarding is 0).
→ Start the agent with `portals run`, or run `sysctl -w net.ipv4.conf.lan0.forwarding=1`.
",
        breaks: "echo 0 >/proc/sys/net/ipv4/conf/lan0/forwarding",
        mends: "echo 1 >/proc/sys/net/ipv4/conf/lan0/forwarding",
        ..FAULT
    },
    Trouble {
        fault: "This router has no default route",
        command: OF_OTHER,
        words: "It stops at the routing decision: no rule leads to a route to 192.175.48.10.
→ Give this router a default route, or a portal that takes this traffic.
",
        breaks: "ip route delete default",
        mends: "ip route add default via $gateway",
        ..FAULT
    },
];

/// Fault that cuts the sites off from each other.
pub(crate) const SILENT: &[Trouble] = &[Trouble {
    fault: "The other end of the tunnel does not answer",
    words: "✗ tunnel       paris at 203.0.113.9:51821, no handshake yet

It stops in the tunnel to paris: it has had no handshake.
→ Look at the other end: is it on, does its agent run, does its UDP port reach it? See `portals status`.
",
    ..FAULT
}];

/// Faults of one flow in nftables.
pub(crate) const OF_NFTABLES: &[Trouble] = &[
    Trouble {
        fault: "A chain of another program drops the packets of a device",
        words: "✗ forward      inet portals forward: oifname . ip saddr @device-ways-32 accept
                 inet mine forward: jump guard
                 inet mine guard: ip saddr 192.168.1.50 counter drop
⋮
It stops in the chain `inet mine guard` of another program: ip saddr 192.168.1.50 counter drop.
→ Accept the traffic there, or run `portals apply`, which opens what portals needs.
",
        breaks: "nft 'add table inet mine; add chain inet mine guard
            add chain inet mine forward { type filter hook forward priority 10; }
            add rule inet mine forward jump guard
            add rule inet mine guard ip saddr 192.168.1.50 counter drop'",
        mends: "nft delete table inet mine",
        ..FAULT
    },
    Trouble {
        fault: "A chain of another program drops the answers",
        words: "✗ answer       came back by to-paris, went on by lan0
⋮
The answer stops in the chain `inet mine forward` of another program: iifname \"to-paris\" drop.
",
        breaks: "nft 'add table inet mine
            add chain inet mine forward { type filter hook forward priority 10; }
            add rule inet mine forward iifname to-paris drop'",
        mends: "nft delete table inet mine",
        ..FAULT
    },
    Trouble {
        fault: "A chain of another program drops the packets of a device to this router",
        command: TO_ROUTER,
        words: "✗ input        inet mine input: tcp dport 22 drop
⋮
It stops in the chain `inet mine input` of another program: tcp dport 22 drop.
→ Accept the traffic there.
",
        breaks: "nft 'add table inet mine
            add chain inet mine input { type filter hook input priority -10; }
            add rule inet mine input tcp dport 22 drop'",
        mends: "nft delete table inet mine",
        ..FAULT
    },
    Trouble {
        fault: "A chain of another program drops the packets of this router",
        command: "portals trace self 192.175.48.10",
        words: "✗ output       inet mine output: oifname \"uplink\" ip daddr 192.175.48.10 drop
⋮
It stops in the chain `inet mine output` of another program: oifname \"uplink\" ip daddr 192.175.48.10 drop.
→ Accept the traffic there.
",
        breaks: "nft 'add table inet mine
            add chain inet mine output { type filter hook output priority 10; }
            add rule inet mine output oifname uplink ip daddr 192.175.48.10 drop'",
        mends: "nft delete table inet mine",
        ..FAULT
    },
];

/// Faults of one flow from a portal's own LAN.
pub(crate) const OF_GUESTS: &[Trouble] = &[Trouble {
    fault: "A device of a portal reaches for a service of this router",
    command: "portals trace 10.77.1.70 10.77.1.65:22",
    words: "It stops in the chain `⟨inet portals input⟩` of portals: ⟨…⟩
→ Devices of a portal reach only DHCP, DNS and ping of this router, and the portal's page (`page = true`). \
            If they may reach the rest as well, write `router = true` under the portal.
",
    ..FAULT
}];

/// Command about a device with IPv6.
const OF_IPV6_DEVICE: &str = "portals trace 2001:db8:1:1::50 2620:4f:8000::10";

/// Faults of one flow of IPv6.
pub(crate) const OF_IPV6: &[Trouble] = &[Trouble {
    fault: "A route of another program drops the IPv6 of a device",
    command: OF_IPV6_DEVICE,
    words: "✗ rules        32766: from all lookup main
                 → refused: Invalid argument
⋮
It stops at the routing decision: the route `blackhole 2620:4f:8000::10/128` in table main of another \
                program refuses the packet.
→ See `ip rule` and `ip route show table all`, and change the program that made it.
",
    breaks: "ip -6 route add blackhole 2620:4f:8000::10",
    mends: "ip -6 route delete blackhole 2620:4f:8000::10",
    ..FAULT
}];

/// Faults of one flow of IPv6, while no agent runs.
pub(crate) const OF_IPV6_STOPPED: &[Trouble] = &[Trouble {
    fault: "This router does not forward IPv6",
    command: OF_IPV6_DEVICE,
    words: "It stops at the routing decision: this router does not forward packets \
                (net.ipv6.conf.all.forwarding is 0).
→ Start the agent with `portals run`, or run `sysctl -w net.ipv6.conf.all.forwarding=1`.
",
    breaks: "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding",
    mends: "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding",
    ..FAULT
}];

/// Faults of one flow in legacy iptables.
pub(crate) const OF_IPTABLES: &[Trouble] = &[
    Trouble {
        fault: "A chain of iptables drops the packets of a device",
        words: "✗ forward      mangle FORWARD: -j MINE
                 mangle MINE: -s 192.168.1.50/32 -j DROP
⋮
It stops in the chain `mangle MINE` of another program: -s 192.168.1.50/32 -j DROP.
→ Accept the traffic there, or run `portals apply`, which opens what portals needs.
",
        breaks: "iptables-legacy -t mangle -N MINE; iptables-legacy -t mangle -A FORWARD -j MINE
        iptables-legacy -t mangle -A MINE -s 192.168.1.50 -j DROP",
        mends: "iptables-legacy -t mangle -D FORWARD -j MINE; iptables-legacy -t mangle -F MINE
        iptables-legacy -t mangle -X MINE",
        ..FAULT
    },
    Trouble {
        fault: "A chain of iptables drops the packets of a device to this router",
        command: TO_ROUTER,
        words: "✗ input        filter INPUT: -j PORTALS_INPUT
                 filter INPUT: -s 192.168.1.60/32 -p tcp -m tcp --dport 22 -j DROP
⋮
It stops in the chain `filter INPUT` of another program: -s 192.168.1.60/32 -p tcp -m tcp --dport 22 -j DROP.
→ Accept the traffic there.
",
        breaks: "iptables-legacy -A INPUT -s 192.168.1.60 -p tcp --dport 22 -j DROP",
        mends: "iptables-legacy -D INPUT -s 192.168.1.60 -p tcp --dport 22 -j DROP",
        ..FAULT
    },
    Trouble {
        fault: "A chain of iptables drops the packets of this router",
        command: "portals trace self 192.175.48.10",
        words: "filter OUTPUT: -d 192.175.48.10/32 -j DROP
⋮
It stops in the chain `filter OUTPUT` of another program: -d 192.175.48.10/32 -j DROP.
→ Accept the traffic there.
",
        breaks: "iptables-legacy -A OUTPUT -d 192.175.48.10 -j DROP",
        mends: "iptables-legacy -D OUTPUT -d 192.175.48.10 -j DROP",
        ..FAULT
    },
];
