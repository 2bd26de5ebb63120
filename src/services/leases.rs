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
    pub left: LeaseTime,
}

/// Time for which a device may keep its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseTime {
    /// Time that is left.
    Left(Duration),
    /// Most time that can be left: the whole length of the lease.
    UpTo(Duration),
    /// No end.
    Endless,
}

/// Smallest number that is a time since 1970 and not the length of a lease: a time in 2001.
const TIMES: u64 = 1_000_000_000;

/// Returns the leases of a portal that are valid at `now`, sorted by address; `None` if the portal has no
/// DHCP.
pub fn leases(run_folder: &Path, portal: &Portal, now: SystemTime) -> Result<Option<Vec<Lease>>> {
    if !portal.dhcp {
        return Ok(None);
    }
    let path = lease_file(run_folder, portal);
    let mut leases = Vec::new();
    for line in disk::text_if_there(&path, FileOrigin::Host)?.unwrap_or_default().lines() {
        if let Some(lease) = parse(line, now) {
            let place = leases.iter().position(|other: &Lease| other.address > lease.address);
            leases.insert(place.unwrap_or(leases.len()), lease);
        }
    }
    Ok(Some(leases))
}

/// Parses a line of a lease file: end in seconds since 1970, hardware address, address, name or a star,
/// client id (lease.c of dnsmasq). The end of a lease without end is 0. A dnsmasq that trusts no clock
/// (`HAVE_BROKEN_RTC`, an option of OpenWrt) writes the length of the lease in place of its end. Returns
/// `None` for a line that is not a lease, or a lease that has ended.
pub(crate) fn parse(line: &str, now: SystemTime) -> Option<Lease> {
    let mut words = line.split(' ');
    let number: u64 = words.next()?.parse().ok()?;
    let time = Duration::from_secs(number);
    let left = match number {
        0 => LeaseTime::Endless,
        1..TIMES => LeaseTime::UpTo(time),
        _ => LeaseTime::Left(UNIX_EPOCH.checked_add(time)?.duration_since(now).ok()?),
    };
    let (mac, address, name) = (words.next()?, words.next()?, words.next()?);
    Some(Lease {
        address: address.parse().ok()?,
        mac: mac.parse().ok()?,
        name: (name != "*").then(|| escaped(name)),
        left,
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
        assert_eq!(lease.left, LeaseTime::Left(Duration::from_hours(12)));
        assert_eq!(parse(line, at(1_700_043_201)), None);
    }

    #[test]
    fn a_lease_may_have_no_end_or_a_length_in_its_place() {
        let left = |end: &str| {
            let line = format!("{end} de:ad:be:ef:00:01 10.77.1.90 phone *");
            parse(&line, at(1_700_000_000)).map(|lease| lease.left)
        };
        assert_eq!(left("0"), Some(LeaseTime::Endless));
        assert_eq!(left("43200"), Some(LeaseTime::UpTo(Duration::from_hours(12))));
        assert_eq!(left("1000000000"), None, "a time in 2001 is over");
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
