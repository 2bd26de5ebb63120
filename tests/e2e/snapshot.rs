//! All that a kernel says of a network namespace, to be compared with what it says later.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use netlink_packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkPayload, NetlinkSerializable,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_packet_route::rule::RuleMessage;
use wg_portals::demo::Namespace;
use wg_portals::error::{Context as _, Error, Result};
use wg_portals::kernel::netlink::{Socket, protocols};

/// One line for each interface, address, route, rule, piece of nftables, and kernel setting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// What is there now.
    pub(crate) fn of(namespace: &Namespace) -> Result<Self> {
        namespace.run(|| {
            let mut lines = BTreeSet::new();
            add_routing(&mut lines).doing(|| "cannot list interfaces and routes".to_owned())?;
            add_nftables(&mut lines).doing(|| "cannot list nftables".to_owned())?;
            for folder in ["/proc/sys/net/ipv4", "/proc/sys/net/ipv6"] {
                add_settings(&mut lines, Path::new(folder)).doing(|| format!("cannot read {folder}"))?;
            }
            Ok(Self(lines))
        })
    }

    /// The same without the numbers that the kernel gives to what is made anew: of interfaces, and of our table.
    pub(crate) fn unnumbered(&self) -> Self {
        let names: Vec<(String, &str)> = self.0.iter().filter_map(|line| number_and_name(line)).collect();
        Self(self.0.iter().map(|line| unnumbered(line, &names)).collect())
    }

    /// The same without nftables: whoever loads a firewall again gets other numbers.
    pub(crate) fn without_nftables(mut self) -> Self {
        self.0.retain(|line| !line.starts_with("nftables "));
        self
    }

    /// Whether a later one is the same; else each line that came or went.
    pub(crate) fn same_as(&self, later: &Self) -> Result<()> {
        let mut changes = String::new();
        for gone in self.0.difference(&later.0) {
            let _ = write!(changes, "\n  gone: {gone}");
        }
        for new in later.0.difference(&self.0) {
            let _ = write!(changes, "\n  new:  {new}");
        }
        if changes.is_empty() { Ok(()) } else { Err(Error::failed(format!("the host changed:{changes}"))) }
    }
}

fn add_routing(lines: &mut BTreeSet<String>) -> Result<()> {
    let mut socket = Socket::open(protocols::NETLINK_ROUTE)?;
    for question in [
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        RouteNetlinkMessage::GetRoute(RouteMessage::default()),
        RouteNetlinkMessage::GetRule(RuleMessage::default()),
    ] {
        let answers = socket.dump(question).doing(|| "the kernel refused".to_owned())?;
        lines.extend(answers.into_iter().map(line).filter(|line| !comes_by_itself(line)));
    }
    Ok(())
}

/// What IPv6 gives to every interface that is up, some time later: link-local addresses, their routes and those of multicast.
fn comes_by_itself(line: &str) -> bool {
    line.contains("(fe80::") || line.contains("(ff00::")
}

/// An object in words, without what changes by itself.
fn line(message: RouteNetlinkMessage) -> String {
    match message {
        RouteNetlinkMessage::NewLink(link) => link_line(&link),
        RouteNetlinkMessage::NewAddress(mut address) => {
            address.attributes.retain(|attribute| !matches!(attribute, AddressAttribute::CacheInfo(_)));
            format!("{address:?}")
        }
        RouteNetlinkMessage::NewRoute(mut route) => {
            route.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::CacheInfo(_)));
            format!("{route:?}")
        }
        other => format!("{other:?}"),
    }
}

/// Of an interface only what people set: the kernel tells much more, counters above all.
fn link_line(link: &LinkMessage) -> String {
    let up = link.header.flags.contains(LinkFlags::Up);
    let set = link.attributes.iter().filter(|attribute| {
        matches!(
            attribute,
            LinkAttribute::IfName(_)
                | LinkAttribute::IfAlias(_)
                | LinkAttribute::Mtu(_)
                | LinkAttribute::Address(_)
                | LinkAttribute::Controller(_)
        )
    });
    format!("interface {}, up: {up}, {:?}", link.header.index, set.collect::<Vec<_>>())
}

/// What is behind `interface ` and in `IfName("…")` of a line that [`link_line`] made.
fn number_and_name(line: &str) -> Option<(String, &str)> {
    let (number, rest) = line.strip_prefix("interface ")?.split_once(',')?;
    let (name, _) = rest.split_once("IfName(\"")?.1.split_once('"')?;
    Some((number.to_owned(), name))
}

fn unnumbered(line: &str, names: &[(String, &str)]) -> String {
    if line.starts_with("nftables 0 ") {
        // Of a table, its handle (NFTA_TABLE_HANDLE): eight bytes, behind all else that it has.
        return line.split(", 0c, 00, 04, 00, ").next().unwrap_or_default().to_owned();
    }
    names.iter().fold(line.to_owned(), |line, (number, name)| {
        [("interface ", ","), ("Oif(", ")"), ("index: ", " ")].iter().fold(line, |line, (before, after)| {
            line.replace(&[before, number.as_str(), after].concat(), &[before, *name, after].concat())
        })
    })
}

/// Tables, chains, rules and sets (NFT_MSG_GETTABLE, GETCHAIN, GETRULE, GETSET), byte for byte.
fn add_nftables(lines: &mut BTreeSet<String>) -> Result<()> {
    let mut socket = Socket::open(protocols::NETLINK_NETFILTER)?;
    for kind in [1, 4, 7, 10] {
        let answers: Vec<Nftables> =
            socket.dump(Nftables { kind, bytes: vec![0; 4] }).doing(|| "the kernel refused".to_owned())?;
        lines.extend(
            answers.iter().map(|answer| format!("nftables {} {:02x?}", answer.kind, &answer.bytes[4..])),
        );
    }
    Ok(())
}

/// A message of nftables, with its `struct nfgenmsg`: four bytes of family, version and, in answers, the generation.
#[derive(Debug)]
struct Nftables {
    kind: u16,
    bytes: Vec<u8>,
}

impl NetlinkSerializable for Nftables {
    fn message_type(&self) -> u16 {
        // NFNL_SUBSYS_NFTABLES
        10 << 8 | self.kind
    }

    fn buffer_len(&self) -> usize {
        self.bytes.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.bytes);
    }
}

impl NetlinkDeserializable for Nftables {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self { kind: header.message_type & 0xff, bytes: payload.to_vec() })
    }
}

impl From<Nftables> for NetlinkPayload<Nftables> {
    fn from(message: Nftables) -> Self {
        Self::InnerMessage(message)
    }
}

/// All settings below a folder of /proc/sys that can be read.
fn add_settings(lines: &mut BTreeSet<String>, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        // Asked of the folder, as there are a thousand files.
        if entry.file_type()?.is_dir() {
            add_settings(lines, &path)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            // Some are only to be written; some tell a secret only to root of the machine.
            lines.insert(format!("{} = {}", path.display(), text.trim()));
        }
    }
    Ok(())
}
