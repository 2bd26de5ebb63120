//! Rules that a packet meets.

use std::net::{IpAddr, Ipv4Addr};
use std::slice;

use crate::base::net::{Cidr, Family, IfName, Mac, Mark};
use crate::base::text::push_all;
use crate::config::model::{Ports, Protocol};
use crate::firewall::{
    Action, Chain, Condition, Devices, Firewall, Interfaces, MarksAtInterfaces, Networks, Pairing, Set, text,
};
use crate::state::{RouteTarget, Rule, RuleAction, Selector, State, words};

/// Source of a packet that this host sends, before its route is known.
const UNSPECIFIED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// First IPv4 packet of a connection, on its way through this host.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    /// Interface through which it came in; `lo` if this host sent it, and none if it is any interface without
    /// a name in our rules.
    pub(super) incoming: Option<&'a str>,
    /// Interface through which it leaves.
    pub(super) outgoing: Option<&'a str>,
    /// Network of its source; none = any source.
    pub(super) source: Option<Cidr>,
    /// Destination.
    pub(super) to: IpAddr,
    /// Hardware addresses of its sender; empty = one that no rule names.
    pub(super) devices: &'a [Mac],
    /// Destination port, if only packets to some ports are on this way.
    pub(super) port: Option<Ports>,
    /// Marks of the packet and of its connection.
    pub(super) mark: u32,
    pub(super) connection_mark: u32,
}

/// Answer to the question whether a packet meets a condition. The order is that of certainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    No,
    /// The answer depends on the port or the source.
    Maybe,
    Yes,
}

impl From<bool> for Fit {
    fn from(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }
}

impl Fit {
    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

impl<'a> Packet<'a> {
    /// Returns a packet that this host sends.
    pub(super) fn of_host(outgoing: Option<&'a str>, to: IpAddr) -> Self {
        Self {
            incoming: Some("lo"),
            outgoing,
            source: Some(Cidr::host(UNSPECIFIED)),
            to,
            devices: &[],
            port: None,
            mark: 0,
            connection_mark: 0,
        }
    }

    /// Returns the rules of a chain that the packet may meet, in nft's words, up to the one that decides. The
    /// packet gets the marks that they set.
    pub(super) fn pass(&mut self, firewall: &Firewall, chain: Chain) -> String {
        let mut lines = String::new();
        for rule in firewall.chains.get(&chain).into_iter().flatten() {
            let mut fit = Fit::Yes;
            for condition in &rule.conditions {
                fit = fit.min(self.meets(firewall, condition));
            }
            if fit == Fit::No {
                continue;
            }
            push_all(&mut lines, &[&text::rule(rule), "\n"]);
            match rule.action {
                Action::SetMark(mark) => self.mark = set(self.mark, mark),
                Action::SetConnectionMark(mark) => self.connection_mark = set(self.connection_mark, mark),
                Action::ClampMss(_) | Action::Offload => {}
                _ if fit == Fit::Yes => break,
                _ => {}
            }
        }
        lines
    }

    /// Returns the policy rules that the packet may meet, and the routes of the tables that they ask, up to
    /// the rule that refuses the packet if its table is empty. A packet that this host sends gets its source.
    pub(super) fn route(&mut self, state: &State) -> String {
        let (mut lines, mut is_routed, mut next) = (String::new(), false, None);
        for rule in state.rules.iter().filter(|rule| rule.family == Family::V4) {
            let fit = self.fit_rule(rule);
            if fit == Fit::No || next > Some(rule.priority) {
                continue;
            }
            push_all(&mut lines, &[&words::rule(rule), "\n"]);
            match rule.action {
                RuleAction::Goto(priority) if fit == Fit::Yes => next = Some(priority),
                RuleAction::Lookup(table) if !is_routed => {
                    for route in &state.routes {
                        if route.table == table && route.destination.contains(self.to) {
                            push_all(&mut lines, &["  ", &words::route(route), "\n"]);
                            is_routed |= fit == Fit::Yes;
                            self.take_source(&route.target);
                        }
                    }
                }
                _ => {}
            }
            if fit == Fit::Yes && rule.closes() {
                return lines;
            }
        }
        lines.push_str("then the rules and tables of the host");
        lines
    }

    fn take_source(&mut self, target: &RouteTarget) {
        if let RouteTarget::Device { source: Some(source), .. } = target
            && self.source == Some(Cidr::host(UNSPECIFIED))
        {
            self.source = Some(Cidr::host(*source));
        }
    }

    fn fit_rule(&self, rule: &Rule) -> Fit {
        let Selector { incoming, from, to, mark, udp_port } = &rule.selector;
        let meets = incoming.as_ref().is_none_or(|name| self.incoming == Some(name.as_str()))
            && to.is_none_or(|network| network.contains(self.to))
            && mark.is_none_or(|mark| is_set(self.mark, mark));
        let from = from.as_ref().map_or(Fit::Yes, |network| self.is_from(slice::from_ref(network)));
        let port = udp_port.map_or(Fit::Yes, |port| self.is_at(Protocol::Udp, port, port));
        from.min(port).min(meets.into())
    }

    fn meets(&self, firewall: &Firewall, condition: &Condition) -> Fit {
        if condition.family() == Some(Family::V6) {
            return Fit::No;
        }
        let set = condition.set().and_then(|name| firewall.sets.get(name));
        let fit = match condition {
            Condition::Incoming(names) | Condition::NotIncoming(names) => {
                is_among(names, set, self.incoming).into()
            }
            Condition::Outgoing(names) | Condition::NotOutgoing(names) => {
                is_among(names, set, self.outgoing).into()
            }
            Condition::InterfacePair(_) => match (set, self.incoming, self.outgoing) {
                (Some(Set::InterfacePairs(pairs)), Some(incoming), Some(outgoing)) => {
                    let is_it = |(one, other): &(IfName, IfName)| {
                        one.as_str() == incoming && other.as_str() == outgoing
                    };
                    pairs.iter().any(is_it).into()
                }
                _ => Fit::No,
            },
            Condition::Source(networks) | Condition::NotSource(networks) => {
                self.is_from(members(networks, set))
            }
            Condition::Destination(networks) | Condition::NotDestination(networks) => {
                self.is_to(members(networks, set))
            }
            Condition::Device(devices) => {
                let named = match (devices, set) {
                    (Devices::One(mac), _) => slice::from_ref(mac),
                    (Devices::In(_), Some(Set::Devices(all))) => all.as_slice(),
                    _ => &[],
                };
                named.iter().any(|mac| self.devices.contains(mac)).into()
            }
            // A forged source or destination meets it.
            Condition::Place(pairing, _) | Condition::Way(pairing, _) if pairing.negated => Fit::Maybe,
            Condition::Place(pairing, places) => {
                let interface = if pairing.outgoing { self.outgoing } else { self.incoming };
                let networks = at(interface, places.length, set);
                if pairing.destination { self.is_to(&networks) } else { self.is_from(&networks) }
            }
            Condition::Marked(mark) | Condition::NotMarked(mark) => is_set(self.mark, *mark).into(),
            Condition::ConnectionMarked(mark) | Condition::ConnectionNotMarked(mark) => {
                is_set(self.connection_mark, *mark).into()
            }
            Condition::Way(Pairing { outgoing: true, .. }, MarksAtInterfaces { mask, .. }) => {
                match (set, self.outgoing) {
                    (Some(Set::MarksAtInterfaces(pairs)), Some(outgoing)) => {
                        let bits = self.connection_mark & mask;
                        pairs.iter().any(|(name, mark)| name.as_str() == outgoing && *mark == bits).into()
                    }
                    _ => Fit::No,
                }
            }
            Condition::Family(_) | Condition::FromOriginator => Fit::Yes,
            // The packet is the first one of a connection, and no relayed one.
            Condition::Established
            | Condition::Redirected
            | Condition::FromResponder
            | Condition::Way(..)
            | Condition::UdpBetween(..) => Fit::No,
            Condition::Icmp(_) if self.port.is_some() => Fit::No,
            Condition::TcpSyn | Condition::Icmp(_) => Fit::Maybe,
            Condition::UdpPort(first, last) => self.is_at(Protocol::Udp, *first, *last),
            Condition::TcpPort(first, last) => self.is_at(Protocol::Tcp, *first, *last),
        };
        match condition {
            Condition::NotIncoming(_)
            | Condition::NotOutgoing(_)
            | Condition::NotSource(_)
            | Condition::NotDestination(_)
            | Condition::NotMarked(_)
            | Condition::ConnectionNotMarked(_) => fit.not(),
            _ => fit,
        }
    }

    fn is_at(&self, protocol: Protocol, first: u16, last: u16) -> Fit {
        let Some(port) = self.port else { return Fit::Maybe };
        (port.protocol == protocol && (first..=last).contains(&port.first)).into()
    }

    fn is_to(&self, networks: &[Cidr]) -> Fit {
        networks.iter().any(|network| network.contains(self.to)).into()
    }

    fn is_from(&self, networks: &[Cidr]) -> Fit {
        let Some(source) = self.source else { return Fit::Maybe };
        let mut fit = Fit::No;
        for network in networks {
            if network.covers(source) {
                return Fit::Yes;
            }
            if network.overlaps(source) {
                fit = Fit::Maybe;
            }
        }
        fit
    }
}

/// Returns the networks of a set at an interface.
fn at(interface: Option<&str>, length: u8, set: Option<&Set>) -> Vec<Cidr> {
    let mut networks = Vec::new();
    if let Some(Set::NetworksAtInterfaces(_, places)) = set {
        for (name, first) in places {
            if interface == Some(name.as_str()) {
                networks.extend(Cidr::new(*first, length));
            }
        }
    }
    networks
}

fn members<'a>(networks: &'a Networks, set: Option<&'a Set>) -> &'a [Cidr] {
    match (networks, set) {
        (Networks::One(network), _) => slice::from_ref(network),
        (Networks::In(..), Some(Set::Networks(.., all))) => all.as_slice(),
        _ => &[],
    }
}

fn is_among(names: &Interfaces, set: Option<&Set>, interface: Option<&str>) -> bool {
    let members = match (names, set) {
        (Interfaces::One(name), _) => slice::from_ref(name),
        (Interfaces::In(_), Some(Set::Interfaces(all))) => all.as_slice(),
        _ => &[],
    };
    interface.is_some_and(|interface| members.iter().any(|name| name.as_str() == interface))
}

fn is_set(value: u32, mark: Mark) -> bool {
    value & mark.mask == mark.value
}

fn set(value: u32, mark: Mark) -> u32 {
    value & !mark.mask | mark.value
}
