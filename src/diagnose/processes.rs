//! Processes that have a UDP port.

use std::fs;
use std::path::Path;

use crate::system::disk::{self, FileOrigin};

/// Process that has a UDP port.
pub(super) struct PortOwner {
    /// Name and number, for people.
    pub(super) words: String,
    /// Its arguments, with zeros between them.
    pub(super) arguments: String,
}

/// Returns the processes that have a UDP port, at any address. A port of the kernel's WireGuard has none.
pub(super) fn owners_of(port: u16) -> Vec<PortOwner> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        for line in disk::kernel_text(table).unwrap_or_default().lines() {
            inodes.extend(inode_of(line, port));
        }
    }
    let mut owners = Vec::new();
    if inodes.is_empty() {
        return owners;
    }
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = process.path();
        let mut has_it = false;
        for file in fs::read_dir(path.join("fd")).into_iter().flatten().flatten() {
            has_it |=
                fs::read_link(file.path()).is_ok_and(|target| inodes.iter().any(|i| target == Path::new(i)));
        }
        if has_it {
            let text = |name| disk::text_or_empty(&path.join(name), FileOrigin::Kernel);
            let number = process.file_name();
            let words = [text("comm").trim(), " (process ", &number.to_string_lossy(), ")"].concat();
            owners.push(PortOwner { words, arguments: text("cmdline") });
        }
    }
    owners
}

/// Returns the name of the socket in a line of /proc/net/udp, if it has this port: fields are the number, the
/// local address with its port in hexadecimal, and as the tenth the inode (proc(5)).
fn inode_of(line: &str, port: u16) -> Option<String> {
    let mut fields = line.split_whitespace();
    let (_, local) = fields.nth(1)?.rsplit_once(':')?;
    let inode = fields.nth(7)?;
    let is_it = u16::from_str_radix(local, 16).ok()? == port;
    (is_it && inode != "0").then(|| ["socket:[", inode, "]"].concat())
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
}
