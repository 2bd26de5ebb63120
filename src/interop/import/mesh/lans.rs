//! Networks behind the boxes of a mesh.
//!
//! If a file sends a private network to another box, that network is behind the box, unless the box itself
//! sends the network on. Every case that leaves a doubt becomes a remark: a wrong `lan` would lead packets
//! astray.

use std::net::IpAddr;

use super::super::ipv6::is_v6;
use super::boxes::MeshBox;
use crate::base::error::Error;
use crate::base::net::Cidr;

/// Largest number of networks behind all boxes together: each is compared with every other.
const MOST_LANS: usize = 1000;

/// Place of a network that a file sends to another box.
enum Place {
    /// Tunnel addresses, or a network that the box sends on to another box, whose `lan` it may be.
    Elsewhere,
    /// Network behind the box.
    Behind,
    /// Not clear; the reason follows the network in a sentence.
    Unclear(&'static str),
}

/// Finds the networks behind each box.
pub(super) fn find(
    boxes: &mut [MeshBox],
    has_ipv6: bool,
    left_out: &mut Vec<String>,
    errors: &mut Vec<Error>,
) {
    let mut claims: Vec<(usize, Cidr)> = Vec::new();
    for (sender, own) in boxes.iter().enumerate() {
        for (target, peer) in &own.peers {
            for network in peer.allowed_ips.iter().copied().filter(|own| has_ipv6 || !is_v6(own)) {
                match place(boxes, sender, *target, network) {
                    Place::Elsewhere => {}
                    Place::Behind if claims.contains(&(*target, network)) => {}
                    Place::Behind => claims.push((*target, network)),
                    Place::Unclear(why) => left_out.push(format!(
                        "{}: `AllowedIPs` {network} of {}: {why}",
                        own.name, boxes[*target].name
                    )),
                }
                if claims.len() > MOST_LANS {
                    errors.push(Error::wrong(format!(
                        "more than {MOST_LANS} networks in `AllowedIPs` are behind these boxes: write larger \
                         networks there"
                    )));
                    return;
                }
            }
        }
    }
    for (target, network) in &claims {
        let overlapping = |claim: &&(usize, Cidr)| claim.0 != *target && claim.1.overlaps(*network);
        let covers =
            |claim: &(usize, Cidr)| claim.0 == *target && claim.1 != *network && claim.1.covers(*network);
        if let Some((other, _)) = claims.iter().find(overlapping) {
            left_out.push(format!(
                "{}: network {network}, of which {} has addresses, too: `lan = [\"{network} as …\"]` shares \
                 it under other addresses",
                boxes[*target].name, boxes[*other].name
            ));
        } else if !claims.iter().any(covers) {
            boxes[*target].lan.push(*network);
        }
    }
}

/// Returns the place of a network that the box `sender` sends to the box `target`.
fn place(boxes: &[MeshBox], sender: usize, target: usize, network: Cidr) -> Place {
    // Halves of everything, which make an exit.
    if network.length() <= 1 {
        return Place::Elsewhere;
    }
    let is_single = network == Cidr::host(network.address());
    if is_single && boxes[target].parsed.config.interface.addresses.is_empty() {
        return Place::Elsewhere;
    }
    let gathers = network.length() < if is_v6(&network) { 48 } else { 16 };
    for own in boxes {
        for address in &own.parsed.config.interface.addresses {
            if network.contains(address.address) {
                let why = "it holds the tunnel addresses, and maybe other networks; write those in `lan`";
                return if gathers { Place::Unclear(why) } else { Place::Elsewhere };
            }
            if address.network().covers(network) {
                let why = "it is a part of the old tunnel network; if it is a LAN, write it in `lan`";
                return if is_single { Place::Elsewhere } else { Place::Unclear(why) };
            }
        }
    }
    if !is_private(network.address()) || !is_private(network.last()) {
        if boxes[sender].exit == Some(target) {
            return Place::Elsewhere;
        }
        return Place::Unclear("it is not a private network; `to` of a portal names such destinations");
    }
    onward(boxes, sender, target, network)
}

/// Returns the place of a private network that the box `target` may send on.
fn onward(boxes: &[MeshBox], sender: usize, target: usize, network: Cidr) -> Place {
    for peer in &boxes[target].parsed.config.peers {
        let overlaps = |other: &&Cidr| other.length() > 1 && other.overlaps(network);
        let Some(other) = peer.allowed_ips.iter().find(overlaps) else { continue };
        let is_box = |own: &MeshBox| own.public_key == peer.public_key;
        let goes_on = boxes.iter().any(is_box) && !is_box(&boxes[sender]);
        return if goes_on && other.covers(network) {
            Place::Elsewhere
        } else {
            Place::Unclear("it sends these addresses on, or a part of them; write its own networks in `lan`")
        };
    }
    Place::Behind
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}
