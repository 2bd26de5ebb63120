//! Snapshots of all that a kernel reports about a network namespace, for comparison with later ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use netlink_packet_core::{Emitable as _, NetlinkDeserializable as _, NetlinkHeader};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAttribute, RouteMessage};
use netlink_packet_route::rule::RuleMessage;
use nix::libc::{RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE, RTM_GETRULE};
use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::Namespace;
use wg_portals::kernel::message::{Decode, Message};
use wg_portals::kernel::netlink::{Socket, protocols};

use crate::filters::has_nftables;

/// Lines for the interfaces, addresses, routes, rules, objects of nftables, and kernel settings: one each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Takes a snapshot of the current state.
    pub(crate) fn of(namespace: &Namespace) -> Result<Self> {
        namespace.run(|| {
            let mut lines = BTreeSet::new();
            add_routing(&mut lines).context(|| "cannot list interfaces and routes".to_owned())?;
            if has_nftables() {
                add_nftables(&mut lines).context(|| "cannot list nftables".to_owned())?;
            } else {
                add_iptables(&mut lines)?;
            }
            for folder in ["/proc/sys/net/ipv4", "/proc/sys/net/ipv6"] {
                add_settings(&mut lines, Path::new(folder)).context(|| format!("cannot read {folder}"))?;
            }
            Ok(Self(lines))
        })
    }

    /// Removes the numbers that the kernel gives to new objects: of interfaces, and in nftables, where only
    /// their order is kept.
    pub(crate) fn unnumbered(&self) -> Self {
        let names: Vec<(String, &str)> = self.0.iter().filter_map(|line| number_and_name(line)).collect();
        let mut handles = BTreeMap::<String, BTreeSet<u64>>::new();
        for line in &self.0 {
            handles.entry(table_of(line)).or_default().extend(handles_in(line));
        }
        let unnumbered = |line: &String| unnumbered(&ranked(line, &handles[&table_of(line)]), &names);
        Self(self.0.iter().map(unnumbered).collect())
    }

    /// Removes nftables: a firewall that is loaded again gets other numbers.
    pub(crate) fn without_nftables(mut self) -> Self {
        self.0.retain(|line| !line.starts_with("nftables "));
        self
    }

    /// Checks that a later snapshot is the same; the error lists each line that came or went.
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
    // Each question is the header of its kind of object, all zeros.
    let questions = [
        (RTM_GETLINK, LinkMessage::default().buffer_len()),
        (RTM_GETADDR, AddressMessage::default().buffer_len()),
        (RTM_GETROUTE, RouteMessage::default().buffer_len()),
        (RTM_GETRULE, RuleMessage::default().buffer_len()),
    ];
    for (kind, length) in questions {
        let answers: Vec<Answer> =
            socket.dump(Message::raw(kind, vec![0; length])).context(|| "the kernel refused".to_owned())?;
        let mut header = NetlinkHeader::default();
        // The reply to RTM_GET… is RTM_NEW…, whose number is two less (linux/rtnetlink.h).
        header.message_type = kind - 2;
        for Answer(payload) in answers {
            let message = RouteNetlinkMessage::deserialize(&header, &payload);
            let line = line(message.context(|| "an answer of the kernel cannot be read".to_owned())?);
            if !comes_by_itself(&line) {
                lines.insert(line);
            }
        }
    }
    Ok(())
}

/// Reports whether IPv6 makes this line for every interface that is up, some time later: link-local
/// addresses, their routes, and the routes of multicast.
fn comes_by_itself(line: &str) -> bool {
    line.contains("(fe80::") || line.contains("(ff00::")
}

/// An object in words, without the parts that change by themselves.
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

/// Settings of an interface: the kernel reports much more, above all counters.
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

/// Number and name of the interface in a line that [`link_line`] made.
fn number_and_name(line: &str) -> Option<(String, &str)> {
    let (number, rest) = line.strip_prefix("interface ")?.split_once(',')?;
    let (name, _) = rest.split_once("IfName(\"")?.1.split_once('"')?;
    Some((number.to_owned(), name))
}

fn unnumbered(line: &str, names: &[(String, &str)]) -> String {
    names.iter().fold(line.to_owned(), |line, (number, name)| {
        [("interface ", ","), ("Oif(", ")"), ("index: ", " ")].iter().fold(line, |line, (before, after)| {
            line.replace(&[before, number.as_str(), after].concat(), &[before, *name, after].concat())
        })
    })
}

/// Tables, chains, rules and sets (NFT_MSG_GETTABLE, GETCHAIN, GETRULE, GETSET), byte for byte. Each begins
/// with its `struct nfgenmsg`: four bytes of family, version and the generation.
fn add_nftables(lines: &mut BTreeSet<String>) -> Result<()> {
    let mut socket = Socket::open(protocols::NETLINK_NETFILTER)?;
    for kind in [1, 4, 7, 10] {
        // NFNL_SUBSYS_NFTABLES.
        let question = Message::raw(10 << 8 | kind, vec![0; 4]);
        let answers: Vec<Answer> = socket.dump(question).context(|| "the kernel refused".to_owned())?;
        // The reply to NFT_MSG_GET… is NFT_MSG_NEW…, whose number is one less (linux/netfilter/nf_tables.h).
        lines.extend(answers.iter().map(|Answer(bytes)| nftables_line(kind - 1, &bytes[4..])));
    }
    Ok(())
}

/// An object of nftables: its attributes, each with its number in front, and handles as `handle N`.
fn nftables_line(kind: u16, mut attributes: &[u8]) -> String {
    let mut line = format!("nftables {kind}");
    while let Some(([low, high, number, flags], _)) = attributes.split_first_chunk() {
        let length = usize::from(u16::from_ne_bytes([*low, *high])).clamp(4, attributes.len());
        let payload = &attributes[4..length];
        // NFTA_TABLE_HANDLE, NFTA_CHAIN_HANDLE, NFTA_RULE_HANDLE and NFTA_RULE_POSITION, NFTA_SET_HANDLE.
        let is_handle = matches!((kind, number), (0, 4) | (3, 2) | (6, 3 | 6) | (9, 16));
        let _ = match payload.try_into() {
            Ok(handle) if is_handle => write!(line, "; handle {}", u64::from_be_bytes(handle)),
            _ => write!(line, "; {} {payload:02x?}", u16::from_ne_bytes([*number, *flags])),
        };
        attributes = &attributes[length.next_multiple_of(4).min(attributes.len())..];
    }
    line
}

/// Table of an object of nftables, by its first attribute; the kernel counts handles separately in each
/// table, and the handles of tables together.
fn table_of(line: &str) -> String {
    let mut parts = line.strip_prefix("nftables ").unwrap_or_default().split("; ");
    match parts.next() {
        Some("0") => "all tables".to_owned(),
        _ => parts.next().unwrap_or_default().to_owned(),
    }
}

/// Handles in a line.
fn handles_in(line: &str) -> Vec<u64> {
    line.split("; ").filter_map(|part| part.strip_prefix("handle ")?.parse().ok()).collect()
}

/// Replaces each handle by its rank among all handles of its table.
fn ranked(line: &str, handles: &BTreeSet<u64>) -> String {
    let mut ranked: Vec<String> = line.split("; ").map(str::to_owned).collect();
    for part in &mut ranked {
        if let Some(handle) = part.strip_prefix("handle ").and_then(|number| number.parse::<u64>().ok()) {
            *part = format!("handle {} in order", handles.range(..handle).count() + 1);
        }
    }
    ranked.join("; ")
}

/// Rules, chains and policies of legacy iptables, without counters, and without the empty tables that a mere
/// listing creates.
fn add_iptables(lines: &mut BTreeSet<String>) -> Result<()> {
    for program in ["iptables-legacy-save", "ip6tables-legacy-save"] {
        let output = Command::new(program).output().context(|| format!("cannot run {program}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let kept = text.lines().map(|line| line.split(" [").next().unwrap_or_default());
        let kept =
            kept.filter(|line| line.starts_with('-') || line.starts_with(':') && !line.ends_with(" ACCEPT"));
        lines.extend(kept.map(|line| format!("{program} {line}")));
    }
    Ok(())
}

/// Replies of the kernel, unchanged.
struct Answer(Vec<u8>);

impl Decode for Answer {
    fn decode(payload: &[u8]) -> Option<Self> {
        Some(Self(payload.to_vec()))
    }
}

/// Readable settings below a folder of /proc/sys.
fn add_settings(lines: &mut BTreeSet<String>, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        // One call for the folder, because it holds a thousand files.
        if entry.file_type()?.is_dir() {
            add_settings(lines, &path)?;
        } else if let Ok(text) = fs::read_to_string(&path) {
            // Some files are write-only; some are readable only for root of the machine.
            lines.insert(format!("{} = {}", path.display(), text.trim()));
        }
    }
    Ok(())
}
