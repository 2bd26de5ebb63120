//! Devices that show up with an address that a portal chooses by: from then on their IPv6 is known, and refused.

use std::os::fd::BorrowedFd;

use super::Agent;
use crate::base::error::Result;
use crate::base::net::Cidr;
use crate::kernel::neighbour::Neighbourhood;
use crate::site::Site;
use crate::site::facts::Neighbours;

/// Those that are waited for, and those that are known.
#[derive(Debug, Default)]
pub(super) struct Devices {
    /// Listens where there is a portal that chooses by addresses, on a host with IPv6.
    news: Option<Neighbourhood>,
    /// It has begun to listen: nobody knows who came before.
    is_new: bool,
    sources: Vec<Cidr>,
    known: Neighbours,
}

impl Devices {
    /// Takes in what the file says and the kernel knows now.
    pub(super) fn follow(&mut self, site: &Site) -> Result<()> {
        self.sources.clone_from(&site.sources_with_ipv6);
        self.known.clone_from(&site.neighbours);
        if self.sources.is_empty() {
            self.news = None;
        } else if self.news.is_none() {
            (self.news, self.is_new) = (Some(Neighbourhood::open()?), true);
        }
        Ok(())
    }

    /// What to poll for input.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.news.as_ref().map(Neighbourhood::descriptor)
    }

    /// Whether a device may have shown up that was not known. Never waits.
    fn turn(&mut self) -> bool {
        let Some(news) = &self.news else { return false };
        let Some(heard) = news.hear() else { return true };
        let is_new = |address| self.sources.iter().any(|source| source.contains(address));
        let unknown = heard
            .iter()
            .any(|device| is_new(device.address) && self.known.get(&device.address) != Some(&device.mac));
        std::mem::take(&mut self.is_new) || unknown
    }
}

impl Agent {
    /// A device that has shown up is taken in. Where nothing can be changed now, whatever is tried next sees it.
    pub(super) fn look_at_devices(&mut self) {
        if self.devices.turn() && self.may_repair() {
            drop(self.attempt("a device has shown its hardware address"));
        }
    }
}
