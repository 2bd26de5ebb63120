//! The kernel's wall clock: sets it, notices jumps, and tells whether a time server keeps it right.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;
use std::time::SystemTime;

use nix::libc;

/// Sets the clock, to a whole second. Needs root, and fails in most containers.
pub fn set(time: SystemTime) -> io::Result<()> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| invalid())?;
    let time = libc::timespec { tv_sec: since.as_secs().try_into().map_err(|_| invalid())?, tv_nsec: 0 };
    // SAFETY: the kernel reads the time during the call.
    match unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const time) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidInput.into()
}

/// Reports whether a program on this machine claims to keep the clock right (adjtimex(2)).
pub fn is_synchronised() -> bool {
    // SAFETY: the structure holds only numbers; zeros ask for no change.
    let mut request: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes no more than the structure.
    let state = unsafe { libc::adjtimex(&raw mut request) };
    (0..libc::TIME_ERROR).contains(&state)
}

/// Descriptor that becomes readable when the clock is set (TFD_TIMER_CANCEL_ON_SET in timerfd_create(2)).
#[derive(Debug)]
pub struct Jumps(OwnedFd);

impl Jumps {
    /// Begins to listen for jumps.
    pub fn open() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: the call takes only numbers.
        let number = unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, flags) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened just now, and nothing else owns it.
        let jumps = Self(unsafe { OwnedFd::from_raw_fd(number) });
        jumps.arm()?;
        Ok(jumps)
    }

    /// Listens for the next jump.
    pub fn arm(&self) -> io::Result<()> {
        /// A time that never comes, regardless of the clock's setting.
        #[allow(deprecated, reason = "follows the width of musl's type")]
        const NEVER: libc::time_t = libc::time_t::MAX;
        let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
        let time = |tv_sec| libc::timespec { tv_sec, tv_nsec: 0 };
        let timer = libc::itimerspec { it_interval: time(0), it_value: time(NEVER) };
        // SAFETY: the kernel reads the timer during the call.
        match unsafe { libc::timerfd_settime(self.0.as_raw_fd(), flags, &raw const timer, ptr::null_mut()) } {
            0 => Ok(()),
            // The clock was set since the timer was last armed, which this call reports as well. The timer is
            // armed all the same.
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ECANCELED) => Ok(()),
                error => Err(error),
            },
        }
    }
}

impl AsFd for Jumps {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
