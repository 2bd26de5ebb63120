//! What the kernel says itself of legacy iptables, without a program.
//!
//! It tells nobody when a table changes. What is cheapest to ask for is a table's shape: how many rules it has, of how many
//! bytes, and where its built-in chains begin.

use std::mem::size_of;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::base::error::{Context as _, Result};
use crate::base::net::Family;
use crate::system::disk::kernel_text;

/// Matches and targets that our rules need, of both families where the kernel has both, with the revisions that programs of any age
/// ask for; `tcp` and `udp` are always there.
const NEEDED: [(Kind, &str, u8); 6] = [
    (Kind::Match, "conntrack", 3),
    (Kind::Match, "mark", 1),
    (Kind::Match, "connmark", 1),
    (Kind::Target, "CONNMARK", 1),
    (Kind::Target, "REJECT", 0),
    (Kind::Target, "TCPMSS", 0),
];

/// What portals need besides that go by marks.
const NEEDED_FOR_MARKS: [(Kind, &str, u8); 2] = [(Kind::Match, "mac", 0), (Kind::Target, "MARK", 2)];

/// What only IPv4 needs.
const NEEDED_V4: [(Kind, &str, u8); 3] =
    [(Kind::Target, "MASQUERADE", 0), (Kind::Target, "REDIRECT", 0), (Kind::Target, "DNAT", 0)];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Match,
    Target,
}

/// IPT_SO_GET_INFO, of both families
const GET_INFO: libc::c_int = 64;

/// `struct ipt_getinfo`, and `struct ip6t_getinfo`, which is the same.
#[repr(C)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    name: [u8; 32],
    hooks: u32,
    /// Where each hook begins, and its policy.
    places: [u32; 10],
    rules: u32,
    bytes: u32,
}

/// The files that list tables, of this thread: /proc/net is that of the process.
const NAMES: [(Family, &str); 2] = [
    (Family::V4, "/proc/thread-self/net/ip_tables_names"),
    (Family::V6, "/proc/thread-self/net/ip6_tables_names"),
];

/// `struct xt_get_revision` of linux/netfilter/x_tables.h
#[repr(C)]
struct Revision {
    name: [u8; 29],
    revision: u8,
}

/// The families whose tables are in use in this network namespace, be they empty. Looking with a program would make them.
pub fn families_in_use() -> Result<Vec<Family>> {
    let mut families = Vec::new();
    for (family, file) in NAMES {
        if !names(file)?.is_empty() {
            families.push(family);
        }
    }
    Ok(families)
}

/// The tables that a file lists.
fn names(file: &str) -> Result<String> {
    match kernel_text(file) {
        // No such module is loaded, or this is not root.
        Err(error)
            if matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENOENT | Errno::EACCES)) =>
        {
            Ok(String::new())
        }
        names => names.doing(|| format!("cannot read {file}")),
    }
}

/// The shape of every table that is in use: it differs as soon as somebody has added, removed or flushed rules.
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
        let socket = raw(domain).doing(|| "cannot ask the kernel for its iptables".to_owned())?;
        for name in names.split_whitespace() {
            let mut shape = Shape { name: [0; 32], hooks: 0, places: [0; 10], rules: 0, bytes: 0 };
            shape.name[..name.len().min(31)].copy_from_slice(&name.as_bytes()[..name.len().min(31)]);
            // A table that goes away meanwhile has no shape.
            if ask(socket.as_raw_fd(), level, GET_INFO, &mut shape).is_ok() {
                shapes.push(shape);
            }
        }
    }
    Ok(shapes)
}

/// What our rules need and is not there, in words: the programs that are `missing`, and what the kernel has not. Asking loads the modules
/// that it has. With `marks`: also what portals need that go by them.
pub fn lacks(missing: &[String], marks: bool) -> Vec<String> {
    let for_marks = if marks { &NEEDED_FOR_MARKS[..] } else { &[] };
    let needed = NEEDED.iter().chain(for_marks);
    let mut lacks: Vec<String> = missing.iter().map(|program| format!("the program {program}")).collect();
    let v4 = needed.clone().chain(&NEEDED_V4);
    lacks.extend(v4.filter(|need| is_missing(Family::V4, need)).map(|need| in_words("", need)));
    if Path::new("/proc/sys/net/ipv6").is_dir() {
        let v6 = needed.filter(|need| is_missing(Family::V6, need));
        lacks.extend(v6.map(|need| in_words("IPv6: ", need)));
    }
    lacks
}

/// No, if it cannot be asked.
fn is_missing(family: Family, (kind, name, revision): &(Kind, &str, u8)) -> bool {
    // IPT_SO_GET_REVISION_MATCH and _TARGET, IP6T_SO_GET_REVISION_MATCH and _TARGET (linux/netfilter_ipv4/ip_tables.h and ipv6's)
    let (domain, level, base) = match family {
        Family::V4 => (AddressFamily::Inet, libc::SOL_IP, 66),
        Family::V6 => (AddressFamily::Inet6, libc::SOL_IPV6, 68),
    };
    let option = base + *kind as libc::c_int;
    let Ok(socket) = raw(domain) else { return false };
    let mut question = Revision { name: [0; 29], revision: *revision };
    question.name[..name.len()].copy_from_slice(name.as_bytes());
    // There is none of that name, or none of that revision.
    let answer = ask(socket.as_raw_fd(), level, option, &mut question);
    matches!(answer, Err(Errno::ENOENT | Errno::EPROTONOSUPPORT))
}

fn in_words(family: &str, (kind, name, _): &(Kind, &str, u8)) -> String {
    match kind {
        Kind::Match => format!("{family}the match `{name}` (module xt_{name})"),
        Kind::Target => format!("{family}the target `{name}` (module xt_{name}, ipt_{name} or ip6t_{name})"),
    }
}

/// iptables answers on raw sockets.
fn raw(domain: AddressFamily) -> Result<OwnedFd, Errno> {
    socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(SockProtocol::Raw))
}

/// Has the kernel fill in a structure of its own.
fn ask<T>(socket: i32, level: libc::c_int, option: libc::c_int, question: &mut T) -> Result<(), Errno> {
    let mut length = libc::socklen_t::try_from(size_of::<T>()).expect("less than 100 bytes");
    // SAFETY: the kernel reads and writes `length` bytes at most, all of them in `question`, where any bytes are valid numbers.
    let result = unsafe {
        libc::getsockopt(socket, level, option, std::ptr::from_mut(question).cast(), &raw mut length)
    };
    Errno::result(result).map(drop)
}
