//! IPv6 of the world: every site, home and guest gets it at once.
//!
//! Homes have networks of the internet, without address translation. The guests' addresses are those that
//! follow from the network's `subnet6`.

use std::net::Ipv6Addr;

use super::namespace::Namespace;
use super::plot::{Plot, SERVER_GATEWAY6, SERVER6};
use super::world::{DemoSite, World};
use crate::base::error::Result;
use crate::base::net::{Family, InterfaceAddress};

/// Length of the IPv6 networks of the world.
const LENGTH: u8 = 64;

/// Kernel setting of a host that passes on IPv6.
const FORWARDING: &str = "net/ipv6/conf/all/forwarding";

impl World {
    /// Gives the whole world IPv6, and turns it on in network files from now on.
    ///
    /// # Errors
    /// If this kernel has no IPv6.
    pub fn add_ipv6(&mut self) -> Result<()> {
        self.ipv6 = true;
        self.internet.set_sysctl(FORWARDING, "1")?;
        answer_every_traceroute(&self.internet)?;
        configure(&self.internet, "server", SERVER_GATEWAY6)?;
        for site in &self.sites {
            configure(&self.server, "eth0", site.plot.own_server6())?;
            site.add_ipv6(&self.internet)?;
        }
        // Of several addresses, the kernel prefers the newest as its own.
        configure(&self.server, "eth0", SERVER6)?;
        self.server.add_route(Family::V6.everything(), SERVER_GATEWAY6.into())?;
        Ok(())
    }

    /// Returns the line of a network file that turns IPv6 on; empty if the world has no IPv6.
    pub fn subnet6(&self) -> &'static str {
        if self.ipv6 { "subnet6 = \"fd77:1:2::/48\"\n" } else { "" }
    }

    /// Returns the address families that the world has.
    pub fn families(&self) -> &'static [Family] {
        if self.ipv6 { &[Family::V4, Family::V6] } else { &[Family::V4] }
    }
}

impl DemoSite {
    fn add_ipv6(&self, internet: &Namespace) -> Result<()> {
        let everywhere = Family::V6.everything();
        let Plot { name, .. } = self.plot;
        answer_every_traceroute(&self.router)?;
        configure(internet, name, self.plot.gateway6())?;
        configure(&self.router, "uplink", self.plot.address6())?;
        self.router.add_route(everywhere, self.plot.gateway6().into())?;
        configure(&self.guest, "eth0", self.plot.guest6())?;
        self.guest.add_route(everywhere, self.plot.portal6().into())?;
        let Some(home) = &self.home else { return Ok(()) };
        let router = InterfaceAddress { address: self.plot.home_router6().into(), length: LENGTH };
        internet.add_route(router.network(), self.plot.address6().into())?;
        self.router.set_sysctl(FORWARDING, "1")?;
        self.router.add_address("lan0", router)?;
        configure(home, "eth0", self.plot.other_home6())?;
        configure(home, "eth0", self.plot.home6())?;
        home.add_route(everywhere, self.plot.home_router6().into())
    }
}

/// Turns the rate limit of ICMP errors off.
fn answer_every_traceroute(host: &Namespace) -> Result<()> {
    host.set_sysctl("net/ipv6/icmp/ratelimit", "0")
}

fn configure(host: &Namespace, interface: &str, address: Ipv6Addr) -> Result<()> {
    host.add_address(interface, InterfaceAddress { address: address.into(), length: LENGTH })
}
