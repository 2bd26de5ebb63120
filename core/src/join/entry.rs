//! Entries of the network file for a new site, and the first network file of the new site itself.

use std::fmt::Write as _;
use std::rc::Rc;

use super::invitations::{Applicant, Terms};
use super::packet::{JoinAnswer, JoinRequest, Joined};
use super::token::Token;
use crate::base::net::{Cidr, IfName, PublicKey, Secret};
use crate::config::model::{EndpointHost, Mtu, Name, Network};
use crate::nat::is_home_address;

/// Name of the portal of a new site.
const PORTAL: &str = "guest";

/// Shortest prefix of a network that a new site may share by its own request.
const LARGEST_LAN: u8 = 16;

/// Entry of a new site in the network file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteEntry {
    /// Name of the site.
    pub name: Name,
    /// Id of the site.
    pub id: u8,
    /// Public key of the site.
    pub key: PublicKey,
    /// Host at which other sites can dial it.
    pub endpoint: Option<EndpointHost>,
    /// Sites that it uses as exits.
    pub exits: Vec<Name>,
    /// Sites that it is only linked to.
    pub links: Vec<Name>,
    /// Networks behind it.
    pub lan: Vec<Cidr>,
    /// Interface that becomes a portal.
    pub portal: Option<IfName>,
}

impl SiteEntry {
    /// Returns the entry of a site that asks, on the terms of its invitation, at the site `inviter`. The
    /// error is the reason of a refusal.
    pub fn new(
        network: &Network,
        inviter: &str,
        terms: &Terms,
        applicant: &Applicant,
    ) -> Result<Self, String> {
        let request = &applicant.request;
        let name = request.name.as_ref().unwrap_or(&terms.name);
        if network.sites.contains_key(name) {
            return Err(format!("another site is called {name}: join with --name and another name"));
        }
        if let Some((other, _)) = network.sites.iter().find(|(_, site)| site.public_key == applicant.key) {
            return Err(format!("the key of this box belongs to site {other} already"));
        }
        let id = free_id(network).ok_or("all 250 ids of sites are taken")?;
        let is_exit = terms.exits.iter().any(|exit| exit == inviter);
        let links = if is_exit { Vec::new() } else { vec![inviter.to_owned()] };
        let lan = if terms.lan.is_empty() { wanted_lan(request)? } else { terms.lan.clone() };
        let portal = terms.portal.clone().or_else(|| request.portal.clone());
        if portal.is_some() && terms.exits.is_empty() {
            return Err("a portal needs an exit, and the invitation has none: invite with --exits".to_owned());
        }
        Ok(Self {
            name: name.clone(),
            id,
            key: applicant.key,
            endpoint: request.endpoint.clone(),
            exits: terms.exits.clone(),
            links,
            lan,
            portal,
        })
    }

    /// Returns the section of the site, with its portal.
    pub fn to_text(&self) -> String {
        let Self { name, id, key, .. } = self;
        let mut text = format!("[site.{name}]\nid         = {id}\npublic_key = \"{key}\"\n");
        if let Some(endpoint) = &self.endpoint {
            let _ = writeln!(text, "endpoint   = \"{endpoint}\"");
        }
        put_list(&mut text, "exits      = ", &self.exits);
        put_list(&mut text, "links      = ", &self.links);
        put_list(&mut text, "lan        = ", &self.lan.iter().map(Cidr::to_string).collect::<Vec<_>>());
        if let Some(interface) = &self.portal {
            let _ = writeln!(text, "\n[site.{name}.portal.{PORTAL}]");
            put_list(&mut text, "exit      = ", &self.exits);
            let _ = writeln!(text, "interface = \"{interface}\"");
        }
        text
    }
}

fn put_list(text: &mut String, key: &str, list: &[String]) {
    if !list.is_empty() {
        let _ = writeln!(text, "{key}[\"{}\"]", list.join("\", \""));
    }
}

/// Returns the networks that a new site asks for, if they are networks of a home: other sites send their
/// traffic for these networks to it.
fn wanted_lan(request: &JoinRequest) -> Result<Vec<Cidr>, String> {
    let is_one = |network: &&Cidr| {
        let is_home = is_home_address(network.address()) && is_home_address(network.last());
        network.length() >= LARGEST_LAN && is_home
    };
    match request.lan.iter().find(|network| !is_one(network)) {
        Some(network) => Err(format!("{network} is not a private network: invite with --lan {network}")),
        None => Ok(request.lan.clone()),
    }
}

/// Returns the id for a new site: above all others, so that the id of a removed site is not used again; or
/// the lowest that no site has.
pub fn free_id(network: &Network) -> Option<u8> {
    let is_free = |id: &u8| network.sites.values().all(|site| site.id != *id);
    let above = network.sites.values().map(|site| site.id).max().map_or(1, |id| id.saturating_add(1));
    Some(above).filter(|id| *id <= 250).or_else(|| (1..=250).find(is_free))
}

/// Returns the answer for a site that is in the network file; `None` if the file does not name it any more.
/// The site `inviter` answers.
pub fn joined(
    network: &Network,
    inviter: &str,
    key: PublicKey,
    (admin, secret): (PublicKey, Option<&Secret>),
) -> Option<JoinAnswer> {
    let own = network.sites.get(inviter)?;
    let (name, site) = network.sites.iter().find(|(_, site)| site.public_key == key)?;
    Some(JoinAnswer::Joined(Rc::new(Joined {
        name: name.clone(),
        id: site.id,
        inviter: inviter.to_owned(),
        inviter_id: own.id,
        port: own.port,
        uses_inviter: site.exits.iter().any(|exit| exit == inviter),
        inviter_uses: own.exits.contains(name),
        network: network.name.clone(),
        subnet: network.subnet,
        subnet6: network.subnet6.map(|subnet6| subnet6.network),
        mtu: network.mtu,
        admin,
        secret: secret.cloned(),
        serial: network.serial,
    })))
}

/// Returns the first network file of a new site with the public key `key`: as much as a tunnel to the
/// inviting site needs. It has no serial and no signature, so the signed file takes its place.
pub fn provisional_file(
    token: &Token,
    joined: &Joined,
    key: PublicKey,
    endpoint: Option<&EndpointHost>,
) -> String {
    let Joined { name, id, inviter, inviter_id, port, network, subnet, admin, .. } = joined;
    let mut text = format!(
        "# Enough of the network for a first tunnel to {inviter}. The network file itself comes through that \
         tunnel,\n# and takes the place of this one.\n\n[network]\nname   = \"{network}\"\nsubnet = \
         \"{subnet}\"\n"
    );
    if let Some(subnet6) = joined.subnet6 {
        let _ = writeln!(text, "subnet6 = \"{subnet6}\"");
    }
    let _ = match joined.mtu {
        Mtu::Fixed(bytes) => writeln!(text, "mtu    = {bytes}"),
        Mtu::Measured => writeln!(text, "mtu    = \"auto\""),
    };
    let _ = writeln!(text, "admins = [\"{admin}\"]");
    let _ = write!(
        text,
        "\n[site.{inviter}]\nid         = {inviter_id}\npublic_key = \"{}\"\nport       = {port}\n",
        token.inviter
    );
    if let Some(door) = &token.door {
        let _ = writeln!(text, "endpoint   = \"{}\"", door.host);
    }
    if joined.inviter_uses {
        let _ = writeln!(text, "exits      = [\"{name}\"]");
    }
    let kind = if joined.uses_inviter { "exits" } else { "links" };
    let _ = write!(text, "\n[site.{name}]\nid         = {id}\npublic_key = \"{key}\"\n");
    if let Some(endpoint) = endpoint {
        let _ = writeln!(text, "endpoint   = \"{endpoint}\"");
    }
    let _ = writeln!(text, "{kind}      = [\"{inviter}\"]");
    text
}
