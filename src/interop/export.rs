//! Conversion of a site into wg-quick files, for a host that does not run portals.

use std::fmt::{Arguments, Write as _};

use zeroize::Zeroizing;

use crate::base::net::{Cidr, Family, IfName, InterfaceAddress, Secret};
use crate::base::sorted::SortedMap;
use crate::config::model::{Name, Network};
use crate::config::site_network6;
use crate::site::{self, PeerKnowledge, SiteTunnel};
use crate::wgquick::{self, InterfaceSection, WgQuickFile};

/// A wg-quick file, which makes one interface.
#[derive(Debug)]
pub struct WgQuickExport {
    /// Name of the interface, and of the file without `.conf`.
    pub interface: IfName,
    /// Content of the file.
    pub config: WgQuickFile,
    comments: Comments,
}

/// Comments for a person, each a line.
#[derive(Debug, Default)]
struct Comments(String);

impl Comments {
    fn say(&mut self, line: Arguments) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# {line}");
    }
}

/// Returns the files of the site `own`. Without the private key, the files contain a placeholder for it.
pub fn files(
    network: &Network,
    own: &str,
    private_key: Option<&Secret>,
    secret: Option<&Secret>,
    phone_keys: &SortedMap<Name, Secret>,
) -> Vec<WgQuickExport> {
    let known = PeerKnowledge { network_secret: secret, phone_keys, resolved: &SortedMap::new() };
    let tunnels = site::tunnels(network, own, &known);
    let mut files = Vec::new();
    for (interface, tunnel) in &tunnels {
        files.push(WgQuickExport {
            interface: interface.clone(),
            config: config(network, own, private_key, tunnel),
            comments: comments(network, own, interface, tunnel),
        });
    }
    files
}

impl WgQuickExport {
    /// Reports whether the file contains a private or pre-shared key.
    pub fn is_secret(&self) -> bool {
        self.config.interface.private_key.is_some()
            || self.config.peers.iter().any(|peer| peer.preshared_key.is_some())
    }

    /// Returns the text of the file, in memory that is wiped when dropped. The comments follow `[Interface]`,
    /// so that a commented setting takes effect once a person removes its `#`.
    pub fn to_text(&self) -> Zeroizing<String> {
        const HEADER: &str = "[Interface]\n";
        let config = self.config.to_text();
        // A String that grows leaves its old memory behind without wiping it.
        let mut text = Zeroizing::new(String::with_capacity(config.len() + self.comments.0.len()));
        for part in [HEADER, &self.comments.0, &config[HEADER.len()..]] {
            text.push_str(part);
        }
        text
    }
}

fn config(network: &Network, own: &str, private_key: Option<&Secret>, tunnel: &SiteTunnel) -> WgQuickFile {
    let mut addresses = vec![InterfaceAddress::host(site::address(network, own))];
    addresses.extend(ipv6(network, own).and_then(|own| own.nth(1)).map(InterfaceAddress::host));
    let interface = InterfaceSection {
        private_key: private_key.cloned(),
        addresses,
        mtu: Some(network.mtu.most()),
        listen_port: Some(tunnel.port),
        ..InterfaceSection::default()
    };
    let ends_here = tunnel.table.is_some() && network.subnet6.is_none();
    let mut peers = Vec::new();
    for (_, peer) in tunnel.ends() {
        let mut allowed_ips: Vec<Cidr> = peer.allowed_ips.iter().copied().collect();
        if ends_here {
            // IPv6 would otherwise leave in the clear; the exit drops it.
            allowed_ips.push(Family::V6.everything());
        }
        peers.push(wgquick::PeerSection {
            public_key: peer.public_key,
            preshared_key: peer.preshared_key.clone(),
            endpoint: peer
                .endpoint
                .as_ref()
                .map(|dialled| wgquick::DialledHost { host: dialled.host.clone(), port: dialled.port }),
            allowed_ips,
            keepalive: peer.keepalive,
        });
    }
    WgQuickFile { interface, peers }
}

/// Returns the IPv6 network of a site, if the network has IPv6.
fn ipv6(network: &Network, own: &str) -> Option<Cidr> {
    site_network6(network.subnet6?.network, network.sites[own].id)
}

fn comments(network: &Network, own: &str, interface: &IfName, tunnel: &SiteTunnel) -> Comments {
    let mut ends = Vec::new();
    for (name, _) in tunnel.ends() {
        ends.push(name.as_str());
    }
    let (name, ends) = (&network.name, ends.join(", "));
    let mut comments = Comments::default();
    comments.say(format_args!("{own} of network {name}, to {ends}; made by `portals export {own}`."));
    comments.say(format_args!("/etc/wireguard/{interface}.conf, mode 600; then: wg-quick up {interface}"));
    let has_ipv6 = network.subnet6.is_some();
    if tunnel.table.is_some() {
        let ipv6 = if has_ipv6 { "" } else { "; IPv6 ends there" };
        comments.say(format_args!("While the interface is up, all traffic of this host goes there{ipv6}."));
    }
    if has_ipv6 {
        comments.say(format_args!(
            "A host without IPv6 cannot set up IPv6 addresses: remove them from Address and AllowedIPs there."
        ));
    } else if tunnel.table.is_some() {
        comments
            .say(format_args!("A host without IPv6 cannot set up ::/0: remove it from AllowedIPs there."));
    }
    for relay in site::relays(network, own, has_ipv6) {
        if relay.incoming == *interface {
            let (from, to) = (relay.source, relay.to);
            comments.say(format_args!(
                "wg-quick cannot lead the traffic from {from} on to {to}: it would leave here instead."
            ));
        }
    }
    as_exit(&mut comments, network, tunnel);
    translations(&mut comments, network, own, tunnel);
    comments
}

/// Adds the commented settings with which the host forwards the traffic of peers that use it as an exit.
fn as_exit(comments: &mut Comments, network: &Network, tunnel: &SiteTunnel) {
    let (mut names, mut sources) = (Vec::new(), Vec::<&Cidr>::new());
    for (name, peer) in tunnel.ends() {
        if peer.exits_here {
            names.push(name.as_str());
            sources.extend(&peer.networks);
        }
    }
    if names.is_empty() {
        return;
    }
    let names = names.join(", ");
    comments
        .say(format_args!("Exit of {names}: remove the # below, so that this host forwards their traffic:"));
    comments.say(format_args!("PostUp = sysctl -q -w net.ipv4.ip_forward=1"));
    let subnet6 = network.subnet6.map(|subnet6| subnet6.network);
    if subnet6.is_some() {
        comments.say(format_args!("PostUp = sysctl -q -w net.ipv6.conf.all.forwarding=1"));
    }
    for source in sources {
        let (program, subnet) = match source.family() {
            Family::V4 => ("iptables", Some(network.subnet)),
            Family::V6 => ("ip6tables", subnet6),
        };
        let inside = subnet.map_or_else(String::new, |subnet| format!(" ! -d {subnet}"));
        for (event, verb) in [("PostUp", "-A"), ("PostDown", "-D")] {
            comments.say(format_args!(
                "{event} = {program} -t nat {verb} POSTROUTING -s {source}{inside} ! -o %i -j MASQUERADE"
            ));
        }
    }
    if subnet6.is_some() {
        comments.say(format_args!(
            "A host that forwards IPv6 ignores router advertisements: if its own IPv6 comes from them, set"
        ));
        comments.say(format_args!("net.ipv6.conf.UPLINK.accept_ra=2 for its uplink."));
    }
}

/// Adds the comments on networks of the site that other sites see as other networks: wg-quick itself does
/// not translate them.
fn translations(comments: &mut Comments, network: &Network, own: &str, tunnel: &SiteTunnel) {
    if tunnel.ends().next().is_none() {
        return;
    }
    let mut heading =
        Some("Remove the # below, so that other sites see networks of this site as the file says:");
    for lan in &network.sites[own].lan {
        let Some((here, seen_as)) = lan.translation() else { continue };
        if here.family() == Family::V6 {
            continue;
        }
        if let Some(heading) = heading.take() {
            comments.say(format_args!("{heading}"));
        }
        for (event, verb) in [("PostUp", "-A"), ("PostDown", "-D")] {
            comments.say(format_args!(
                "{event} = iptables -t nat {verb} PREROUTING -d {seen_as} -i %i -j NETMAP --to {here}"
            ));
            comments.say(format_args!(
                "{event} = iptables -t nat {verb} POSTROUTING -s {here} -o %i -j NETMAP --to {seen_as}"
            ));
        }
    }
}
