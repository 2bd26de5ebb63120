//! The world: an internet, a server in it, and sites, each with a router, a home and a guest behind a portal.
//!
//! ```text
//!  home ── lan0 ┌────────┐          ┌──────────┐
//!               │ router │ uplink ──│ internet │── server 192.175.48.10
//! guest ─ portal0 └──────┘          └──────────┘
//! ```

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use super::agent::{self, Agent, Program};
use super::namespace::Namespace;
use super::probe::Client;
use super::server::Server;
use super::wire::connect;
use crate::base::error::{Error, Result};
use crate::base::keys;
use crate::base::net::{Family, InterfaceAddress, PublicKey};
use crate::engine::journal::Journal;
use crate::services::Supervisor;
use crate::state::Backend;
use crate::system::key_files;

/// A server on the internet that tells who asks. Its network is nobody's, and yet one that everybody may reach (RFC 7534): exits let guests to
/// no others.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 175, 48, 10);

/// The internet's side of the server's network.
const SERVER_GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 175, 48, 1);

/// Router and computers of every home: all homes have the same.
pub const HOME_ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// A computer at home.
pub const HOME: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);

/// A second address of the computer at home, to play another device.
pub const OTHER_HOME: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 60);

/// Where a site is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plot {
    /// Its name in the network file.
    pub name: &'static str,
    /// Its number in the network file.
    pub id: u8,
    /// Its address on the internet, in a /24 whose `.1` is the internet's side.
    pub address: Ipv4Addr,
    /// Whether it is a home's router; else a box without a LAN, that passes nothing on.
    pub home: bool,
}

/// A home in New York.
pub const NYC: Plot = Plot { name: "nyc", id: 1, address: Ipv4Addr::new(198, 51, 100, 2), home: true };

/// A home in Paris.
pub const PARIS: Plot = Plot { name: "paris", id: 2, address: Ipv4Addr::new(203, 0, 113, 9), home: true };

/// A rented box in Oslo.
pub const OSLO: Plot = Plot { name: "oslo", id: 3, address: Ipv4Addr::new(192, 0, 2, 5), home: false };

impl Plot {
    /// The router's address on the LAN of the site's first portal, as it follows from the site's number.
    pub fn portal(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.id, 65)
    }

    /// The guest behind the site's first portal.
    pub fn guest(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.id, 70)
    }

    /// The site's address on all its tunnels.
    pub fn tunnel(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.id, 1)
    }

    /// An address of the server that nobody but this site's own clients talks to: tells their packets from those that the
    /// site passes on for others.
    pub fn own_server(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 175, 48, 100 + self.id)
    }

    /// The internet's side of the site's uplink.
    pub fn gateway(&self) -> Ipv4Addr {
        let [a, b, c, _] = self.address.octets();
        Ipv4Addr::new(a, b, c, 1)
    }
}

/// All of it, until dropped.
#[derive(Debug)]
pub struct World {
    /// Routes between the sites and the server.
    pub internet: Namespace,
    /// Answers on [`SERVER`] and on each site's [`Plot::own_server`].
    pub server: Namespace,
    sites: Vec<Site>,
    _services: Vec<Server>,
}

/// One site: a router, a computer at home, and a guest behind the NIC that is to become a portal.
#[derive(Debug)]
pub struct Site {
    /// Where it is.
    pub plot: Plot,
    /// Where the agent runs: interfaces `uplink`, `lan0` and `portal0`, the last one not set up yet.
    pub router: Namespace,
    /// The computer at home, where the plot has one.
    pub home: Option<Namespace>,
    /// The computer behind `portal0`.
    pub guest: Namespace,
    /// Its public key in the network file.
    pub public_key: PublicKey,
    agent: Option<Agent>,
    program: Program,
}

impl World {
    /// Builds it. `program` is `portals`, for the routers.
    pub fn build(plots: &[Plot], program: &Path) -> Result<Self> {
        let internet = host("internet")?;
        internet.set_sysctl("net/ipv4/ip_forward", "1")?;
        let server = host("server")?;
        build_server(&internet, &server, plots)?;
        let sites =
            plots.iter().map(|plot| Site::build(*plot, &internet, program)).collect::<Result<Vec<_>>>()?;
        let hosts = sites.iter().flat_map(|site| site.home.iter().chain([&site.router]));
        let services = hosts.chain([&server]).map(Server::start).collect::<Result<_>>()?;
        Ok(Self { internet, server, sites, _services: services })
    }

    /// All sites.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The site on a plot of this world.
    pub fn site(&mut self, plot: Plot) -> &mut Site {
        self.sites.iter_mut().find(|site| site.plot == plot).expect("a plot of this world")
    }

    /// The server, to ask things of the sites.
    pub fn outsider(&self, limit: Duration) -> Client<'_> {
        Client::new(&self.server, limit)
    }

    /// The network file: `details` follow each site's number, key and endpoint.
    pub fn network(&self, details: impl Fn(Plot) -> String) -> String {
        let mut text = "[network]\nname = \"demo\"\nsubnet = \"10.77.0.0/16\"\n".to_owned();
        for Site { plot, public_key, .. } in &self.sites {
            let Plot { name, id, address, .. } = plot;
            let _ = write!(
                text,
                "\n[site.{name}]\nid = {id}\npublic_key = \"{public_key}\"\nendpoint = \"{address}\"\n{}",
                details(*plot)
            );
        }
        text
    }

    /// Gives the same network file to all sites.
    pub fn install(&self, network: &str) -> Result<()> {
        self.sites.iter().try_for_each(|site| site.install(network))
    }

    /// Cuts what two sites send each other, or lets it pass again; both keep the rest of the internet.
    pub fn set_cut(&self, one: Plot, other: Plot, cut: bool) -> Result<()> {
        let (one, other) = (one.address.into(), other.address.into());
        self.internet.set_blocked(one, other, cut)?;
        self.internet.set_blocked(other, one, cut)
    }
}

impl Site {
    fn build(plot: Plot, internet: &Namespace, program: &Path) -> Result<Self> {
        let key = key_files::generate();
        let mut site = Self {
            plot,
            router: host(plot.name)?,
            home: None,
            guest: host(&format!("{}'s guest", plot.name))?,
            public_key: keys::public_key(&key),
            agent: None,
            program: Program { path: program.to_owned(), environment: Vec::new() },
        };
        agent::install_key(&site.router, &key)?;
        site.lay_uplink(internet)?;
        site.seat_guest()?;
        if plot.home {
            site.home = Some(site.furnish_home()?);
        }
        Ok(site)
    }

    fn lay_uplink(&self, internet: &Namespace) -> Result<()> {
        let Plot { name, address, .. } = self.plot;
        connect((&self.router, "uplink"), (internet, name))?;
        attach(internet, name, self.plot.gateway(), 24)?;
        self.dial_in(address)
    }

    /// The provider gives the site an address, and with it the way to the internet.
    fn dial_in(&self, address: Ipv4Addr) -> Result<()> {
        attach(&self.router, "uplink", address, 24)?;
        self.router.add_route(Family::V4.everything(), self.plot.gateway().into())
    }

    fn furnish_home(&self) -> Result<Namespace> {
        let home = host(&format!("{}'s home", self.plot.name))?;
        connect((&self.router, "lan0"), (&home, "eth0"))?;
        attach(&self.router, "lan0", HOME_ROUTER, 24)?;
        attach(&home, "eth0", HOME, 24)?;
        attach(&home, "eth0", OTHER_HOME, 24)?;
        home.add_route(Family::V4.everything(), HOME_ROUTER.into())?;
        self.router.set_sysctl("net/ipv4/ip_forward", "1")?;
        self.router.masquerade_home()?;
        Ok(home)
    }

    fn seat_guest(&self) -> Result<()> {
        connect((&self.router, "portal0"), (&self.guest, "eth0"))?;
        attach(&self.guest, "eth0", self.plot.guest(), 26)?;
        self.guest.add_route(Family::V4.everything(), self.plot.portal().into())
    }

    /// The guest, to ask things.
    pub fn guest(&self, limit: Duration) -> Client<'_> {
        Client::new(&self.guest, limit)
    }

    /// The computer at home, to ask things.
    ///
    /// # Panics
    /// Where the plot has no home.
    pub fn home(&self, limit: Duration) -> Client<'_> {
        Client::new(self.home.as_ref().expect("a plot with a home"), limit)
    }

    /// The router itself, to ask things.
    pub fn router(&self, limit: Duration) -> Client<'_> {
        Client::new(&self.router, limit)
    }

    /// The provider takes the address of the plot away, and the way to the internet goes with it; then it gives another one of
    /// the same /24.
    pub fn move_to(&self, address: Ipv4Addr) -> Result<()> {
        let old = InterfaceAddress { address: self.plot.address.into(), length: 24 };
        self.router.remove_address("uplink", old)?;
        self.dial_in(address)
    }

    /// Says which WireGuard the site's agent and commands use from now on.
    pub fn demand_wireguard(&mut self, backend: Backend) {
        self.set_environment(crate::engine::host::WIREGUARD, backend.as_str().to_owned());
    }

    /// Sets a variable in the environment of the site's agent and commands from now on.
    pub fn set_environment(&mut self, name: &'static str, value: String) {
        self.program.environment.push((name, value));
    }

    /// Gives the site a network file.
    pub fn install(&self, network: &str) -> Result<()> {
        agent::install(&self.router, network)
    }

    /// Starts the agent; a running one is killed.
    pub fn start_agent(&mut self) -> Result<()> {
        self.kill_agent();
        self.agent = Some(Agent::start(&self.router, &self.program)?);
        Ok(())
    }

    /// The agent, if it was started.
    pub fn agent(&mut self) -> Result<&mut Agent> {
        self.agent.as_mut().ok_or_else(|| Error::failed(format!("{} has no agent", self.plot.name)))
    }

    /// Asks the agent to end.
    pub fn stop_agent(&mut self) -> Result<()> {
        self.agent.take().map_or(Ok(()), Agent::stop)
    }

    /// Kills the agent, as a crash would.
    pub fn kill_agent(&mut self) {
        self.agent = None;
    }

    /// Runs a command of `portals`, to its end.
    pub fn portals(&self, arguments: &[&str]) -> Result<Output> {
        agent::output(&self.router, &self.program, arguments)
    }

    /// What the site's agents have said so far.
    pub fn log(&self) -> String {
        agent::log(&self.router)
    }
}

/// What an agent that is killed leaves behind would hold the namespaces for ever.
impl Drop for Site {
    fn drop(&mut self) {
        self.kill_agent();
        // Whatever goes wrong here, the site is gone.
        let _ = self.router.run(|| Supervisor::open(Journal::open()?.folder())?.clear());
    }
}

/// A host with strict reverse-path filtering on all that it will ever have.
fn host(name: &str) -> Result<Namespace> {
    let host = Namespace::new(name)?;
    for interfaces in ["all", "default"] {
        host.set_sysctl(&format!("net/ipv4/conf/{interfaces}/rp_filter"), "1")?;
    }
    // Routers answer a traceroute at once, however many there were before.
    host.set_sysctl("net/ipv4/icmp_ratelimit", "0")?;
    host.set_up("lo", true)?;
    Ok(host)
}

fn build_server(internet: &Namespace, server: &Namespace, plots: &[Plot]) -> Result<()> {
    connect((internet, "server"), (server, "eth0"))?;
    attach(internet, "server", SERVER_GATEWAY, 24)?;
    attach(server, "eth0", SERVER, 24)?;
    for plot in plots {
        attach(server, "eth0", plot.own_server(), 24)?;
    }
    server.add_route(Family::V4.everything(), SERVER_GATEWAY.into())
}

/// Sets an interface up and gives it an address.
fn attach(host: &Namespace, interface: &str, address: Ipv4Addr, length: u8) -> Result<()> {
    host.set_up(interface, true)?;
    host.add_address(interface, InterfaceAddress { address: address.into(), length })
}
