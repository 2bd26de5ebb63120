//! The number of files that this process may have open. Each tunnel of the built-in WireGuard takes some, and the library behind it ends the
//! process where it cannot have them.

use std::os::fd::{AsFd, FromRawFd as _, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::base::error::{Context as _, Error, Result};
use crate::state::words::count;

/// Files of one tunnel: its device, sockets for both families, timers and wake-ups of each thread, and the sockets that its settings are
/// read by. Counted in /proc/PID/fd: 15, and one for the moment in which somebody asks for its settings.
const OF_A_TUNNEL: u64 = 16;

/// Files of all else: netlink, signals, the control socket and its visitors, probes, services, logs.
const OF_ALL_ELSE: u64 = 64;

/// A number above those of all files where the system allows so many: 250 tunnels, one for each site, and all
/// else.
const HIGH: u64 = 4096;

/// Takes all that the system allows.
pub fn raise_limit() -> Result<()> {
    let doing = || "cannot raise the number of files that this process may have open".to_owned();
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE).context(doing)?;
    if now == most { Ok(()) } else { setrlimit(Resource::RLIMIT_NOFILE, most, most).context(doing) }
}

/// Checks that so many tunnels of the built-in WireGuard have room.
///
/// # Errors
/// If they have not: the message names the limit, and how many fit.
pub fn check_room(tunnels: usize) -> Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)
        .context(|| "cannot tell how many files this process may have open".to_owned())?;
    let room = room_within(limit);
    if tunnels as u64 <= room {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the built-in WireGuard has no room for {}: this process may have {limit} files open, which is enough for {room}; \
         allow more (`ulimit -n {}`, or LimitNOFILE= of the service), or load the kernel's WireGuard",
        count(tunnels, "tunnel"),
        OF_ALL_ELSE + OF_A_TUNNEL * tunnels as u64
    )))
}

/// Gives a file another number, above those that files get by themselves.
pub fn renumbered(file: impl AsFd) -> Result<OwnedFd> {
    let doing = || "cannot give a file another number".to_owned();
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).context(doing)?;
    let least = (limit / 2).min(HIGH).try_into().expect("a small number");
    let number = fcntl(file.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(least)).context(doing)?;
    // SAFETY: it was opened just now, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn room_within(limit: u64) -> u64 {
    limit.saturating_sub(OF_ALL_ELSE) / OF_A_TUNNEL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_enough_for_so_many_tunnels() {
        for (limit, tunnels) in [(0, 0), (64, 0), (79, 0), (80, 1), (1024, 60), (65_536, 4092)] {
            assert_eq!(room_within(limit), tunnels, "{limit}");
        }
        check_room(0).unwrap();
        let refusal = check_room(usize::MAX / 32).unwrap_err().to_string();
        assert!(refusal.contains("ulimit -n"), "{refusal}");
    }
}
