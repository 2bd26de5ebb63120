//! All that is known about a flow, before it is put into words.

use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;

use super::flow::Flow;
use super::way::{FORWARD, INPUT, OUTPUT, PREROUTING, Way};
use crate::base::net::Table;
use crate::kernel::conntrack::Connection;

/// Origin of the packets of a trace.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packets {
    /// Packets of portals' own.
    Own,
    /// Packets of the device.
    Live,
    /// No packets, for a reason.
    None(String),
}

/// Rule that a packet met.
#[derive(Debug)]
pub(super) struct MetInHook {
    /// Hook of the rule.
    pub(super) hook: usize,
    /// Table and chain of the rule.
    pub(super) place: String,
    /// Rule in words.
    pub(super) rule: String,
    /// Set if the rule is one of ours in another program's chain.
    pub(super) is_pinhole: bool,
    /// Set if the rule dropped the packet.
    pub(super) refuses: bool,
}

/// Owner of the rule or the route that refuses a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refuser {
    /// Another program, or nobody.
    Other,
    /// The rules of a portal.
    Portal,
    /// Portals itself: its route holds back packets to another site.
    Link,
}

/// Answer of the kernel to a route lookup, in words.
#[derive(Debug)]
pub(super) struct RouteWords<'a> {
    /// Set if the destination is this host itself.
    pub(super) is_local: bool,
    /// Table that the route is in.
    pub(super) table: Table,
    /// Interface that the packet leaves by.
    pub(super) device: &'a str,
    /// Next hop.
    pub(super) gateway: Option<IpAddr>,
}

/// Tunnel that the packet goes into.
#[derive(Debug)]
pub(super) struct TunnelWords<'a> {
    /// Name of the other end.
    pub(super) peer: &'a str,
    /// Address at which the other end was last heard, or is dialled.
    pub(super) endpoint: Option<SocketAddr>,
    /// Words for an other end without such an address.
    pub(super) unknown: &'static str,
    /// Seconds since the last handshake.
    pub(super) age: Option<u64>,
    /// Set if the session can be used.
    pub(super) is_up: bool,
}

/// Portal of the flow, as far as it matters.
#[derive(Debug)]
pub(super) struct PortalWords<'a> {
    /// Name of the portal.
    pub(super) name: &'a str,
    /// Exit in use, or the exits of the list if none is.
    pub(super) exit: String,
    /// Obstacle that blocks the portal.
    pub(super) obstacle: Option<String>,
    /// Key of the network file by which the portal leaves the flow out; empty if the flow enters.
    pub(super) left_out: &'static str,
}

/// Evidence about a flow.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) flow: Flow,
    pub(super) packets: Packets,
    /// Set if the kernel reported the steps of packets.
    pub(super) is_traced: bool,
    /// Portal of the flow.
    pub(super) portal: Option<PortalWords<'a>>,
    /// Set if the entrance is a tunnel of portals.
    pub(super) is_tunnel: bool,
    /// Set if the interface of the entrance is up.
    pub(super) is_up: bool,
    pub(super) forth: Way<'a>,
    pub(super) back: Way<'a>,
    /// Rules that the packet met, and the answer: those that the kernel reported, then those of iptables that
    /// have counted.
    pub(super) met: [Vec<MetInHook>; 2],
    /// Interfaces by which the packet left, and by which the answer came and left; empty if the kernel did
    /// not report them.
    pub(super) seen: [&'a str; 3],
    /// Connection that the kernel tracks.
    pub(super) connection: Option<Connection>,
    /// Policy rules that the packet meets, in order, up to the one that led to the route, or to the refusal.
    pub(super) rules: Vec<String>,
    /// Rule or route that refuses the packet, in words; empty if none does, or if it is not known.
    pub(super) refusal: String,
    pub(super) refuser: Refuser,
    pub(super) route: Result<RouteWords<'a>, Errno>,
    /// Interface that answers to the device leave by; empty if there is none.
    pub(super) reverse: &'a str,
    /// Effective value of `rp_filter`.
    pub(super) rp_filter: u8,
    /// Kernel setting that switches forwarding on, if it is off; empty otherwise.
    pub(super) not_forwarding: String,
    /// Names of the kernel's drops that came with each packet of portals' own, the most telling first.
    pub(super) drops: &'a [String],
    pub(super) tunnel: Option<TunnelWords<'a>>,
}

impl Evidence<'_> {
    /// Destination after all translations.
    pub(super) fn destination(&self) -> IpAddr {
        self.connection.as_ref().map_or(self.flow.to, |connection| connection.answering)
    }

    /// Interface that the packet left by, or would leave by.
    pub(super) fn outgoing(&self) -> &str {
        match &self.route {
            Ok(route) if self.seen[0].is_empty() => route.device,
            _ => self.seen[0],
        }
    }

    /// Interface by which the answer went on; without reports of the kernel, the one that a lookup names.
    pub(super) fn onward(&self) -> &str {
        if self.is_traced { self.seen[2] } else { self.reverse }
    }

    /// Returns the portal that the flow enters.
    pub(super) fn entered(&self) -> Option<&PortalWords<'_>> {
        self.portal.as_ref().filter(|portal| portal.left_out.is_empty())
    }

    /// Reports whether the packet is for this host itself.
    pub(super) fn is_local(&self) -> bool {
        self.seen[0] == "lo" || self.route.as_ref().is_ok_and(|route| route.is_local)
    }

    /// Reports whether the way of the packet leads through a hook, as far as its sender and the routes tell.
    pub(super) fn comes_to(&self, hook: usize) -> bool {
        let is_own = self.flow.device.is_none();
        let is_local = self.is_local();
        match hook {
            PREROUTING => !is_own,
            INPUT => is_local,
            FORWARD => !is_own && !is_local,
            OUTPUT => is_own,
            _ => is_own || !is_local,
        }
    }

    /// Reports whether the packet came to no hook behind one that it has passed.
    pub(super) fn has_vanished(&self) -> bool {
        let has_come = !self.forth.events.is_empty() && !matches!(self.packets, Packets::None(_));
        has_come && !self.forth.is_over() && !self.has_answer()
    }

    /// Reports whether an answer came.
    pub(super) fn has_answer(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.has_answer)
            || !self.back.events.is_empty()
    }
}
