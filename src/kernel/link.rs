//! Network interfaces: rtnetlink's link messages.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage};
use nix::libc;

use super::attributes::{Attributes, native_number, text_before_zero};
use super::message::{Answer, Decode, LINK_HEADER, LinkRequest, Message, UP};
use super::netlink::{Socket, request};
use crate::error::{Context, Result};
use crate::net::IfName;
use crate::sorted::SortedMap;
use crate::state::{ALIAS_PREFIX, Backend, Link, LinkKind};

/// The interface group (`ip link show group`) of an interface that was made and has not got its alias yet: the kernel
/// ignores an alias at creation, and a crash between the two must not leave a nameless interface. "port" in ASCII.
const UNFINISHED: u32 = 0x706f_7274;

/// The group that every interface is in by default.
const DEFAULT_GROUP: u32 = 0;

/// RTEXT_FILTER_SKIP_STATS (linux/rtnetlink.h)
const WITHOUT_STATISTICS: u32 = 1 << 3;

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
    kind: Option<LinkKind>,
}

impl HostLink {
    /// What it is to us, if we made it. An interface whose making was interrupted has an empty alias.
    pub fn ours(&self) -> Option<Link> {
        let unfinished = self.group == UNFINISHED && self.alias.is_empty();
        if !unfinished && !self.alias.starts_with(ALIAS_PREFIX) {
            return None;
        }
        Some(Link { kind: self.kind?, mtu: self.mtu, alias: self.alias.clone() })
    }
}

/// All interfaces in this network namespace, by name.
pub fn list(socket: &mut Socket) -> Result<SortedMap<IfName, HostLink>> {
    // Their counters would be two thirds of the answer.
    let question = LinkRequest::default().with_number(libc::IFLA_EXT_MASK, WITHOUT_STATISTICS);
    let links: Vec<Answer<HostLink>> = socket
        .dump(Message::new(libc::RTM_GETLINK, &question))
        .doing(|| "cannot list the network interfaces".to_owned())?;
    Ok(links.into_iter().filter_map(|Answer(link)| link).map(|link| (link.name.clone(), link)).collect())
}

impl Decode for HostLink {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = payload.split_at_checked(LINK_HEADER)?;
        let (mut name, mut mtu, mut group, mut alias, mut kind) =
            (None, 0, DEFAULT_GROUP, String::new(), None);
        for (attribute, value) in Attributes::of(attributes).iter() {
            match attribute {
                libc::IFLA_IFNAME => name = text_before_zero(value).parse().ok(),
                libc::IFLA_MTU => mtu = native_number(value)?,
                libc::IFLA_GROUP => group = native_number(value)?,
                libc::IFLA_IFALIAS => text_before_zero(value).clone_into(&mut alias),
                libc::IFLA_LINKINFO => kind = decode_kind(value),
                _ => {}
            }
        }
        let up = native_number(&header[8..])? & UP != 0;
        Some(Self { index: native_number(&header[4..])?, name: name?, up, mtu, group, alias, kind })
    }
}

fn decode_kind(info: &[u8]) -> Option<LinkKind> {
    match text_before_zero(Attributes::of(info).bytes(libc::IFLA_INFO_KIND)?) {
        "wireguard" => Some(LinkKind::WireGuard(Backend::Kernel)),
        "tun" => Some(LinkKind::WireGuard(Backend::BuiltIn)),
        _ => None,
    }
}

/// Makes a WireGuard interface, down, still without the alias: [`finish`] gives it that.
pub fn create_wireguard(name: &IfName, mtu: u32) -> NetlinkMessage<Message> {
    let link = LinkRequest::named(name.as_str())
        .with_number(libc::IFLA_MTU, mtu)
        .with_number(libc::IFLA_GROUP, UNFINISHED)
        .of_kind("wireguard", None);
    request(Message::new(libc::RTM_NEWLINK, &link), NLM_F_CREATE | NLM_F_EXCL)
}

/// Gives an interface all that can be changed about it.
pub fn finish(name: &IfName, link: &Link) -> NetlinkMessage<Message> {
    let link = LinkRequest::named(name.as_str())
        .with_number(libc::IFLA_MTU, link.mtu)
        .with_text(libc::IFLA_IFALIAS, &link.alias)
        .with_number(libc::IFLA_GROUP, DEFAULT_GROUP);
    request(Message::new(libc::RTM_SETLINK, &link), 0)
}

/// Removes an interface.
pub fn remove(name: &IfName) -> NetlinkMessage<Message> {
    request(Message::new(libc::RTM_DELLINK, &LinkRequest::named(name.as_str())), 0)
}

/// Sets an interface up or down.
pub fn set_up(name: &IfName, up: bool) -> NetlinkMessage<Message> {
    request(Message::new(libc::RTM_SETLINK, &LinkRequest::named(name.as_str()).up(up)), 0)
}
