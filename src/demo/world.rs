//! World of the demo: an internet with a server, and sites, each with a router, a home and a guest behind a
//! portal.
//!
//! ```text
//!  home ── lan0 ┌────────┐          ┌──────────┐
//!               │ router │ uplink ──│ internet │── server 192.175.48.10
//! guest ─ portal0 └──────┘          └──────────┘
//! ```

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use super::agent::{self, AgentProcess, PortalsProgram};
use super::namespace::Namespace;
use super::plot::{HOME, HOME_ROUTER, OTHER_HOME, Plot, SERVER, SERVER_GATEWAY};
use super::probe::ProbeClient;
use super::server::Server;
use super::wire::connect;
use crate::base::error::{Error, Result};
use crate::base::keys;
use crate::base::net::{Family, InterfaceAddress, PublicKey};
use crate::engine::journal::Journal;
use crate::services::Supervisor;
use crate::state::WireGuardBackend;
use crate::system::key_files;

/// Running world: its namespaces and servers exist until it is dropped.
#[derive(Debug)]
pub struct World {
    /// Router between the sites and the server.
    pub internet: Namespace,
    /// Server, which answers on [`SERVER`] and on each site's [`Plot::own_server`].
    pub server: Namespace,
    pub(super) sites: Vec<DemoSite>,
    /// Set if the world has IPv6.
    pub(super) ipv6: bool,
    /// Hosts between the sites and the internet. A namespace vanishes with its last reference.
    pub(super) between: Vec<Namespace>,
    program: PathBuf,
    services: Vec<Server>,
}

/// Site of the world: a router, a computer at home, and a guest behind the interface that becomes a portal.
#[derive(Debug)]
pub struct DemoSite {
    /// Place of the site in the world.
    pub plot: Plot,
    /// Router, on which the agent runs. It has the interfaces `uplink`, `lan0` and `portal0`; `portal0` is
    /// not set up yet.
    pub router: Namespace,
    /// Computer at home, if the site has a home.
    pub home: Option<Namespace>,
    /// Computer behind `portal0`.
    pub guest: Namespace,
    /// Public key of the site in the network file.
    pub public_key: PublicKey,
    /// Set if the network file tells other sites the address of this one.
    has_endpoint: bool,
    agent: Option<AgentProcess>,
    program: PortalsProgram,
}

impl World {
    /// Builds the world. `program` is the path of `portals`, for the routers.
    pub fn build(plots: &[Plot], program: &Path) -> Result<Self> {
        let internet = build_host("internet")?;
        internet.set_sysctl("net/ipv4/ip_forward", "1")?;
        let server = build_host("server")?;
        build_server(&internet, &server)?;
        let services = vec![Server::start(&server)?];
        let (sites, between, program) = (Vec::new(), Vec::new(), program.to_owned());
        let mut world = Self { internet, server, sites, ipv6: false, between, program, services };
        for plot in plots {
            let internet = world.internet.clone();
            world.add_site(*plot, &internet)?.has_endpoint = true;
        }
        Ok(world)
    }

    /// Adds a site whose uplink ends at a host, and which other sites cannot dial.
    pub fn add_site(&mut self, plot: Plot, host: &Namespace) -> Result<&mut DemoSite> {
        configure(&self.server, "eth0", plot.own_server(), 24)?;
        let site = DemoSite::build(plot, host, &self.program)?;
        self.services.push(Server::start(&site.router)?);
        if let Some(home) = &site.home {
            self.services.push(Server::start(home)?);
        }
        self.sites.push(site);
        Ok(self.sites.last_mut().expect("the site that was just added"))
    }

    /// Returns all sites.
    pub fn sites(&self) -> &[DemoSite] {
        &self.sites
    }

    /// Returns the site at a place of this world.
    pub fn site(&mut self, plot: Plot) -> &mut DemoSite {
        self.sites.iter_mut().find(|site| site.plot == plot).expect("a site of this world")
    }

    /// Returns the server as a client, which sends requests to the sites.
    pub fn outsider(&self, limit: Duration) -> ProbeClient<'_> {
        ProbeClient::new(&self.server, limit)
    }

    /// Returns the text of a network file; it turns IPv6 on if the world has IPv6. `details` gives the text
    /// that follows each site's number, key and endpoint.
    pub fn network(&self, details: impl Fn(Plot) -> String) -> String {
        let mut text = "[network]\nname = \"demo\"\nsubnet = \"10.77.0.0/16\"\n".to_owned();
        text += self.subnet6();
        for DemoSite { plot, public_key, has_endpoint, .. } in &self.sites {
            let Plot { name, id, address, .. } = plot;
            let _ = write!(text, "\n[site.{name}]\nid = {id}\npublic_key = \"{public_key}\"\n");
            if *has_endpoint {
                let _ = writeln!(text, "endpoint = \"{address}\"");
            }
            text += &details(*plot);
        }
        text
    }

    /// Installs the same network file at all sites.
    pub fn install(&self, network: &str) -> Result<()> {
        self.sites.iter().try_for_each(|site| site.install(network))
    }

    /// Cuts or restores the path between two sites; both still reach the rest of the internet.
    pub fn set_cut(&self, one: Plot, other: Plot, cut: bool) -> Result<()> {
        let (one, other) = (one.address.into(), other.address.into());
        self.internet.set_blocked(one, other, cut)?;
        self.internet.set_blocked(other, one, cut)
    }
}

impl DemoSite {
    fn build(plot: Plot, internet: &Namespace, program: &Path) -> Result<Self> {
        let key = key_files::generate();
        let mut site = Self {
            plot,
            router: build_host(plot.name)?,
            home: None,
            guest: build_host(&format!("{}'s guest", plot.name))?,
            public_key: keys::public_key(&key),
            has_endpoint: false,
            agent: None,
            program: PortalsProgram { path: program.to_owned(), environment: Vec::new() },
        };
        agent::install_key(&site.router, &key)?;
        site.connect_uplink(internet)?;
        site.connect_guest()?;
        if plot.home {
            site.home = Some(site.build_home()?);
        }
        Ok(site)
    }

    fn connect_uplink(&self, internet: &Namespace) -> Result<()> {
        let Plot { name, address, .. } = self.plot;
        connect((&self.router, "uplink"), (internet, name))?;
        configure(internet, name, self.plot.gateway(), 24)?;
        self.set_uplink_address(address)
    }

    /// Gives the router an uplink address and a default route, as a provider does.
    fn set_uplink_address(&self, address: Ipv4Addr) -> Result<()> {
        configure(&self.router, "uplink", address, 24)?;
        self.router.add_route(Family::V4.everything(), self.plot.gateway().into())
    }

    fn build_home(&self) -> Result<Namespace> {
        let home = build_host(&format!("{}'s home", self.plot.name))?;
        connect((&self.router, "lan0"), (&home, "eth0"))?;
        configure(&self.router, "lan0", HOME_ROUTER, 24)?;
        configure(&home, "eth0", HOME, 24)?;
        configure(&home, "eth0", OTHER_HOME, 24)?;
        home.add_route(Family::V4.everything(), HOME_ROUTER.into())?;
        self.router.set_sysctl("net/ipv4/ip_forward", "1")?;
        self.router.masquerade_home()?;
        Ok(home)
    }

    fn connect_guest(&self) -> Result<()> {
        connect((&self.router, "portal0"), (&self.guest, "eth0"))?;
        configure(&self.guest, "eth0", self.plot.guest(), 26)?;
        self.guest.add_route(Family::V4.everything(), self.plot.portal().into())
    }

    /// Returns the guest as a client.
    pub fn guest(&self, limit: Duration) -> ProbeClient<'_> {
        ProbeClient::new(&self.guest, limit)
    }

    /// Returns the computer at home as a client.
    ///
    /// # Panics
    /// If the site has no home.
    pub fn home(&self, limit: Duration) -> ProbeClient<'_> {
        ProbeClient::new(self.home.as_ref().expect("a site with a home"), limit)
    }

    /// Returns the router itself as a client.
    pub fn router(&self, limit: Duration) -> ProbeClient<'_> {
        ProbeClient::new(&self.router, limit)
    }

    /// Replaces the site's uplink address by another address of the same /24, as a provider does: the default
    /// route vanishes with the old address, and comes back with the new one.
    pub fn move_to(&self, address: Ipv4Addr) -> Result<()> {
        let old = InterfaceAddress { address: self.plot.address.into(), length: 24 };
        self.router.remove_address("uplink", old)?;
        self.set_uplink_address(address)
    }

    /// Sets the WireGuard that the site's agent and commands use from now on.
    pub fn demand_wireguard(&mut self, backend: WireGuardBackend) {
        self.set_environment(crate::engine::host::WIREGUARD, backend.as_str().to_owned());
    }

    /// Sets a variable in the environment of the site's agent and commands from now on.
    pub fn set_environment(&mut self, name: &'static str, value: String) {
        self.program.environment.push((name, value));
    }

    /// Installs a network file at the site.
    pub fn install(&self, network: &str) -> Result<()> {
        agent::install(&self.router, network)
    }

    /// Starts the agent. A running agent is killed first.
    pub fn start_agent(&mut self) -> Result<()> {
        self.kill_agent();
        self.agent = Some(AgentProcess::start(&self.router, &self.program)?);
        Ok(())
    }

    /// Returns the agent.
    ///
    /// # Errors
    /// If the agent was not started.
    pub fn agent(&mut self) -> Result<&mut AgentProcess> {
        self.agent.as_mut().ok_or_else(|| Error::failed(format!("{} has no agent", self.plot.name)))
    }

    /// Asks the agent to end, and waits until it has ended.
    pub fn stop_agent(&mut self) -> Result<()> {
        self.agent.take().map_or(Ok(()), AgentProcess::stop)
    }

    /// Kills the agent, as a crash would.
    pub fn kill_agent(&mut self) {
        self.agent = None;
    }

    /// Runs a command of `portals`, and waits until it ends.
    pub fn portals(&self, arguments: &[&str]) -> Result<Output> {
        agent::output(&self.router, &self.program, arguments)
    }

    /// Returns the log of the site's agents so far.
    pub fn log(&self) -> String {
        agent::log(&self.router)
    }
}

/// Ends the programs that a killed agent leaves behind: otherwise, they would keep the namespaces alive.
impl Drop for DemoSite {
    fn drop(&mut self) {
        self.kill_agent();
        // The site is gone even if this fails.
        let _ = self.router.run(|| Supervisor::open(Journal::open()?.folder())?.clear());
    }
}

/// Creates a host with strict reverse-path filtering on all its present and future interfaces.
pub(super) fn build_host(name: &str) -> Result<Namespace> {
    let host = Namespace::new(name)?;
    for interfaces in ["all", "default"] {
        host.set_sysctl(&format!("net/ipv4/conf/{interfaces}/rp_filter"), "1")?;
    }
    // With this rate limit off, routers answer every traceroute at once.
    host.set_sysctl("net/ipv4/icmp_ratelimit", "0")?;
    host.set_up("lo", true)?;
    Ok(host)
}

fn build_server(internet: &Namespace, server: &Namespace) -> Result<()> {
    connect((internet, "server"), (server, "eth0"))?;
    configure(internet, "server", SERVER_GATEWAY, 24)?;
    configure(server, "eth0", SERVER, 24)?;
    server.add_route(Family::V4.everything(), SERVER_GATEWAY.into())
}

/// Brings an interface up and gives it an address.
pub(super) fn configure(host: &Namespace, interface: &str, address: Ipv4Addr, length: u8) -> Result<()> {
    host.set_up(interface, true)?;
    host.add_address(interface, InterfaceAddress { address: address.into(), length })
}
