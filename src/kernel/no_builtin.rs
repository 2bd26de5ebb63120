//! Stand-in for the built-in WireGuard on processors without atomic instructions for 64 bits, for which
//! boringtun does not compile: the kernel's WireGuard is the only one.

use std::time::SystemTime;

use super::wireguard::Reading;
use crate::base::error::{Error, Result};
use crate::base::net::IfName;
use crate::state::Tunnel as Settings;

/// Interfaces that this process runs: always none.
#[derive(Default)]
pub struct Devices;

impl Devices {
    /// Refuses to make an interface.
    pub fn create(&mut self, _: &IfName) -> Result<()> {
        check_tun()
    }

    /// Reports whether there are no interfaces.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Reports whether this process runs an interface.
    pub fn contains(&self, _: &IfName) -> bool {
        false
    }

    /// Removes an interface, if this process runs it.
    pub fn remove(&mut self, _: &IfName) {}

    /// Removes the interfaces that no longer work, and returns the name of each.
    pub fn remove_lost(&mut self) -> Vec<IfName> {
        Vec::new()
    }

    /// Reads the settings of an interface, if this process runs it.
    pub fn read(&self, _: &IfName, _: SystemTime) -> Option<Result<Reading>> {
        None
    }

    /// Starts again with peers that do not answer.
    pub fn begin_anew(&self) {}

    /// Changes the settings of an interface, if this process runs it.
    pub fn change(&self, _: &IfName, _: &Settings, _: &Settings) -> Option<Result<()>> {
        None
    }
}

/// Refuses to read an interface of another process.
pub fn read_foreign(_: &IfName, _: SystemTime) -> Result<Reading> {
    Err(absent())
}

/// Reports that there is no built-in WireGuard, and names the remedy.
pub fn check_tun() -> Result<()> {
    Err(absent())
}

fn absent() -> Error {
    Error::failed(
        "this program was built without the built-in WireGuard, and needs the kernel's: install \
         kmod-wireguard, or load the module with `modprobe wireguard`",
    )
}
