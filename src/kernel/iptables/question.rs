//! Questions to the kernel about legacy iptables: it answers on raw sockets.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::{ptr, slice};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::base::error::{Context as _, Result};
use crate::base::net::Family;
use crate::system::disk::kernel_text;

/// `IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO`, which have the same number.
const GET_INFO: libc::c_int = 64;

/// Length of the name of a table, with the zero at its end (`XT_TABLE_MAXNAMELEN`).
pub(super) const NAME: usize = 32;

/// Files that list the tables of this thread's network namespace: /proc/net is the view of the process.
pub(super) const NAMES: [(Family, &str); 2] = [
    (Family::V4, "/proc/thread-self/net/ip_tables_names"),
    (Family::V6, "/proc/thread-self/net/ip6_tables_names"),
];

/// Shape of a table: `struct ipt_getinfo`, which equals `struct ip6t_getinfo`.
#[repr(C)]
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) name: [u8; NAME],
    pub(super) hooks: u32,
    /// Offsets of each hook's first rule, and of its policy.
    pub(super) places: [u32; 10],
    pub(super) rules: u32,
    pub(super) bytes: u32,
}

impl Shape {
    /// Asks for the shape of the table with this name.
    pub(super) fn read(socket: &OwnedFd, family: Family, name: &str) -> Result<Self, Errno> {
        let mut shape = Self { name: [0; NAME], hooks: 0, places: [0; 10], rules: 0, bytes: 0 };
        let length = name.len().min(NAME - 1);
        shape.name[..length].copy_from_slice(&name.as_bytes()[..length]);
        ask(socket, family, GET_INFO, &mut shape).map(|()| shape)
    }
}

/// Returns the tables that a file lists.
pub(super) fn names(file: &str) -> Result<String> {
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

/// Opens a raw socket, on which the kernel answers for iptables.
pub(super) fn raw(family: Family) -> Result<OwnedFd, Errno> {
    let domain = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(SockProtocol::Raw))
}

/// Asks the kernel to fill in a structure, in which any bytes are valid numbers.
pub(super) fn ask<T>(
    socket: &OwnedFd,
    family: Family,
    option: libc::c_int,
    question: &mut T,
) -> Result<(), Errno> {
    // SAFETY: the structure has this size.
    let bytes = unsafe { slice::from_raw_parts_mut(ptr::from_mut(question).cast(), size_of::<T>()) };
    ask_bytes(socket, family, option, bytes)
}

/// Asks the kernel to fill in these bytes.
pub(super) fn ask_bytes(
    socket: &OwnedFd,
    family: Family,
    option: libc::c_int,
    bytes: &mut [u8],
) -> Result<(), Errno> {
    let level = match family {
        Family::V4 => libc::SOL_IP,
        Family::V6 => libc::SOL_IPV6,
    };
    let mut length = libc::socklen_t::try_from(bytes.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads and writes `length` bytes at most.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, bytes.as_mut_ptr().cast(), &raw mut length)
    };
    Errno::result(result).map(drop)
}
