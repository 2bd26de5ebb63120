//! The machine's syslog: one datagram a line, in the form of RFC 3164 without a time, which every syslogd adds by itself.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// Where it listens.
pub(super) const SOCKET: &str = "/dev/log";

/// Facility `daemon` (syslog(3)).
const DAEMON: u8 = 3 << 3;

/// Sends a line to the socket, which is looked for each time: syslogd may have been started again.
pub(super) fn send(socket: &Path, priority: u8, line: &str) -> io::Result<()> {
    let datagram = UnixDatagram::unbound()?;
    datagram.set_nonblocking(true)?;
    let text = format!("<{}>portals[{}]: {line}", DAEMON + priority, std::process::id());
    datagram.send_to(text.as_bytes(), socket).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_datagram_and_a_full_or_missing_socket_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("portals-syslog-{}.sock", std::process::id()));
        assert_eq!(send(&path, 6, "nobody is there").unwrap_err().kind(), io::ErrorKind::NotFound);
        let syslogd = UnixDatagram::bind(&path).unwrap();
        send(&path, 4, "a portal moves").unwrap();
        let mut bytes = [0; 100];
        let length = syslogd.recv(&mut bytes).unwrap();
        let expected = format!("<28>portals[{}]: a portal moves", std::process::id());
        assert_eq!(str::from_utf8(&bytes[..length]), Ok(expected.as_str()));
        let refusal = (0..100_000).find_map(|_| send(&path, 6, "more than it takes").err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(refusal.map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    }
}
