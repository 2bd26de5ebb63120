//! Processes that have a UDP port.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::text::printable_line;
use crate::system::disk::{self, FileOrigin};

/// Process that has a UDP port.
pub(super) struct PortOwner {
    /// Name and number, for people.
    pub(super) words: String,
    /// Arguments of the process, with zeros between them.
    pub(super) arguments: String,
}

/// Returns the processes that have a UDP port, at any address. A port of the kernel's WireGuard has none.
pub(super) fn owners_of(port: u16) -> Vec<PortOwner> {
    let mut inodes = Vec::new();
    let port = format!(":{port:04X}");
    for table in &["/proc/net/udp", "/proc/net/udp6"] {
        for line in disk::kernel_text(*table).unwrap_or_default().lines() {
            inodes.extend(inode_of(line, &port));
        }
    }
    let mut owners = Vec::new();
    if inodes.is_empty() {
        return owners;
    }
    for process in disk::entries("/proc".as_ref()).unwrap_or_default() {
        for file in disk::entries(&process.join("fd")).unwrap_or_default() {
            let Ok(target) = fs::read_link(file) else { continue };
            if inodes.iter().any(|inode| target == Path::new(inode)) {
                let text = |name| disk::text_or_empty(&process.join(name), FileOrigin::Kernel);
                let number = process.file_name().unwrap_or_default().to_string_lossy();
                let words = format!("{} (process {number})", printable_line(text("comm").trim()));
                owners.push(PortOwner { words, arguments: text("cmdline") });
                break;
            }
        }
    }
    owners
}

/// Reports whether a process of this name runs.
pub(super) fn runs(name: &str) -> bool {
    let processes = disk::entries("/proc".as_ref()).unwrap_or_default();
    let has_name =
        |process: &PathBuf| disk::text_or_empty(&process.join("comm"), FileOrigin::Kernel).trim() == name;
    processes.iter().any(has_name)
}

/// Returns the name of the socket in a line of /proc/net/udp, if its local address ends like this: fields are
/// the number, the local address with its port in hexadecimal, and as the tenth the inode (proc(5)).
fn inode_of(line: &str, port: &str) -> Option<String> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let inode = fields.nth(7)?;
    (local.ends_with(port) && inode != "0").then(|| format!("socket:[{inode}]"))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn the_owner_of_a_port_is_found() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let owners = owners_of(port);
        let number = format!("(process {})", std::process::id());
        assert!(owners.iter().any(|owner| owner.words.ends_with(&number)), "{}", owners.len());
        drop(socket);
        assert!(owners_of(port).is_empty());
    }

    #[test]
    fn the_name_of_an_owner_is_one_line() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        fs::write("/proc/self/comm", "a\x1b[2J\n✓ b").unwrap();
        let owners = owners_of(port);
        fs::write("/proc/self/comm", name.trim()).unwrap();
        let words = format!("a\u{fffd}[2J\u{fffd}✓ b (process {})", std::process::id());
        assert!(owners.iter().any(|owner| owner.words == words));
    }
}
