//! Boxes of a mesh: their names, the links between them, and their phones.

use std::net::IpAddr;
use std::path::Path;

use super::super::{ipv6::is_all, usable_name, v4};
use super::{MeshFile, MeshSite};
use crate::base::error::Error;
use crate::base::keys;
use crate::base::net::{Cidr, PublicKey, Secret, are_all_ipv4};
use crate::config::model::{EndpointHost, MOST_PHONES, Name};
use crate::wgquick::{DialledHost, Parsed, PeerSection};

/// Largest number of sites in a network.
const MOST_SITES: usize = 250;

/// Box with its file, and its site in the making.
pub(super) struct MeshBox<'a> {
    pub(super) path: &'a Path,
    pub(super) parsed: &'a Parsed,
    pub(super) name: Name,
    pub(super) id: u8,
    private_key: &'a Secret,
    pub(super) public_key: PublicKey,
    /// Peers that are other boxes, by their place in the list of all boxes.
    pub(super) peers: Vec<(usize, &'a PeerSection)>,
    /// Peers that are no box.
    others: Vec<&'a PeerSection>,
    pub(super) endpoint: Option<&'a EndpointHost>,
    pub(super) port: Option<u16>,
    /// Box through which this one leaves.
    pub(super) exit: Option<usize>,
    /// Boxes that this one is linked to, and that do not list the link themselves.
    pub(super) links: Vec<usize>,
    pub(super) lan: Vec<Cidr>,
    pub(super) phones: Vec<MeshPhone<'a>>,
    /// Peers that become neither site nor phone.
    pub(super) strangers: Vec<&'a PeerSection>,
}

/// Phone that dials a box.
pub(super) struct MeshPhone<'a> {
    pub(super) id: u8,
    pub(super) peer: &'a PeerSection,
    /// Address of the phone in the old network.
    pub(super) address: IpAddr,
}

impl<'a> MeshBox<'a> {
    /// Returns the name of the file with the pre-shared key of a phone.
    pub(super) fn key_file(phone: &MeshPhone) -> String {
        format!("phone-{}.psk", phone.id)
    }

    /// Reports whether the file of this box names the box at `index`.
    pub(super) fn names(&self, index: usize) -> bool {
        self.peers.iter().any(|(other, _)| *other == index)
    }

    pub(super) fn site(&self) -> MeshSite<'a> {
        let mut preshared_keys = Vec::new();
        for phone in &self.phones {
            if let Some(key) = &phone.peer.preshared_key {
                preshared_keys.push((Self::key_file(phone), key));
            }
        }
        MeshSite { name: self.name.clone(), private_key: self.private_key, preshared_keys }
    }
}

/// Returns the boxes, with their peers sorted into boxes and others.
pub(super) fn of_files<'a>(files: &[MeshFile<'a>], errors: &mut Vec<Error>) -> Vec<MeshBox<'a>> {
    if files.len() > MOST_SITES {
        errors.push(Error::wrong("more than 250 files: a network has at most 250 sites"));
    }
    let mut boxes: Vec<MeshBox> = Vec::new();
    for (file, id) in files.iter().zip(1..=250) {
        let own = new_box(file, id);
        if own.name.is_empty() || own.name == "direct" {
            errors.push(Error::wrong(format!(
                "{}: a site cannot have the name of this file: name the file after its box, such as nyc.conf",
                own.path.display()
            )));
        }
        for other in &boxes {
            if other.public_key == own.public_key {
                errors.push(both(other, &own, "have the same `PrivateKey`: give one file for each box"));
            } else if other.name == own.name && !own.name.is_empty() {
                errors.push(both(
                    other,
                    &own,
                    "would both be the site of this name: name each file after its box, such as nyc.conf, \
                     with up to 12 of a-z, 0-9 and - before the dot",
                ));
            }
        }
        boxes.push(own);
    }
    let keys: Vec<PublicKey> = boxes.iter().map(|own| own.public_key).collect();
    for own in &mut boxes {
        for peer in &own.parsed.config.peers {
            match keys.iter().position(|key| *key == peer.public_key) {
                Some(index) => own.peers.push((index, peer)),
                None => own.others.push(peer),
            }
        }
    }
    boxes
}

fn new_box<'a>(file: &MeshFile<'a>, id: u8) -> MeshBox<'a> {
    let interface = &file.parsed.config.interface;
    let private_key = interface.private_key.as_ref().expect("a file that was read has one");
    MeshBox {
        path: file.path,
        parsed: file.parsed,
        name: usable_name(&file.path.file_stem().unwrap_or_default().to_string_lossy()),
        id,
        private_key,
        public_key: keys::public_key(private_key),
        peers: Vec::new(),
        others: Vec::new(),
        endpoint: None,
        port: interface.listen_port,
        exit: None,
        links: Vec::new(),
        lan: Vec::new(),
        phones: Vec::new(),
        strangers: Vec::new(),
    }
}

/// Returns the error of two files.
fn both(one: &MeshBox, other: &MeshBox, what: &str) -> Error {
    Error::wrong(format!("{} and {} {what}", one.path.display(), other.path.display()))
}

/// Finds links, exits, endpoints and ports.
pub(super) fn connect(boxes: &mut [MeshBox], notes: &mut Vec<String>, errors: &mut Vec<Error>) {
    for index in 0..boxes.len() {
        boxes[index].exit = exit(&boxes[index]);
        dial(boxes, index, notes);
        if boxes[index].peers.is_empty() && !boxes.iter().any(|other| other.names(index)) {
            errors.push(Error::wrong(format!(
                "{}: no other file has this box as a peer, and this file has none of the others: leave it \
                 out, or add the files of the boxes that it is linked to",
                boxes[index].path.display()
            )));
        }
    }
    if errors.is_empty() && boxes.iter().all(|own| own.endpoint.is_none()) {
        errors.push(Error::wrong(
            "no file has an `Endpoint` for one of the other boxes, so none can dial another: add `Endpoint = \
             HOST:PORT` to the `[Peer]` of a box that the others can reach",
        ));
    }
    for one in 0..boxes.len() {
        for other in one + 1..boxes.len() {
            link(boxes, one, other, notes);
        }
    }
}

/// Links two boxes, unless an exit links them already.
fn link(boxes: &mut [MeshBox], one: usize, other: usize, notes: &mut Vec<String>) {
    let (forth, back) = (boxes[one].names(other), boxes[other].names(one));
    if !forth && !back {
        return;
    }
    if boxes[one].exit != Some(other) && boxes[other].exit != Some(one) {
        boxes[one].links.push(other);
    }
    if forth != back {
        let (naming, silent) = if forth { (one, other) } else { (other, one) };
        notes.push(format!(
            "{} and {}: only the file of {0} names the other, and a tunnel needs both; here they are linked",
            boxes[naming].name, boxes[silent].name
        ));
    }
}

/// Returns the box to which this one sends everything. If it sends everything to several peers, the last
/// one gets it, as in the kernel.
fn exit(own: &MeshBox) -> Option<usize> {
    let is_exit = |peer: &&PeerSection| are_all_ipv4(&peer.allowed_ips) || is_all(&peer.allowed_ips);
    let last = own.parsed.config.peers.iter().rev().find(is_exit)?;
    own.peers.iter().find(|(_, peer)| peer.public_key == last.public_key).map(|(index, _)| *index)
}

/// Finds the host and the port at which the other boxes dial the one at `index`.
fn dial(boxes: &mut [MeshBox], index: usize, notes: &mut Vec<String>) {
    let mut dialled: Vec<(usize, &DialledHost)> = Vec::new();
    for (other, dialling) in boxes.iter().enumerate() {
        for (_, peer) in dialling.peers.iter().filter(|(target, _)| *target == index) {
            dialled.extend(peer.endpoint.as_ref().map(|endpoint| (other, endpoint)));
        }
    }
    let is_public = |entry: &&(usize, &DialledHost)| !is_local(&entry.1.host);
    let Some((_, chosen)) = dialled.iter().find(is_public).or(dialled.first()).copied() else { return };
    let is_taken = |port: u16| {
        let earlier = &boxes[..index];
        earlier.iter().any(|other| other.endpoint == Some(&chosen.host) && other.port == Some(port))
    };
    // Behind one router, several boxes may listen on the same port.
    let port = boxes[index].port.filter(|port| !is_taken(*port)).unwrap_or(chosen.port);
    let name = &boxes[index].name;
    for (dialling, endpoint) in &dialled {
        let dialling = &boxes[*dialling].name;
        if endpoint.host != chosen.host {
            notes.push(format!("{name}: its endpoint is {}; {dialling} dialled {endpoint}", chosen.host));
        } else if endpoint.port != port {
            notes.push(format!(
                "{name}: it listens on port {port}, but {dialling} dialled {endpoint}: portals uses one \
                 number for both, so a router in front must forward port {port} to the same port"
            ));
        }
    }
    boxes[index].endpoint = Some(&chosen.host);
    boxes[index].port = Some(port);
}

/// Reports whether a host is an address of a private network, which other boxes may be unable to reach.
fn is_local(host: &EndpointHost) -> bool {
    match host {
        EndpointHost::Address(IpAddr::V4(v4)) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        EndpointHost::Address(IpAddr::V6(v6)) => v6.is_unique_local() || v6.is_unicast_link_local(),
        EndpointHost::Name(_) => false,
    }
}

/// Sorts the peers that are no box into phones and strangers.
pub(super) fn take_in_phones(boxes: &mut [MeshBox], left_out: &mut Vec<String>) {
    let mut phones: Vec<PublicKey> = Vec::new();
    let mut is_full = false;
    for own in boxes {
        for peer in std::mem::take(&mut own.others) {
            let Some(address) = phone_address(peer) else {
                own.strangers.push(peer);
                continue;
            };
            let is_known = phones.contains(&peer.public_key);
            if is_known || phones.len() >= usize::from(MOST_PHONES) {
                is_full |= !is_known;
                own.strangers.push(peer);
                continue;
            }
            phones.push(peer.public_key);
            let id = u8::try_from(phones.len()).expect("at most 62");
            own.phones.push(MeshPhone { id, peer, address });
        }
    }
    if is_full {
        left_out.push(format!("a network has at most {MOST_PHONES} phones, so others are left out"));
    }
}

/// Returns the address of a peer that dials the box and has a single IPv4 address.
fn phone_address(peer: &PeerSection) -> Option<IpAddr> {
    let is_single = |network: &Cidr| network.length() == network.family().bits();
    let networks = v4(&peer.allowed_ips);
    let [network] = networks.as_slice() else { return None };
    let is_phone = peer.endpoint.is_none() && peer.allowed_ips.iter().all(is_single);
    is_phone.then(|| network.address())
}
