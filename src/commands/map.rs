//! `portals map`: the network as a picture.

use std::path::Path;
use std::time::SystemTime;

use super::{ExitStatus, status};
use crate::base::error::{Context as _, Error, Errors};
use crate::base::path::folder_of;
use crate::cli::MapCommand;
use crate::cli::output::{complain, print, say};
use crate::config::model::Network;
use crate::control::PathKind;
use crate::engine::here::Here;
use crate::engine::load::Files;
use crate::engine::status::Report;
use crate::engine::{network_file, on_paper, own_key};
use crate::map::packet::{self, PacketPath};
use crate::map::{self, LinkState, Live, Look, Map, PortalUse};
use crate::system::disk::{self, FileOrigin, cannot_write};

/// Prints the map, or writes it as a drawing.
pub(super) fn run(file: &Path, options: &MapCommand) -> Result<ExitStatus, Errors> {
    let named = options.file.as_deref();
    let origin = if named.is_some() { FileOrigin::Named } else { FileOrigin::Ours };
    let (_, network) = network_file::load_from(named.unwrap_or(file), origin)?;
    if let Some(portal) = &options.packet_path {
        let path = packet_path(named.unwrap_or(file), named.is_some(), &network, portal)?;
        show(options.svg.as_deref(), &mut || packet::text(&path), &mut || packet::picture(&path))?;
        return Ok(ExitStatus::Done);
    }
    let live = if named.is_some() { None } else { live(file, &network) };
    let map = Map::new(&network, live.as_ref());
    show(options.svg.as_deref(), &mut || map::text(&map), &mut || map::picture(&map))?;
    Ok(ExitStatus::Done)
}

/// Returns the way of a packet from a portal, `PORTAL` or `SITE/PORTAL`. Without a site, it is a portal of
/// this site, or of the only site that has one of that name.
fn packet_path(
    file: &Path,
    is_on_paper: bool,
    network: &Network,
    wanted: &str,
) -> Result<PacketPath, Errors> {
    let here = own_key::owner(&folder_of(file), network).filter(|_| !is_on_paper);
    let (site, portal) = wanted.split_once('/').map_or((None, wanted), |(site, portal)| (Some(site), portal));
    let mut found = Vec::new();
    for (name, entry) in &network.sites {
        if site.is_none_or(|site| site == name) && entry.portals.iter().any(|other| other.name == portal) {
            found.push((name, Some(entry.public_key) == here));
        }
    }
    let own = found.iter().find(|(_, is_here)| *is_here);
    let (name, is_here) = match (own, &found[..]) {
        (Some(own), _) | (None, [own]) => *own,
        (None, []) => return Err(unknown(network, wanted).into()),
        (None, [(one, _), ..]) => {
            return Err(Error::wrong(format!(
                "several sites have a portal `{portal}`: name the site, too, such as `{one}/{portal}`"
            ))
            .into());
        }
    };
    let mut site = if is_here {
        Here::observed(Files::read(file)?)?.site
    } else {
        on_paper::whole_site(file, network, name)?
    };
    // The agent's file may be a moment newer than the one that was read first.
    PacketPath::new(&mut site, portal).ok_or_else(|| unknown(network, wanted).into())
}

fn unknown(network: &Network, wanted: &str) -> Error {
    let mut known = Vec::new();
    for (name, site) in &network.sites {
        for portal in &site.portals {
            known.push([name, "/", &portal.name].concat());
        }
    }
    Error::wrong(format!("there is no portal `{wanted}`; there are: {}", known.join(", ")))
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
    let here = Files::read(file).and_then(Here::observed);
    match here.and_then(|mut here| status::report(&mut here, file, SystemTime::now())) {
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
