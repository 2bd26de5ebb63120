//! The kernel's random numbers, which keys are made of: on a device that has just started for the first time
//! they come after a while.

use std::io;
use std::sync::Once;
use std::thread;

use nix::libc;

/// Tells whether the kernel has collected enough to give random numbers at once. Kernels older than Linux
/// 3.17 cannot be asked (getrandom(2)): nothing is said of them.
pub fn is_ready() -> bool {
    request(libc::GRND_NONBLOCK).map_or_else(|error| error.kind() != io::ErrorKind::WouldBlock, |()| true)
}

/// Waits until it has. Since Linux 5.4 the kernel makes an effort of its own, which takes about a second, as
/// soon as somebody waits.
pub fn wait() {
    while request(0).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
}

/// Has the kernel make that effort, and waits for nothing.
pub fn hasten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(thread::spawn(wait)));
}

fn request(flags: libc::c_uint) -> io::Result<()> {
    let mut byte = 0_u8;
    // Asked of the kernel itself: a C library may answer from what it has in stock (vgetrandom).
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
