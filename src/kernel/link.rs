//! Network interfaces: rtnetlink's link messages.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NetlinkMessage};
use nix::libc;

use super::attributes::{Attributes, native_number, text_before_zero};
use super::message::{Decode, LINK_HEADER, LinkRequest, Message, UP, attributes};
use super::netlink::{Socket, request};
use crate::base::error::{Context, Result};
use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::site::facts::Sort;
use crate::state::{ALIAS_PREFIX, Backend, Link, LinkKind};

/// The interface group (`ip link show group`) of an interface that was made and has not got its alias yet: the kernel
/// ignores an alias at creation, and a crash between the two must not leave a nameless interface. "port" in ASCII.
const UNFINISHED: u32 = 0x706f_7274;

/// The group that every interface is in by default.
const DEFAULT_GROUP: u32 = 0;

/// What belongs to a VLAN (linux/if_link.h).
const IFLA_VLAN_ID: u16 = 1;
/// `struct ifla_vlan_flags`: flags, and those of them that count.
const IFLA_VLAN_FLAGS: u16 = 2;
/// It does not go down with the interface that carries it (linux/if_vlan.h).
const VLAN_FLAG_LOOSE_BINDING: u32 = 4;

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
    /// In bytes.
    pub mtu: u32,
    /// Its sort.
    pub sort: Sort,
    /// The number of the interface that it is a port of.
    pub master: Option<u32>,
    /// The number of the interface that carries it; none for one in another network namespace.
    pub carrier: Option<u32>,
    group: u32,
    alias: String,
    kind: Option<LinkKind>,
    /// Number of the VLAN, if it is one.
    tag: Option<u16>,
}

impl HostLink {
    /// Somebody's, on nothing and a port of nothing.
    #[cfg(test)]
    pub(crate) fn example(index: u32, name: &str, sort: Sort) -> Self {
        Self {
            index,
            name: name.parse().unwrap(),
            up: true,
            mtu: 1500,
            sort,
            master: None,
            carrier: None,
            group: DEFAULT_GROUP,
            alias: String::new(),
            kind: None,
            tag: None,
        }
    }

    /// What it is to us, if we made it. An interface whose making was interrupted has an empty alias.
    pub fn ours(&self) -> Option<Link> {
        let unfinished = self.group == UNFINISHED && self.alias.is_empty();
        if !unfinished && !self.alias.starts_with(ALIAS_PREFIX) {
            return None;
        }
        Some(Link { kind: self.kind.clone()?, mtu: self.mtu, alias: self.alias.clone() })
    }
}

/// All interfaces in this network namespace, by name.
pub fn list(socket: &mut Socket) -> Result<SortedMap<IfName, HostLink>> {
    // Their counters would be two thirds of the answer.
    let question = LinkRequest::default().with_number(libc::IFLA_EXT_MASK, WITHOUT_STATISTICS);
    let mut links: Vec<HostLink> = socket
        .dump(Message::new(libc::RTM_GETLINK, &question))
        .context(|| "cannot list the network interfaces".to_owned())?;
    name_parents(&mut links);
    Ok(links.into_iter().map(|link| (link.name.clone(), link)).collect())
}

/// The kernel tells which interface carries a VLAN by its number only.
fn name_parents(links: &mut [HostLink]) {
    for at in 0..links.len() {
        if let Some((carrier, id)) = links[at].carrier.zip(links[at].tag) {
            let parent = links.iter().find(|link| link.index == carrier).map(|link| link.name.clone());
            links[at].kind = parent.map(|parent| LinkKind::Vlan { parent, id });
        }
    }
}

impl Decode for HostLink {
    fn decode(payload: &[u8]) -> Option<Self> {
        let (header, attributes) = payload.split_at_checked(LINK_HEADER)?;
        let (mut name, mut mtu, mut group, mut alias, mut kind) =
            (None, 0, DEFAULT_GROUP, String::new(), None);
        let (mut master, mut carrier, mut elsewhere) = (None, None, false);
        let (mut sort, mut tag) = (Sort::Other, None);
        for (attribute, value) in Attributes::of(attributes).iter() {
            match attribute {
                libc::IFLA_IFNAME => name = text_before_zero(value).parse().ok(),
                libc::IFLA_MTU => mtu = native_number(value)?,
                libc::IFLA_GROUP => group = native_number(value)?,
                libc::IFLA_IFALIAS => text_before_zero(value).clone_into(&mut alias),
                libc::IFLA_LINK => carrier = native_number(value),
                libc::IFLA_LINK_NETNSID => elsewhere = true,
                libc::IFLA_MASTER => master = native_number(value),
                libc::IFLA_LINKINFO => {
                    (kind, sort, tag) = (decode_kind(value), decode_sort(value), decode_vlan(value));
                }
                _ => {}
            }
        }
        let up = native_number(&header[8..])? & UP != 0;
        let index = native_number(&header[4..])?;
        let carrier = carrier.filter(|_| !elsewhere);
        Some(Self { index, name: name?, up, mtu, sort, master, carrier, group, alias, kind, tag })
    }
}

fn kind_name(info: &[u8]) -> Option<&str> {
    Attributes::of(info).bytes(libc::IFLA_INFO_KIND).map(text_before_zero)
}

fn decode_sort(info: &[u8]) -> Sort {
    match kind_name(info) {
        Some("vlan") => Sort::Vlan,
        Some("macvlan" | "macvtap" | "ipvlan" | "ipvtap") => Sort::Sharing,
        Some("vrf") => Sort::Vrf,
        Some("bridge") => Sort::Bridge,
        _ => Sort::Other,
    }
}

fn decode_kind(info: &[u8]) -> Option<LinkKind> {
    match kind_name(info)? {
        "wireguard" => Some(LinkKind::WireGuard(Backend::Kernel)),
        "tun" => Some(LinkKind::WireGuard(Backend::BuiltIn)),
        _ => None,
    }
}

fn decode_vlan(info: &[u8]) -> Option<u16> {
    let is_vlan = kind_name(info) == Some("vlan");
    let id = Attributes::of(info).nested(libc::IFLA_INFO_DATA).bytes(IFLA_VLAN_ID).filter(|_| is_vlan)?;
    Some(u16::from_ne_bytes(*id.first_chunk()?))
}

/// Makes a WireGuard interface, down, still without the alias: [`finish`] gives it that.
pub fn create_wireguard(name: &IfName, mtu: u32) -> NetlinkMessage<Message> {
    create(&unfinished(name, mtu).of_kind("wireguard", None))
}

/// The same for a VLAN, on the interface with that number.
pub fn create_vlan(name: &IfName, mtu: u32, parent: u32, id: u16) -> NetlinkMessage<Message> {
    let loose = [VLAN_FLAG_LOOSE_BINDING; 2].map(u32::to_ne_bytes).concat();
    let data = attributes(&[(IFLA_VLAN_ID, &id.to_ne_bytes()), (IFLA_VLAN_FLAGS, &loose)]);
    create(&unfinished(name, mtu).with_number(libc::IFLA_LINK, parent).of_kind("vlan", Some(data)))
}

fn unfinished(name: &IfName, mtu: u32) -> LinkRequest {
    LinkRequest::named(name.as_str())
        .with_number(libc::IFLA_MTU, mtu)
        .with_number(libc::IFLA_GROUP, UNFINISHED)
}

fn create(link: &LinkRequest) -> NetlinkMessage<Message> {
    request(Message::new(libc::RTM_NEWLINK, link), NLM_F_CREATE | NLM_F_EXCL)
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
