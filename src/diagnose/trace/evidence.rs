//! All that is known about a flow, before it is put into words.

use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;

use super::flow::Flow;
use super::way::Way;
use crate::firewall::xtables::counters::MetRule;
use crate::kernel::conntrack::Connection;

/// Origin of the packets of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packets {
    /// Packets of portals' own.
    Own,
    /// Packets of the device.
    Live,
    /// No packets, for a reason.
    None(String),
}

/// Answer of the kernel to a route lookup, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RouteWords {
    /// Set if the destination is this host itself.
    pub(super) is_local: bool,
    /// Table that the route is in.
    pub(super) table: String,
    /// Interface that the packet leaves by.
    pub(super) device: String,
    /// Next hop.
    pub(super) gateway: Option<IpAddr>,
}

/// Tunnel that the packet goes into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TunnelWords {
    /// Name of the other end.
    pub(super) peer: String,
    /// Address at which the other end was last heard, or is dialled.
    pub(super) endpoint: Option<SocketAddr>,
    /// Seconds since the last handshake.
    pub(super) age: Option<u64>,
    /// Set if the session can be used.
    pub(super) is_up: bool,
}

/// Portal of the flow, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PortalWords {
    /// Name of the portal.
    pub(super) name: String,
    /// Exit in use, or the exits of the list if none is.
    pub(super) exit: String,
    /// Obstacle that blocks the portal.
    pub(super) obstacle: Option<String>,
}

/// Evidence about a flow.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) flow: Flow,
    pub(super) packets: Packets,
    /// Set if the kernel reported the steps of packets.
    pub(super) is_traced: bool,
    /// Portal of the flow.
    pub(super) portal: Option<PortalWords>,
    /// Set if the interface of the entrance is up.
    pub(super) is_up: bool,
    pub(super) forth: Way,
    pub(super) back: Way,
    /// Words of each telling report, on the ways there and back: place, rule, and whether it is a pinhole.
    pub(super) rules_of: [Vec<(String, String, bool)>; 2],
    /// Interfaces by which the packet left, and by which the answer came and left, if the kernel reported
    /// them.
    pub(super) seen: [Option<String>; 3],
    /// Rules of iptables that the packets met, by hook.
    pub(super) counted: Vec<(usize, Vec<MetRule>)>,
    /// Connection that the kernel tracks.
    pub(super) connection: Option<Connection>,
    /// Policy rules that the packet meets, in order, up to the one that led to the route.
    pub(super) rules: Vec<String>,
    /// Set if the last of these rules belongs to portals.
    pub(super) is_ours: bool,
    pub(super) route: Result<RouteWords, Errno>,
    /// Interface that answers to the device leave by.
    pub(super) reverse: Option<String>,
    /// Effective value of `rp_filter`, and whether it is that of the interface.
    pub(super) rp_filter: u8,
    /// Kernel setting that switches forwarding on, if it is off.
    pub(super) not_forwarding: Option<&'static str>,
    pub(super) tunnel: Option<TunnelWords>,
}

impl Evidence {
    /// Destination after all translations.
    pub(super) fn destination(&self) -> IpAddr {
        self.connection.as_ref().map_or(self.flow.to, |connection| connection.answering)
    }

    /// Interface that the packet left by, or would leave by.
    pub(super) fn outgoing(&self) -> String {
        let route = self.route.as_ref().map(|route| route.device.clone()).unwrap_or_default();
        self.seen[0].clone().unwrap_or(route)
    }

    /// Reports whether an answer came.
    pub(super) fn has_answer(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.has_answer)
            || !self.back.events.is_empty()
    }
}
