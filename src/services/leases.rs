//! Leases of a portal's LAN, from the lease file of its dnsmasq.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::dnsmasq::lease_file;
use crate::base::error::Result;
use crate::base::net::Mac;
use crate::site::Portal;
use crate::system::disk::{self, FileOrigin};

/// Lease: a device and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Address of the device.
    pub address: IpAddr,
    /// Hardware address of the device.
    pub mac: Mac,
    /// Name that the device gives itself. Control characters are escaped, because a device may choose any
    /// name.
    pub name: Option<String>,
    /// Time for which the device may keep the address.
    pub left: Duration,
}

/// Returns the leases of a portal that are valid at `now`, sorted by address; `None` if the portal has no
/// DHCP.
pub fn leases(run_folder: &Path, portal: &Portal, now: SystemTime) -> Result<Option<Vec<Lease>>> {
    if !portal.dhcp {
        return Ok(None);
    }
    let path = lease_file(run_folder, portal);
    let text = disk::text_if_there(&path, FileOrigin::Host)?;
    let mut leases: Vec<Lease> =
        text.unwrap_or_default().lines().filter_map(|line| parse(line, now)).collect();
    leases.sort_unstable_by_key(|lease| lease.address);
    Ok(Some(leases))
}

/// Parses a line of a lease file: end in seconds since 1970, hardware address, address, name or a star,
/// client id (lease.c of dnsmasq). Returns `None` for a line that is not a lease, or a lease that has ended.
pub(crate) fn parse(line: &str, now: SystemTime) -> Option<Lease> {
    let mut words = line.split(' ');
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(words.next()?.parse().ok()?))?;
    let (mac, address, name) = (words.next()?, words.next()?, words.next()?);
    Some(Lease {
        address: address.parse().ok()?,
        mac: mac.parse().ok()?,
        name: (name != "*").then(|| escaped(name)),
        left: end.duration_since(now).ok()?,
    })
}

fn escaped(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_control() {
            let _ = write!(text, "{}", letter.escape_default());
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_line_is_a_lease_until_the_lease_ends() {
        let line = "1700043200 de:ad:be:ef:00:01 10.77.1.90 phone 01:de:ad:be:ef:00:01";
        let lease = parse(line, at(1_700_000_000)).unwrap();
        assert_eq!(lease.address.to_string(), "10.77.1.90");
        assert_eq!(lease.mac.to_string(), "de:ad:be:ef:00:01");
        assert_eq!(lease.name.as_deref(), Some("phone"));
        assert_eq!(lease.left, Duration::from_hours(12));
        assert_eq!(parse(line, at(1_700_043_201)), None);
    }

    #[test]
    fn names_cannot_control_a_terminal() {
        let line = "1700043200 de:ad:be:ef:00:01 10.77.1.90 a\u{1b}[31mb *";
        assert_eq!(parse(line, at(0)).unwrap().name.as_deref(), Some("a\\u{1b}[31mb"));
        assert_eq!(parse("1700043200 de:ad:be:ef:00:01 10.77.1.90 * *", at(0)).unwrap().name, None);
    }

    #[test]
    fn a_line_that_is_no_lease_is_skipped() {
        let far_away = format!("{} de:ad:be:ef:00:01 10.77.1.90 * *", u64::MAX);
        for line in ["", "duid 00:01", "x de:ad:be:ef:00:01 10.77.1.90 * *", "1 2 3 4", &far_away] {
            assert_eq!(parse(line, at(0)), None, "{line}");
        }
    }
}
