//! This site, as its files and its kernel have it.

use std::net::IpAddr;
use std::path::Path;

use super::journal::Journal;
use super::load::Files;
use super::observed::choose_observed;
use crate::base::error::Errors;
use crate::base::sorted::SortedMap;
use crate::kernel::Kernel as _;
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::site::Site;

/// This site.
pub struct Here {
    /// Network file and secrets.
    pub files: Files,
    /// Journal.
    pub journal: Journal,
    /// Kernel.
    pub kernel: Linux,
    /// Interfaces, as [`Self::site`] has found them.
    pub links: Links,
}

impl Here {
    /// Reads the files, and opens the kernel.
    pub fn open(file: &Path) -> Result<Box<Self>, Errors> {
        let files = Files::read(file)?;
        let (journal, kernel) = (Journal::open()?, Linux::open()?);
        Ok(Box::new(Self { files, journal, kernel, links: Links::new() }))
    }

    /// Returns the site with the exits that are in use, and with these addresses of host names. The addresses
    /// of other endpoints come from the live tunnels.
    pub fn site(&mut self, resolved: &SortedMap<String, IpAddr>) -> Result<Site, Errors> {
        self.links = self.kernel.links()?;
        let mut site = self.files.site(&mut self.kernel, &self.journal, &self.links, resolved)?;
        choose_observed(&mut site, &mut self.kernel)?;
        Ok(site)
    }

    /// Returns the site as [`Self::site`] does, after it has resolved the host names.
    pub fn resolved_site(&mut self) -> Result<Site, Errors> {
        let resolved = self.files.resolved()?;
        self.site(&resolved)
    }
}
