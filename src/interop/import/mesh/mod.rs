//! Conversion of the wg-quick files of several boxes into one network.
//!
//! Each file becomes a site. A peer with the key of another file becomes a link or an exit; a peer with a
//! single address that dials the box becomes a phone. Names, addresses and ports follow from the order of the
//! files.

mod boxes;
mod lans;
mod notes;
mod text;

use std::path::Path;

use super::ipv6::{self, has_v6, is_v6};
use super::{MTUS, first_free_subnet, v4};
use crate::base::error::{Error, Errors, Result};
use crate::base::net::{Cidr, Secret};
use crate::config::model::Name;
use crate::wgquick::Parsed;
use boxes::MeshBox;

/// wg-quick file of a box.
#[derive(Debug, Clone, Copy)]
pub struct MeshFile<'a> {
    /// Path of the file, for its site's name and for messages.
    pub path: &'a Path,
    /// Content of the file; it has a private key.
    pub parsed: &'a Parsed,
}

/// Settings of the network file that the wg-quick files do not contain.
#[derive(Debug, Clone, Copy)]
pub struct MeshWishes<'a> {
    /// Name of the network.
    pub network: &'a str,
    /// Subnet for tunnel addresses and portal LANs, if given.
    pub subnet: Option<Cidr>,
    /// IPv6 subnet for tunnel addresses and portal LANs, if given.
    pub subnet6: Option<Cidr>,
}

/// Network of several boxes.
#[derive(Debug)]
pub struct Mesh<'a> {
    /// Text of the network file, which is not checked yet.
    pub text: String,
    /// Sites, in the order of the files.
    pub sites: Vec<MeshSite<'a>>,
}

/// Site of a mesh, and its secrets.
#[derive(Debug)]
pub struct MeshSite<'a> {
    /// Name of the site.
    pub name: Name,
    /// Private key of the site.
    pub private_key: &'a Secret,
    /// Pre-shared keys of phones that dial the site, with the names of their files next to the network file.
    pub preshared_keys: Vec<(String, &'a Secret)>,
}

/// Network file in the making.
struct Draft<'a> {
    network: &'a str,
    subnet: Cidr,
    subnet6: Option<Cidr>,
    mtu: Option<u32>,
    boxes: Vec<MeshBox<'a>>,
    /// Remarks on the network that differs from the old one.
    changes: Vec<String>,
    /// Remarks on everything that is not carried over.
    left_out: Vec<String>,
}

/// Returns the network of several boxes, or everything that is wrong with their files.
pub fn mesh<'a>(files: &[MeshFile<'a>], wishes: &MeshWishes<'a>) -> Result<Mesh<'a>, Errors> {
    let mut errors = Vec::new();
    let mut boxes = boxes::of_files(files, &mut errors);
    let mut notes = Vec::new();
    boxes::connect(&mut boxes, &mut notes, &mut errors);
    let mut left_out = Vec::new();
    let mtu = smallest_mtu(&boxes, &mut left_out);
    let subnet6 = subnet6(&boxes, wishes, mtu);
    lans::find(&mut boxes, subnet6.is_some(), &mut left_out, &mut errors);
    boxes::take_in_phones(&mut boxes, &mut left_out);
    let subnet = wishes.subnet.or_else(|| first_free_subnet(&used(&boxes)));
    if subnet.is_none() {
        errors.push(Error::wrong(
            "the networks in these files overlap each of 10.77.0.0/16 to 10.255.0.0/16: name another private \
             network for the tunnels, such as --subnet 172.31.0.0/16",
        ));
    }
    let Some(subnet) = subnet.filter(|_| errors.is_empty()) else { return Err(Errors::all(errors)) };
    let mut draft = Draft { network: wishes.network, subnet, subnet6, mtu, boxes, changes: notes, left_out };
    notes::add(&mut draft);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = text::write(&mut text, &draft);
    let mut sites = Vec::new();
    for own in &draft.boxes {
        sites.push(own.site());
    }
    Ok(Mesh { text, sites })
}

/// Returns the smallest MTU in the files, if the tunnels of a network may have it.
fn smallest_mtu(boxes: &[MeshBox], left_out: &mut Vec<String>) -> Option<u32> {
    let mtu = boxes.iter().filter_map(|own| own.parsed.config.interface.mtu).min()?;
    if MTUS.contains(&mtu) {
        return Some(mtu);
    }
    left_out.push(super::left_out::wrong_mtu(mtu));
    None
}

/// Returns the `subnet6` with which the links carry IPv6; `None` if they carry none, or if the MTU is too
/// small for IPv6, and none is wished for.
fn subnet6(boxes: &[MeshBox], wishes: &MeshWishes, mtu: Option<u32>) -> Option<Cidr> {
    let carries = |own: &MeshBox| {
        has_v6(&own.parsed.config.interface.addresses)
            && own.peers.iter().any(|(_, peer)| peer.allowed_ips.iter().any(is_v6))
    };
    let is_on = mtu.is_none_or(|mtu| mtu >= 1280) && boxes.iter().any(carries);
    wishes.subnet6.or_else(|| is_on.then(|| ipv6::of_key(boxes[0].public_key)))
}

/// Returns the networks that the tunnels must leave alone: addresses of the boxes, and networks behind them.
fn used(boxes: &[MeshBox]) -> Vec<Cidr> {
    let mut used = Vec::new();
    for own in boxes {
        used.extend(own.parsed.config.interface.addresses.iter().map(|address| address.network()));
        used.extend(&own.lan);
        for peer in &own.parsed.config.peers {
            // A larger network gathers several networks, and need not be in use itself.
            used.extend(v4(&peer.allowed_ips).into_iter().filter(|network| network.length() > 8));
        }
    }
    used
}

#[cfg(test)]
mod tests;
