//! Packets of the flow: sent and watched, or only watched.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::evidence::Packets;
use super::flow::Flow;
use super::way::{PacketMark, Way, numbers};
use crate::base::error::{Context as _, Result};
use crate::base::moment::after;
use crate::base::net::{Cidr, Family, Mac};
use crate::base::random;
use crate::firewall::xtables::IptablesProgram;
use crate::firewall::{Condition, Networks};
use crate::kernel::conntrack::{self, Connection};
use crate::kernel::inject::{Injector, Probe, TCP, UDP};
use crate::kernel::iptables::legacy;
use crate::kernel::linux::Linux;
use crate::kernel::netlink::Refusal;
use crate::kernel::nftables::trace::{TraceEvent, TracedFlow, Tracer};
use crate::system::wait::wait_for_input;

/// Number of packets that are sent if no answer comes. Fewer could be lost before a tunnel has its session,
/// or be hidden in the counters of iptables.
const ATTEMPTS: u32 = 4;

/// Time for an answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Time for the last reports about an answer.
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
    pub(super) counters: Option<(String, String, u32)>,
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
    let program = legacy_program(kernel)?;
    let family = Family::of(flow.to);
    let before = program.map(|program| kernel.iptables().counters(program, family)).transpose()?;
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
        wait_for_device(&mut watched, &mark)?;
        watched.packets = Some(Packets::Live);
    } else {
        match injector(kernel, family, incoming) {
            Ok(injector) => {
                let mac = flow.device.as_ref().map_or(Mac([0; 6]), |device| device.mac);
                sent = send(&mut watched, &mark, &injector, &probe, mac)?;
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
    if let (Some(program), Some(before)) = (program, before) {
        watched.counters = Some((before, kernel.iptables().counters(program, family)?, sent));
    }
    watched.mark = Some(mark);
    Ok(watched)
}

fn injector(kernel: &mut Linux, family: Family, incoming: Option<u32>) -> Result<Injector, Refusal> {
    match incoming {
        Some(index) => Injector::at(kernel.route(), index),
        None => Ok(Injector::from_here(family)?),
    }
}

/// Returns the set of iptables programs whose tables the kernel uses.
fn legacy_program(kernel: &mut Linux) -> Result<Option<IptablesProgram>> {
    Ok(if legacy::families_in_use()?.is_empty() { None } else { kernel.iptables().legacy })
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
fn send(
    watched: &mut Watched,
    mark: &PacketMark,
    injector: &Injector,
    probe: &Probe,
    device: Mac,
) -> Result<u32> {
    for attempt in 1..=ATTEMPTS {
        let sent = injector.send(probe, device);
        // A route that refuses this router's own packet is found by the lookup.
        let is_routed = !matches!(
            sent,
            Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EPERM | Errno::EINVAL)
        );
        if is_routed {
            sent.context(|| "cannot send a packet".to_owned())?;
        }
        let end = after(Instant::now(), ANSWER);
        loop {
            hear(watched, after(Instant::now(), LAST_REPORTS))?;
            watched.connection = conntrack::find(mark.addresses, mark.protocol, mark.ports)?;
            let is_answered = watched.connection.as_ref().is_some_and(|connection| connection.has_answer);
            let bases = watched.tracer.as_ref().map_or(&[][..], |tracer| &tracer.bases);
            let is_dropped = Way::of(mark, &watched.events, bases).drop().is_some();
            if is_answered || is_dropped {
                hear(watched, after(Instant::now(), LAST_REPORTS))?;
                return Ok(attempt);
            }
            if Instant::now() >= end {
                break;
            }
        }
    }
    Ok(ATTEMPTS)
}

/// Waits for a packet of the device, and then for its answer. Without nftables, only a connection tells that a
/// packet came in.
fn wait_for_device(watched: &mut Watched, mark: &PacketMark) -> Result<()> {
    let mut end = after(Instant::now(), PATIENCE);
    let mut is_seen = false;
    while Instant::now() < end {
        hear(watched, after(Instant::now(), LAST_REPORTS))?;
        let bases = watched.tracer.as_ref().map_or(&[][..], |tracer| &tracer.bases);
        let way = Way::of(mark, &watched.events, bases);
        if way.events.is_empty() && watched.tracer.is_some() {
            continue;
        }
        let mut ports = mark.ports;
        if let Some(transport) = way.events.first().and_then(|event| event.transport) {
            ports[0] = Some(numbers(mark.protocol, transport)[0]);
        }
        watched.connection = conntrack::find(mark.addresses, mark.protocol, ports)?;
        if watched.connection.as_ref().is_some_and(|connection| connection.has_answer) || way.drop().is_some()
        {
            return hear(watched, after(Instant::now(), LAST_REPORTS));
        }
        if !is_seen && (watched.connection.is_some() || !way.events.is_empty()) {
            (is_seen, end) = (true, after(Instant::now(), ANSWER));
        }
    }
    Ok(())
}

/// Receives the kernel's reports until a moment.
fn hear(watched: &mut Watched, end: Instant) -> Result<()> {
    while Instant::now() < end {
        let descriptors: Vec<_> = watched.tracer.iter().map(Tracer::descriptor).collect();
        wait_for_input(&descriptors, Some(end))?;
        if let Some(tracer) = &watched.tracer {
            tracer.hear(&mut watched.events);
        }
    }
    Ok(())
}
