//! Forged datagrams of both families, and conversations that they must not reach.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::sockopt::BindToDevice;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, setsockopt, socket,
};
use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::base::net::Family;
use wg_portals::demo::{DemoSite, NYC, Namespace, Plot, World};

use crate::words::{Who, eventually, same, seconds};

/// Port of the server that receives questions.
pub(crate) const PORT: u16 = 5300;

/// Port without a listener.
pub(crate) const CLOSED: u16 = 5399;

/// Number of UDP among the protocols of IP.
const UDP: u8 = 17;

/// Sends a datagram out of a device, with any source of the destination's family.
pub(crate) fn forge(
    host: &Namespace,
    device: &str,
    (source, from): (impl Into<IpAddr>, u16),
    (destination, to): (impl Into<IpAddr>, u16),
) -> Result<()> {
    let (source, destination) = (source.into(), destination.into());
    let packet = packet((source, from), (destination, to));
    let there = SockaddrStorage::from(SocketAddr::new(destination, 0));
    let family = if destination.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let send = || {
        let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)?;
        setsockopt(&socket, BindToDevice, &device.into())?;
        sendto(socket.as_raw_fd(), &packet, &there, MsgFlags::empty())
    };
    host.run(|| {
        let doing = || format!("cannot forge a datagram from {source} to {destination} at {}", host.name());
        send().map(drop).context(doing)
    })
}

/// Returns a datagram with its IP header, in which the kernel fills in the zeros of IPv4.
fn packet((source, from): (IpAddr, u16), (destination, to): (IpAddr, u16)) -> Vec<u8> {
    const TEXT: &[u8; 6] = b"forged";
    const LENGTH: u8 = 8 + 6;
    let mut datagram = [from, to, LENGTH.into(), 0].map(u16::to_be_bytes).concat();
    datagram.extend(TEXT);
    match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let sum = checksum(source, destination, &datagram).to_be_bytes();
            datagram[6..8].copy_from_slice(&sum);
            let mut packet = vec![0x60, 0, 0, 0, 0, LENGTH, UDP, 64];
            packet.extend([source.octets(), destination.octets()].concat());
            packet.extend(datagram);
            packet
        }
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            // The checksum of UDP is optional (RFC 768).
            let mut packet = vec![0x45, 0, 0, 20 + LENGTH, 0, 0, 0, 0, 64, UDP, 0, 0];
            packet.extend([source.octets(), destination.octets()].concat());
            packet.extend(datagram);
            packet
        }
        _ => panic!("{source} and {destination} are not of the same family"),
    }
}

/// Returns the checksum of UDP over IPv6 (RFC 8200 § 8.1) of a datagram of even length.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, datagram: &[u8]) -> u16 {
    let addresses = source.segments().into_iter().chain(destination.segments());
    let words = datagram.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let length = u16::try_from(datagram.len()).expect("a small datagram");
    let sum = addresses.chain(words).chain([length, UDP.into()]).fold(0, |sum: u16, word| {
        let (sum, carries) = sum.overflowing_add(word);
        sum + u16::from(carries)
    });
    !sum
}

/// A client at nyc that has asked nyc's server a question, and waits.
pub(crate) struct Talk {
    server: UdpSocket,
    client: UdpSocket,
    /// Address of the client as the server sees it.
    seen: SocketAddr,
}

impl Talk {
    /// Asks in the family of the address as which the server must see the client.
    pub(crate) fn begin(world: &mut World, who: Who, seen_as: impl Into<IpAddr>) -> Result<Self> {
        let doing = || "cannot ask by UDP".to_owned();
        let seen_as = seen_as.into();
        let there = NYC.addresses(Family::of(seen_as)).own_server;
        let anywhere = if there.is_ipv4() { [0; 4].into() } else { IpAddr::from([0; 16]) };
        let server = world.server.run(|| UdpSocket::bind((there, PORT)).context(doing))?;
        server.set_read_timeout(Some(seconds(1.0))).context(doing)?;
        let who = who(world.site(NYC));
        let client = who.run(|| UdpSocket::bind((anywhere, 0)).context(doing))?;
        client.set_read_timeout(Some(seconds(5.0))).context(doing)?;
        let mut seen = None;
        eventually("the server is asked", || {
            client.send_to(b"question", (there, PORT)).context(doing)?;
            let (_, from) = server.recv_from(&mut [0; 16]).context(doing)?;
            seen = Some(from);
            same("by", from.ip(), seen_as)
        })?;
        server.set_nonblocking(true).context(doing)?;
        while server.recv(&mut [0; 16]).is_ok() {}
        Ok(Self { server, client, seen: seen.expect("it was asked") })
    }

    /// Source port of the question.
    pub(crate) fn port(&self) -> Result<u16> {
        self.client.local_addr().map(|address| address.port()).context(|| "no port".to_owned())
    }

    /// Checks that no answer arrives that these sites forge in the server's name and send into their tunnels
    /// to nyc, to the address where the true answer comes in.
    pub(crate) fn hears_nothing_from(self, world: &mut World, liars: &[(Plot, IpAddr)]) -> Result<()> {
        let there = NYC.addresses(Family::of(self.seen.ip())).own_server;
        for (liar, address) in liars {
            let port = if *address == self.seen.ip() { self.seen.port() } else { self.port()? };
            let site: &DemoSite = world.site(*liar);
            forge(&site.router, "to-nyc", (there, PORT), (*address, port))?;
            // A later packet on the same path cannot overtake the forged one.
            let way = site.router(seconds(3.0)).traceroute(NYC.tunnel())?;
            same("the way to New York", way, vec![Some(NYC.tunnel())])?;
            self.has_heard_nothing().context(|| format!("{} lied", liar.name))?;
        }
        self.is_answered()
    }

    pub(crate) fn has_heard_nothing(&self) -> Result<()> {
        self.client.set_nonblocking(true).context(|| "cannot ask by UDP".to_owned())?;
        let heard = self.client.recv(&mut [0; 16]);
        self.client.set_nonblocking(false).context(|| "cannot ask by UDP".to_owned())?;
        match heard {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            heard => Err(Error::failed(format!("a forged answer came: {heard:?}"))),
        }
    }

    pub(crate) fn says_nothing_more(&self) -> Result<()> {
        match self.server.recv(&mut [0; 16]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            heard => Err(Error::failed(format!("another question came: {heard:?}"))),
        }
    }

    /// Checks that the true answer still arrives.
    pub(crate) fn is_answered(&self) -> Result<()> {
        eventually("the true answer comes", || {
            let mut answer = [0; 16];
            self.server.send_to(b"answer", self.seen).context(|| "cannot answer by UDP".to_owned())?;
            let length = self.client.recv(&mut answer).context(|| "no answer".to_owned())?;
            same("the answer", &answer[..length], b"answer")
        })
    }
}
