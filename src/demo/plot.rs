//! Addresses of the world: the server, the homes, and the place of each site.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::net::Family;

/// Server on the internet that tells clients their own address. Its network belongs to no organisation, but
/// is public (RFC 7534): exits let guests reach only public addresses.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 175, 48, 10);

/// Address of the internet on the server's network.
pub(super) const SERVER_GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 175, 48, 1);

/// IPv6 address of the server, in the other network of the same purpose (RFC 7534).
pub const SERVER6: Ipv6Addr = server6(0x10);

/// IPv6 address of the internet on the server's network.
pub(super) const SERVER_GATEWAY6: Ipv6Addr = server6(1);

/// Router of every home; all homes use the same IPv4 addresses.
pub const HOME_ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// Computer at home.
pub const HOME: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);

/// Second address of the computer at home, which plays another device.
pub const OTHER_HOME: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 60);

/// Place of a site in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plot {
    /// Name of the site in the network file.
    pub name: &'static str,
    /// Number of the site in the network file.
    pub id: u8,
    /// Address of the site on the internet, in a /24 whose `.1` is the internet's side.
    pub address: Ipv4Addr,
    /// Set for the router of a home; other sites are boxes without a LAN, which forward nothing.
    pub home: bool,
}

/// Home in New York.
pub const NYC: Plot = Plot { name: "nyc", id: 1, address: Ipv4Addr::new(198, 51, 100, 2), home: true };

/// Home in Paris.
pub const PARIS: Plot = Plot { name: "paris", id: 2, address: Ipv4Addr::new(203, 0, 113, 9), home: true };

/// Rented box in Oslo.
pub const OSLO: Plot = Plot { name: "oslo", id: 3, address: Ipv4Addr::new(192, 0, 2, 5), home: false };

/// Addresses that matter at a site, all of the same family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Server on the internet.
    pub server: IpAddr,
    /// Server that only this site's own clients talk to.
    pub own_server: IpAddr,
    /// Internet's side of the site's uplink.
    pub gateway: IpAddr,
    /// Site's side of its uplink.
    pub uplink: IpAddr,
    /// Site in all its tunnels.
    pub tunnel: IpAddr,
    /// Router on the LAN of the site's first portal.
    pub portal: IpAddr,
    /// Guest behind the site's first portal.
    pub guest: IpAddr,
    /// Router of the site's home.
    pub home_router: IpAddr,
    /// Computer at home.
    pub home: IpAddr,
}

impl Plot {
    /// Returns the router's address on the LAN of the site's first portal, which follows from the site's
    /// number.
    pub fn portal(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.id, 65)
    }

    /// Returns the address of the guest behind the site's first portal.
    pub fn guest(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.id, 70)
    }

    /// Returns the site's address on all its tunnels.
    pub fn tunnel(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.id, 1)
    }

    /// Returns an address of the server that only this site's own clients talk to. It distinguishes their
    /// packets from packets that the site forwards for other sites.
    pub fn own_server(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 175, 48, 100 + self.id)
    }

    /// Returns the internet's address on the site's uplink.
    pub fn gateway(&self) -> Ipv4Addr {
        let [a, b, c, _] = self.address.octets();
        Ipv4Addr::new(a, b, c, 1)
    }

    /// Returns the router's IPv6 address on the LAN of the site's first portal.
    pub fn portal6(&self) -> Ipv6Addr {
        self.inside(1, 1)
    }

    /// Returns the IPv6 address of the guest behind the site's first portal.
    pub fn guest6(&self) -> Ipv6Addr {
        self.inside(1, 0x70)
    }

    /// Returns the site's IPv6 address on all its tunnels.
    pub fn tunnel6(&self) -> Ipv6Addr {
        self.inside(0, 1)
    }

    /// Returns the IPv6 address of the server that only this site's own clients talk to.
    pub fn own_server6(&self) -> Ipv6Addr {
        server6(0x100 + u16::from(self.id))
    }

    /// Returns the IPv6 address of the site's uplink.
    pub fn address6(&self) -> Ipv6Addr {
        self.outside(0, 2)
    }

    /// Returns the internet's IPv6 address on the site's uplink.
    pub fn gateway6(&self) -> Ipv6Addr {
        self.outside(0, 1)
    }

    /// Returns the IPv6 address of the site's home router.
    pub fn home_router6(&self) -> Ipv6Addr {
        self.outside(1, 1)
    }

    /// Returns the IPv6 address of the computer at home. Each home has its own network, and no address
    /// translation.
    pub fn home6(&self) -> Ipv6Addr {
        self.outside(1, 0x50)
    }

    /// Returns the second IPv6 address of the computer at home, which plays another device.
    pub fn other_home6(&self) -> Ipv6Addr {
        self.outside(1, 0x60)
    }

    /// Returns the addresses of one family.
    pub fn addresses(&self, family: Family) -> Addresses {
        match family {
            Family::V4 => Addresses {
                server: SERVER.into(),
                own_server: self.own_server().into(),
                gateway: self.gateway().into(),
                uplink: self.address.into(),
                tunnel: self.tunnel().into(),
                portal: self.portal().into(),
                guest: self.guest().into(),
                home_router: HOME_ROUTER.into(),
                home: HOME.into(),
            },
            Family::V6 => Addresses {
                server: SERVER6.into(),
                own_server: self.own_server6().into(),
                gateway: self.gateway6().into(),
                uplink: self.address6().into(),
                tunnel: self.tunnel6().into(),
                portal: self.portal6().into(),
                guest: self.guest6().into(),
                home_router: self.home_router6().into(),
                home: self.home6().into(),
            },
        }
    }

    /// Returns a host of a /64 of the site in the network's subnet.
    fn inside(&self, network: u16, host: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfd77, 1, 2, u16::from(self.id) << 8 | network, 0, 0, 0, host)
    }

    /// Returns a host of a /64 that the site got from its provider.
    fn outside(&self, network: u16, host: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, u16::from(self.id), network, 0, 0, 0, host)
    }
}

const fn server6(host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, host)
}
