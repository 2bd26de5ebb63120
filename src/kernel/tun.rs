//! Tun devices: interfaces whose packets a process reads and writes (Documentation/networking/tuntap.rst in
//! the kernel).

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::libc;

use crate::base::net::IfName;

/// Device through which a process makes tun interfaces.
pub(super) const DEVICE: &str = "/dev/net/tun";

/// Part of `struct ifreq` that TUNSETIFF reads. The kernel copies 40 bytes, or 32 on 32-bit machines.
#[repr(C)]
struct TunRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Offloads that [`create`] asks for (TUN_F_CSUM, TUN_F_TSO4 and TUN_F_TSO6 in linux/if_tun.h): the reader
/// fills in checksums, and splits large packets of TCP.
const OFFLOADS: libc::c_ulong = 1 | 2 | 4;

/// Makes an interface for IP packets, down. The interface disappears when the file is closed. The file never
/// waits. Returns true if `struct virtio_net_hdr` (linux/virtio_net.h) stands in front of each packet.
///
/// # Errors
/// EBUSY if another process has an interface of that name.
pub(super) fn create(name: &IfName) -> io::Result<(OwnedFd, bool)> {
    let Ok(file) = create_of(name, libc::IFF_TUN | libc::IFF_VNET_HDR) else {
        return Ok((create_of(name, libc::IFF_TUN)?, false));
    };
    let set_offloads = nix::request_code_write!(b'T', 208, size_of::<libc::c_uint>());
    // SAFETY: the file is open, and the argument is a number. A kernel that refuses splits packets itself.
    unsafe { libc::ioctl(file.as_raw_fd(), set_offloads as _, OFFLOADS) };
    Ok((file, true))
}

/// Makes an interface for frames of Ethernet, as [`create`] does, without `struct virtio_net_hdr`.
pub(super) fn create_tap(name: &IfName) -> io::Result<OwnedFd> {
    create_of(name, libc::IFF_TAP)
}

fn create_of(name: &IfName, kind: libc::c_int) -> io::Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(DEVICE)?;
    let flags = libc::c_short::try_from(kind | libc::IFF_NO_PI).expect("two low bits");
    let mut request = TunRequest { name: [0; libc::IFNAMSIZ], flags, rest: [0; 22] };
    request.name[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
    let set_interface = nix::request_code_write!(b'T', 202, size_of::<libc::c_int>());
    // SAFETY: the file is open, and the kernel reads and writes no more bytes than the request holds.
    match unsafe { libc::ioctl(file.as_raw_fd(), set_interface as _, &raw mut request) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(file.into()),
    }
}
