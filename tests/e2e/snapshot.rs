//! All that a kernel says of a network namespace, to be compared with what it says later.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use netlink_packet_core::{Emitable, NetlinkDeserializable as _, NetlinkHeader};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_packet_route::rule::RuleMessage;
use nix::libc::{RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE, RTM_GETRULE};
use wg_portals::demo::Namespace;
use wg_portals::error::{Context as _, Error, Result};
use wg_portals::kernel::message::{Decode, Message};
use wg_portals::kernel::netlink::{Socket, protocols};

use crate::filters::has_nftables;

/// One line for each interface, address, route, rule, piece of nftables, and kernel setting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// What is there now.
    pub(crate) fn of(namespace: &Namespace) -> Result<Self> {
        namespace.run(|| {
            let mut lines = BTreeSet::new();
            add_routing(&mut lines).doing(|| "cannot list interfaces and routes".to_owned())?;
            if has_nftables() {
                add_nftables(&mut lines).doing(|| "cannot list nftables".to_owned())?;
            } else {
                add_iptables(&mut lines)?;
            }
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
    let questions: [(u16, &dyn Emitable); 4] = [
        (RTM_GETLINK, &LinkMessage::default()),
        (RTM_GETADDR, &AddressMessage::default()),
        (RTM_GETROUTE, &RouteMessage::default()),
        (RTM_GETRULE, &RuleMessage::default()),
    ];
    for (kind, content) in questions {
        let answers: Vec<Answer> =
            socket.dump(Message::new(kind, content)).doing(|| "the kernel refused".to_owned())?;
        let mut header = NetlinkHeader::default();
        // What is asked for by RTM_GET… comes as RTM_NEW…, which is two less (linux/rtnetlink.h).
        header.message_type = kind - 2;
        for Answer(payload) in answers {
            let message = RouteNetlinkMessage::deserialize(&header, &payload);
            let line = line(message.doing(|| "an answer of the kernel cannot be read".to_owned())?);
            if !comes_by_itself(&line) {
                lines.insert(line);
            }
        }
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

/// Tables, chains, rules and sets (NFT_MSG_GETTABLE, GETCHAIN, GETRULE, GETSET), byte for byte. In front of each is its `struct nfgenmsg`:
/// four bytes of family, version and the generation.
fn add_nftables(lines: &mut BTreeSet<String>) -> Result<()> {
    let mut socket = Socket::open(protocols::NETLINK_NETFILTER)?;
    for kind in [1, 4, 7, 10] {
        // NFNL_SUBSYS_NFTABLES
        let question = Message::raw(10 << 8 | kind, vec![0; 4]);
        let answers: Vec<Answer> = socket.dump(question).doing(|| "the kernel refused".to_owned())?;
        // NFT_MSG_GET… is answered by NFT_MSG_NEW…, which is one less (linux/netfilter/nf_tables.h).
        lines.extend(
            answers.iter().map(|Answer(bytes)| format!("nftables {} {:02x?}", kind - 1, &bytes[4..])),
        );
    }
    Ok(())
}

/// Rules, chains and policies of legacy iptables, without counters, and without what tables have that were
/// only looked at.
fn add_iptables(lines: &mut BTreeSet<String>) -> Result<()> {
    for program in ["iptables-legacy-save", "ip6tables-legacy-save"] {
        let output = Command::new(program).output().doing(|| format!("cannot run {program}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let kept = text.lines().map(|line| line.split(" [").next().unwrap_or_default());
        let kept =
            kept.filter(|line| line.starts_with('-') || line.starts_with(':') && !line.ends_with(" ACCEPT"));
        lines.extend(kept.map(|line| format!("{program} {line}")));
    }
    Ok(())
}

/// What the kernel answers, as it comes.
struct Answer(Vec<u8>);

impl Decode for Answer {
    fn decode(payload: &[u8]) -> Option<Self> {
        Some(Self(payload.to_vec()))
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
