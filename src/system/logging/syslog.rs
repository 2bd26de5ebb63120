//! The machine's syslog: one datagram per line, in the form of RFC 3164 without a time, which every syslogd
//! adds.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// Socket on which syslogd listens.
pub(super) const SOCKET: &str = "/dev/log";

/// Facility `daemon` (syslog(3)).
const DAEMON: u8 = 3 << 3;

/// Writer to syslog. A line is lost while syslogd does not listen, as during its restart.
pub(super) struct Syslog;

impl Write for Syslog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = send(Path::new(SOCKET), line.trim_ascii_end());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the beginning of a datagram: the facility and the severity `priority`, and the tag of this
/// process.
pub(super) fn heading(priority: u8) -> String {
    format!("<{}>portals[{}]: ", DAEMON + priority, std::process::id())
}

/// Sends a datagram to the socket, which is opened each time because syslogd may have been restarted.
fn send(socket: &Path, datagram: &[u8]) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.send_to(datagram, socket).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_datagram_and_a_full_or_missing_socket_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("portals-syslog-{}.sock", std::process::id()));
        assert_eq!(send(&path, b"no daemon").unwrap_err().kind(), io::ErrorKind::NotFound);
        let syslogd = UnixDatagram::bind(&path).unwrap();
        let line = format!("{}a portal moves", heading(4));
        send(&path, line.as_bytes()).unwrap();
        let mut bytes = [0; 100];
        let length = syslogd.recv(&mut bytes).unwrap();
        let expected = format!("<28>portals[{}]: a portal moves", std::process::id());
        assert_eq!(str::from_utf8(&bytes[..length]), Ok(expected.as_str()));
        let refusal = (0..100_000).find_map(|_| send(&path, b"more than it takes").err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(refusal.map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    }
}
