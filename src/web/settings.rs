//! Settings of a process that shows pages: a file that only root reads, and that the process reads before it
//! gives up its privileges.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::base::net::InterfaceAddress;
use crate::config::model::Name;

/// Name of the file in the folder of the process.
pub const FILE: &str = "pages";

/// Settings of a process that shows pages.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// Pages; never empty.
    pub doors: Vec<Door>,
}

/// Page, and the place where browsers find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// Page of a portal, in the LAN of the portal.
    Portal {
        /// Name of the portal.
        name: Name,
        /// IPv4 address of this host in the LAN.
        lan: InterfaceAddress,
    },
    /// Page of this router, on the loopback interface.
    Local {
        /// First part of the path of each address: without it, other users of this host see nothing.
        key: String,
        /// TCP port.
        port: u16,
    },
}

impl Settings {
    /// Returns the text of the file.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for door in &self.doors {
            let _ = match door {
                Door::Portal { name, lan } => writeln!(text, "portal {name} {lan}"),
                Door::Local { key, port } => writeln!(text, "local {key} {port}"),
            };
        }
        text
    }

    /// Parses the text of the file; `None` if it is no such text.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut doors = Vec::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            let (kind, first, second) = (words.next()?, words.next()?.to_owned(), words.next()?);
            doors.push(match kind {
                "portal" => Door::Portal { name: first, lan: second.parse().ok()? },
                "local" => Door::Local { key: first, port: second.parse().ok()? },
                _ => return None,
            });
        }
        (!doors.is_empty()).then_some(Self { doors })
    }
}

impl Door {
    /// Returns the IPv4 address where browsers find the page; `None` if it is no IPv4 address.
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Portal { lan, .. } => match lan.address {
                std::net::IpAddr::V4(address) => Some(address),
                std::net::IpAddr::V6(_) => None,
            },
            Self::Local { .. } => Some(Ipv4Addr::LOCALHOST),
        }
    }

    /// Reports whether a browser at an address may see the page at all.
    pub(super) fn lets_in(&self, browser: Ipv4Addr) -> bool {
        match self {
            Self::Portal { lan, .. } => lan.network().contains(browser.into()),
            Self::Local { .. } => browser.is_loopback(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let lan = "10.77.1.65/26".parse().unwrap();
        let portal = Door::Portal { name: "guest".to_owned(), lan };
        let local = Door::Local { key: "0123456789abcdef".to_owned(), port: 10_077 };
        Settings { doors: vec![portal, local] }
    }

    #[test]
    fn read_settings_are_the_written_ones() {
        assert_eq!(Settings::from_text(&settings().to_text()), Some(settings()));
        for wrong in ["", "portal guest\n", "portal guest nowhere\n", "local key soon\n", "x\n"] {
            assert_eq!(Settings::from_text(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn only_the_lan_of_a_portal_and_this_host_are_let_in() {
        let doors = settings().doors;
        let lets_in = |door: usize, browser: &str| doors[door].lets_in(browser.parse().unwrap());
        assert!(lets_in(0, "10.77.1.70") && lets_in(1, "127.0.0.1"));
        for stranger in ["10.77.1.1", "10.77.1.129", "192.168.1.5", "127.0.0.1"] {
            assert!(!lets_in(0, stranger), "{stranger}");
        }
        assert!(!lets_in(1, "10.77.1.70"));
    }
}
