//! Checks of the ways by which other sites reach this machine.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::case::Live;
use super::finding::Finding;
use crate::config::model::{EndpointHost, question_port};
use crate::kernel::address;
use crate::nat::is_home_address;
use crate::nat::packet::{ASK, Ask, Header, Message};
use crate::nat::seal::PairKey;
use crate::site::PeerEndpoint;
use crate::state::TUNNEL_MARK;
use crate::system::key_files;

const ENDPOINT: &str = "endpoint";
const PORTS: &str = "ports";

/// Wait for the answer of a helper, and the number of questions to it.
const PATIENCE: (Duration, usize) = (Duration::from_millis(700), 3);

/// Checks that no peer's endpoint is this machine, and that all names have addresses.
pub(super) fn own_endpoint(live: &mut Live, findings: &mut Vec<Finding>) {
    let own = address::list(live.kernel.route()).unwrap_or_default();
    for (_, name, peer) in live.site.peers() {
        let Some(PeerEndpoint { host, port, address }) = &peer.endpoint else { continue };
        let shown = host.to_string();
        let Some(address) = address else {
            findings.push(Finding::wrong(
                ENDPOINT,
                ["The name ", &shown, ", the `endpoint` of ", name, ", has no address."].concat(),
                "This machine cannot dial it; the link waits until the other end dials.",
                ["Correct `endpoint` in [site.", name, "], or see why it is not found: nslookup ", &shown]
                    .concat(),
            ));
            continue;
        };
        if own.iter().any(|entry| entry.address.address == address.ip()) {
            let port = port.to_string();
            findings.push(Finding::wrong(
                ENDPOINT,
                ["The `endpoint` of ", name, ", ", &shown, ", is this machine itself."].concat(),
                "This machine would dial itself, and the link never comes up.",
                [
                    "Write the public address or name of ",
                    name,
                    " into [site.",
                    name,
                    "]. If both are behind one router, it must forward UDP ",
                    &port,
                    " to ",
                    name,
                    ".",
                ]
                .concat(),
            ));
        }
    }
}

/// Names the UDP ports that must reach this machine.
pub(super) fn ports(live: &mut Live, findings: &mut Vec<Finding>) {
    if live.entry().endpoint.is_none() {
        let words = "Other sites do not dial this machine: it has no `endpoint`, and needs no open port.";
        return findings.push(Finding::ok(PORTS, words));
    }
    let Live { site, .. } = live;
    let mut ports = Vec::new();
    for tunnel in site.tunnels.values().filter(|tunnel| tunnel.provider.is_none()) {
        ports.push(tunnel.port);
    }
    ports.extend(site.nat.helper.iter().flat_map(|helper| &helper.ports));
    ports.sort_unstable();
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let ports = ports.join(", ");
    let Some(uplink) = &site.host.uplink else { return };
    let own = uplink.addresses.iter().map(|own| own.address).find(IpAddr::is_ipv4);
    findings.push(match own {
        Some(own) if is_home_address(own) => Finding::note(
            PORTS,
            ["This machine is behind another router: the address of its uplink is ", &own.to_string(), "."]
                .concat(),
            "Other sites dial the `endpoint`, which is that router.",
            ["Forward in that router UDP ", &ports, " to ", &own.to_string(), "."].concat(),
        ),
        _ => Finding::ok(PORTS, ["Other sites dial UDP ", &ports, " of this machine."].concat()),
    });
}

/// Asks other sites under which address they see this machine.
pub(super) fn seen(live: &mut Live, findings: &mut Vec<Finding>) {
    let own = live.entry();
    let Some(endpoint) = own.endpoint.clone() else { return };
    let own_id = own.id;
    let expected = match &endpoint {
        EndpointHost::Address(address) => Some(*address),
        EndpointHost::Name(name) => {
            let resolved = live.files.resolved_name(name);
            if resolved.is_none() {
                findings.push(Finding::wrong(
                    ENDPOINT,
                    ["The name ", name, ", this site's `endpoint`, has no address."].concat(),
                    "Other sites cannot dial this machine.",
                    "Correct `endpoint`, or see to the name where you have it (dynamic DNS).",
                ));
            }
            resolved
        }
    };
    let Some(expected) = expected else { return };
    for (name, site) in &live.files.network.sites {
        let Some(port) = question_port(site.port, site.providers.len()) else { continue };
        let known = live.site.peers().find(|(_, peer, _)| *peer == name);
        let address = match (&site.endpoint, known.and_then(|(_, _, peer)| peer.endpoint.as_ref()?.address)) {
            (Some(EndpointHost::Address(address)), _) => *address,
            (Some(_), Some(known)) => known.ip(),
            _ => continue,
        };
        let Some(key) = PairKey::derive(&live.site.private_key, site.public_key) else { continue };
        if *name == live.site.name || address.is_ipv4() != expected.is_ipv4() {
            continue;
        }
        let Some(seen) = ask(&key, (own_id, site.id), SocketAddr::new(address, port)) else { continue };
        findings.push(if seen.ip() == expected {
            let seen = seen.ip().to_string();
            Finding::ok(ENDPOINT, [name, " sees this machine as ", &seen, ", its `endpoint`."].concat())
        } else {
            let seen = seen.ip().to_string();
            let expected = expected.to_string();
            Finding::wrong(
                ENDPOINT,
                [name, " sees this machine as ", &seen, ", but its `endpoint` is ", &expected, "."].concat(),
                "Other sites dial an address that is no longer, or not only, this machine's.",
                ["Write `endpoint = \"", &seen, "\"`, or better a name that follows the address."].concat(),
            )
        });
        return;
    }
}

/// Asks a helper for the address that it sees; `None` if it does not answer.
fn ask(key: &PairKey, (own, helper): (u8, u8), to: SocketAddr) -> Option<SocketAddr> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // The question leaves by the uplink, as the packets of tunnels do.
    setsockopt(&socket, sockopt::Mark, &TUNNEL_MARK.value).ok()?;
    socket.set_read_timeout(Some(PATIENCE.0)).ok()?;
    let port = socket.local_addr().ok()?.port();
    let mut packet = [0; ASK];
    for _ in 0..PATIENCE.1 {
        // About no link: the helper registers nothing for it.
        let question = Ask {
            peer: helper,
            has_opened: false,
            relay_here: false,
            port,
            peer_port: to.port(),
            cookie: [0; 8],
            addresses: Vec::new(),
        };
        let salt = *key_files::generate().bytes()[8..].first_chunk()?;
        socket.send_to(&key.seal(own, helper, salt, &Message::Ask(question)), to).ok()?;
        let Ok((length, _)) = socket.recv_from(&mut packet) else { continue };
        let packet = packet.get(..length)?;
        let Some(header) = Header::decode(packet) else { continue };
        if let Some(Message::Answer(answer)) = key.open(&header, packet)
            && salt.starts_with(&answer.question)
        {
            return Some(answer.seen);
        }
    }
    None
}
