//! `portals map`: the network as a picture.

use std::path::Path;

use super::{ExitStatus, status};
use crate::base::error::{Context as _, Errors};
use crate::base::path::folder_of;
use crate::cli::MapCommand;
use crate::cli::output::{complain, print, say};
use crate::config::model::Network;
use crate::control::PathKind;
use crate::engine::status::Report;
use crate::engine::{network_file, own_key};
use crate::map::{self, LinkState, Live, Look, Map, PortalUse};
use crate::system::disk::{self, FileOrigin, cannot_write};

/// Prints the map, or writes it as a drawing.
pub(super) fn run(file: &Path, options: &MapCommand) -> Result<ExitStatus, Errors> {
    let named = options.file.as_deref();
    let origin = if named.is_some() { FileOrigin::Named } else { FileOrigin::Ours };
    let (_, network) = network_file::load_from(named.unwrap_or(file), origin)?;
    let live = if named.is_some() { None } else { live(file, &network) };
    let map = Map::new(&network, live.as_ref());
    show(options.svg.as_deref(), &mut || map::text(&map), &mut || map::picture(&map))?;
    Ok(ExitStatus::Done)
}

/// Writes a drawing to a file, or prints a text where there is no such file.
fn show(
    svg: Option<&Path>,
    text: &mut dyn FnMut() -> String,
    drawing: &mut dyn FnMut() -> String,
) -> Result<(), Errors> {
    let Some(path) = svg else {
        print(format_args!("{}", text()));
        return Ok(());
    };
    disk::replace(path, drawing().as_bytes(), 0o644).context(|| cannot_write(path))?;
    say!("wrote {}", path.display());
    Ok(())
}

/// Returns the state of this site's links and portals, where its agent runs and this user may ask.
fn live(file: &Path, network: &Network) -> Option<Live> {
    let own = own_key::owner(&folder_of(file), network)?;
    if !network.sites.values().any(|site| site.public_key == own) {
        return None;
    }
    match status::report_now(file) {
        Ok(report) if report.agent => Some(from_report(&report)),
        Ok(_) => None,
        Err(error) => {
            complain!("note: the map is without the state of links: {error}");
            None
        }
    }
}

fn from_report(report: &Report) -> Live {
    let mut live = Live { own: report.site.clone(), ..Live::default() };
    for link in &report.links {
        let path =
            status::paths::known(report, link).and_then(|known| known.path.as_ref()).filter(|_| link.up);
        let (mut words, mut look) = ((if link.up { "up" } else { "down" }).to_owned(), Look::Down);
        if link.up {
            look = if path.is_some_and(|path| path.kind == PathKind::Relayed) {
                Look::Relayed
            } else {
                Look::Up
            };
        }
        if let Some(path) = path {
            words.push_str(&[", ", &path.words(&report.site)].concat());
        }
        live.links.insert(link.peer.clone(), LinkState { words, look });
    }
    for portal in &report.portals {
        let known = PortalUse { exit: portal.exit.clone(), state: portal.state.as_str() };
        live.portals.insert(portal.name.clone(), known);
    }
    live
}
