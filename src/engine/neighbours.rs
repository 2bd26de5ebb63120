//! Devices with the IPv4 addresses that portals select by. IPv6 traffic of a device is recognised by the
//! hardware address, which belongs to the IPv4 address. The kernel forgets silent devices; so a device stays
//! known here until another device has its address.

use std::fmt::Write as _;
use std::path::Path;

use crate::base::error::{Context as _, Result};
use crate::base::net::Cidr;
use crate::kernel::neighbour;
use crate::kernel::netlink::Socket;
use crate::site::facts::Neighbours;
use crate::system::disk::{self, FileOrigin, cannot_write};

/// Name of the file with the known devices, in the folder of run-time files.
const FILE: &str = "neighbours";

/// Returns the devices in these networks that are there now, or were there since this machine started.
pub fn known(socket: &mut Socket, folder: &Path, networks: &[Cidr]) -> Result<Neighbours> {
    if networks.is_empty() {
        return Ok(Neighbours::new());
    }
    let mut known = remembered(folder)?;
    for found in neighbour::list(socket)? {
        known.insert(found.address, found.mac);
    }
    known.retain(|address, _| networks.iter().any(|network| network.contains(*address)));
    Ok(known)
}

/// Writes the known devices to the folder of run-time files, for later calls.
pub fn remember(folder: &Path, neighbours: &Neighbours) -> Result<()> {
    if *neighbours == remembered(folder)? {
        return Ok(());
    }
    let path = folder.join(FILE);
    let mut text = String::new();
    for (address, mac) in neighbours {
        let _ = writeln!(text, "{address} {mac}");
    }
    disk::replace(&path, text.as_bytes(), 0o600).context(|| cannot_write(&path))
}

/// Reads the known devices. A line of the file that cannot be parsed does not count.
fn remembered(folder: &Path) -> Result<Neighbours> {
    let path = folder.join(FILE);
    let text = disk::text_if_there(&path, FileOrigin::Ours)?;
    let mut known = Neighbours::new();
    for line in text.unwrap_or_default().lines() {
        if let Some((address, mac)) = line.split_once(' ')
            && let (Ok(address), Ok(mac)) = (address.parse(), mac.parse())
        {
            known.insert(address, mac);
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use std::net::IpAddr;

    use super::*;
    use crate::base::net::Mac;

    #[test]
    fn devices_that_were_there_are_remembered() {
        let folder = std::env::temp_dir().join(format!("portals-neighbours-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(remembered(&folder).unwrap(), Neighbours::new());
        let tv = (IpAddr::from([192, 168, 1, 50]), Mac([0xaa, 0xbb, 0xcc, 0, 0xe, 0xf]));
        remember(&folder, &[tv].into()).unwrap();
        assert_eq!(remembered(&folder).unwrap(), [tv].into());
        fs::write(folder.join(FILE), "192.168.1.50\n192.168.1.50 aa:bb\nwhat\n").unwrap();
        assert_eq!(remembered(&folder).unwrap(), Neighbours::new());
        fs::remove_dir_all(folder).unwrap();
    }
}
