//! Limit on the open files of this process. Each tunnel of the built-in WireGuard needs some.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::base::error::{Context as _, Error, Result};
use crate::state::words::count;

/// Files of one tunnel: its device, sockets for both families, and the socket at which it shows its settings.
/// While a tunnel changes its port, it has the sockets of both ports.
const OF_A_TUNNEL: u64 = 4;

/// Files of everything else: netlink, signals, the control socket and its clients, probes, services, logs,
/// the wait for packets, and other programs that read the settings of a tunnel.
const OF_ALL_ELSE: u64 = 80;

/// Raises the limit to the most that the system allows.
pub fn raise_limit() -> Result<()> {
    let context = || "cannot raise the limit on the open files of this process".to_owned();
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE).context(context)?;
    if now == most { Ok(()) } else { setrlimit(Resource::RLIMIT_NOFILE, most, most).context(context) }
}

/// Checks that the limit is enough for that many tunnels of the built-in WireGuard.
///
/// # Errors
/// If it is not: the message names the limit, and the number of tunnels that fit.
pub fn check_room(tunnels: usize) -> Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)
        .context(|| "cannot read the limit on the open files of this process".to_owned())?;
    let room = room_within(limit);
    if tunnels as u64 <= room {
        return Ok(());
    }
    Err(Error::failed(format_args!(
        "the built-in WireGuard has no room for {}: \
         this process may have {limit} files open, which is enough for {room}; \
         allow more (`ulimit -n {}`, or LimitNOFILE= of the service), or load the kernel's WireGuard",
        count(tunnels, "tunnel"),
        OF_ALL_ELSE + OF_A_TUNNEL * tunnels as u64
    )))
}

fn room_within(limit: u64) -> u64 {
    limit.saturating_sub(OF_ALL_ELSE) / OF_A_TUNNEL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_enough_for_so_many_tunnels() {
        for (limit, tunnels) in [(0, 0), (80, 0), (83, 0), (84, 1), (1024, 236), (65_536, 16_364)] {
            assert_eq!(room_within(limit), tunnels, "{limit}");
        }
        check_room(0).unwrap();
        let refusal = check_room(usize::MAX / 32).unwrap_err().to_string();
        assert!(refusal.contains("ulimit -n"), "{refusal}");
    }
}
