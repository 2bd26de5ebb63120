//! The evidence about a flow: packets, then the kernel's answers about its routes.

use std::net::IpAddr;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::libc;

use super::evidence::{Evidence, MetInHook, Packets, PortalWords, RouteWords, TunnelWords};
use super::flow::Flow;
use super::picture::rule_words;
use super::watch::{Watched, watch};
use super::way::{FORWARD, HOOKS, OUTPUT, POSTROUTING, PREROUTING, PacketMark, Way};
use crate::base::error::{Error, Result};
use crate::base::net::Family;
use crate::firewall::xtables::counters::{self, MetRule};
use crate::kernel::host_rule::{self, HostRule};
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::kernel::nftables::trace::{EventKind, TraceEvent, Tracer};
use crate::kernel::route::{self, RouteAnswer, RoutedPacket};
use crate::kernel::{Kernel as _, sysctl};
use crate::site::{Exit, Portal, Site};
use crate::state::{FORWARDING6, PRIORITIES};
use crate::system::child::path_of;
use crate::system::command::Command;

/// Setting that lets this host forward IPv4.
const FORWARDING: &str = "net/ipv4/ip_forward";

/// Collects the evidence about a flow.
pub(super) fn evidence(
    site: &Site,
    kernel: &mut Linux,
    links: &Links,
    flow: Flow,
    is_live: bool,
) -> Result<Evidence> {
    let portal = site.portals.iter().find(|portal| Some(portal.name.as_str()) == flow.portal.as_deref());
    let (incoming, is_up) = match &flow.device {
        None => (None, true),
        Some(device) => {
            let link = links
                .get(&device.interface)
                .ok_or_else(|| Error::failed("this router lacks the interface of that portal"))?;
            (Some(link.index), link.up)
        }
    };
    let source = match &flow.device {
        Some(device) => device.address,
        None => own_source(kernel, &flow),
    };
    let mut watched =
        if is_up { watch(kernel, &flow, source, incoming, is_live)? } else { Watched::default() };
    let bases = watched.tracer.as_ref().map_or(&[][..], |tracer| &tracer.bases);
    let forth = watched.mark.as_ref().map_or_else(Way::default, |mark| Way::of(mark, &watched.events, bases));
    let back = back(&watched, &flow, source);
    let is_traced = watched.tracer.is_some();
    let mut met = [Vec::new(), Vec::new()];
    for (met, way) in met.iter_mut().zip([&forth, &back]) {
        add_reported(met, watched.tracer.as_mut(), way);
    }
    add_counted(&mut met[0], &watched, flow.device.is_none());
    let name = |index| name_of(links, index);
    let mut evidence = Evidence {
        packets: watched.packets.take().unwrap_or_else(|| Packets::None(String::new())),
        is_traced,
        portal: portal.map(portal_words),
        is_up,
        seen: [name(forth.outgoing()), name(back.incoming()), name(back.outgoing())],
        forth,
        back,
        met,
        connection: watched.connection.take(),
        rules: Vec::new(),
        is_ours: false,
        route: Err(Errno::EINVAL),
        reverse: String::new(),
        rp_filter: 0,
        not_forwarding: None,
        tunnel: None,
        flow,
    };
    drop(watched);
    routes(&mut evidence, kernel, links, portal, source);
    evidence.tunnel = tunnel(site, kernel, &evidence);
    Ok(evidence)
}

/// Returns the address from which this host's packet of the flow leaves.
fn own_source(kernel: &mut Linux, flow: &Flow) -> IpAddr {
    let packet = RoutedPacket {
        from: None,
        to: flow.to,
        incoming: None,
        mark: 0,
        protocol: flow.protocol,
        ports: None,
    };
    match route::ask(kernel.route(), &packet) {
        Ok(Some(RouteAnswer { source: Some(source), .. })) => source,
        // The lookup is repeated for the picture, which shows the refusal.
        _ => Family::of(flow.to).everything().address(),
    }
}

/// Returns the way of the first answer.
fn back(watched: &Watched, flow: &Flow, source: IpAddr) -> Way {
    let Some(tracer) = &watched.tracer else { return Way::default() };
    let connection = watched.connection.as_ref();
    let addresses = connection.map_or((flow.to, source), |known| (known.answering, known.answered));
    let mark = PacketMark { addresses, protocol: flow.protocol, ports: [flow.port, None] };
    Way::of(&mark, &watched.events, &tracer.bases)
}

/// Returns the name of an interface; empty if there is none.
fn name_of(links: &Links, index: Option<u32>) -> String {
    let link = links.values().find(|link| Some(link.index) == index);
    link.map(|link| link.name.to_string()).unwrap_or_default()
}

/// Adds the rules of all telling reports of a way.
fn add_reported(met: &mut Vec<MetInHook>, mut tracer: Option<&mut Tracer>, way: &Way) {
    for hook in 0..HOOKS.len() {
        for event in way.telling(hook) {
            let words = tracer.as_mut().map(|tracer| tracer.rule(event)).unwrap_or_default();
            let text = words.text.or_else(|| by_nft(event));
            met.push(MetInHook {
                hook,
                place: event.place(),
                rule: rule_words(text, &event.kind, event.rule),
                is_pinhole: words.is_pinhole,
                refuses: event.kind == EventKind::Drop,
            });
        }
    }
}

/// Returns the text of another program's rule as `nft` writes it, if that program is installed.
fn by_nft(event: &TraceEvent) -> Option<String> {
    let handle = event.rule?;
    let place = event.place();
    let mut command = Command::new(path_of("nft")?);
    command.args(&["-s", "-a", "list", "chain"]).args(&place.splitn(3, ' ').collect::<Vec<_>>()).env_clear();
    let output = command.output(&[]).ok()?;
    let listing = String::from_utf8_lossy(&output.stdout);
    let end = [" # handle ", &handle.to_string()].concat();
    let line = listing.lines().find_map(|line| line.strip_suffix(&end));
    line.map(|line| line.trim().to_owned())
}

/// Adds the rules of iptables that the packets met.
fn add_counted(met: &mut Vec<MetInHook>, watched: &Watched, is_own: bool) {
    /// Hooks of a packet in order, with the tables of each.
    const TABLES: [(usize, &str, &[&str]); 4] = [
        (PREROUTING, "PREROUTING", &["raw", "mangle", "nat"]),
        (OUTPUT, "OUTPUT", &["raw", "mangle", "nat", "filter"]),
        (FORWARD, "FORWARD", &["mangle", "filter"]),
        (POSTROUTING, "POSTROUTING", &["mangle", "nat"]),
    ];
    let (before, after, sent) = &watched.counters;
    for (hook, chain, tables) in TABLES {
        if is_own == matches!(hook, PREROUTING | FORWARD) && hook != POSTROUTING {
            continue;
        }
        for table in tables {
            // Only the first packet of a connection meets the table `nat`.
            let least = if *table == "nat" { 1 } else { *sent };
            for MetRule { place, rule, refuses } in counters::met(before, after, (table, chain), least.into())
            {
                // A policy that accepts says nothing.
                if refuses || !rule.starts_with("policy") {
                    met.push(MetInHook { hook, place, rule, is_pinhole: false, refuses });
                }
            }
        }
    }
}

fn portal_words(portal: &Portal) -> PortalWords {
    let exit = match &portal.exit {
        Exit::Nowhere => {
            let names: Vec<String> = portal.exits.iter().map(ToString::to_string).collect();
            names.join(", ")
        }
        exit => exit.to_string(),
    };
    let obstacle = portal.obstacle.as_ref().map(ToString::to_string);
    PortalWords { name: portal.name.clone(), exit, obstacle }
}

/// Asks the kernel for the route of the packet, and looks for the rules that led there.
fn routes(
    evidence: &mut Evidence,
    kernel: &mut Linux,
    links: &Links,
    portal: Option<&Portal>,
    source: IpAddr,
) {
    let device = evidence.flow.device.clone();
    let incoming = device.as_ref().and_then(|device| links.get(&device.interface)).map(|link| link.index);
    // Without a packet, the mark is the one that the plan gives.
    let planned = portal.and_then(Portal::mark).filter(|_| has_port(portal, &evidence.flow));
    let mark = match &evidence.forth.events[..] {
        [] => planned.map_or(0, |mark| mark.value),
        _ => evidence.forth.mark(),
    };
    let packet = RoutedPacket {
        from: device
            .as_ref()
            .map(|device| device.address)
            .or_else(|| (!source.is_unspecified()).then_some(source)),
        to: evidence.destination(),
        incoming,
        mark,
        protocol: evidence.flow.protocol,
        ports: evidence.flow.port.map(|port| [40_000, port]),
    };
    let family = Family::of(packet.to);
    let answer = route::ask(kernel.route(), &packet);
    let rules = host_rule::list(kernel.route(), family).unwrap_or_default();
    let incoming_name = device.as_ref().map_or("lo", |device| device.interface.as_str());
    let met = host_rule::met(&rules, &packet, incoming_name);
    let (words, is_ours) = leading(&met, &answer);
    (evidence.rules, evidence.is_ours) = (words, is_ours);
    evidence.route = match answer {
        Ok(Some(answer)) => Ok(RouteWords {
            is_local: answer.kind == libc::RTN_LOCAL,
            table: answer.table.to_string(),
            device: name_of(links, answer.device),
            gateway: answer.gateway,
        }),
        Ok(None) => Err(Errno::EPROTO),
        Err(refusal) => Err(refusal.errno),
    };
    let reads = |key: &str| sysctl::read(key).ok().flatten();
    let setting = if family == Family::V4 { FORWARDING } else { FORWARDING6 };
    evidence.not_forwarding = (device.is_some() && reads(setting).as_deref() == Some("0"))
        .then_some(if family == Family::V4 { "net.ipv4.ip_forward" } else { "net.ipv6.conf.all.forwarding" });
    if let Some(device) = device.filter(|_| family == Family::V4) {
        let back = route::lookup(kernel.route(), device.address, None, None);
        evidence.reverse = name_of(links, back.and_then(|route| route.device));
        let value = |interface: &str| {
            let key = ["net/ipv4/conf/", interface, "/rp_filter"].concat();
            reads(&key).and_then(|value| value.parse::<u8>().ok()).unwrap_or_default()
        };
        evidence.rp_filter = value("all").max(value(device.interface.as_str()));
    }
}

/// Reports whether the flow's port enters the portal.
fn has_port(portal: Option<&Portal>, flow: &Flow) -> bool {
    let Some(portal) = portal else { return false };
    let is_in = |port: u16| portal.ports().iter().any(|range| (range.first..=range.last).contains(&port));
    portal.ports().is_empty() || flow.port.is_some_and(is_in)
}

/// Returns the words of the rules up to the one that led to the route, and whether that one is ours.
fn leading(
    met: &[&HostRule],
    answer: &Result<Option<RouteAnswer>, crate::kernel::netlink::Refusal>,
) -> (Vec<String>, bool) {
    let is_last = |rule: &HostRule| match answer {
        Ok(Some(answer)) => rule.looks_into(answer.table),
        Err(refusal) if refusal.errno == Errno::ENETUNREACH => rule.refuses(),
        // The first table that is ours refuses what it has no route for.
        Err(refusal) if refusal.errno == Errno::EHOSTUNREACH => is_of_portals(rule),
        _ => false,
    };
    let mut words = Vec::new();
    for rule in met {
        let is_last = is_last(rule);
        // The kernel's own rule for its addresses comes first, and says nothing.
        if is_last || rule.priority != 0 {
            words.push(rule.words());
        }
        if is_last {
            return (words, is_of_portals(rule));
        }
    }
    (words, false)
}

fn is_of_portals(rule: &HostRule) -> bool {
    PRIORITIES.contains(&rule.priority)
}

/// Returns the tunnel that the packet goes into.
fn tunnel(site: &Site, kernel: &mut Linux, evidence: &Evidence) -> Option<TunnelWords> {
    let out = evidence.outgoing();
    let interface = site.tunnels.keys().find(|name| name.as_str() == out)?;
    let tunnel = &site.tunnels[interface];
    let to = evidence.destination();
    let takes = |peer: &crate::site::SitePeer| peer.allowed_ips.iter().any(|network| network.contains(to));
    let (name, peer) = tunnel.ends().find(|(_, peer)| takes(peer))?;
    let reading = kernel.own_tunnel(interface).ok().flatten()?;
    let statistics = reading.peers.get(&peer.public_key).copied().unwrap_or_default();
    let now = SystemTime::now();
    Some(TunnelWords {
        peer: name.clone(),
        endpoint: statistics.endpoint,
        age: statistics.age(now).map(|age| age.as_secs()),
        is_up: statistics.alive(now),
    })
}
