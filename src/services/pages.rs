//! Pages of portals: a process of this program, which shows them to browsers and has no privileges.

use std::path::Path;

use super::{Program, Service, ServiceFile, folder};
use crate::site::Site;
use crate::system::child::{SETGID, SETUID, THIS_PROGRAM};
use crate::web::{Door, FILE, Settings};

const NAME: &str = "pages";

/// This program. It needs two capabilities to become another user, and keeps none.
pub(super) const PROGRAM: Program = Program {
    name: THIS_PROGRAM,
    package: "portals",
    purpose: "the pages of portals",
    capabilities: Some(&[SETGID, SETUID]),
    asks: true,
    stays: &[],
};

/// Returns the service, if a portal has a page.
pub(super) fn of(site: &Site, run_folder: &Path) -> Option<Service> {
    let mut doors = Vec::new();
    for portal in site.portals.iter().filter(|portal| portal.page) {
        let door = |lan| Door::Portal { name: portal.name.clone(), lan };
        doors.extend(portal.address.map(door));
    }
    if doors.is_empty() {
        return None;
    }
    let settings = Settings { doors };
    Some(Service {
        name: NAME.to_owned(),
        program: &PROGRAM,
        arguments: vec!["web".into(), "--serve".into(), folder(run_folder, NAME).into()],
        if_known: &[],
        files: vec![ServiceFile { name: FILE, content: settings.to_text().into_bytes().into() }],
        interface: None,
    })
}
