//! The evidence about a flow: packets, then the kernel's answers about its routes.

use std::mem;
use std::net::IpAddr;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::libc;

use super::evidence::{Evidence, MetInHook, Packets, PortalWords, Refuser, RouteWords, TunnelWords};
use super::flow::{Flow, left_out, named_link};
use super::picture::rule_words;
use super::watch::Watched;
use super::way::{FORWARD, HOOKS, INPUT, OUTPUT, POSTROUTING, PREROUTING, PacketMark, Way};
use crate::base::error::Result;
use crate::base::net::{Family, IfName};
use crate::firewall::xtables::counters::{self, MetRule};
use crate::kernel::host_rule::{self, HostRule};
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::kernel::netlink::{Refusal, Socket};
use crate::kernel::nftables::trace::{EventKind, TraceEvent, Tracer};
use crate::kernel::route::{self, HostRoute, RouteAnswer, RoutedPacket};
use crate::kernel::rtnetlink::RoutingHeader;
use crate::kernel::{Kernel as _, sysctl};
use crate::site::{Exit, Portal, Site, SitePeer};
use crate::state::{FORWARDING6, PRIORITIES, PROTOCOL};
use crate::system::child::path_of;
use crate::system::command::Command;

/// Settings that let this host forward IPv4 and IPv6: path and name.
const FORWARDING: [(&str, &str); 2] =
    [("net/ipv4/ip_forward", "net.ipv4.ip_forward"), (FORWARDING6, "net.ipv6.conf.all.forwarding")];

/// Collects the evidence about a flow, and about the portal that it enters.
pub(super) fn evidence<'a>(
    site: &'a Site,
    kernel: &mut Linux,
    links: &'a Links,
    (flow, portal): (Flow, Option<&'a Portal>),
    watched: &'a mut Watched,
) -> Evidence<'a> {
    let Watched { tracer, mark, source, incoming, .. } = watched;
    let connection = watched.connection.take();
    let addresses = connection.as_ref().map(|known| (known.answering, known.answered));
    let addresses = addresses.unwrap_or((flow.to, *source));
    let answer = PacketMark { addresses, protocol: flow.protocol, ports: [flow.port, None] };
    let (forth, back) = (Way::of(mark, &watched.events), Way::of(&answer, &watched.events));
    let met = [reported(tracer.as_mut(), &forth), reported(tracer.as_mut(), &back)];
    let name = |index| name_of(links, index);
    let is_tunnel = flow.device.as_ref().is_some_and(|device| site.tunnels.contains_key(&device.interface));
    let mut evidence = Evidence {
        packets: mem::replace(&mut watched.packets, Packets::Live),
        is_traced: tracer.is_some(),
        portal: portal.map(|portal| portal_words(portal, &flow)),
        is_tunnel,
        is_up: watched.is_up,
        seen: [name(forth.outgoing()), name(back.incoming()), name(back.outgoing())],
        forth,
        back,
        met,
        connection,
        rules: Vec::new(),
        refusal: String::new(),
        refuser: Refuser::Other,
        route: Err(Errno::EINVAL),
        reverse: "",
        rp_filter: 0,
        not_forwarding: String::new(),
        drops: &watched.drops,
        tunnel: None,
        flow,
    };
    let from = Some(*source).filter(|source| !source.is_unspecified());
    routes(&mut evidence, kernel, links, portal, (from, *incoming));
    add_counted(&mut evidence, &watched.counters, watched.sent);
    evidence.tunnel = tunnel(site, kernel, &evidence);
    evidence
}

/// Returns the name of an interface; empty if there is none.
fn name_of(links: &Links, index: Option<u32>) -> &str {
    named_link(links, index).map_or("", IfName::as_str)
}

/// Returns the rules of all telling reports of a way.
fn reported(mut tracer: Option<&mut Tracer>, way: &Way) -> Vec<MetInHook> {
    let mut met = Vec::new();
    for hook in 0..HOOKS.len() {
        for event in way.telling(hook) {
            let words = tracer.as_mut().map(|tracer| tracer.rule(event)).unwrap_or_default();
            let text = words.text.or_else(|| by_nft(event));
            met.push(MetInHook {
                hook,
                place: event.place().join(" "),
                rule: rule_words(text, &event.kind, event.rule),
                is_pinhole: words.is_pinhole,
                refuses: event.kind == EventKind::Drop,
            });
        }
    }
    met
}

/// Returns the text of another program's rule as `nft` writes it, if that program is installed.
fn by_nft(event: &TraceEvent) -> Option<String> {
    let end = [" # handle ", &event.rule?.to_string()].concat();
    let place = event.place();
    if !place.into_iter().all(is_name) {
        return None;
    }
    let mut command = Command::new(path_of("nft")?);
    command.args(&["-s", "-a", "list", "chain"]).args(&place).env_clear();
    let output = command.output(&[]).ok()?;
    let listing = String::from_utf8_lossy(&output.stdout);
    let line = listing.lines().find_map(|line| line.strip_suffix(&end));
    line.map(|line| line.trim().to_owned())
}

/// Reports whether nft takes a word for a name. It reads all its arguments as one script, and the kernel lets
/// programs give their tables and chains any names.
fn is_name(word: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    !word.starts_with('-') && word.bytes().all(is_plain)
}

/// Adds the rules of iptables that the packets met.
fn add_counted(evidence: &mut Evidence, counters: &[String; 2], sent: u32) {
    /// Hooks of a packet in order, with the tables of each.
    const TABLES: [(usize, &str, &[&str]); 5] = [
        (PREROUTING, "PREROUTING", &["raw", "mangle", "nat"]),
        (OUTPUT, "OUTPUT", &["raw", "mangle", "nat", "filter"]),
        (INPUT, "INPUT", &["mangle", "filter"]),
        (FORWARD, "FORWARD", &["mangle", "filter"]),
        (POSTROUTING, "POSTROUTING", &["mangle", "nat"]),
    ];
    for (hook, chain, tables) in TABLES {
        if !evidence.comes_to(hook) {
            continue;
        }
        for table in tables {
            // Only the first packet of a connection meets the table `nat`.
            let least = if *table == "nat" { 1 } else { sent };
            let [before, after] = counters;
            for MetRule { place, rule, refuses } in counters::met(before, after, (table, chain), least.into())
            {
                // A policy that accepts says nothing.
                if refuses || !rule.starts_with("policy") {
                    let met = MetInHook { hook, place, rule, is_pinhole: false, refuses };
                    evidence.met[0].push(met);
                }
            }
        }
    }
}

fn portal_words<'a>(portal: &'a Portal, flow: &Flow) -> PortalWords<'a> {
    let exit = match &portal.exit {
        Exit::Nowhere => {
            let names: Vec<String> = portal.exits.iter().map(ToString::to_string).collect();
            names.join(", ")
        }
        exit => exit.to_string(),
    };
    let obstacle = portal.obstacle.as_ref().map(ToString::to_string);
    PortalWords { name: &portal.name, exit, obstacle, left_out: left_out(portal, flow) }
}

/// Asks the kernel for the route of the packet, and looks for the rules that led there.
fn routes<'a>(
    evidence: &mut Evidence<'a>,
    kernel: &mut Linux,
    links: &'a Links,
    portal: Option<&Portal>,
    (from, incoming): (Option<IpAddr>, Option<u32>),
) {
    // Without a packet, the mark is the one that the plan gives.
    let planned = portal.filter(|portal| left_out(portal, &evidence.flow).is_empty()).and_then(Portal::mark);
    let mark = match &evidence.forth.events[..] {
        [] => planned.map_or(0, |mark| mark.value),
        _ => evidence.forth.mark(),
    };
    let packet = RoutedPacket {
        from,
        to: evidence.destination(),
        incoming,
        mark,
        protocol: evidence.flow.protocol,
        ports: evidence.flow.port.map(|port| [40_000, port]),
    };
    let family = Family::of(packet.to);
    let answer = route::ask(kernel.route(), &packet);
    let rules = host_rule::list(kernel.route(), family).unwrap_or_default();
    let interface = if incoming.is_some() { name_of(links, incoming) } else { "lo" };
    let met = host_rule::met(&rules, &packet, interface);
    let refusing = refusing_routes(kernel.route(), packet.to, refusing_kind(&answer));
    leading(evidence, &met, &answer, &refusing);
    evidence.route = match answer {
        Ok(Some(answer)) => Ok(RouteWords {
            is_local: answer.kind == libc::RTN_LOCAL,
            table: answer.table,
            device: name_of(links, answer.device),
            gateway: answer.gateway,
        }),
        Ok(None) => Err(Errno::EPROTO),
        Err(refusal) => Err(refusal.errno),
    };
    let Some(device) = &evidence.flow.device else { return };
    let setting = |path: &str| sysctl::read(path).ok().flatten()?.parse::<u8>().ok();
    let (path, name) = FORWARDING[usize::from(family == Family::V6)];
    let of_interface = ["net/ipv4/conf/", interface, "/forwarding"].concat();
    if setting(path) == Some(0) {
        name.clone_into(&mut evidence.not_forwarding);
    } else if family == Family::V4 && setting(&of_interface) == Some(0) {
        evidence.not_forwarding = of_interface.replace('/', ".");
    }
    if family == Family::V4 {
        let back = route::lookup(kernel.route(), device.address, None, None);
        evidence.reverse = name_of(links, back.and_then(|route| route.device));
        for interface in ["all", interface] {
            let value = setting(&["net/ipv4/conf/", interface, "/rp_filter"].concat());
            evidence.rp_filter = evidence.rp_filter.max(value.unwrap_or_default());
        }
    }
}

/// Fills in the rules up to the one that led to the route, or to the refusal.
fn leading(
    evidence: &mut Evidence,
    met: &[&HostRule],
    answer: &Result<Option<RouteAnswer>, Refusal>,
    refusing: &[HostRoute],
) {
    let kind = refusing_kind(answer);
    for rule in met {
        let mut refusal: Option<&HostRoute> = None;
        for route in refusing.iter().filter(|route| rule.looks_into(route.table)) {
            if refusal.is_none_or(|other| other.destination.length() < route.destination.length()) {
                refusal = Some(route);
            }
        }
        let is_portals = PRIORITIES.contains(&rule.priority);
        let words = rule.words();
        let mut is_last = matches!(answer, Ok(Some(answer)) if rule.looks_into(answer.table));
        if rule.action == kind {
            is_last = true;
            evidence.refusal = ["the rule `", &words, "`"].concat();
            evidence.refuser = if is_portals { Refuser::Portal } else { Refuser::Other };
        } else if let Some(route) = refusal {
            is_last = true;
            let name = KINDS[usize::from(kind - libc::RTN_BLACKHOLE)];
            let (to, table) = (route.destination.to_string(), route.table.to_string());
            evidence.refusal = ["the route `", name, " ", &to, "` in table ", &table].concat();
            evidence.refuser = match (route.protocol == PROTOCOL, is_portals) {
                (false, _) => Refuser::Other,
                (true, true) => Refuser::Portal,
                (true, false) => Refuser::Link,
            };
        }
        // The kernel's own rule for its addresses comes first, and says nothing.
        if is_last || rule.priority != 0 {
            evidence.rules.push(words);
        }
        if is_last {
            return;
        }
    }
}

/// Names of the routes that refuse packets, from the number RTN_BLACKHOLE.
const KINDS: [&str; 3] = ["blackhole", "unreachable", "prohibit"];

/// Returns the kind of the route, or the action of the rule, that makes the kernel refuse a packet in this
/// way: their numbers are the same. 0 stands for no refusal.
fn refusing_kind(answer: &Result<Option<RouteAnswer>, Refusal>) -> u8 {
    match answer.as_ref().map_err(|refusal| refusal.errno) {
        Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => libc::RTN_UNREACHABLE,
        Err(Errno::EACCES) => libc::RTN_PROHIBIT,
        Err(Errno::EINVAL | Errno::EXDEV) => libc::RTN_BLACKHOLE,
        _ => 0,
    }
}

/// Returns the routes of all tables that refuse packets to a destination in this way.
fn refusing_routes(socket: &mut Socket, to: IpAddr, kind: u8) -> Vec<HostRoute> {
    if kind == 0 {
        return Vec::new();
    }
    let filter = RoutingHeader { family: Some(Family::of(to)), kind, ..RoutingHeader::default() };
    let mut routes = route::list(socket, filter).unwrap_or_default();
    routes.retain(|route| route.kind == kind && route.destination.contains(to));
    routes
}

/// Returns the tunnel that the packet goes into.
fn tunnel<'a>(site: &'a Site, kernel: &mut Linux, evidence: &Evidence) -> Option<TunnelWords<'a>> {
    let (out, to) = (evidence.outgoing(), evidence.destination());
    let (interface, tunnel) = site.tunnels.iter().find(|(name, _)| name.as_str() == out)?;
    let takes = |peer: &SitePeer| peer.allowed_ips.iter().any(|network| network.contains(to));
    let (name, peer) = tunnel.ends().find(|(_, peer)| takes(peer))?;
    let reading = kernel.own_tunnel(interface).ok().flatten()?;
    let statistics = reading.peers.get(&peer.public_key);
    let now = SystemTime::now();
    Some(TunnelWords {
        peer: name,
        endpoint: statistics.and_then(|peer| peer.endpoint),
        unknown: match peer.endpoint {
            Some(_) => ", whose name is not resolved",
            None => ", which has not dialled",
        },
        age: statistics.and_then(|peer| peer.age(now)).map(|age| age.as_secs()),
        is_up: statistics.is_some_and(|peer| peer.alive(now)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_reach_nft() {
        for name in ["inet", "fw4", "forward_lan", "DOCKER-USER", "ufw.user/a"] {
            assert!(is_name(name), "{name}");
        }
        for script in ["x; flush ruleset", "x}", "-fscript", "--file=script", "x\nflush", "\"x\"", "ä", "x y"]
        {
            assert!(!is_name(script), "{script}");
        }
    }
}
