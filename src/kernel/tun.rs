//! Tun devices: interfaces whose packets a process reads and writes (Documentation/networking/tuntap.rst in the kernel).

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::libc;

use crate::base::net::IfName;

/// The device through which a process makes tun interfaces.
pub(super) const DEVICE: &str = "/dev/net/tun";

/// As much of `struct ifreq` as TUNSETIFF looks at; the kernel copies 40 bytes, or 32 on 32-bit machines.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Makes an interface, down. It is gone when the file is closed. EBUSY if another process has one of that name.
///
/// boringtun would do it by itself, but with the number that TUNSETIFF has on most processors: on MIPS it is another one.
pub(super) fn create(name: &IfName) -> io::Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).open(DEVICE)?;
    let flags = libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).expect("two low bits");
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags, rest: [0; 22] };
    request.name[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
    let set_interface = nix::request_code_write!(b'T', 202, size_of::<libc::c_int>());
    // SAFETY: the file is open, and the kernel reads the request and writes back no more than it holds.
    match unsafe { libc::ioctl(file.as_raw_fd(), set_interface as _, &raw mut request) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(file.into()),
    }
}
