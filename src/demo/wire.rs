//! Virtual cables, addresses, routes and kernel settings of namespaces.

use std::fs;
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use nix::libc;
use nix::net::if_::if_nametoindex;

use super::namespace::Namespace;
use crate::base::error::{Context as _, Result};
use crate::base::net::{Cidr, Family, InterfaceAddress};
use crate::kernel::address;
use crate::kernel::constant::of_8_bits;
use crate::kernel::message::Message;
use crate::kernel::netlink::{Socket, protocols};
use crate::kernel::rtnetlink::{Request, RoutingHeader};
use crate::kernel::rule::{action, attribute};
use crate::system::disk::kernel_text;

/// Priority of the blackhole rules: right after the kernel's table `local` (0).
const BLACKHOLE_PRIORITY: u32 = 1;

const ICMP: u8 = of_8_bits(libc::IPPROTO_ICMP);

/// Attribute of a veth pair that describes its other end (linux/veth.h).
const VETH_INFO_PEER: u16 = 1;

/// Lays a cable between two namespaces. The interfaces at its ends are created, and stay down.
pub fn connect(one: (&Namespace, &str), other: (&Namespace, &str)) -> Result<()> {
    let namespace = u32::try_from(other.0.network().as_raw_fd()).expect("the number of an open file");
    let peer = Request::link(other.1).with_number(libc::IFLA_NET_NS_FD, namespace);
    let link = || Request::link(one.1).of_kind("veth", Some(peer.nested(VETH_INFO_PEER)));
    one.0
        .request_inside(&|| Ok(link().message(libc::RTM_NEWLINK)), NLM_F_CREATE | NLM_F_EXCL)
        .context(|| format!("cannot lay a cable from {} to {}", one.0.name(), other.0.name()))
}

impl Namespace {
    /// Brings an interface up or down.
    pub fn set_up(&self, interface: &str, up: bool) -> Result<()> {
        let link = || Ok(Request::link_up(interface, up).message(libc::RTM_SETLINK));
        self.request_inside(&link, 0).context(|| {
            format!("cannot set {interface} of {} {}", self.name(), if up { "up" } else { "down" })
        })
    }

    /// Gives an interface an address.
    pub fn add_address(&self, interface: &str, address: InterfaceAddress) -> Result<()> {
        self.request_inside(&|| Ok(address::add(if_nametoindex(interface)?, address)), 0)
            .context(|| format!("cannot give {interface} of {} the address {address}", self.name()))
    }

    /// Removes an address from an interface, and with it the routes that need the address.
    pub fn remove_address(&self, interface: &str, address: InterfaceAddress) -> Result<()> {
        self.request_inside(&|| Ok(address::remove(if_nametoindex(interface)?, address)), 0)
            .context(|| format!("cannot take the address {address} from {interface} of {}", self.name()))
    }

    /// Adds a route to a network via a gateway.
    pub fn add_route(&self, destination: Cidr, gateway: IpAddr) -> Result<()> {
        let header = RoutingHeader {
            family: Some(destination.family()),
            destination_length: destination.length(),
            table: libc::RT_TABLE_MAIN,
            protocol: libc::RTPROT_STATIC,
            scope: libc::RT_SCOPE_UNIVERSE,
            kind: libc::RTN_UNICAST,
            ..RoutingHeader::default()
        };
        let route = || {
            header
                .request()
                .with_address(libc::RTA_DST, destination.address())
                .with_address(libc::RTA_GATEWAY, gateway)
        };
        self.request_inside(&|| Ok(route().message(libc::RTM_NEWROUTE)), NLM_F_CREATE | NLM_F_EXCL)
            .context(|| format!("cannot add the route {destination} via {gateway} in {}", self.name()))
    }

    /// Drops the packets that one address sends to another through this host, or lets them pass again.
    pub fn set_blocked(&self, from: IpAddr, to: IpAddr, blocked: bool) -> Result<()> {
        let header = RoutingHeader {
            source_length: Family::of(from).bits(),
            destination_length: Family::of(to).bits(),
            ..blackhole(Family::of(from))
        };
        let rule = || {
            header
                .request()
                .with_number(attribute::PRIORITY, BLACKHOLE_PRIORITY)
                .with_address(attribute::SOURCE, from)
                .with_address(attribute::DESTINATION, to)
        };
        let (kind, flags) =
            if blocked { (libc::RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL) } else { (libc::RTM_DELRULE, 0) };
        self.request_inside(&|| Ok(rule().message(kind)), flags)
            .context(|| format!("cannot block or unblock {from} to {to} in {}", self.name()))
    }

    /// Makes this host ignore ICMP, like a host behind a careless firewall: with `rp_filter` at 1, the kernel
    /// drops packets that have no way back, and this rule leaves ICMP no way back.
    pub fn ignore_icmp(&self) -> Result<()> {
        let rule = || {
            blackhole(Family::V4)
                .request()
                .with_number(attribute::PRIORITY, BLACKHOLE_PRIORITY)
                .with_byte(attribute::IP_PROTOCOL, ICMP)
        };
        self.request_inside(&|| Ok(rule().message(libc::RTM_NEWRULE)), NLM_F_CREATE | NLM_F_EXCL)
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

fn blackhole(family: Family) -> RoutingHeader {
    RoutingHeader { family: Some(family), kind: action::BLACKHOLE, ..RoutingHeader::default() }
}
