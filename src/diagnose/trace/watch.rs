//! Packets of the flow: sent and watched, or only watched.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::evidence::Packets;
use super::flow::Flow;
use super::way::{PacketMark, Way, numbers};
use crate::base::error::{Error, Result};
use crate::base::moment::after;
use crate::base::net::{Family, Mac};
use crate::base::random;
use crate::cli::output::complain;
use crate::kernel::conntrack::{self, Connection};
use crate::kernel::drops::DropWatch;
use crate::kernel::inject::{Injector, Probe};
use crate::kernel::iptables::{Iptables, legacy};
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::kernel::netlink::Refusal;
use crate::kernel::nftables::trace::{TraceEvent, TracedFlow, Tracer};
use crate::kernel::route::{self, RouteAnswer, RoutedPacket};
use crate::system::wait::wait_for_input;

/// Number of packets that are sent if no answer comes. Fewer could be lost before a tunnel has its session,
/// or be hidden in the counters of iptables.
const ATTEMPTS: u32 = 4;

/// Time for an answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Time for reports before the next look, and for the last reports about an answer.
const LAST_REPORTS: Duration = Duration::from_millis(100);

/// Beginning of the line that tells that packets are watched.
pub(super) const WAITING: &str = "waiting for a packet of the flow";

/// Result of watching.
pub(super) struct Watched {
    /// Set if the interface of the device is up. Otherwise, nothing was watched.
    pub(super) is_up: bool,
    /// Number of the interface of the device.
    pub(super) incoming: Option<u32>,
    /// Address of the sender.
    pub(super) source: IpAddr,
    /// Mark of the flow's packets.
    pub(super) mark: PacketMark,
    pub(super) packets: Packets,
    pub(super) tracer: Option<Tracer>,
    pub(super) events: Vec<TraceEvent>,
    pub(super) connection: Option<Connection>,
    /// Counters of iptables before and after.
    pub(super) counters: [String; 2],
    /// Number of packets that were sent.
    pub(super) sent: u32,
    /// Names of the drops that came with each packet, without a rule of a firewall.
    pub(super) drops: Vec<String>,
}

/// Watches packets of a flow.
pub(super) fn watch(kernel: &mut Linux, links: &Links, flow: &Flow, live: Option<u8>) -> Result<Watched> {
    let (source, link) = match &flow.device {
        Some(device) => {
            let lacks = || Error::failed("this router lacks the interface of that portal");
            (device.address, Some(links.get(&device.interface).ok_or_else(lacks)?))
        }
        None => (own_source(kernel, flow), None),
    };
    // A port that no program of the device uses is not known; a high one is likely to be free.
    let own_port = random::bits() | 0x8000;
    let mut watched = Watched {
        is_up: link.is_none_or(|link| link.up),
        incoming: link.map(|link| link.index),
        source,
        mark: PacketMark {
            addresses: (source, flow.to),
            protocol: flow.protocol,
            ports: [live.is_none().then_some(own_port), flow.port],
        },
        packets: Packets::None(String::new()),
        tracer: None,
        events: Vec::new(),
        connection: None,
        counters: [String::new(), String::new()],
        sent: 1,
        drops: Vec::new(),
    };
    if watched.is_up {
        if kernel.has_nftables() {
            let from = flow.device.as_ref().map(|device| device.address);
            let traced = TracedFlow { from, to: flow.to, protocol: flow.protocol, port: flow.port };
            watched.tracer = Some(Tracer::begin(traced)?);
        }
        let family = Family::of(flow.to);
        watched.counters[0] = counters(kernel, family);
        if let Some(seconds) = live {
            watched.packets = Packets::Live;
            // Another site that has asked for this trace learns from it that packets are watched.
            complain!("{WAITING}, up to {seconds} s");
            watched.is_settled(Duration::from_secs(seconds.into()));
        } else {
            watched.send(kernel, flow, own_port);
        }
        watched.counters[1] = counters(kernel, family);
    }
    Ok(watched)
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

impl Watched {
    /// Sends probes until an answer comes, or until the packet was dropped.
    fn send(&mut self, kernel: &mut Linux, flow: &Flow, own_port: u16) {
        let ports = [own_port, flow.port.unwrap_or(1)];
        let probe = Probe { from: self.source, to: flow.to, protocol: flow.protocol, ports };
        let mac = flow.device.as_ref().map_or(Mac([0; 6]), |device| device.mac);
        let injector = match self.incoming {
            Some(index) => Injector::at(kernel.route(), index),
            None => Injector::from_here(Family::of(flow.to)).map_err(Refusal::from),
        };
        match injector {
            Ok(injector) => {
                self.packets = Packets::Own;
                let incoming = flow.device.as_ref().map_or("", |device| device.interface.as_str());
                let mut drops = DropWatch::begin(Family::of(flow.to), incoming);
                for attempt in 1..=ATTEMPTS {
                    self.sent = attempt;
                    drops.before();
                    // The route lookup finds a route that refuses this router's own packet.
                    let _ = injector.send(&probe, mac);
                    self.hear();
                    drops.after();
                    if self.is_settled(ANSWER) {
                        break;
                    }
                }
                self.drops = drops.names();
            }
            Err(refusal) => {
                let why = &refusal.to_string();
                let why = ["this kernel cannot let a packet come in by itself (", why, ")"].concat();
                self.packets = Packets::None(why);
            }
        }
    }

    /// Waits until all is known about the packet, or for this time; for the time of an answer, once a packet
    /// of the device was seen. Without nftables, only a connection tells that a packet came in.
    fn is_settled(&mut self, time: Duration) -> bool {
        let mut end = after(Instant::now(), time);
        let mut is_seen = time == ANSWER;
        while Instant::now() < end {
            self.hear();
            let (was_seen, is_settled) = self.look();
            if is_settled {
                return true;
            }
            if was_seen && !is_seen {
                (is_seen, end) = (true, after(Instant::now(), ANSWER));
            }
        }
        false
    }

    /// Looks for the packet and its connection. Reports whether the packet was seen, and whether all is known
    /// about it: it was dropped, or answered.
    fn look(&mut self) -> (bool, bool) {
        let way = Way::of(&self.mark, &self.events);
        let first = way.events.first().map(|(event, _)| event.transport);
        if first.is_none() && self.tracer.is_some() {
            return (false, false);
        }
        let mut ports = self.mark.ports;
        if let Some(Some(transport)) = first {
            ports[0] = Some(numbers(self.mark.protocol, transport)[0]);
        }
        let is_dropped = way.drop().is_some();
        let connection = conntrack::find(&self.mark.addresses, self.mark.protocol, ports).ok().flatten();
        let is_answered = connection.as_ref().is_some_and(|connection| connection.has_answer);
        let is_seen = first.is_some() || connection.is_some();
        self.connection = connection;
        if is_answered || is_dropped {
            self.hear();
        }
        (is_seen, is_answered || is_dropped)
    }

    /// Receives the kernel's reports for a moment.
    fn hear(&mut self) {
        let end = after(Instant::now(), LAST_REPORTS);
        while Instant::now() < end {
            let descriptor = self.tracer.as_ref().map(Tracer::descriptor);
            if wait_for_input(descriptor.as_slice(), Some(end)).is_err() {
                return;
            }
            if let Some(tracer) = &self.tracer {
                tracer.hear(&mut self.events);
            }
        }
    }
}
