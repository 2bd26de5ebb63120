//! `portals map`: the network as a picture.

use std::path::Path;
use std::time::SystemTime;

use super::{ExitStatus, status};
use crate::base::error::{Context as _, Error, Errors};
use crate::base::path::folder_of;
use crate::base::text::append;
use crate::cli::MapCommand;
use crate::cli::output::{complain, print, say};
use crate::config::model::{Name, Network};
use crate::control::PathKind;
use crate::engine::here::Here;
use crate::engine::load::Files;
use crate::engine::{network_file, on_paper, own_key};
use crate::map::packet::{self, PacketPath};
use crate::map::{self, Look, Map};
use crate::site::own_name;
use crate::system::disk::{self, FileOrigin, cannot_write};

/// Prints the map, or writes it as a drawing.
pub(super) fn run(file: &Path, options: &MapCommand) -> Result<ExitStatus, Errors> {
    let named = options.file.as_deref();
    let origin = if named.is_some() { FileOrigin::Named } else { FileOrigin::Ours };
    let shown = named.unwrap_or(file);
    let (_, network) = network_file::load_from(shown, origin)?;
    let key = if named.is_none() { own_key::owner(&folder_of(file), &network) } else { None };
    let own = key.and_then(|key| own_name(&network, key).ok());
    let is_drawing = options.svg.is_some();
    let picture = if let Some(portal) = &options.packet_path {
        let path = packet_path(shown, own, &network, portal)?;
        if is_drawing { packet::picture(&path) } else { packet::text(&path) }
    } else {
        let mut map = Map::new(&network);
        if own.is_some() {
            add_state(&mut map, file);
        }
        if is_drawing { map::picture(&map) } else { map::text(&map) }
    };
    match &options.svg {
        None => print(format_args!("{picture}")),
        Some(path) => {
            disk::replace(path, picture.as_bytes(), 0o644).context(|| cannot_write(path))?;
            say!("wrote {}", path.display());
        }
    }
    Ok(ExitStatus::Done)
}

/// Returns the map as a drawing, with the state of this site's links and portals.
pub(super) fn drawing(file: &Path) -> Result<String, Errors> {
    let (_, network) = network_file::load(file)?;
    let mut map = Map::new(&network);
    add_state(&mut map, file);
    Ok(map::picture(&map))
}

/// Returns the way of a packet from a portal, `PORTAL` or `SITE/PORTAL`. Without a site, it is a portal of
/// the site `own`, or of the only site that has one of that name.
fn packet_path(
    file: &Path,
    own: Option<&Name>,
    network: &Network,
    wanted: &str,
) -> Result<PacketPath, Errors> {
    let (site, portal) = wanted.split_once('/').map_or((None, wanted), |(site, portal)| (Some(site), portal));
    let (mut found, mut number) = (None, 0);
    for (name, entry) in &network.sites {
        if site.is_none_or(|site| site == name) && entry.portals.iter().any(|other| other.name == portal) {
            if number == 0 || own == Some(name) {
                found = Some(name);
            }
            number += 1;
        }
    }
    let Some(name) = found else { return Err(unknown(network, wanted).into()) };
    let is_here = own == Some(name);
    if number > 1 && !is_here {
        return Err(Error::wrong(format!(
            "several sites have a portal `{portal}`: name the site, too, such as `{name}/{portal}`"
        ))
        .into());
    }
    let mut site = if is_here {
        Here::observed(Files::read(file)?)?.site
    } else {
        on_paper::whole_site(file, network, name)?
    };
    // The agent's file may be a moment newer than the one that was read first.
    PacketPath::new(&mut site, portal).ok_or_else(|| unknown(network, wanted).into())
}

fn unknown(network: &Network, wanted: &str) -> Error {
    let mut known = String::new();
    for (name, site) in &network.sites {
        for portal in &site.portals {
            append(&mut known, &format_args!("{name}/{}", portal.name));
        }
    }
    Error::wrong(format!("there is no portal `{wanted}`; there are: {known}"))
}

/// Adds the state of this site's links and portals, where its agent runs and this user may ask.
fn add_state(map: &mut Map, file: &Path) {
    let here = Files::read(file).and_then(Here::observed);
    let report = match here.and_then(|mut here| status::report(&mut here, file, SystemTime::now())) {
        Ok(report) if report.agent => report,
        Ok(_) => return,
        Err(error) => return complain!("note: the map is without the state of links: {error}"),
    };
    map.draw_at(&report.site);
    for link in &report.links {
        let is_good = link.up && !link.is_silent();
        let known = status::paths::known(&report, link).filter(|_| is_good);
        let path = known.and_then(|known| known.path.as_ref());
        let look = match path {
            _ if !is_good => Look::Down,
            Some(path) if path.kind == PathKind::Relayed => Look::Relayed,
            _ => Look::Up,
        };
        let mut words = link.state().to_owned();
        if let Some(path) = path {
            words.push_str(", ");
            words.push_str(&path.words(&report.site));
        }
        map.set_link(&link.peer, look, &words);
    }
    for portal in &report.portals {
        map.set_portal(&portal.name, &portal.exit, portal.state.as_str());
    }
}
