//! Answers of the kernel about legacy iptables, without a program.

use std::path::Path;

use nix::errno::Errno;
use nix::libc;

use super::question::{NAMES, Shape, ask, names, raw};
use crate::base::error::Result;
use crate::base::net::Family;

/// Matches and targets that our rules need in each family that the kernel has, with the revisions that
/// programs of any age ask for. `tcp` and `udp` always exist.
const NEEDED: [(ExtensionKind, &str, u8); 6] = [
    (ExtensionKind::Match, "conntrack", 3),
    (ExtensionKind::Match, "mark", 1),
    (ExtensionKind::Match, "connmark", 1),
    (ExtensionKind::Target, "CONNMARK", 1),
    (ExtensionKind::Target, "REJECT", 0),
    (ExtensionKind::Target, "TCPMSS", 0),
];

/// Additional matches and targets for portals that use marks.
const NEEDED_FOR_MARKS: [(ExtensionKind, &str, u8); 2] =
    [(ExtensionKind::Match, "mac", 0), (ExtensionKind::Target, "MARK", 2)];

/// Additional targets for IPv4.
const NEEDED_V4: [(ExtensionKind, &str, u8); 3] = [
    (ExtensionKind::Target, "MASQUERADE", 0),
    (ExtensionKind::Target, "REDIRECT", 0),
    (ExtensionKind::Target, "DNAT", 0),
];

/// Targets that IPv6 through portals needs.
const NEEDED_V6: [(ExtensionKind, &str, u8); 2] =
    [(ExtensionKind::Target, "MASQUERADE", 0), (ExtensionKind::Target, "REDIRECT", 0)];
/// Additional target for a site that shares a network under another one.
const NEEDED_FOR_NETWORKS: (ExtensionKind, &str, u8) = (ExtensionKind::Target, "NETMAP", 0);

#[derive(Debug, Clone, Copy)]
enum ExtensionKind {
    Match,
    Target,
}

/// Question for a revision: `struct xt_get_revision` of linux/netfilter/x_tables.h.
#[repr(C)]
struct Revision {
    name: [u8; 29],
    revision: u8,
}

/// Returns the families whose tables are in use in this network namespace, even if the tables are empty. A
/// program that looks would create the tables.
pub fn families_in_use() -> Result<Vec<Family>> {
    let mut families = Vec::new();
    for (family, file) in NAMES {
        if !names(file)?.is_empty() {
            families.push(family);
        }
    }
    Ok(families)
}

/// Returns in words the needs of our rules that this host does not meet: the `missing` programs, and the
/// matches and targets that the kernel lacks. The question makes the kernel load the modules that it has.
/// `marks` adds the needs of portals that use marks, `translates` those of a site that shares an IPv4 network
/// under another one.
pub fn lacks(missing: &[String], marks: bool, translates: bool) -> Vec<String> {
    let for_marks = if marks { &NEEDED_FOR_MARKS[..] } else { &[] };
    let for_networks = if translates { &[NEEDED_FOR_NETWORKS][..] } else { &[] };
    let needed = [&NEEDED[..], for_marks].concat();
    let v4 = [&needed[..], &NEEDED_V4, for_networks].concat();
    let mut lacks: Vec<String> = missing.iter().map(|program| format!("the program {program}")).collect();
    for need in v4.iter().filter(|need| is_missing(Family::V4, need)) {
        lacks.push(in_words("", need));
    }
    if Path::new("/proc/sys/net/ipv6").is_dir() {
        for need in needed.iter().filter(|need| is_missing(Family::V6, need)) {
            lacks.push(in_words("IPv6: ", need));
        }
    }
    lacks
}

/// Returns in words the needs of IPv6 through portals that this kernel's iptables does not meet. The question
/// makes the kernel load the modules that it has.
pub fn lacks_ipv6() -> Vec<String> {
    let mut lacks = Vec::new();
    for need in NEEDED_V6.iter().filter(|need| is_missing(Family::V6, need)) {
        lacks.push(in_words("IPv6: ", need));
    }
    if is_table_missing("nat") {
        lacks.push("IPv6: the table `nat` (module ip6table_nat)".to_owned());
    }
    lacks
}

/// Reports whether the kernel's IPv6 lacks a table. The answer is no if the kernel cannot be asked.
fn is_table_missing(name: &str) -> bool {
    let Ok(socket) = raw(Family::V6) else { return false };
    Shape::read(&socket, Family::V6, name) == Err(Errno::ENOENT)
}

/// Reports whether the kernel lacks a match or target. The answer is no if the kernel cannot be asked.
fn is_missing(family: Family, (kind, name, revision): &(ExtensionKind, &str, u8)) -> bool {
    // IPT_SO_GET_REVISION_MATCH and _TARGET, IP6T_SO_GET_REVISION_MATCH and _TARGET
    // (linux/netfilter_ipv4/ip_tables.h and ipv6's)
    let base = match family {
        Family::V4 => 66,
        Family::V6 => 68,
    };
    let option = base + *kind as libc::c_int;
    let Ok(socket) = raw(family) else { return false };
    let mut question = Revision { name: [0; 29], revision: *revision };
    question.name[..name.len()].copy_from_slice(name.as_bytes());
    // The kernel has none of that name, or none of that revision.
    let answer = ask(&socket, family, option, &mut question);
    matches!(answer, Err(Errno::ENOENT | Errno::EPROTONOSUPPORT))
}

fn in_words(family: &str, (kind, name, _): &(ExtensionKind, &str, u8)) -> String {
    match kind {
        ExtensionKind::Match => format!("{family}the match `{name}` (module xt_{name})"),
        ExtensionKind::Target => {
            format!("{family}the target `{name}` (module xt_{name}, ipt_{name} or ip6t_{name})")
        }
    }
}
