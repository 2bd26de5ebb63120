//! Virtual cables, addresses, routes and kernel settings of namespaces.

use std::fs;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, IpProtocol};
use nix::libc;
use nix::net::if_::if_nametoindex;

use super::namespace::Namespace;
use crate::base::error::{Context as _, Result};
use crate::base::net::{Cidr, Family, InterfaceAddress};
use crate::kernel::message::{LinkRequest, Message};
use crate::kernel::netlink::{Socket, protocols};
use crate::system::disk::kernel_text;

/// Priority of the blackhole rules: right after the kernel's table `local` (0).
const BLACKHOLE_PRIORITY: u32 = 1;

/// Attribute of a veth pair that describes its other end (linux/veth.h).
const VETH_INFO_PEER: u16 = 1;

/// Lays a cable between two namespaces. The interfaces at its ends are created, and stay down.
pub fn connect(one: (&Namespace, &str), other: (&Namespace, &str)) -> Result<()> {
    let namespace = u32::try_from(other.0.network().as_raw_fd()).expect("the number of an open file");
    let peer = LinkRequest::named(other.1).with_number(libc::IFLA_NET_NS_FD, namespace);
    let link = LinkRequest::named(one.1).of_kind("veth", Some(peer.nested(VETH_INFO_PEER)));
    one.0
        .request_inside(&|| Ok(Message::new(libc::RTM_NEWLINK, &link)), NLM_F_CREATE | NLM_F_EXCL)
        .context(|| format!("cannot lay a cable from {} to {}", one.0.name(), other.0.name()))
}

impl Namespace {
    /// Brings an interface up or down.
    pub fn set_up(&self, interface: &str, up: bool) -> Result<()> {
        let link = LinkRequest::named(interface).up(up);
        self.request_inside(&|| Ok(Message::new(libc::RTM_SETLINK, &link)), 0).context(|| {
            format!("cannot set {interface} of {} {}", self.name(), if up { "up" } else { "down" })
        })
    }

    /// Gives an interface an address.
    pub fn add_address(&self, interface: &str, address: InterfaceAddress) -> Result<()> {
        let message = || Ok(Message::new(libc::RTM_NEWADDR, &address_message(interface, address)?));
        self.request_inside(&message, NLM_F_CREATE | NLM_F_EXCL)
            .context(|| format!("cannot give {interface} of {} the address {address}", self.name()))
    }

    /// Removes an address from an interface, and with it the routes that need the address.
    pub fn remove_address(&self, interface: &str, address: InterfaceAddress) -> Result<()> {
        self.request_inside(&|| Ok(Message::new(libc::RTM_DELADDR, &address_message(interface, address)?)), 0)
            .context(|| format!("cannot take the address {address} from {interface} of {}", self.name()))
    }

    /// Adds a route to a network via a gateway.
    pub fn add_route(&self, destination: Cidr, gateway: IpAddr) -> Result<()> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(destination.family()),
            destination_prefix_length: destination.length(),
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Static,
            scope: RouteScope::Universe,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes = vec![
            RouteAttribute::Destination(route_address(destination.address())),
            RouteAttribute::Gateway(route_address(gateway)),
        ];
        self.request_inside(&|| Ok(Message::new(libc::RTM_NEWROUTE, &message)), NLM_F_CREATE | NLM_F_EXCL)
            .context(|| format!("cannot add the route {destination} via {gateway} in {}", self.name()))
    }

    /// Drops the packets that one address sends to another through this host, or lets them pass again.
    pub fn set_blocked(&self, from: IpAddr, to: IpAddr, blocked: bool) -> Result<()> {
        let mut rule = blackhole(Family::of(from));
        rule.header.src_len = Family::of(from).bits();
        rule.header.dst_len = Family::of(to).bits();
        rule.attributes.extend([RuleAttribute::Source(from), RuleAttribute::Destination(to)]);
        let (kind, flags) =
            if blocked { (libc::RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL) } else { (libc::RTM_DELRULE, 0) };
        self.request_inside(&|| Ok(Message::new(kind, &rule)), flags)
            .context(|| format!("cannot block or unblock {from} to {to} in {}", self.name()))
    }

    /// Makes this host ignore ICMP, like a host behind a careless firewall: with `rp_filter` at 1, the kernel
    /// drops packets that have no way back, and this rule leaves ICMP no way back.
    pub fn ignore_icmp(&self) -> Result<()> {
        let mut rule = blackhole(Family::V4);
        rule.attributes.push(RuleAttribute::IpProtocol(IpProtocol::Icmp));
        self.request_inside(&|| Ok(Message::new(libc::RTM_NEWRULE, &rule)), NLM_F_CREATE | NLM_F_EXCL)
            .context(|| format!("cannot make {} ignore ICMP", self.name()))
    }

    /// Writes a kernel setting. `key` is a path below `/proc/sys`.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.run(|| {
            fs::write(format!("/proc/sys/{key}"), value)
                .context(|| format!("cannot set {key} to {value} in {}", self.name()))
        })
    }

    /// Returns a kernel setting. `key` is a path below `/proc/sys`.
    pub fn sysctl(&self, key: &str) -> Result<String> {
        self.run(|| {
            let text = kernel_text(format!("/proc/sys/{key}"))
                .context(|| format!("cannot read {key} in {}", self.name()))?;
            Ok(text.trim().to_owned())
        })
    }

    /// Sends one routing request from inside the namespace. `make` runs there, too: interface numbers are
    /// known only there.
    fn request_inside(&self, make: &(dyn Fn() -> nix::Result<Message> + Sync), flags: u16) -> Result<()> {
        self.run(|| {
            let message = make().context(|| "no such interface".to_owned())?;
            let results = Socket::open(protocols::NETLINK_ROUTE)?.batch(vec![message.with_flags(flags)]);
            results.into_iter().collect::<Result<(), _>>().context(|| "the kernel refused".to_owned())
        })
    }
}

fn address_message(interface: &str, address: InterfaceAddress) -> nix::Result<AddressMessage> {
    let mut message = AddressMessage::default();
    message.header.family = family(Family::of(address.address));
    message.header.prefix_len = address.length;
    message.header.index = if_nametoindex(interface)?;
    // Otherwise, an IPv6 address would be unusable for a second, while the kernel searches for duplicates.
    message.header.flags = AddressHeaderFlags::Nodad;
    message.attributes =
        vec![AddressAttribute::Local(address.address), AddressAttribute::Address(address.address)];
    Ok(message)
}

fn blackhole(of: Family) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = family(of);
    rule.header.action = RuleAction::Blackhole;
    rule.attributes = vec![RuleAttribute::Priority(BLACKHOLE_PRIORITY)];
    rule
}

fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}
