//! Rules that a packet meets.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::net::{Cidr, Family, IfName, Mac, Mark};
use crate::base::sorted::SortedSet;
use crate::config::model::{Ports, Protocol};
use crate::firewall::{
    Action, Chain, Condition, Devices, Firewall, FirewallRule, Interfaces, MarksAtInterfaces, Networks, Set,
    text,
};
use crate::state::{RouteTarget, Rule, RuleAction, State, words};

/// Source of a packet that this host sends, before its route is known.
pub(super) const UNSPECIFIED: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// First IPv4 packet of a connection, on its way through this host.
#[derive(Debug)]
pub(super) struct Packet {
    /// Interface through which it came in; `lo` if this host sent it, and none if it is any interface without
    /// a name in our rules.
    pub(super) incoming: Option<IfName>,
    /// Interface through which it leaves.
    pub(super) outgoing: Option<IfName>,
    /// Network of its source; none = any source.
    pub(super) source: Option<Cidr>,
    /// Destination.
    pub(super) to: IpAddr,
    /// Hardware addresses of its sender; empty = one that no rule names.
    pub(super) devices: SortedSet<Mac>,
    /// Its destination port, if only packets to some ports are on this way.
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

impl Packet {
    /// Returns the rules of a chain that the packet may meet, in nft's words, up to the one that decides. The
    /// packet gets the marks that they set.
    pub(super) fn pass(&mut self, firewall: &Firewall, chain: Chain) -> Vec<String> {
        let mut lines = Vec::new();
        for rule in firewall.chains.get(&chain).into_iter().flatten() {
            let fit = self.fit(firewall, rule);
            if fit == Fit::No {
                continue;
            }
            lines.push(text::rule(rule));
            match rule.action {
                Action::SetMark(mark) => self.mark = set(self.mark, mark),
                Action::SetConnectionMark(mark) => self.connection_mark = set(self.connection_mark, mark),
                Action::ClampMss(_) => {}
                _ if fit == Fit::Yes => break,
                _ => {}
            }
        }
        lines
    }

    /// Returns the policy rules that the packet may meet, and the routes of the tables that they ask, up to
    /// the rule that refuses the packet if its table is empty. A packet that this host sends gets its source.
    pub(super) fn route(&mut self, state: &State) -> Vec<String> {
        let (mut lines, mut is_routed, mut next) = (Vec::new(), false, None);
        for rule in state.rules.iter().filter(|rule| rule.family == Family::V4) {
            let fit = self.fit_rule(rule);
            if fit == Fit::No || next > Some(rule.priority) {
                continue;
            }
            lines.push(words::rule(rule));
            match rule.action {
                RuleAction::Goto(priority) if fit == Fit::Yes => next = Some(priority),
                RuleAction::Lookup(table) if !is_routed => {
                    for route in state.routes.iter().filter(|route| route.table == table) {
                        if route.destination.contains(self.to) {
                            lines.push(["  ", &words::route(route)].concat());
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
        lines.push("then the rules and tables of the host".to_owned());
        lines
    }

    fn take_source(&mut self, target: &RouteTarget) {
        if let RouteTarget::Device { source: Some(source), .. } = target
            && self.source == Some(Cidr::host(UNSPECIFIED))
        {
            self.source = Some(Cidr::host(*source));
        }
    }

    fn fit(&self, firewall: &Firewall, rule: &FirewallRule) -> Fit {
        let fits = rule.conditions.iter().map(|condition| self.meets(firewall, condition));
        fits.min().unwrap_or(Fit::Yes)
    }

    fn fit_rule(&self, rule: &Rule) -> Fit {
        let selector = &rule.selector;
        let incoming = selector.incoming.as_ref().is_none_or(|name| self.incoming.as_ref() == Some(name));
        let to = selector.to.is_none_or(|network| network.contains(self.to));
        let mark = selector.mark.is_none_or(|mark| is_set(self.mark, mark));
        let from = selector.from.map_or(Fit::Yes, |network| self.is_from(&mut [network].iter().copied()));
        let port = selector.udp_port.map_or(Fit::Yes, |port| self.is_at(Protocol::Udp, port, port));
        from.min(port).min((incoming && to && mark).into())
    }

    fn meets(&self, firewall: &Firewall, condition: &Condition) -> Fit {
        if condition.family() == Some(Family::V6) {
            return Fit::No;
        }
        let set = condition.set().and_then(|name| firewall.sets.get(name));
        match condition {
            Condition::Incoming(names) => is_among(names, set, self.incoming.as_ref()),
            Condition::NotIncoming(names) => is_among(names, set, self.incoming.as_ref()).not(),
            Condition::Outgoing(names) => is_among(names, set, self.outgoing.as_ref()),
            Condition::NotOutgoing(names) => is_among(names, set, self.outgoing.as_ref()).not(),
            Condition::InterfacePair(_) => {
                let pair = self.incoming.clone().zip(self.outgoing.clone());
                let Some((Set::InterfacePairs(pairs), pair)) = set.zip(pair) else { return Fit::No };
                pairs.contains(&pair).into()
            }
            Condition::Source(networks) => self.is_from(&mut members(networks, set).into_iter()),
            Condition::NotSource(networks) => self.is_from(&mut members(networks, set).into_iter()).not(),
            Condition::Destination(networks) => self.is_to(networks, set),
            Condition::NotDestination(networks) => self.is_to(networks, set).not(),
            Condition::Device(Devices::One(mac)) => self.devices.contains(mac).into(),
            Condition::Device(Devices::In(_)) => {
                matches!(set, Some(Set::Devices(all)) if all.iter().any(|mac| self.devices.contains(mac)))
                    .into()
            }
            Condition::Marked(mark) => is_set(self.mark, *mark).into(),
            Condition::NotMarked(mark) => (!is_set(self.mark, *mark)).into(),
            Condition::ConnectionMarked(mark) => is_set(self.connection_mark, *mark).into(),
            Condition::ConnectionNotMarked(mark) => (!is_set(self.connection_mark, *mark)).into(),
            Condition::Departing(MarksAtInterfaces { mask, .. }) => {
                let pair = self.outgoing.clone().map(|outgoing| (outgoing, self.connection_mark & mask));
                let Some((Set::MarksAtInterfaces(pairs), pair)) = set.zip(pair) else { return Fit::No };
                pairs.contains(&pair).into()
            }
            Condition::Family(_) | Condition::FromOriginator => Fit::Yes,
            // The packet is the first one of a connection, and no relayed one.
            Condition::Established
            | Condition::Redirected
            | Condition::FromResponder
            | Condition::UdpBetween(..) => Fit::No,
            // A forged source or destination meets it.
            Condition::NotFrom(_) | Condition::NotTo(_) | Condition::NotReturning(_) | Condition::TcpSyn => {
                Fit::Maybe
            }
            Condition::Icmp(_) => {
                if self.port.is_some() {
                    Fit::No
                } else {
                    Fit::Maybe
                }
            }
            Condition::UdpPort(first, last) => self.is_at(Protocol::Udp, *first, *last),
            Condition::TcpPort(first, last) => self.is_at(Protocol::Tcp, *first, *last),
        }
    }

    fn is_at(&self, protocol: Protocol, first: u16, last: u16) -> Fit {
        let Some(port) = self.port else { return Fit::Maybe };
        (port.protocol == protocol && (first..=last).contains(&port.first)).into()
    }

    fn is_from(&self, networks: &mut dyn Iterator<Item = Cidr>) -> Fit {
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

    fn is_to(&self, networks: &Networks, set: Option<&Set>) -> Fit {
        members(networks, set).iter().any(|network| network.contains(self.to)).into()
    }
}

fn members(networks: &Networks, set: Option<&Set>) -> Vec<Cidr> {
    match (networks, set) {
        (Networks::One(network), _) => vec![*network],
        (Networks::In(..), Some(Set::Networks(_, all))) => all.iter().copied().collect(),
        _ => Vec::new(),
    }
}

fn is_among(names: &Interfaces, set: Option<&Set>, interface: Option<&IfName>) -> Fit {
    let Some(interface) = interface else { return Fit::No };
    match (names, set) {
        (Interfaces::One(name), _) => (name == interface).into(),
        (Interfaces::In(_), Some(Set::Interfaces(all))) => all.contains(interface).into(),
        _ => Fit::No,
    }
}

fn is_set(value: u32, mark: Mark) -> bool {
    value & mark.mask == mark.value
}

fn set(value: u32, mark: Mark) -> u32 {
    value & !mark.mask | mark.value
}
