//! The kernel's random numbers, from which keys are made. On the first start of a device they become
//! available only after a while.

use std::io;
use std::sync::Once;

use nix::libc;

use super::threads::spawn;

/// Reports whether the kernel can give random numbers at once. Kernels before Linux 3.17 have no getrandom(2)
/// to ask, and count as ready.
pub fn is_ready() -> bool {
    request(libc::GRND_NONBLOCK).map_or_else(|error| error.kind() != io::ErrorKind::WouldBlock, |()| true)
}

/// Waits until the kernel can give random numbers. Since Linux 5.4 a waiting process makes the kernel collect
/// randomness itself, which takes about a second.
pub fn wait() {
    while request(0).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
}

/// Makes the kernel collect randomness in the background, and does not wait.
pub fn hasten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(spawn(Box::new(wait))));
}

fn request(flags: libc::c_uint) -> io::Result<()> {
    let mut byte = 0_u8;
    // A direct system call is needed: a C library may answer from its own supply (vgetrandom).
    // SAFETY: the kernel writes no more than one byte during the call.
    match unsafe { libc::syscall(libc::SYS_getrandom, &raw mut byte, 1_usize, flags) } {
        1 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_has_run_for_long_is_ready() {
        wait();
        assert!(is_ready());
    }
}
