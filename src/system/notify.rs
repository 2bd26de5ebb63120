//! Notifications to the init that started this program, if the init has asked for them (sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::system::logging as log;

/// Environment variable that names the socket. A name that begins with `@` is an abstract one (unix(7)).
const SOCKET: &str = "NOTIFY_SOCKET";

/// State: the agent is up.
pub const READY: &str = "READY=1";

/// State: the agent ends.
pub const STOPPING: &str = "STOPPING=1";

/// Sends a state. A failure is only logged: it harms nothing here, but an init that waits for the state would
/// wait in vain.
pub fn tell(state: &str) {
    if let Some(name) = env::var_os(SOCKET)
        && let Err(error) = send(&name, state)
    {
        log::warn!("cannot report {state} to the init at {}: {error}", name.display());
    }
}

fn send(name: &OsStr, state: &str) -> io::Result<()> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(name: &str, address: &SocketAddr) -> String {
        let init = UnixDatagram::bind_addr(address).unwrap();
        send(OsStr::new(name), READY).unwrap();
        let mut bytes = [0; 64];
        let length = init.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[test]
    fn an_init_hears_a_state_by_either_kind_of_name() {
        let path = format!("/tmp/portals-notify-{}", std::process::id());
        assert_eq!(heard(&path, &SocketAddr::from_pathname(&path).unwrap()), READY);
        std::fs::remove_file(&path).unwrap();
        let hidden = SocketAddr::from_abstract_name(&path).unwrap();
        assert_eq!(heard(&format!("@{path}"), &hidden), READY);
        assert!(send(OsStr::new("/nowhere"), READY).is_err());
    }
}
