//! Devices that show up with an address that a portal selects by: their IPv6 traffic must be refused, and the
//! hardware address identifies it.

use std::os::fd::BorrowedFd;

use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::net::Cidr;
use crate::kernel::Kernel;
use crate::kernel::sockets::NeighbourMonitor;
use crate::site::Site;
use crate::site::facts::Neighbours;

/// Devices that portals select by address: the sources to watch for, and the devices known so far.
#[derive(Debug, Default)]
pub(super) struct DeviceWatch {
    /// Subscription to the kernel's neighbour table; none if no portal selects by address, or the host has no
    /// IPv6.
    monitor: Option<Box<dyn NeighbourMonitor>>,
    /// Set until the first turn of a new subscription: devices that came before it are not known.
    is_new: bool,
    sources: Vec<Cidr>,
    known: Neighbours,
}

impl DeviceWatch {
    /// Takes over the sources of the site and the neighbours that the kernel knows now.
    pub(super) fn follow(&mut self, kernel: &mut dyn Kernel, site: &Site) -> Result<()> {
        self.sources.clone_from(&site.agent.sources_with_ipv6);
        self.known.clone_from(&site.host.neighbours);
        if self.sources.is_empty() {
            self.monitor = None;
        } else if self.monitor.is_none() {
            (self.monitor, self.is_new) = (Some(kernel.neighbour_monitor()?), true);
        }
        Ok(())
    }

    /// Reports whether an unknown device may have shown up.
    fn has_newcomer(&mut self) -> bool {
        let Some(monitor) = &self.monitor else { return false };
        let Some(heard) = monitor.hear() else { return true };
        let is_source = |address| self.sources.iter().any(|source| source.contains(address));
        let unknown = heard
            .iter()
            .any(|device| is_source(device.address) && self.known.get(&device.address) != Some(&device.mac));
        std::mem::take(&mut self.is_new) || unknown
    }
}

impl Source for DeviceWatch {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        all.extend(self.monitor.as_ref().map(|monitor| monitor.descriptor()));
    }

    /// Asks the agent to take in a new device. While repairs pause, the next attempt sees the device.
    fn turn(&mut self, _: Turn) -> Result<Task> {
        let reason = "a device has shown its hardware address";
        Ok(if self.has_newcomer() { Task::ReconcileUnlessPaused(reason) } else { Task::Nothing })
    }
}
