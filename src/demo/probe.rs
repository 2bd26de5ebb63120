//! Probes that a computer of the world can send: ask for its own address, trace a route, transfer bytes.

use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::str::FromStr;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect, recvmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::namespace::Namespace;
use super::server::{TRANSFER_SIZE, TcpService};
use crate::base::error::{Context as _, Error, Result};
use crate::system::wait::poll_until;

/// First destination port of `traceroute`, on which no program listens.
const TRACE_PORT: u16 = 33_434;

/// Largest number of hops that are traced.
const MOST_HOPS: u8 = 8;

/// Computer that sends probes.
#[derive(Debug, Clone, Copy)]
pub struct ProbeClient<'a> {
    /// Namespace of the computer.
    pub namespace: &'a Namespace,
    /// Source address of its probes, if it has several addresses.
    pub source: Option<IpAddr>,
    /// Time limit of each probe.
    pub limit: Duration,
}

impl<'a> ProbeClient<'a> {
    /// Returns a client on a computer with one address.
    pub fn new(namespace: &'a Namespace, limit: Duration) -> Self {
        Self { namespace, source: None, limit }
    }

    /// Returns the same client with another time limit.
    #[must_use]
    pub fn waiting(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Returns the same client with another source address.
    #[must_use]
    pub fn from(self, source: impl Into<IpAddr>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Returns the client's address as the server sees it.
    pub fn who_am_i(&self, server: impl Into<IpAddr>) -> Result<IpAddr> {
        self.with(TcpService::WhoAmI, server.into(), |mut peer| read_line(&mut peer))
    }

    /// Downloads 200 kB, and returns the number of bytes that arrived.
    pub fn download(&self, server: impl Into<IpAddr>) -> Result<usize> {
        self.with(TcpService::Stream, server.into(), |mut peer| {
            let mut bytes = Vec::with_capacity(TRANSFER_SIZE);
            peer.read_to_end(&mut bytes)
        })
    }

    /// Uploads 200 kB, and returns the number of bytes that the server reports.
    pub fn upload(&self, server: impl Into<IpAddr>) -> Result<usize> {
        self.with(TcpService::Count, server.into(), |mut peer| {
            peer.write_all(&vec![b'.'; TRANSFER_SIZE])?;
            peer.shutdown(Shutdown::Write)?;
            read_line(&mut peer)
        })
    }

    /// Opens a connection to the server's echo service, for repeated tests with [`echoes`].
    pub fn connect(&self, server: impl Into<IpAddr>) -> Result<TcpStream> {
        self.with(TcpService::Echo, server.into(), Ok)
    }

    /// Returns the routers on the route, and the destination if it is reached; `None` for a router that does
    /// not answer.
    pub fn traceroute(&self, destination: Ipv4Addr) -> Result<Vec<Option<Ipv4Addr>>> {
        let v4 = |hop| if let IpAddr::V4(hop) = hop { Some(hop) } else { None };
        Ok(self.route(destination.into())?.into_iter().map(|hop| hop.and_then(v4)).collect())
    }

    /// Returns the same for IPv6.
    pub fn traceroute6(&self, destination: Ipv6Addr) -> Result<Vec<Option<Ipv6Addr>>> {
        let v6 = |hop| if let IpAddr::V6(hop) = hop { Some(hop) } else { None };
        Ok(self.route(destination.into())?.into_iter().map(|hop| hop.and_then(v6)).collect())
    }

    /// Returns the routers on the route to a destination of either family.
    pub fn route(&self, destination: IpAddr) -> Result<Vec<Option<IpAddr>>> {
        self.namespace.run(|| {
            let mut hops = Vec::new();
            for ttl in 1..=MOST_HOPS {
                let hop = self
                    .hop(destination, ttl)
                    .context(|| format!("{} cannot send to {destination}", self.namespace.name()))?;
                hops.push(hop);
                if hop == Some(destination) {
                    break;
                }
            }
            Ok(hops)
        })
    }

    /// Sends datagrams and begins connections to `server` without waiting for answers. Returns the number of
    /// packets.
    pub fn knock(&self, server: impl Into<IpAddr>, times: usize) -> Result<usize> {
        let server = server.into();
        self.namespace.run(|| {
            let knocked = (0..times).try_for_each(|_| {
                let datagrams = UdpSocket::bind((wildcard(server), 0))?;
                // Only the attempt matters; the network may refuse the packet.
                let _ = datagrams.send_to(b"knock", SocketAddr::new(server, TRACE_PORT));
                let _ = TcpStream::connect_timeout(
                    &(server, TcpService::WhoAmI.port()).into(),
                    Duration::from_millis(20),
                );
                io::Result::Ok(())
            });
            knocked.context(|| format!("{} cannot knock at {server}", self.namespace.name()))?;
            Ok(2 * times)
        })
    }

    /// Opens a connection, and runs `talk` on it.
    fn with<T: Send>(
        &self,
        service: TcpService,
        server: IpAddr,
        talk: impl FnOnce(TcpStream) -> io::Result<T> + Send,
    ) -> Result<T> {
        self.namespace.run(|| {
            self.dial((server, service.port()).into())
                .and_then(talk)
                .map_err(describe)
                .context(|| format!("{} got no answer from {server}", self.namespace.name()))
        })
    }

    fn dial(&self, server: SocketAddr) -> io::Result<TcpStream> {
        let family = if server.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)?;
        if let Some(source) = self.source {
            bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::from((source, 0))))?;
        }
        // The time limit for sending also applies to connecting (socket(7)).
        setsockopt(&socket, sockopt::SendTimeout, &time_value(self.limit))?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &time_value(self.limit))?;
        connect(socket.as_raw_fd(), &SockaddrStorage::from(server))?;
        Ok(socket.into())
    }

    /// Returns the host that answers a datagram which passes at most `ttl` - 1 routers.
    fn hop(&self, destination: IpAddr, ttl: u8) -> io::Result<Option<IpAddr>> {
        let probe = UdpSocket::bind((self.source.unwrap_or(wildcard(destination)), 0))?;
        if destination.is_ipv4() {
            probe.set_ttl(ttl.into())?;
            setsockopt(&probe, sockopt::Ipv4RecvErr, &true)?;
        } else {
            setsockopt(&probe, sockopt::Ipv6Ttl, &ttl.into())?;
            setsockopt(&probe, sockopt::Ipv6RecvErr, &true)?;
        }
        probe.send_to(b"trace", SocketAddr::new(destination, TRACE_PORT + u16::from(ttl)))?;
        let deadline = Instant::now() + self.limit;
        while wait_for_error(&probe, deadline)? {
            if let Some(router) = sender_of_error(&probe)? {
                return Ok(Some(router));
            }
        }
        Ok(None)
    }
}

/// Reports whether a connection to the echo service still carries bytes in both directions.
pub fn echoes(peer: &mut TcpStream) -> bool {
    let mut answer = [0; 4];
    peer.write_all(b"ping").and_then(|()| peer.read_exact(&mut answer)).is_ok() && &answer == b"ping"
}

/// Reads and parses the line that a server sends before it closes the connection.
fn read_line<T: FromStr>(peer: &mut TcpStream) -> io::Result<T> {
    let mut text = String::new();
    peer.read_to_string(&mut text)?;
    text.trim_end().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Waits until an ICMP error arrives for this socket, or until the deadline.
fn wait_for_error(probe: &UdpSocket, deadline: Instant) -> io::Result<bool> {
    use std::os::fd::AsFd as _;
    // POLLERR is always reported.
    Ok(poll_until(&mut [PollFd::new(probe.as_fd(), PollFlags::empty())], Some(deadline))? > 0)
}

/// Returns the router that sent an ICMP error in the socket's error queue.
fn sender_of_error(probe: &UdpSocket) -> io::Result<Option<IpAddr>> {
    let mut control = vec![0; 128];
    let mut payload = [0; 64];
    let mut buffers = [IoSliceMut::new(&mut payload)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    recvmsg::<SockaddrStorage>(probe.as_raw_fd(), &mut buffers, Some(&mut control), flags)?;
    Ok(offender(&control))
}

/// Returns the address of the router in the only control message of an error: `struct cmsghdr`, `struct
/// sock_extended_err`, and the router's `struct sockaddr_in` or `struct sockaddr_in6` (ip(7), ipv6(7)). The
/// functions of nix for control messages decode every kind, which is more than a kilobyte of code.
fn offender(control: &[u8]) -> Option<IpAddr> {
    const HEADER: usize = size_of::<usize>() + 2 * size_of::<libc::c_int>();
    let address = control.get(HEADER + size_of::<libc::sock_extended_err>()..)?;
    match libc::c_int::from(u16::from_ne_bytes(*address.first_chunk()?)) {
        libc::AF_INET => Some(IpAddr::from(*address.get(4..)?.first_chunk::<4>()?)),
        libc::AF_INET6 => Some(IpAddr::from(*address.get(8..)?.first_chunk::<16>()?)),
        _ => None,
    }
}

fn wildcard(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

fn time_value(duration: Duration) -> TimeVal {
    // Time limits are seconds, and never overflow.
    TimeVal::microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// Describes an error for people: the kernel reports an expired time limit as EINPROGRESS (connecting) or
/// EAGAIN (reading).
fn describe(error: io::Error) -> Error {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EINPROGRESS | Errno::EAGAIN) => Error::failed("no answer arrived in time"),
        _ => Error::failed("the connection failed").because(error),
    }
}
