//! This site, as its files and its machine show it.

use std::net::IpAddr;
use std::path::Path;

use crate::base::error::{Errors, Result};
use crate::base::sorted::SortedMap;
use crate::engine::journal::Journal;
use crate::engine::load::Files;
use crate::engine::observed;
use crate::kernel::Kernel as _;
use crate::kernel::link::Links;
use crate::kernel::linux::Linux;
use crate::site::Site;

/// This site, and the parts of its machine. In one place on the heap: callers hold a pointer, and let go of
/// everything at once.
pub struct Here {
    /// Network file, and the secrets next to it.
    pub files: Files,
    /// Journal of this machine.
    pub journal: Journal,
    /// Kernel of this machine.
    pub kernel: Linux,
    /// Interfaces of this machine, from the same moment as the site.
    pub links: Links,
    /// View of this site.
    pub site: Site,
}

impl Here {
    /// Reads the files, looks up the host names, and looks at the machine.
    pub fn open(file: &Path) -> Result<Box<Self>, Errors> {
        let files = Files::read(file)?;
        let resolved = files.resolved()?;
        Self::with(files, &resolved)
    }

    /// Looks at the machine as the site of these files. `resolved` has the addresses of host names.
    pub fn with(files: Files, resolved: &SortedMap<String, IpAddr>) -> Result<Box<Self>, Errors> {
        let (mut kernel, journal) = (Linux::open()?, Journal::open()?);
        let links = kernel.links()?;
        let site = files.site(&mut kernel, &journal, &links, resolved)?;
        Ok(Box::new(Self { files, journal, kernel, links, site }))
    }

    /// Looks at the machine as the site of these files, with the exits that are in use. No name is looked up:
    /// endpoints come from the live tunnels.
    pub fn observed(files: Files) -> Result<Box<Self>, Errors> {
        let mut here = Self::with(files, &SortedMap::new())?;
        here.choose_observed()?;
        Ok(here)
    }

    /// Looks at the machine again, as [`Self::observed`] does.
    pub fn look_again(&mut self) -> Result<(), Errors> {
        self.links = self.kernel.links()?;
        self.site = self.files.site(&mut self.kernel, &self.journal, &self.links, &SortedMap::new())?;
        Ok(self.choose_observed()?)
    }

    /// Sets the exits, the MTUs and the relayed links of the site to those in use on this machine.
    pub fn choose_observed(&mut self) -> Result<()> {
        observed::choose_observed(&mut self.site, &mut self.kernel)
    }
}
