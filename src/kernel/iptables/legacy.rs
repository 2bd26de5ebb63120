//! Answers of the kernel about legacy iptables, without a program.
//!
//! The kernel sends no notice when a table changes. A table's shape is the cheapest answer to ask for: the
//! number of its rules, their bytes, and the offsets of its built-in chains.

use std::mem::size_of;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::base::error::{Context as _, Result};
use crate::base::net::Family;
use crate::system::disk::kernel_text;

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

/// IPT_SO_GET_INFO and IP6T_SO_GET_INFO, which have the same number.
const GET_INFO: libc::c_int = 64;

/// Shape of a table: `struct ipt_getinfo`, which equals `struct ip6t_getinfo`.
#[repr(C)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    name: [u8; 32],
    hooks: u32,
    /// Offsets of each hook's first rule, and of its policy.
    places: [u32; 10],
    rules: u32,
    bytes: u32,
}

impl Shape {
    /// Returns the question for the shape of the table with this name.
    fn of(name: &str) -> Self {
        let mut shape = Self { name: [0; 32], hooks: 0, places: [0; 10], rules: 0, bytes: 0 };
        let length = name.len().min(31);
        shape.name[..length].copy_from_slice(&name.as_bytes()[..length]);
        shape
    }
}

/// Files that list the tables of this thread's network namespace: /proc/net is the view of the process.
const NAMES: [(Family, &str); 2] = [
    (Family::V4, "/proc/thread-self/net/ip_tables_names"),
    (Family::V6, "/proc/thread-self/net/ip6_tables_names"),
];

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

/// Returns the tables that a file lists.
fn names(file: &str) -> Result<String> {
    match kernel_text(file) {
        // The module is not loaded, or this process is not root.
        Err(error)
            if matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENOENT | Errno::EACCES)) =>
        {
            Ok(String::new())
        }
        names => names.context(|| format!("cannot read {file}")),
    }
}

/// Returns the shape of every table in use. The shape differs as soon as a program has added, removed or
/// flushed rules.
pub fn shape() -> Result<Vec<Shape>> {
    let mut shapes = Vec::new();
    for (family, file) in NAMES {
        let names = names(file)?;
        if names.is_empty() {
            continue;
        }
        let (domain, level) = match family {
            Family::V4 => (AddressFamily::Inet, libc::SOL_IP),
            Family::V6 => (AddressFamily::Inet6, libc::SOL_IPV6),
        };
        let socket = raw(domain).context(|| "cannot ask the kernel for its iptables".to_owned())?;
        for name in names.split_whitespace() {
            let mut shape = Shape::of(name);
            // A table that has disappeared since the list was read has no shape.
            if ask(socket.as_raw_fd(), level, GET_INFO, &mut shape).is_ok() {
                shapes.push(shape);
            }
        }
    }
    Ok(shapes)
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
    let Ok(socket) = raw(AddressFamily::Inet6) else { return false };
    let mut shape = Shape::of(name);
    ask(socket.as_raw_fd(), libc::SOL_IPV6, GET_INFO, &mut shape) == Err(Errno::ENOENT)
}

/// Reports whether the kernel lacks a match or target. The answer is no if the kernel cannot be asked.
fn is_missing(family: Family, (kind, name, revision): &(ExtensionKind, &str, u8)) -> bool {
    // IPT_SO_GET_REVISION_MATCH and _TARGET, IP6T_SO_GET_REVISION_MATCH and _TARGET
    // (linux/netfilter_ipv4/ip_tables.h and ipv6's)
    let (domain, level, base) = match family {
        Family::V4 => (AddressFamily::Inet, libc::SOL_IP, 66),
        Family::V6 => (AddressFamily::Inet6, libc::SOL_IPV6, 68),
    };
    let option = base + *kind as libc::c_int;
    let Ok(socket) = raw(domain) else { return false };
    let mut question = Revision { name: [0; 29], revision: *revision };
    question.name[..name.len()].copy_from_slice(name.as_bytes());
    // The kernel has none of that name, or none of that revision.
    let answer = ask(socket.as_raw_fd(), level, option, &mut question);
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

/// Opens a raw socket, on which the kernel answers for iptables.
fn raw(domain: AddressFamily) -> Result<OwnedFd, Errno> {
    socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(SockProtocol::Raw))
}

/// Asks the kernel to fill in a structure.
fn ask<T>(socket: i32, level: libc::c_int, option: libc::c_int, question: &mut T) -> Result<(), Errno> {
    let mut length = libc::socklen_t::try_from(size_of::<T>()).expect("less than 100 bytes");
    // SAFETY: the kernel reads and writes `length` bytes at most, all of them in `question`, where any bytes
    // are valid numbers.
    let result = unsafe {
        libc::getsockopt(socket, level, option, std::ptr::from_mut(question).cast(), &raw mut length)
    };
    Errno::result(result).map(drop)
}
