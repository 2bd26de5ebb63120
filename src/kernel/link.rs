//! Network interfaces: rtnetlink's link messages.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use nix::libc;

use super::attributes::{AttributeWriter, Attributes, native_number, text_before_zero};
use super::constant::of_16_bits;
use super::message::{Decode, Message};
use super::netlink::Socket;
use super::rtnetlink::{LinkHeader, RUNNING, Request, UP};
use crate::base::error::{Context, Result};
use crate::base::net::IfName;
use crate::base::sorted::SortedMap;
use crate::site::facts::LinkSort;
use crate::state::{ALIAS_PREFIX, Link, LinkKind, WireGuardBackend};

/// Interface group (`ip link show group`) of a new interface without its alias: "port" in ASCII. The kernel
/// ignores an alias at creation, and a crash before the alias is set must not leave an interface that we do
/// not recognise.
const UNFINISHED: u32 = 0x706f_7274;

/// Interface group of every interface by default.
const DEFAULT_GROUP: u32 = 0;

/// Number of a VLAN (linux/if_link.h).
const IFLA_VLAN_ID: u16 = 1;
/// Flags of a VLAN, and the mask of the flags that count: `struct ifla_vlan_flags` of linux/if_link.h.
const IFLA_VLAN_FLAGS: u16 = 2;
/// Flag of a VLAN that does not go down with the interface that carries it (linux/if_vlan.h).
const VLAN_FLAG_LOOSE_BINDING: u32 = 4;

/// Settings for IPv6 (linux/if_link.h): a list of 32-bit numbers at these places (linux/ipv6.h).
const IFLA_INET6_CONF: u16 = 2;
const DEVCONF_FORWARDING: usize = 0;
const DEVCONF_ACCEPT_RA: usize = 3;
const DEVCONF_DISABLE_IPV6: usize = 26;

const WITHOUT_STATISTICS: u32 = libc::RTEXT_FILTER_SKIP_STATS.cast_unsigned();

/// An interface of this host, ours or not.
#[derive(Debug, Clone)]
pub struct HostLink {
    /// Number of the interface in the kernel, as long as the interface exists.
    pub index: u32,
    /// Name of the interface.
    pub name: IfName,
    /// Administrative state: up or down.
    pub up: bool,
    /// Ability to carry packets: the cable is plugged in, or the radio is connected.
    pub is_running: bool,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Sort of the interface.
    pub sort: LinkSort,
    /// Number of the interface that has this one as a port.
    pub master: Option<u32>,
    /// Number of the interface that carries this one; `None` if that is in another network namespace.
    pub carrier: Option<u32>,
    /// Settings for IPv6, if the interface has it.
    pub ipv6: Option<Ipv6Settings>,
    group: u32,
    alias: String,
    kind: Option<LinkKind>,
    /// Number of the VLAN, if the interface is one.
    tag: Option<u16>,
}

/// Settings of an interface for IPv6, as in `/proc/sys/net/ipv6/conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Settings {
    /// IPv6 is switched off: `disable_ipv6` is 1.
    pub is_off: bool,
    /// This host listens to router advertisements: `accept_ra` is 2, or it is 1 and the host forwards no IPv6
    /// from there (Documentation/networking/ip-sysctl.rst).
    pub hears_advertisements: bool,
}

impl Ipv6Settings {
    /// Returns the settings with the values of `disable_ipv6`, `accept_ra` and `forwarding`.
    pub fn new([disable_ipv6, accept_ra, forwarding]: [i32; 3]) -> Self {
        let hears_advertisements = accept_ra == 2 || accept_ra == 1 && forwarding == 0;
        Self { is_off: disable_ipv6 == 1, hears_advertisements }
    }

    /// Reads the settings from the part of a link message about families of addresses.
    fn decode(families: &[u8]) -> Option<Self> {
        let values = Attributes::of(families).nested(of_16_bits(libc::AF_INET6)).bytes(IFLA_INET6_CONF)?;
        let number = |place: usize| values.get(4 * place..)?.first_chunk().copied().map(i32::from_ne_bytes);
        Some(Self::new([
            number(DEVCONF_DISABLE_IPV6)?,
            number(DEVCONF_ACCEPT_RA)?,
            number(DEVCONF_FORWARDING)?,
        ]))
    }
}

/// A snapshot of all interfaces in a network namespace, by name. A caller that looks at the host several
/// times in a row takes one snapshot, and hands it on: a hundred interfaces are a hundred kilobytes of
/// answers.
pub type Links = SortedMap<IfName, HostLink>;

impl HostLink {
    /// Returns an interface that is not ours, on no other interface and a port of none.
    #[cfg(test)]
    pub(crate) fn example(index: u32, name: &str, sort: LinkSort) -> Self {
        Self {
            index,
            name: name.parse().unwrap(),
            up: true,
            is_running: true,
            mtu: 1500,
            sort,
            master: None,
            carrier: None,
            ipv6: None,
            group: DEFAULT_GROUP,
            alias: String::new(),
            kind: None,
            tag: None,
        }
    }

    /// Reports whether this is a WireGuard or tun interface, ours or not.
    pub fn is_tunnel(&self) -> bool {
        matches!(self.kind, Some(LinkKind::WireGuard(_)))
    }

    /// Returns the interface in our terms, if we made it. An interface whose creation was interrupted has an
    /// empty alias.
    pub fn ours(&self) -> Option<Link> {
        let unfinished = self.group == UNFINISHED && self.alias.is_empty();
        if !unfinished && !self.alias.starts_with(ALIAS_PREFIX) {
            return None;
        }
        Some(Link { kind: self.kind.clone()?, mtu: self.mtu, alias: self.alias.clone() })
    }
}

/// Lists all interfaces in this network namespace, by name.
pub fn list(socket: &mut Socket) -> Result<Links> {
    // The counters would be two thirds of the answer.
    let question = LinkHeader::default().request().with_number(libc::IFLA_EXT_MASK, WITHOUT_STATISTICS);
    let mut links: Vec<HostLink> = socket
        .dump(question.message(libc::RTM_GETLINK))
        .context(|| "cannot list the network interfaces".to_owned())?;
    name_parents(&mut links);
    let mut by_name = Links::new();
    for link in links {
        by_name.insert(link.name.clone(), link);
    }
    Ok(by_name)
}

/// Fills in the names of interfaces that carry VLANs: the kernel tells only their numbers.
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
        let (LinkHeader { index, flags, .. }, attributes) = LinkHeader::split(payload)?;
        let (mut name, mut mtu, mut group, mut alias, mut kind) =
            (None, 0, DEFAULT_GROUP, String::new(), None);
        let (mut master, mut carrier, mut elsewhere) = (None, None, false);
        let (mut sort, mut tag, mut ipv6) = (LinkSort::Other, None, None);
        for (attribute, value) in attributes.iter() {
            match attribute {
                libc::IFLA_IFNAME => name = text_before_zero(value).parse().ok(),
                libc::IFLA_MTU => mtu = native_number(value)?,
                libc::IFLA_GROUP => group = native_number(value)?,
                libc::IFLA_IFALIAS => text_before_zero(value).clone_into(&mut alias),
                libc::IFLA_LINK => carrier = native_number(value),
                libc::IFLA_LINK_NETNSID => elsewhere = true,
                libc::IFLA_AF_SPEC => ipv6 = Ipv6Settings::decode(value),
                libc::IFLA_MASTER => master = native_number(value),
                libc::IFLA_LINKINFO => {
                    (kind, sort, tag) = (decode_kind(value), decode_sort(value), decode_vlan(value));
                }
                _ => {}
            }
        }
        let (up, is_running) = (flags & UP != 0, flags & RUNNING != 0);
        let carrier = carrier.filter(|_| !elsewhere);
        Some(Self {
            index,
            name: name?,
            up,
            is_running,
            mtu,
            sort,
            master,
            carrier,
            ipv6,
            group,
            alias,
            kind,
            tag,
        })
    }
}

fn kind_name(info: &[u8]) -> Option<&str> {
    Attributes::of(info).bytes(libc::IFLA_INFO_KIND).map(text_before_zero)
}

fn decode_sort(info: &[u8]) -> LinkSort {
    match kind_name(info) {
        Some("vlan") => LinkSort::Vlan,
        Some("macvlan" | "macvtap" | "ipvlan" | "ipvtap") => LinkSort::Sharing,
        Some("vrf") => LinkSort::Vrf,
        Some("bridge") => LinkSort::Bridge,
        _ => LinkSort::Other,
    }
}

fn decode_kind(info: &[u8]) -> Option<LinkKind> {
    match kind_name(info)? {
        "wireguard" => Some(LinkKind::WireGuard(WireGuardBackend::Kernel)),
        "tun" => Some(LinkKind::WireGuard(WireGuardBackend::BuiltIn)),
        _ => None,
    }
}

fn decode_vlan(info: &[u8]) -> Option<u16> {
    let is_vlan = kind_name(info) == Some("vlan");
    let id = Attributes::of(info).nested(libc::IFLA_INFO_DATA).bytes(IFLA_VLAN_ID).filter(|_| is_vlan)?;
    Some(u16::from_ne_bytes(*id.first_chunk()?))
}

/// Returns the request that makes a WireGuard interface, down and without its alias, which [`finish`] sets.
pub fn create_wireguard(name: &IfName, mtu: u32) -> Message {
    create(unfinished(name, mtu).of_kind("wireguard", None))
}

/// Returns the request that makes a VLAN on the interface with the number `parent`, down and without its
/// alias, which [`finish`] sets.
pub fn create_vlan(name: &IfName, mtu: u32, parent: u32, id: u16) -> Message {
    let loose = [VLAN_FLAG_LOOSE_BINDING; 2].map(u32::to_ne_bytes).concat();
    let mut data = AttributeWriter::default();
    data.bytes(IFLA_VLAN_ID, &id.to_ne_bytes());
    data.bytes(IFLA_VLAN_FLAGS, &loose);
    create(unfinished(name, mtu).with_number(libc::IFLA_LINK, parent).of_kind("vlan", Some(data.finish())))
}

fn unfinished(name: &IfName, mtu: u32) -> Request {
    Request::link(name.as_str()).with_number(libc::IFLA_MTU, mtu).with_number(libc::IFLA_GROUP, UNFINISHED)
}

fn create(link: Request) -> Message {
    link.message(libc::RTM_NEWLINK).with_flags(NLM_F_CREATE | NLM_F_EXCL)
}

/// Returns the request that sets everything about an interface that can be changed.
pub fn finish(name: &IfName, link: &Link) -> Message {
    Request::link(name.as_str())
        .with_number(libc::IFLA_MTU, link.mtu)
        .with_text(libc::IFLA_IFALIAS, link.alias.as_str())
        .with_number(libc::IFLA_GROUP, DEFAULT_GROUP)
        .message(libc::RTM_SETLINK)
}

/// Returns the request that removes an interface.
pub fn remove(name: &IfName) -> Message {
    Request::link(name.as_str()).message(libc::RTM_DELLINK)
}

/// Returns the request that sets an interface up or down.
pub fn set_up(name: &IfName, up: bool) -> Message {
    Request::link_up(name.as_str(), up).message(libc::RTM_SETLINK)
}
