//! Programs that run as long as the agent does: what they are told, as plain data. [`Supervisor`] keeps them running.

mod dnsmasq;
mod hostapd;
mod inadyn;
mod keeper;
pub mod leases;
mod process;
mod supervisor;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::base::net::IfName;
use crate::site::{Exit, Portal, Site};
use crate::state::words::count;
use crate::system::child::path_of;
use crate::system::packages;
pub use supervisor::Supervisor;

/// A program that somebody else makes.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// Its file, without a folder.
    pub name: &'static str,
    /// The package that brings it.
    pub package: &'static str,
    /// What it is there for, in words.
    pub purpose: &'static str,
    /// The capabilities that it keeps, by their numbers; none where it gives up by itself what it does not need.
    pub capabilities: Option<&'static [u8]>,
    /// Arguments that keep it from becoming another user, for where there is none.
    pub stays: &'static [&'static str],
}

impl Program {
    /// That it is not installed here, if so, and how it comes to be.
    pub fn missing(&self) -> Option<String> {
        path_of(self.name).is_none().then(|| self.is_missing())
    }

    fn is_missing(&self) -> String {
        format!("the program {} is missing: {}", self.name, packages::manager().how_to_install(self.package))
    }
}

/// A program that shall run. Another one of the same name that differs takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What it is called in messages, and its folder: `dnsmasq-guest`. Unique on this machine.
    pub name: String,
    /// What runs.
    pub program: &'static Program,
    /// What it is told. One of these begins with [`folder`], as a process that was left behind is known by that.
    pub arguments: Vec<OsString>,
    /// What it reads.
    pub files: Vec<File>,
    /// It runs while there is an interface of this name, and begins anew with another one of that name.
    pub interface: Option<IfName>,
}

/// A file of a service, which nobody but root reads.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Without a folder: it is in that of the service.
    pub name: &'static str,
    /// All of it.
    pub content: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for File {
    /// It may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The services that a site needs. Pure: nothing is looked at or started.
pub fn plan(site: &Site, run_folder: &Path) -> Vec<Service> {
    let radios = site.access_points.iter().map(|access_point| hostapd::service(access_point, run_folder));
    let lans = site.portals.iter().filter_map(|portal| dnsmasq::of(portal, mtu(site, portal), run_folder));
    let mut services: Vec<Service> = radios.collect();
    services.extend(lans);
    services.extend(site.dyndns.as_deref().map(|file| inadyn::service(file, run_folder)));
    services
}

/// The programs that a site's services are, and how many of each.
pub fn programs(site: &Site) -> impl Iterator<Item = (&'static Program, usize)> {
    let lans = site.portals.iter().filter(|portal| dnsmasq::is_needed(portal)).count();
    let numbers = [site.access_points.len(), lans, usize::from(site.dyndns.is_some())];
    [&hostapd::PROGRAM, &dnsmasq::PROGRAM, &inadyn::PROGRAM]
        .into_iter()
        .zip(numbers)
        .filter(|(_, number)| *number > 0)
}

/// The MTU of the narrowest tunnel that a portal may leave by, in bytes, if there is one.
fn mtu(site: &Site, portal: &Portal) -> Option<u32> {
    let tunnels = portal.exits.iter().filter_map(Exit::interface);
    tunnels.filter_map(|interface| site.tunnels.get(interface)).map(|tunnel| site.mtu_of(tunnel)).min()
}

/// What keeps services from running here, in words: programs that are not installed.
pub fn missing(services: &[Service]) -> Vec<String> {
    do_not_run(
        services.iter().filter_map(|service| Some((service.name.as_str(), service.program.missing()?))),
    )
}

/// Names of services and why they do not run, as a line for each reason.
fn do_not_run<'a>(failures: impl Iterator<Item = (&'a str, String)>) -> Vec<String> {
    let mut reasons: Vec<(String, &str, usize)> = Vec::new();
    for (name, why) in failures {
        match reasons.iter_mut().find(|(known, ..)| *known == why) {
            Some((.., others)) => *others += 1,
            None => reasons.push((why, name, 0)),
        }
    }
    let line = |(why, name, others)| match others {
        0 => format!("{name} does not run: {why}"),
        others => format!("{name} and {} do not run: {why}", count(others, "other")),
    };
    reasons.into_iter().map(line).collect()
}

/// Where the files of a service are, and what it keeps.
pub fn folder(run_folder: &Path, service: &str) -> PathBuf {
    folders(run_folder).join(service)
}

/// Where the folders of all services are.
fn folders(run_folder: &Path) -> PathBuf {
    run_folder.join("services")
}
