//! `portals site`: adds, removes and lists sites of the network file.

use std::fmt::Write as _;
use std::path::Path;

use super::{ExitStatus, after_change};
use crate::base::error::{Error, Errors};
use crate::base::json::Json;
use crate::base::text::append;
use crate::cli::output::say;
use crate::cli::{SiteAction, SiteAdd};
use crate::config::model::{ExitRef, Network};
use crate::config::{self, edit};
use crate::engine::locked_file;
use crate::engine::network_file;
use crate::join::entry;

pub(super) fn run(file: &Path, action: &SiteAction) -> Result<ExitStatus, Errors> {
    match action {
        SiteAction::Add(options) => add(file, options),
        SiteAction::Remove(options) => remove(file, &options.name),
        SiteAction::List(_) => list(file),
    }
}

fn add(file: &Path, options: &SiteAdd) -> Result<ExitStatus, Errors> {
    let name = &options.name;
    config::check_name("site", name)?;
    let (network, signing) = locked_file::change(file, 0, &mut |text, network| {
        if network.sites.contains_key(name) {
            return Err(Error::wrong(format_args!(
                "{}: there is a site `{name}` already: choose another name, or remove that site first",
                file.display()
            ))
            .into());
        }
        let id = options
            .id
            .or_else(|| entry::free_id(network))
            .ok_or_else(|| Error::wrong("the network has as many sites as it can have: remove one first"))?;
        let mut text = edit::append(text, &section(options, id));
        text = edit::set(&text, &["site", name], "id", &id.to_string())?;
        Ok(text)
    })?;
    say!("added site {name} with id {} to {}", network.sites[name].id, file.display());
    after_change(file, signing);
    Ok(ExitStatus::Done)
}

/// Returns the section of a new site. Values of the command line are quoted: the check of the whole file
/// refuses those that are wrong.
fn section(options: &SiteAdd, id: u8) -> String {
    let mut text = format!("[site.{}]\nid         = {id}\npublic_key = \"{}\"\n", options.name, options.key);
    if let Some(endpoint) = &options.endpoint {
        let _ = writeln!(text, "endpoint   = {}", Json::text(endpoint));
    }
    put_list(&mut text, "exits      = ", &mut options.exits.as_deref().unwrap_or_default().split(','));
    put_list(&mut text, "links      = ", &mut options.links.as_deref().unwrap_or_default().split(','));
    put_list(&mut text, "lan        = ", &mut options.lan.iter().map(String::as_str));
    text
}

fn put_list(text: &mut String, key: &str, items: &mut dyn Iterator<Item = &str>) {
    let mut list = String::new();
    for item in items {
        let (item, comma) = (item.trim(), if list.is_empty() { "" } else { "," });
        if !item.is_empty() {
            let _ = write!(list, "{comma}{}", Json::text(item));
        }
    }
    if !list.is_empty() {
        let _ = writeln!(text, "{key}[{list}]");
    }
}

fn remove(file: &Path, name: &str) -> Result<ExitStatus, Errors> {
    let (_, signing) = locked_file::change(file, 0, &mut |text, network| {
        if !network.sites.contains_key(name) {
            return Err(unknown(file, name, network).into());
        }
        let users = users(network, name);
        if !users.is_empty() {
            return Err(Error::wrong(format_args!(
                "{}: site {name} is still in use by {users}: give them another exit or site first, or remove \
                 them",
                file.display()
            ))
            .into());
        }
        let mut text = edit::remove(text, &["site", name])?;
        for other in network.sites.keys().filter(|other| *other != name) {
            for list in ["exits", "links"] {
                text = edit::remove_from_list(&text, &["site", other], list, name)?;
            }
        }
        Ok(text)
    })?;
    say!("removed site {name} from {}", file.display());
    after_change(file, signing);
    Ok(ExitStatus::Done)
}

/// Returns the portals and phones of other sites that need a site, as a person calls them.
fn users(network: &Network, name: &str) -> String {
    let needs = |exit: &ExitRef| match exit {
        ExitRef::Site(site) => site == name,
        ExitRef::Chain(hops) => hops.iter().any(|hop| hop == name),
        ExitRef::Provider(_) | ExitRef::Direct => false,
    };
    let mut users = String::new();
    for (site, config) in network.sites.iter().filter(|(site, _)| *site != name) {
        for portal in config.portals.iter().filter(|portal| portal.exits.iter().any(needs)) {
            append(&mut users, &format_args!("[site.{site}.portal.{}]", portal.name));
        }
    }
    for (phone, config) in &network.phones {
        if config.at == name || config.exit.as_ref().is_some_and(needs) {
            append(&mut users, &format_args!("[phone.{phone}]"));
        }
    }
    users
}

fn unknown(file: &Path, name: &str, network: &Network) -> Error {
    let mut names = String::new();
    for name in network.sites.keys() {
        append(&mut names, name);
    }
    Error::wrong(format_args!("{}: there is no site `{name}`; its sites: {names}", file.display()))
}

fn list(file: &Path) -> Result<ExitStatus, Errors> {
    let (_, network) = network_file::load(file)?;
    for id in 0..=u8::MAX {
        let Some((name, site)) = network.sites.iter().find(|(_, site)| site.id == id) else { continue };
        let endpoint = site.endpoint.as_ref().map_or_else(|| "behind NAT".to_owned(), ToString::to_string);
        let (before, exits) = (if site.exits.is_empty() { "" } else { "  exits " }, site.exits.join(", "));
        say!("{id:>3}  {name:<12}  {}  {endpoint}{before}{exits}", site.public_key);
    }
    Ok(ExitStatus::Done)
}
