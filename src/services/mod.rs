//! Programs that run as long as the agent does: what they are told, as plain data. [`Supervisor`] keeps them running.

mod dnsmasq;
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

use crate::kernel::child::path_of;
use crate::net::IfName;
use crate::packages::how_to_install;
use crate::site::{Exit, Portal, Site};
use crate::wifi::hostapd;
pub use supervisor::{Condition, Supervisor};

/// A program that shall run. Another one of the same name that differs takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What it is called in messages, and its folder: `dnsmasq-guest`. Unique on this machine.
    pub name: String,
    /// The program, without a folder.
    pub program: &'static str,
    /// The package that brings it.
    pub package: &'static str,
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
    pub content: Vec<u8>,
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
    radios.chain(lans).chain(site.dyndns.as_deref().map(|file| inadyn::service(file, run_folder))).collect()
}

/// The MTU of the narrowest tunnel that a portal may leave by, in bytes, if there is one.
fn mtu(site: &Site, portal: &Portal) -> Option<u32> {
    let tunnels = portal.exits.iter().filter_map(Exit::interface);
    tunnels.filter_map(|interface| site.tunnels.get(interface)).map(|tunnel| site.mtu_of(tunnel)).min()
}

/// What keeps services from running here, in words: programs that are not installed.
pub fn missing(services: &[Service]) -> Vec<String> {
    let missing = services.iter().filter(|service| path_of(service.program).is_none());
    missing.map(|service| format!("{} does not run: {}", service.name, is_missing(service))).collect()
}

fn is_missing(service: &Service) -> String {
    format!("the program {} is missing: {}", service.program, how_to_install(service.package))
}

/// Where the files of a service are, and what it keeps.
pub fn folder(run_folder: &Path, service: &str) -> PathBuf {
    folders(run_folder).join(service)
}

/// Where the folders of all services are.
fn folders(run_folder: &Path) -> PathBuf {
    run_folder.join("services")
}
