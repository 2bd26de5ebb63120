//! Address translation of routers, as plain data.

use std::net::{IpAddr, SocketAddr};

/// Behaviour of a router (RFC 4787; Linux for `PortRestricted`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lets packets from anywhere in.
    FullCone,
    /// Lets packets in from addresses to which a packet has gone out. `open`: the router itself answers other
    /// packets, so that their sender and port are taken from then on.
    PortRestricted { open: bool },
    /// Takes another outside port for each destination.
    Symmetric,
    /// Behaves like `PortRestricted`, and lets UDP out to these two ports alone.
    Blocking([u16; 2]),
}

/// A router with its mappings.
#[derive(Debug, Clone)]
pub(super) struct Nat {
    kind: Kind,
    outside: IpAddr,
    mappings: Vec<Mapping>,
    /// Senders that the router itself has answered, with the port.
    taken: Vec<(SocketAddr, u16)>,
    next_port: u16,
}

#[derive(Debug, Clone, Copy)]
struct Mapping {
    inside: SocketAddr,
    remote: SocketAddr,
    port: u16,
}

impl Nat {
    pub(super) fn new(kind: Kind, outside: IpAddr) -> Self {
        Self { kind, outside, mappings: Vec::new(), taken: Vec::new(), next_port: 30_000 }
    }

    pub(super) fn outside(&self) -> IpAddr {
        self.outside
    }

    /// Translates the source of a packet that goes out; `None` if the router drops it.
    pub(super) fn out(&mut self, inside: SocketAddr, remote: SocketAddr) -> Option<SocketAddr> {
        if let Kind::Blocking(ports) = self.kind
            && !ports.contains(&remote.port())
        {
            return None;
        }
        let is_it = |known: &&Mapping| known.inside == inside && known.remote == remote;
        let known = self.mappings.iter().find(is_it).map(|known| known.port);
        let port = known.unwrap_or_else(|| {
            let port = self.choose_port(inside, remote);
            self.mappings.push(Mapping { inside, remote, port });
            port
        });
        Some(SocketAddr::new(self.outside, port))
    }

    fn choose_port(&mut self, inside: SocketAddr, remote: SocketAddr) -> u16 {
        let own = inside.port();
        let is_taken = self.taken.contains(&(remote, own))
            || self.mappings.iter().any(|known| known.port == own && known.inside != inside);
        if self.kind != Kind::Symmetric && !is_taken {
            return own;
        }
        self.next_port += 1;
        self.next_port
    }

    /// Translates the destination of a packet that comes in; `None` if the router does not let it in.
    pub(super) fn into(&mut self, remote: SocketAddr, port: u16) -> Option<SocketAddr> {
        let is_cone = self.kind == Kind::FullCone;
        let lets_in = |known: &&Mapping| known.port == port && (is_cone || known.remote == remote);
        let inside = self.mappings.iter().find(lets_in).map(|known| known.inside);
        if inside.is_none() && self.kind == (Kind::PortRestricted { open: true }) {
            self.taken.push((remote, port));
        }
        inside
    }

    /// Forgets all mappings, as a router that begins anew does, and uses other ports from now on.
    pub(super) fn forget(&mut self) {
        self.mappings.clear();
        self.next_port += 1000;
    }
}
