//! Table of the endings of a flow, with the words for each: the sentence says where the flow ends and why,
//! and the way out says what to do.

use super::way::{FORWARD, INPUT, OUTPUT};

/// Ending of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// An answer came back to the device.
    Works,
    /// The packet is for this host itself.
    Here,
    /// The packet would leave, but none was sent.
    Untested,
    /// No packet of the flow came in.
    NotSeen,
    /// The packet that portals sent did not come in.
    NotEntered,
    /// The interface is down.
    Down,
    /// This host does not forward.
    NoForwarding,
    /// The portal has no exit that is up.
    Closed,
    /// The portal has an obstacle.
    Blocked,
    /// No rule leads to a route.
    NoRoute,
    /// A rule or a route of portals holds the packet back.
    Unlinked,
    /// A rule or a route of another program refuses the packet.
    Refused,
    /// The reverse-path filter drops the packet.
    ReversePath,
    /// The source is an address that no packet can come from.
    Impossible,
    /// A chain drops the packet.
    Chain,
    /// Something drops the packet in a hook.
    Unknown,
    /// The packet vanishes between two hooks.
    Vanished,
    /// The packet passes the firewall, and does not leave.
    NotSent,
    /// The tunnel has no session.
    NoHandshake,
    /// No answer came.
    NoAnswer,
    /// A chain drops the answer.
    Answer,
    /// The answer leaves by another interface than that of the device.
    Astray,
}

/// Names of the details in the words of the table.
pub(super) const DETAILS: [&str; 19] = [
    "{from}",
    "{to}",
    "{destination}",
    "{in}",
    "{out}",
    "{why}",
    "{setting}",
    "{portal}",
    "{exit}",
    "{obstacle}",
    "{rule}",
    "{reverse}",
    "{place}",
    "{owner}",
    "{met}",
    "{hook}",
    "{peer}",
    "{age}",
    "{elsewhere}",
];

/// Row of the table: words with places for details.
#[derive(Debug)]
pub(super) struct Fault {
    /// Sentence about the place and the reason.
    pub(super) words: &'static str,
    /// Way out; may be empty.
    pub(super) way_out: &'static str,
}

/// Words of each ending, in the order of [`Ending`].
pub(super) const FAULTS: [Fault; 22] = [
    Fault { words: "It works: the packet left by {out}, and an answer came back.", way_out: "" },
    Fault { words: "It arrives: {destination} is an address of this router itself.", way_out: "" },
    Fault {
        words: "The routes of this router lead the packet out of {out}. Its firewall was not tested: {why}.",
        way_out: "Run the trace with --live, and use the device meanwhile.",
    },
    Fault {
        words: "No packet from {from} to {to} came in meanwhile.",
        way_out: "Use the device while the trace waits. If it was in use, look at its cable or Wi-Fi, and at \
                  its address.",
    },
    Fault {
        words: "The packet does not come in on {in}: something drops it before the first hook.",
        way_out: "Look at `nft list ruleset` for chains with the hook `ingress`, and at `tc filter show dev \
                  {in} ingress`.",
    },
    Fault {
        words: "It stops at the entrance: the interface {in} is down.",
        way_out: "Plug the cable in, or run `ip link set {in} up`.",
    },
    Fault {
        words: "It stops at the routing decision: this router does not forward packets ({setting} is 0).",
        way_out: "Start the agent with `portals run`, or run `sysctl -w {setting}=1`.",
    },
    Fault {
        words: "It stops at the routing decision: the portal {portal} is closed, because its exit {exit} is \
                not up.",
        way_out: "See `portals status`. The portal opens by itself as soon as an exit is up.",
    },
    Fault {
        words: "It stops at the routing decision: the portal {portal} is blocked. {obstacle}",
        way_out: "See `portals status`.",
    },
    Fault {
        words: "It stops at the routing decision: no rule leads to a route to {destination}.",
        way_out: "Give this router a default route, or a portal that takes this traffic.",
    },
    Fault {
        words: "It stops at the routing decision: {rule} of portals refuses the packet, because no tunnel \
                leads there now.",
        way_out: "See `portals status`. If no agent runs, start it with `portals run`.",
    },
    Fault {
        words: "It stops at the routing decision: {rule} of another program refuses the packet.",
        way_out: "See `ip rule` and `ip route show table all`, and change the program that made it.",
    },
    Fault {
        words: "It stops at the reverse-path filter of {in}: answers to {from} would leave by {reverse}.",
        way_out: "Correct the address of the device, or add a route to it out of {in}. If the way is right \
                  as it is, run `sysctl -w net.ipv4.conf.{in}.rp_filter=2`.",
    },
    Fault {
        words: "It stops at the routing decision: the kernel takes no packet from {from} to {destination}, \
                coming in on {in}.",
        way_out: "Look for the same address on this router (`ip address`), and for a route that drops \
                  packets (`ip route show table all type blackhole`).",
    },
    Fault { words: "It stops in the chain `{place}` of {owner}: {met}.", way_out: "" },
    Fault {
        words: "It stops in the hook {hook}: something other than nftables and iptables drops it, or a rule \
                that keeps no count.",
        way_out: OTHERS,
    },
    Fault { words: "It stops behind the hook {hook}: the packet comes to no other hook.", way_out: OTHERS },
    Fault { words: "It stops at {out}: the packet passes the firewall, and does not leave.", way_out: "" },
    Fault {
        words: "It stops in the tunnel to {peer}: {age}.",
        way_out: "Look at the other end: is it on, does its agent run, does its UDP port reach it? See \
                  `portals status`.",
    },
    Fault {
        words: "The packet left by {out}, and no answer came.",
        way_out: "The fault is behind {out}, or the destination answers no such packets. Run the trace at \
                  the other site, or to another destination.",
    },
    Fault { words: "The answer stops in the chain `{place}` of {owner}: {met}.", way_out: "" },
    Fault {
        words: "The answer goes astray: it is routed to {elsewhere}, and {from} is on {in}.",
        way_out: "Look for a wrong route to {from}: `ip route get {from}`.",
    },
];

const OTHERS: &str = "Look at the kernel's log (`dmesg`), and at the modules of other programs.";

/// Owner of chains, with ways out.
#[derive(Debug)]
pub(super) struct Owner {
    /// Beginning of the name of a table or a chain.
    prefix: &'static str,
    /// Name of the owner.
    pub(super) name: &'static str,
    /// Way out for packets that this router forwards.
    forwarded: &'static str,
    /// Ways out for packets to this router, and for those that it sends; if empty, the one above.
    own: [&'static str; 2],
}

const fn owner_of(prefix: &'static str, name: &'static str, forwarded: &'static str) -> Owner {
    Owner { prefix, name, forwarded, own: [""; 2] }
}

/// Owners of chains. The last one owns all others.
const OWNERS: [Owner; 11] = [
    owner_of("portals", PORTALS, PROTECTION),
    owner_of("PORTALS_", PORTALS, PROTECTION),
    Owner {
        own: ["Run `ufw allow in on {in}`.", "Run `ufw allow out on {out}`."],
        ..owner_of("ufw", "ufw", "Run `ufw route allow in on {in} out on {out}`.")
    },
    owner_of("DOCKER", "Docker", "Accept the traffic in the chain DOCKER-USER, which Docker leaves to you."),
    Owner {
        own: [
            "Allow the service in the zone of {in} (`firewall-cmd`).",
            "Add a policy from HOST to the zone of {out} that accepts (`firewall-cmd`).",
        ],
        ..owner_of(
            "firewalld",
            "firewalld",
            "Put both interfaces into zones with a policy that accepts (`firewall-cmd`).",
        )
    },
    Owner {
        own: [
            "Set `input` of the zone of {in} to ACCEPT in /etc/config/firewall, or add a rule for the port.",
            "Set `output` of the zone of {out} to ACCEPT in /etc/config/firewall.",
        ],
        ..owner_of(
            "fw4",
            "OpenWrt's firewall",
            "Add a forwarding between the two zones in /etc/config/firewall.",
        )
    },
    owner_of("LIBVIRT_", "libvirt", "Use a bridge in place of libvirt's own network."),
    owner_of("UBIOS_", "UniFi", "Allow the traffic in UniFi's firewall settings."),
    owner_of("WAN_", "the firewall of EdgeOS", "Allow the traffic in the ruleset of that name."),
    owner_of("ts-", "Tailscale", "Stop Tailscale, or turn its netfilter mode off."),
    owner_of("", "another program", "Accept the traffic there."),
];

const PORTALS: &str = "portals";

const PROTECTION: &str = "This is the protection of a portal: only the traffic of its exits passes. See \
                          `portals plan --commands` for the rule's reason, and `portals status` for the exit \
                          in use.";

/// Way out for a portal's packets to this router.
const ROUTER: &str = "Devices of a portal reach only DHCP, DNS and ping of this router, and the portal's \
                      page (`page = true`). If they may reach the rest as well, write `router = true` under \
                      the portal.";

/// Way out for packets of portals that another program's firewall refuses to forward.
const APPLY: &str = "Accept the traffic there, or run `portals apply`, which opens what portals needs.";

/// Returns the owner of a chain.
pub(super) fn owner(place: &str, is_pinhole: bool) -> &'static Owner {
    let owns = |owner: &&Owner| is_pinhole || place.split(' ').any(|word| word.starts_with(owner.prefix));
    OWNERS.iter().find(owns).unwrap_or(&OWNERS[0])
}

impl Owner {
    /// Returns the way out for a packet that a chain in this hook drops. `is_of_portal` tells whether it
    /// enters a portal, and `is_of_portals` whether it comes from or goes into a tunnel.
    pub(super) fn way_out(&self, hook: usize, is_of_portal: bool, is_of_portals: bool) -> &'static str {
        match hook {
            INPUT if is_of_portal && self.name == PORTALS => ROUTER,
            FORWARD if (is_of_portal || is_of_portals) && self.prefix.is_empty() => APPLY,
            INPUT | OUTPUT if !self.own[0].is_empty() => self.own[usize::from(hook == OUTPUT)],
            _ => self.forwarded,
        }
    }
}

/// Returns a text of the table with its details.
pub(super) fn filled(text: &str, details: &[&str; DETAILS.len()]) -> String {
    let mut filled = text.to_owned();
    for (name, detail) in DETAILS.into_iter().zip(details) {
        filled = filled.replace(name, detail);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_words_for_every_ending() {
        assert_eq!(Ending::Astray as usize + 1, FAULTS.len());
        for fault in &FAULTS {
            assert!(fault.words.ends_with('.') || fault.words.ends_with("{obstacle}"), "{}", fault.words);
            assert!(!filled(fault.words, &[""; DETAILS.len()]).contains('{'));
            assert!(!filled(fault.way_out, &[""; DETAILS.len()]).contains('{'));
        }
    }

    #[test]
    fn owners_of_chains_are_known() {
        for (place, name) in [
            ("inet portals forward", PORTALS),
            ("filter PORTALS_FORWARD", PORTALS),
            ("ip filter ufw-user-forward", "ufw"),
            ("ip filter DOCKER-ISOLATION-STAGE-2", "Docker"),
            ("inet fw4 forward", "OpenWrt's firewall"),
            ("inet mine forward", "another program"),
        ] {
            assert_eq!(owner(place, false).name, name, "{place}");
        }
        assert_eq!(owner("inet fw4 forward", true).name, PORTALS);
    }

    #[test]
    fn the_way_out_belongs_to_the_hook_and_the_flow() {
        for (place, hook, words) in [
            ("inet fw4 forward_lan", FORWARD, "Add a forwarding"),
            ("inet fw4 input_lan", INPUT, "Set `input` of the zone of {in}"),
            ("inet fw4 output_wan", OUTPUT, "Set `output` of the zone of {out}"),
            ("ip filter ufw-user-input", INPUT, "Run `ufw allow in on {in}`."),
            ("ip filter ufw-user-output", OUTPUT, "Run `ufw allow out on {out}`."),
            ("ip filter ufw-user-forward", FORWARD, "Run `ufw route allow in"),
            ("filter WAN_LOCAL", INPUT, "Allow the traffic in the ruleset"),
            ("inet portals input", INPUT, PROTECTION),
            ("inet mine forward", FORWARD, "Accept the traffic there."),
        ] {
            let way_out = owner(place, false).way_out(hook, false, false);
            assert!(way_out.starts_with(words), "{place}: {way_out}");
            assert!(way_out != APPLY, "{place}");
        }
        let of_portal = |place, hook| owner(place, false).way_out(hook, true, false);
        assert_eq!(of_portal("inet portals input", INPUT), ROUTER);
        assert_eq!(of_portal("inet portals forward", FORWARD), PROTECTION);
        assert_eq!(of_portal("inet mine forward", FORWARD), APPLY);
        assert_eq!(of_portal("inet mine input", INPUT), "Accept the traffic there.");
        assert_eq!(owner("inet mine forward", false).way_out(FORWARD, false, true), APPLY);
    }
}
