//! What the kernel says itself of legacy iptables, without a program.

use std::fs;
use std::mem::size_of;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::error::{Context as _, Result};
use crate::net::Family;

/// Matches and targets that our rules need, with the revisions that programs of any age ask for; `tcp` and `udp` are always there.
const NEEDED: [(Kind, &str, u8); 4] = [
    (Kind::Match, "conntrack", 3),
    (Kind::Target, "REJECT", 0),
    (Kind::Target, "MASQUERADE", 0),
    (Kind::Target, "TCPMSS", 0),
];

/// IPT_SO_GET_REVISION_MATCH, _TARGET (linux/netfilter_ipv4/ip_tables.h)
#[derive(Debug, Clone, Copy)]
enum Kind {
    Match = 66,
    Target = 67,
}

/// `struct xt_get_revision` of linux/netfilter/x_tables.h
#[repr(C)]
struct Revision {
    name: [u8; 29],
    revision: u8,
}

/// The families whose tables are in use in this network namespace, be they empty. Looking with a program would make them.
pub fn families_in_use() -> Result<Vec<Family>> {
    let mut families = Vec::new();
    for (family, file) in [(Family::V4, "ip_tables_names"), (Family::V6, "ip6_tables_names")] {
        // Of this thread: /proc/net is that of the process.
        let path = format!("/proc/thread-self/net/{file}");
        match fs::read(&path) {
            Ok(names) if names.is_empty() => {}
            Ok(_) => families.push(family),
            // No such module is loaded, or this is not root.
            Err(error)
                if matches!(
                    error.raw_os_error().map(Errno::from_raw),
                    Some(Errno::ENOENT | Errno::EACCES)
                ) => {}
            Err(error) => return Err(error).doing(|| format!("cannot read {path}")),
        }
    }
    Ok(families)
}

/// What our rules need and the kernel has not, in words; asking loads the modules that it has. Nothing, if it cannot be asked.
pub fn lacks() -> Vec<String> {
    let Ok(socket) =
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(SockProtocol::Raw))
    else {
        return Vec::new();
    };
    let missing = NEEDED.iter().filter(|(kind, name, revision)| {
        matches!(ask(socket.as_raw_fd(), *kind, name, *revision), Err(Errno::ENOENT | Errno::EPROTONOSUPPORT))
    });
    missing
        .map(|(kind, name, _)| match kind {
            Kind::Match => format!("the match `{name}` (module xt_{name})"),
            Kind::Target => format!("the target `{name}` (module xt_{name} or ipt_{name})"),
        })
        .collect()
}

/// ENOENT: there is none of that name; EPROTONOSUPPORT: none of that revision.
fn ask(socket: i32, kind: Kind, name: &str, revision: u8) -> Result<(), Errno> {
    let mut question = Revision { name: [0; 29], revision };
    question.name[..name.len()].copy_from_slice(name.as_bytes());
    let mut length = libc::socklen_t::try_from(size_of::<Revision>()).expect("30 bytes");
    // SAFETY: the kernel reads and writes `length` bytes at most, all of them in `question`.
    let result = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_IP,
            kind as libc::c_int,
            (&raw mut question).cast(),
            &raw mut length,
        )
    };
    Errno::result(result).map(drop)
}
