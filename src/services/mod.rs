//! Services: programs that run as long as the agent does, described as plain data. [`Supervisor`] keeps them
//! running.

mod dnsmasq;
mod hostapd;
mod inadyn;
mod keeper;
pub mod leases;
mod names;
mod pages;
mod process;
mod supervisor;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::base::net::{Family, IfName};
use crate::site::{Exit, Portal, Site};
use crate::state::words::count;
use crate::system::child::path_of;
use crate::system::packages;
use dnsmasq::PortalPath;
pub use supervisor::Supervisor;

/// Program of a service: another vendor's, or this one.
#[derive(Debug)]
pub struct Program {
    /// Name of its file, without a folder.
    pub name: &'static str,
    /// Package that contains it.
    pub package: &'static str,
    /// Purpose in words.
    pub purpose: &'static str,
    /// Numbers of the capabilities that it keeps; `None` if it drops the capabilities that it does not need
    /// by itself.
    pub capabilities: Option<&'static [u8]>,
    /// Set if its standard input is a channel, on which it asks for pages.
    pub asks: bool,
    /// Arguments that keep it from becoming another user, for hosts that have no other user.
    pub stays: &'static [&'static str],
}

/// Programs are told apart by their names.
impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Program {}

impl Program {
    /// Returns a sentence that names the missing program and the way to install it; `None` if the program is
    /// installed.
    pub fn missing(&self) -> Option<String> {
        path_of(self.name).is_none().then(|| self.is_missing())
    }

    fn is_missing(&self) -> String {
        format!("the program {} is missing: {}", self.name, packages::manager().how_to_install(self.package))
    }
}

/// Program that must run. A different service of the same name replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Name in messages and of its folder: `dnsmasq-guest`. Unique on this machine.
    pub name: String,
    /// Program that runs.
    pub program: &'static Program,
    /// Arguments of the program. One of them contains [`folder`], by which the agent recognises a process
    /// that was left behind.
    pub arguments: Vec<OsString>,
    /// More arguments, each of which is left out if the program's `--help` does not list it: older versions
    /// do not start with an argument that they do not know.
    pub if_known: &'static [&'static str],
    /// Files that the program reads.
    pub files: Vec<ServiceFile>,
    /// Interface without which the service does not run. A new interface of the same name restarts it.
    pub interface: Option<IfName>,
}

/// File of a service, which only root can read.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceFile {
    /// Name in the folder of the service.
    pub name: &'static str,
    /// Whole content.
    pub content: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for ServiceFile {
    /// Writes only the name: the content may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Returns the services that a site needs. Pure: observes nothing and starts nothing.
pub fn plan(site: &Site, run_folder: &Path) -> Vec<Service> {
    let mut services = Vec::new();
    for access_point in &site.wifi.access_points {
        services.push(hostapd::service(access_point, run_folder));
    }
    for portal in &site.portals {
        if let Some(service) = dnsmasq::of(portal, &site.names, &path(site, portal), run_folder) {
            services.push(service);
        }
    }
    if let Some(service) = names::of(site, run_folder) {
        services.push(service);
    }
    if let Some(file) = &site.agent.dyndns {
        services.push(inadyn::service(file, run_folder));
    }
    services.extend(pages::of(site, run_folder));
    services
}

/// Returns the programs of other vendors that a site's services need, and the number of services of each.
pub fn programs(site: &Site) -> Vec<(&'static Program, usize)> {
    let lans = site.portals.iter().filter(|portal| dnsmasq::is_needed(portal)).count();
    let resolvers = lans + usize::from(names::is_needed(site));
    let mut programs = vec![
        (&hostapd::PROGRAM, site.wifi.access_points.len()),
        (&dnsmasq::PROGRAM, resolvers),
        (&inadyn::PROGRAM, usize::from(site.agent.dyndns.is_some())),
    ];
    programs.retain(|(_, number)| *number > 0);
    programs
}

/// Returns the path of a portal's packets through its present exit.
fn path(site: &Site, portal: &Portal) -> PortalPath {
    let takes = |family| site.takes(&portal.exit, family);
    PortalPath {
        mtu: mtu(site, portal),
        ipv4: takes(Family::V4),
        ipv6: site.carries_ipv6().then(|| takes(Family::V6)),
    }
}

/// Returns the smallest MTU in bytes of the tunnels that a portal may use, if it may use one.
fn mtu(site: &Site, portal: &Portal) -> Option<u32> {
    let mut least = None;
    for interface in portal.exits.iter().filter_map(Exit::interface) {
        if let Some(tunnel) = site.tunnels.get(interface) {
            let mtu = site.mtu_of(tunnel);
            least = Some(least.map_or(mtu, |least: u32| least.min(mtu)));
        }
    }
    least
}

/// Returns a line for each program that is not installed, with the services that cannot run without it.
pub fn missing(services: &[Service]) -> Vec<String> {
    let mut failures = Vec::new();
    for service in services {
        if let Some(why) = service.program.missing() {
            failures.push((service.name.as_str(), why));
        }
    }
    do_not_run(&failures)
}

/// Returns a line for each reason for which services do not run, from the names of the services and their
/// reasons.
fn do_not_run(failures: &[(&str, String)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, (name, why)) in failures.iter().enumerate() {
        let number = |failures: &[(&str, String)]| failures.iter().filter(|(_, other)| other == why).count();
        if number(&failures[..at]) > 0 {
            continue;
        }
        let others = number(&failures[at + 1..]);
        lines.push(match others {
            0 => format!("{name} does not run: {why}"),
            _ => format!("{name} and {} do not run: {why}", count(others, "other")),
        });
    }
    lines
}

/// Returns the folder with the files of a service, and the files that the service itself keeps there.
pub fn folder(run_folder: &Path, service: &str) -> PathBuf {
    folders(run_folder).join(service)
}

/// Returns the folder with the folders of all services.
fn folders(run_folder: &Path) -> PathBuf {
    run_folder.join("services")
}
