//! Packets of the flow: sent and watched, or only watched.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::evidence::Packets;
use super::flow::Flow;
use super::way::{PacketMark, Way, numbers};
use crate::base::error::Result;
use crate::base::moment::after;
use crate::base::net::{Cidr, Family, Mac};
use crate::base::random;
use crate::firewall::{Condition, Networks};
use crate::kernel::conntrack::{self, Connection};
use crate::kernel::inject::{Injector, Probe, TCP, UDP};
use crate::kernel::iptables::{Iptables, legacy};
use crate::kernel::linux::Linux;
use crate::kernel::netlink::Refusal;
use crate::kernel::nftables::trace::{TraceEvent, TracedFlow, Tracer};
use crate::system::wait::wait_for_input;

/// Number of packets that are sent if no answer comes. Fewer could be lost before a tunnel has its session,
/// or be hidden in the counters of iptables.
const ATTEMPTS: u32 = 4;

/// Time for an answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Time for reports before the next look, and for the last reports about an answer.
const LAST_REPORTS: Duration = Duration::from_millis(100);

/// Time that a trace waits for packets of the device.
const PATIENCE: Duration = Duration::from_mins(1);

/// Result of watching.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) events: Vec<TraceEvent>,
    pub(super) connection: Option<Connection>,
    pub(super) tracer: Option<Tracer>,
    /// Counters of iptables before and after, with the number of packets.
    pub(super) counters: (String, String, u32),
    pub(super) packets: Option<Packets>,
    /// Mark of the flow's packets.
    pub(super) mark: Option<PacketMark>,
}

/// Watches packets of a flow. `source` is the address of the sender, and `incoming` the number of the
/// interface of a device.
pub(super) fn watch(
    kernel: &mut Linux,
    flow: &Flow,
    source: IpAddr,
    incoming: Option<u32>,
    is_live: bool,
) -> Result<Watched> {
    let identifier: u16 = random::bits();
    // A port that no program of the device uses is not known; a high one is likely to be free.
    let own_port = identifier | 0x8000;
    let ports = match flow.port {
        Some(port) => [own_port, port],
        None => [identifier, 1],
    };
    let probe = Probe { from: source, to: flow.to, protocol: flow.protocol, ports };
    let mut watched = Watched::default();
    if kernel.has_nftables() {
        watched.tracer = Some(Tracer::begin(&traced(flow, source))?);
    }
    let family = Family::of(flow.to);
    let before = counters(kernel, family);
    let mark = PacketMark {
        addresses: (source, flow.to),
        protocol: flow.protocol,
        ports: match (is_live, flow.port) {
            (true, port) => [None, port],
            (false, Some(port)) => [Some(own_port), Some(port)],
            (false, None) => [Some(identifier), None],
        },
    };
    let mut sent = 1;
    if is_live {
        wait_for_device(&mut watched, &mark);
        watched.packets = Some(Packets::Live);
    } else {
        match injector(kernel, family, incoming) {
            Ok(injector) => {
                let mac = flow.device.as_ref().map_or(Mac([0; 6]), |device| device.mac);
                sent = send(&mut watched, &mark, &injector, &probe, mac);
                watched.packets = Some(Packets::Own);
            }
            Err(refusal) => {
                watched.packets = Some(Packets::None(
                    ["this kernel cannot let a packet come in by itself (", &refusal.to_string(), ")"]
                        .concat(),
                ));
            }
        }
    }
    watched.counters = (before, counters(kernel, family), sent);
    watched.mark = Some(mark);
    Ok(watched)
}

fn injector(kernel: &mut Linux, family: Family, incoming: Option<u32>) -> Result<Injector, Refusal> {
    match incoming {
        Some(index) => Injector::at(kernel.route(), index),
        None => Ok(Injector::from_here(family)?),
    }
}

/// Returns the counters of legacy iptables; empty if it is not in use, or cannot be asked.
fn counters(kernel: &mut Linux, family: Family) -> String {
    let is_used = legacy::families_in_use().is_ok_and(|families| !families.is_empty());
    match kernel.iptables() {
        all @ Iptables { legacy: Some(program), .. } if is_used => {
            all.counters(program, family).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// Returns the conditions of the flow's packets and of their answers.
fn traced(flow: &Flow, source: IpAddr) -> TracedFlow {
    let at = |address| Networks::One(Cidr::host(address));
    let mut packets = vec![Condition::Destination(at(flow.to))];
    if flow.device.is_some() {
        packets.insert(0, Condition::Source(at(source)));
    }
    packets.extend(match (flow.protocol, flow.port) {
        (TCP, Some(port)) => Some(Condition::TcpPort(port, port)),
        (UDP, Some(port)) => Some(Condition::UdpPort(port, port)),
        _ => None,
    });
    let answers = vec![Condition::Source(at(flow.to)), Condition::FromResponder];
    TracedFlow { packets, answers, is_own: flow.device.is_none() }
}

/// Sends probes until an answer comes, or until the packet was dropped. Returns their number.
fn send(watched: &mut Watched, mark: &PacketMark, injector: &Injector, probe: &Probe, device: Mac) -> u32 {
    for attempt in 1..=ATTEMPTS {
        // The route lookup finds a route that refuses this router's own packet.
        let _ = injector.send(probe, device);
        let end = after(Instant::now(), ANSWER);
        while Instant::now() < end {
            hear(watched);
            if is_over(watched, mark, mark.ports).1 {
                return attempt;
            }
        }
    }
    ATTEMPTS
}

/// Waits for a packet of the device, and then for its answer. Without nftables, only a connection tells that a
/// packet came in.
fn wait_for_device(watched: &mut Watched, mark: &PacketMark) {
    let mut end = after(Instant::now(), PATIENCE);
    let mut is_seen = false;
    while Instant::now() < end {
        hear(watched);
        let (was_seen, is_over) = is_over(watched, mark, mark.ports);
        if is_over {
            return;
        }
        if was_seen && !is_seen {
            (is_seen, end) = (true, after(Instant::now(), ANSWER));
        }
    }
}

/// Looks for the packet and its connection. Reports whether the packet was seen, and whether all is known about
/// it: it was dropped, or answered.
fn is_over(watched: &mut Watched, mark: &PacketMark, mut ports: [Option<u16>; 2]) -> (bool, bool) {
    let bases = watched.tracer.as_ref().map_or(&[][..], |tracer| &tracer.bases);
    let way = Way::of(mark, &watched.events, bases);
    let is_traced = !way.events.is_empty();
    if !is_traced && watched.tracer.is_some() {
        return (false, false);
    }
    if let Some(transport) = way.events.first().and_then(|event| event.transport) {
        ports[0] = Some(numbers(mark.protocol, transport)[0]);
    }
    let is_dropped = way.drop().is_some();
    watched.connection = conntrack::find(mark.addresses, mark.protocol, ports).ok().flatten();
    let is_answered = watched.connection.as_ref().is_some_and(|connection| connection.has_answer);
    if is_answered || is_dropped {
        hear(watched);
    }
    (is_traced || watched.connection.is_some(), is_answered || is_dropped)
}

/// Receives the kernel's reports for a moment.
fn hear(watched: &mut Watched) {
    let end = after(Instant::now(), LAST_REPORTS);
    while Instant::now() < end {
        let mut descriptors = Vec::new();
        if let Some(tracer) = &watched.tracer {
            descriptors.push(tracer.descriptor());
        }
        if wait_for_input(&descriptors, Some(end)).is_err() {
            return;
        }
        if let Some(tracer) = &watched.tracer {
            tracer.hear(&mut watched.events);
        }
    }
}
