//! Homes behind NAT: routers of a provider, of a carrier and of the home itself, between a site and the
//! internet.
//!
//! ```text
//! site ── home router ──┬──────────────────── provider ── internet
//!        192.168.1x.1   └─ carrier's router ──┘
//! ```
//!
//! A provider's router translates nothing. It is there so that a packet with a low hop limit ends on the way
//! from one home router to the other.

use std::net::Ipv4Addr;

use super::namespace::Namespace;
use super::nat::Translation;
use super::plot::Plot;
use super::wire::connect;
use super::world::{World, build_host, configure};
use crate::base::error::Result;
use crate::base::net::{Family, InterfaceAddress};
use crate::kernel::conntrack::{self, ConnectionFilter};

/// Interface of a router on the side of the internet.
const OUTSIDE: &str = "uplink";

/// NAT of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// A connection keeps its port; packets of unknown senders are dropped ("port-restricted").
    PortRestricted,
    /// Port-restricted NAT whose router itself answers packets of unknown senders.
    Answering,
    /// A connection gets a random port ("symmetric").
    Symmetric,
}

impl Nat {
    /// Sets up the NAT of a router in place of an earlier one, whose mappings are forgotten.
    pub fn install(self, router: &Namespace) -> Result<()> {
        router.translate(Translation {
            interface: OUTSIDE,
            home_only: false,
            random_ports: self == Self::Symmetric,
            drops_input: self != Self::Answering,
        })?;
        forget_mappings(router)
    }
}

impl Plot {
    /// Returns the same place behind a home router that has this place's address.
    #[must_use]
    pub fn behind_router(self) -> Self {
        Self { address: Ipv4Addr::new(192, 168, 10 + self.id, 2), home: false, ..self }
    }
}

impl World {
    /// Builds the router of the provider of this place, which connects it to the internet.
    pub fn build_provider(&mut self, plot: Plot) -> Result<Namespace> {
        let link = |host| Ipv4Addr::new(100, 64, plot.id, host);
        let provider = build_host(&format!("{}'s provider", plot.name))?;
        connect((&provider, OUTSIDE), (&self.internet, plot.name))?;
        configure(&self.internet, plot.name, link(1), 24)?;
        configure(&provider, OUTSIDE, link(2), 24)?;
        let behind = InterfaceAddress { address: plot.address.into(), length: 24 };
        self.internet.add_route(behind.network(), link(2).into())?;
        provider.add_route(Family::V4.everything(), link(1).into())?;
        self.pass_on(provider)
    }

    /// Builds a router at this place, without NAT, whose uplink ends at a host.
    pub fn build_router(&mut self, plot: Plot, host: &Namespace) -> Result<Namespace> {
        let router = build_host(&format!("{}'s router", plot.name))?;
        connect((&router, OUTSIDE), (host, plot.name))?;
        configure(host, plot.name, plot.gateway(), 24)?;
        configure(&router, OUTSIDE, plot.address, 24)?;
        router.add_route(Family::V4.everything(), plot.gateway().into())?;
        self.pass_on(router)
    }

    /// Adds a site behind a home router that has this place's address and this NAT, and returns
    /// the home router.
    pub fn add_home(&mut self, plot: Plot, nat: Nat) -> Result<Namespace> {
        let provider = self.build_provider(plot)?;
        let router = self.build_router(plot, &provider)?;
        nat.install(&router)?;
        self.add_site(plot.behind_router(), &router)?;
        Ok(router)
    }

    /// Makes a host pass on packets, and keeps it.
    fn pass_on(&mut self, host: Namespace) -> Result<Namespace> {
        host.set_sysctl("net/ipv4/ip_forward", "1")?;
        self.between.push(host.clone());
        Ok(host)
    }
}

/// Forgets all mappings of a router, as after a restart or a time limit.
pub fn forget_mappings(router: &Namespace) -> Result<()> {
    let by_source = [Family::V4.everything()].into();
    router.run(|| conntrack::forget(&ConnectionFilter { by_source, ..ConnectionFilter::default() })).map(drop)
}
