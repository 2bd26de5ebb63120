//! Steps in words for people, each in one line.

use std::fmt::{self, Write as _};
use std::num::NonZeroU16;

use crate::base::net::{Cidr, Family};
use crate::base::sorted::SortedSet;
use crate::base::text::append;
use crate::firewall::xtables::CHAIN_PREFIX;
use crate::state::step::{FirewallStep, NamedLink, RoutingStep, Step, SysctlChange, TunnelChange};
use crate::state::tunnel_delta::delta;
use crate::state::{LinkKind, Reach, Route, RouteTarget, Rule, RuleAction, Selector, Tunnel};

/// Describes a step and its object.
pub fn step(step: &Step) -> String {
    match step {
        Step::AddLink(new) => adding(new),
        Step::RemoveLink(old) => removing(old),
        Step::ChangeTunnel(TunnelChange { name, from, to }) => tunnel(name.as_str(), from, to),
        Step::Routing(step) => routing(step),
        Step::Firewall(step) => firewall(step),
        Step::SetSysctl(change) => sysctl(change),
    }
}

/// Describes the making of an interface.
pub fn adding(NamedLink { name, link }: &NamedLink) -> String {
    let kind = match &link.kind {
        LinkKind::WireGuard(backend) => format!("{} WireGuard", backend.as_str()),
        LinkKind::Vlan { parent, id } => format!("VLAN {id} of {parent}"),
    };
    format!("add interface {name} ({kind}, MTU {})", link.mtu)
}

/// Describes the removal of an interface.
pub fn removing(NamedLink { name, .. }: &NamedLink) -> String {
    format!("remove interface {name}")
}

/// Describes a change of interfaces, addresses, routes or rules.
pub fn routing(step: &RoutingStep) -> String {
    match step {
        RoutingStep::ChangeLink { name, from, to } if from.mtu != to.mtu => {
            format!("set the MTU of {name} from {} to {}", from.mtu, to.mtu)
        }
        RoutingStep::ChangeLink { name, to, .. } => format!("mark interface {name} as ours ({})", to.alias),
        RoutingStep::AddAddress(name, address) => format!("add address {address} to {name}"),
        RoutingStep::RemoveAddress(name, address) => format!("remove address {address} from {name}"),
        RoutingStep::BringUp(name) => format!("bring {name} up"),
        RoutingStep::BringDown(name) => format!("bring {name} down"),
        RoutingStep::AddRoute(entry) => format!("add route {}{}", route_family(entry), route(entry)),
        RoutingStep::RemoveRoute(entry) => format!("remove route {}{}", route_family(entry), route(entry)),
        RoutingStep::AddRule(entry) => format!("add rule {}", rule(entry)),
        RoutingStep::RemoveRule(entry) => format!("remove rule {}", rule(entry)),
    }
}

fn firewall(step: &FirewallStep) -> String {
    match step {
        FirewallStep::ClosePorts { to: Some(ports), .. } => {
            let mut list = String::new();
            for port in ports {
                append(&mut list, port);
            }
            ["drop all packets that come in through the port ", &list].concat()
        }
        FirewallStep::ClosePorts { to: None, .. } => "accept packets from all ports again".to_owned(),
        FirewallStep::ChangeFirewall { from: None, .. } => "add the firewall table".to_owned(),
        FirewallStep::ChangeFirewall { to: None, .. } => "remove the firewall table".to_owned(),
        FirewallStep::ChangeFirewall { .. } => "change the firewall table".to_owned(),
        FirewallStep::ChangeIptables { program, from, to } => {
            let program = program.name(Family::V4, "");
            format!("{} the chains {CHAIN_PREFIX}* of {program}", verb(from.is_empty(), to.is_empty()))
        }
        FirewallStep::ChangePinholes { chain, from, to } => {
            let verb = verb(from.rules.is_empty(), to.rules.is_empty());
            format!("{verb} our rules at the top of the chain {chain}")
        }
    }
}

/// A setting of an interface that is being made has no former value: `from` is then the new value.
fn sysctl(SysctlChange { key, from, to }: &SysctlChange) -> String {
    let name = dotted(key);
    if from == to { format!("set {name} to {to}") } else { format!("set {name} from {from} to {to}") }
}

fn verb(from_nothing: bool, to_nothing: bool) -> &'static str {
    match (from_nothing, to_nothing) {
        (true, _) => "add",
        (_, true) => "remove",
        _ => "change",
    }
}

/// Returns a route as `ip route` takes it: `default dev to-paris scope global table 7702`.
pub fn route(route: &Route) -> String {
    let mut text = String::new();
    if route.target == RouteTarget::Unreachable {
        text.push_str("unreachable ");
    }
    if route.destination.length() == 0 {
        text.push_str("default");
    } else {
        let _ = write!(text, "{}", route.destination);
    }
    if let RouteTarget::Device { interface, source, reach } = &route.target {
        let _ = write!(text, " dev {interface}");
        if let Some(source) = source {
            let _ = write!(text, " src {source}");
        }
        // Without a scope, `ip` assumes `scope link`.
        if *reach == Reach::Beyond && route.destination.family() == Family::V4 {
            text.push_str(" scope global");
        }
    }
    let _ = write!(text, " table {}", route.table);
    if let Some(metric) = route.metric {
        let _ = write!(text, " metric {metric}");
    }
    text
}

/// Returns the prefix that tells a default route of IPv6 from one of IPv4. Other destinations show their
/// family.
fn route_family(route: &Route) -> &'static str {
    if route.destination.length() == 0 { family(route.destination.family()) } else { "" }
}

/// Returns the prefix of IPv6; IPv4 has none.
fn family(family: Family) -> &'static str {
    if family == Family::V6 { "IPv6 " } else { "" }
}

/// Returns a rule as `ip rule` writes it: `113: from all iif eth1 lookup 7702`.
pub fn rule(rule: &Rule) -> String {
    let family = family(rule.family);
    format!("{family}{}: {} {}", rule.priority, SelectorWords(&rule.selector), ActionWords(&rule.action))
}

/// Selector of a rule, in the words of `ip rule`.
#[derive(Debug)]
pub struct SelectorWords<'a>(pub &'a Selector);

impl fmt::Display for SelectorWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selector { incoming, from, to, mark, udp_port } = self.0;
        match from {
            Some(network) => write!(f, "from {network}")?,
            None => f.write_str("from all")?,
        }
        if let Some(network) = to {
            write!(f, " to {network}")?;
        }
        if let Some(mark) = mark {
            write!(f, " fwmark {mark}")?;
        }
        if let Some(interface) = incoming {
            write!(f, " iif {interface}")?;
        }
        if let Some(port) = udp_port {
            // The number of UDP: for the name, `ip` needs the file /etc/protocols, which small systems lack.
            write!(f, " ipproto 17 dport {port}")?;
        }
        Ok(())
    }
}

/// Action of a rule, in the words of `ip rule`.
#[derive(Debug)]
pub struct ActionWords<'a>(pub &'a RuleAction);

impl fmt::Display for ActionWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            RuleAction::Lookup(table) => write!(f, "lookup {table}"),
            RuleAction::Goto(priority) => write!(f, "goto {priority}"),
            RuleAction::Unreachable => f.write_str("unreachable"),
        }
    }
}

fn tunnel(name: &str, from: &Tunnel, to: &Tunnel) -> String {
    if to.private_key.is_none() {
        return format!("close tunnel {name}");
    }
    if from.private_key.is_none() {
        return format!("set up tunnel {name} ({}, {})", port(to.port), count(to.peers.len(), "peer"));
    }
    let (delta, mut changes) = (delta(from, to), String::new());
    if from.port != to.port {
        append(&mut changes, &port(to.port));
    }
    for key in &delta.removed {
        append(&mut changes, &format_args!("peer {key} removed"));
    }
    for (key, peer) in &delta.added {
        append(&mut changes, &format_args!("new peer {key} ({})", networks(&peer.allowed_ips)));
    }
    for (key, peer) in &delta.changed {
        match peer.endpoint {
            Some(endpoint) => append(&mut changes, &format_args!("endpoint {endpoint} of peer {key}")),
            None => append(&mut changes, &format_args!("settings of peer {key}")),
        }
    }
    if changes.is_empty() {
        changes.push_str("keys or marks");
    }
    format!("change tunnel {name}: {changes}")
}

fn port(port: Option<NonZeroU16>) -> String {
    port.map_or_else(|| "any UDP port".to_owned(), |port| format!("UDP port {port}"))
}

fn networks(networks: &SortedSet<Cidr>) -> String {
    let mut list = String::new();
    for network in networks {
        append(&mut list, network);
    }
    list
}

/// Returns a number with its noun: `1 peer`, `2 peers`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Returns the name of a setting as in sysctl(8): with dots between the parts, and a slash for each dot in
/// the name of an interface.
pub fn dotted(key: &str) -> String {
    let mut name = String::new();
    for letter in key.chars() {
        name.push(match letter {
            '/' => '.',
            '.' => '/',
            other => other,
        });
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::net::Table;

    #[test]
    fn a_setting_without_a_former_value_is_only_set() {
        let set = |from: &str| {
            Step::SetSysctl(SysctlChange { key: "net/a".into(), from: from.into(), to: "1".into() })
        };
        assert_eq!(step(&set("0")), "set net.a from 0 to 1");
        assert_eq!(step(&set("1")), "set net.a to 1");
    }

    #[test]
    fn a_dot_in_an_interface_name_becomes_a_slash() {
        assert_eq!(dotted("net/ipv6/conf/eth0.30/accept_ra"), "net.ipv6.conf.eth0/30.accept_ra");
    }

    #[test]
    fn a_default_route_tells_its_family() {
        let adding = |destination: &str| {
            let destination = destination.parse().unwrap();
            let target = RouteTarget::Unreachable;
            routing(&RoutingStep::AddRoute(Route { table: Table(7702), destination, target, metric: None }))
        };
        assert_eq!(adding("0.0.0.0/0"), "add route unreachable default table 7702");
        assert_eq!(adding("::/0"), "add route IPv6 unreachable default table 7702");
        assert_eq!(adding("fd77::/48"), "add route unreachable fd77::/48 table 7702");
    }
}
