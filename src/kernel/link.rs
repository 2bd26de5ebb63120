//! Network interfaces: rtnetlink's link messages.

use std::collections::BTreeMap;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage};

use super::netlink::{Socket, request};
use crate::error::{Context, Result};
use crate::net::IfName;
use crate::state::{ALIAS_PREFIX, Backend, Link, LinkKind};

/// The interface group (`ip link show group`) of an interface that was made and has not got its alias yet: the kernel
/// ignores an alias at creation, and a crash between the two must not leave a nameless interface. "port" in ASCII.
const UNFINISHED: u32 = 0x706f_7274;

/// The group that every interface is in by default.
const DEFAULT_GROUP: u32 = 0;

/// An interface of this host, whoever made it.
#[derive(Debug, Clone)]
pub struct HostLink {
    /// Number the kernel knows it by; lasts as long as the interface.
    pub index: u32,
    /// Its name.
    pub name: IfName,
    /// Administratively up.
    pub up: bool,
    mtu: u32,
    group: u32,
    alias: String,
    kind: Option<InfoKind>,
}

impl HostLink {
    /// What it is to us, if we made it. An interface whose making was interrupted has an empty alias.
    pub fn ours(&self) -> Option<Link> {
        let unfinished = self.group == UNFINISHED && self.alias.is_empty();
        if !unfinished && !self.alias.starts_with(ALIAS_PREFIX) {
            return None;
        }
        let backend = match self.kind {
            Some(InfoKind::Wireguard) => Backend::Kernel,
            Some(InfoKind::Tun) => Backend::BuiltIn,
            _ => return None,
        };
        Some(Link { kind: LinkKind::WireGuard(backend), mtu: self.mtu, alias: self.alias.clone() })
    }
}

/// All interfaces in this network namespace, by name.
pub fn list(socket: &mut Socket) -> Result<BTreeMap<IfName, HostLink>> {
    let mut message = LinkMessage::default();
    // Their counters would be two thirds of the answer.
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let links = socket
        .dump(RouteNetlinkMessage::GetLink(message))
        .doing(|| "cannot list the network interfaces".to_owned())?;
    let decoded = links.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewLink(link) => decode(link),
        _ => None,
    });
    Ok(decoded.map(|link| (link.name.clone(), link)).collect())
}

fn decode(message: LinkMessage) -> Option<HostLink> {
    let (mut name, mut mtu, mut group, mut alias, mut kind) = (None, 0, DEFAULT_GROUP, String::new(), None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = text.parse().ok(),
            LinkAttribute::Mtu(bytes) => mtu = bytes,
            LinkAttribute::Group(number) => group = number,
            LinkAttribute::IfAlias(text) => alias = text,
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.into_iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    let up = message.header.flags.contains(LinkFlags::Up);
    Some(HostLink { index: message.header.index, name: name?, up, mtu, group, alias, kind })
}

/// Makes a WireGuard interface, down, still without the alias: [`finish`] gives it that.
pub fn create_wireguard(name: &IfName, mtu: u32) -> NetlinkMessage<RouteNetlinkMessage> {
    let attributes = vec![
        LinkAttribute::Mtu(mtu),
        LinkAttribute::Group(UNFINISHED),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Wireguard)]),
    ];
    request(RouteNetlinkMessage::NewLink(named(name, attributes)), NLM_F_CREATE | NLM_F_EXCL)
}

/// Gives an interface all that can be changed about it.
pub fn finish(name: &IfName, link: &Link) -> NetlinkMessage<RouteNetlinkMessage> {
    let attributes = vec![
        LinkAttribute::Mtu(link.mtu),
        LinkAttribute::IfAlias(link.alias.clone()),
        LinkAttribute::Group(DEFAULT_GROUP),
    ];
    request(RouteNetlinkMessage::SetLink(named(name, attributes)), 0)
}

/// Removes an interface.
pub fn remove(name: &IfName) -> NetlinkMessage<RouteNetlinkMessage> {
    request(RouteNetlinkMessage::DelLink(named(name, Vec::new())), 0)
}

/// Sets an interface up or down.
pub fn set_up(name: &IfName, up: bool) -> NetlinkMessage<RouteNetlinkMessage> {
    let mut message = named(name, Vec::new());
    message.header.change_mask = LinkFlags::Up;
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    request(RouteNetlinkMessage::SetLink(message), 0)
}

fn named(name: &IfName, mut attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    attributes.insert(0, LinkAttribute::IfName(name.to_string()));
    message.attributes = attributes;
    message
}
