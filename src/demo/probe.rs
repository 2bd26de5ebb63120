//! What a computer of the world can try: ask who it is, follow a way, move some bytes.

use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn,
    SockaddrStorage, bind, connect, recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::namespace::Namespace;
use super::server::{BULK, Service};
use crate::base::error::{Context as _, Error, Result};

/// First port that `traceroute` sends to: nobody listens there.
const TRACE_PORT: u16 = 33_434;

/// Longest way that is followed.
const MOST_HOPS: u8 = 8;

/// A computer that asks.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Where it is.
    pub namespace: &'a Namespace,
    /// The address it asks from, if it has several.
    pub source: Option<IpAddr>,
    /// How long it waits for anything.
    pub limit: Duration,
}

impl<'a> Client<'a> {
    /// A computer with one address.
    pub fn new(namespace: &'a Namespace, limit: Duration) -> Self {
        Self { namespace, source: None, limit }
    }

    /// The same computer, less or more patient.
    #[must_use]
    pub fn waiting(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The same computer, asking from another of its addresses.
    #[must_use]
    pub fn from(self, source: impl Into<IpAddr>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// The address that a server sees.
    pub fn who_am_i(&self, server: impl Into<IpAddr>) -> Result<IpAddr> {
        self.with(Service::WhoAmI, server.into(), |mut peer| {
            read_text(&mut peer)?.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
        })
    }

    /// Fetches 200 kB; how many bytes came.
    pub fn download(&self, server: impl Into<IpAddr>) -> Result<usize> {
        self.with(Service::Stream, server.into(), |mut peer| {
            let mut bytes = Vec::with_capacity(BULK);
            peer.read_to_end(&mut bytes)
        })
    }

    /// Sends 200 kB; how many bytes the server says it got.
    pub fn upload(&self, server: impl Into<IpAddr>) -> Result<usize> {
        self.with(Service::Count, server.into(), |mut peer| {
            peer.write_all(&vec![b'.'; BULK])?;
            peer.shutdown(Shutdown::Write)?;
            read_text(&mut peer)?.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
        })
    }

    /// A connection to the server's echo service, to be kept and tried with [`echoes`].
    pub fn connect(&self, server: impl Into<IpAddr>) -> Result<TcpStream> {
        self.with(Service::Echo, server.into(), Ok)
    }

    /// The routers on the way, and the destination if it is reached; `None` for those that do not tell.
    pub fn traceroute(&self, destination: Ipv4Addr) -> Result<Vec<Option<Ipv4Addr>>> {
        self.namespace.run(|| {
            let mut hops = Vec::new();
            for ttl in 1..=MOST_HOPS {
                let hop = self
                    .hop(destination, ttl)
                    .doing(|| format!("{} cannot send to {destination}", self.namespace.name()))?;
                hops.push(hop);
                if hop == Some(destination) {
                    break;
                }
            }
            Ok(hops)
        })
    }

    /// Sends datagrams and begins connections to `server`, without waiting for answers; how many packets that was.
    pub fn knock(&self, server: impl Into<IpAddr>, times: usize) -> Result<usize> {
        let server = server.into();
        self.namespace.run(|| {
            let knocked = (0..times).try_for_each(|_| {
                let datagrams = UdpSocket::bind((any(server), 0))?;
                // What the network refuses is refused: that it was sent is all that matters.
                let _ = datagrams.send_to(b"knock", (server, TRACE_PORT));
                let _ = TcpStream::connect_timeout(
                    &(server, Service::WhoAmI.port()).into(),
                    Duration::from_millis(20),
                );
                io::Result::Ok(())
            });
            knocked.doing(|| format!("{} cannot knock at {server}", self.namespace.name()))?;
            Ok(2 * times)
        })
    }

    /// Opens a connection and does something with it.
    fn with<T: Send>(
        &self,
        service: Service,
        server: IpAddr,
        talk: impl FnOnce(TcpStream) -> io::Result<T> + Send,
    ) -> Result<T> {
        self.namespace.run(|| {
            self.dial((server, service.port()).into())
                .and_then(talk)
                .map_err(in_words)
                .doing(|| format!("{} got no answer from {server}", self.namespace.name()))
        })
    }

    fn dial(&self, server: SocketAddr) -> io::Result<TcpStream> {
        let family = if server.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, SockProtocol::Tcp)?;
        if let Some(source) = self.source {
            bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::from((source, 0))))?;
        }
        // The time limit for sending is that for connecting, too (socket(7)).
        setsockopt(&socket, sockopt::SendTimeout, &time_value(self.limit))?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &time_value(self.limit))?;
        connect(socket.as_raw_fd(), &SockaddrStorage::from(server))?;
        Ok(socket.into())
    }

    /// Who answers a datagram that may pass `ttl` - 1 routers.
    fn hop(&self, destination: Ipv4Addr, ttl: u8) -> io::Result<Option<Ipv4Addr>> {
        let probe = UdpSocket::bind((self.source.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), 0))?;
        probe.set_ttl(ttl.into())?;
        setsockopt(&probe, sockopt::Ipv4RecvErr, &true)?;
        probe.send_to(b"trace", (destination, TRACE_PORT + u16::from(ttl)))?;
        let deadline = Instant::now() + self.limit;
        while wait_for_error(&probe, deadline)? {
            if let Some(router) = sender_of_error(&probe)? {
                return Ok(Some(router));
            }
        }
        Ok(None)
    }
}

/// Whether a connection to the echo service still carries bytes both ways.
pub fn echoes(peer: &mut TcpStream) -> bool {
    let mut answer = [0; 4];
    peer.write_all(b"ping").and_then(|()| peer.read_exact(&mut answer)).is_ok() && &answer == b"ping"
}

/// All that a server sends before it closes the connection: one line.
fn read_text(peer: &mut TcpStream) -> io::Result<String> {
    let mut text = String::new();
    peer.read_to_string(&mut text)?;
    Ok(text.trim_end().to_owned())
}

/// Waits until ICMP has brought an error for this socket, or until the deadline.
fn wait_for_error(probe: &UdpSocket, deadline: Instant) -> io::Result<bool> {
    use std::os::fd::AsFd as _;
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    // POLLERR is always reported.
    Ok(poll(&mut [PollFd::new(probe.as_fd(), PollFlags::empty())], timeout)? > 0)
}

/// The router that an ICMP error in the socket's error queue came from.
fn sender_of_error(probe: &UdpSocket) -> io::Result<Option<Ipv4Addr>> {
    let mut space = nix::cmsg_space!([u8; 64]);
    let mut payload = [0; 64];
    let mut buffers = [IoSliceMut::new(&mut payload)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrIn>(probe.as_raw_fd(), &mut buffers, Some(&mut space), flags)?;
    Ok(message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(_, Some(router)) => Some(SockaddrIn::from(router).ip()),
        _ => None,
    }))
}

fn any(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() }
}

fn time_value(duration: Duration) -> TimeVal {
    // Limits are seconds, not eons.
    TimeVal::microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// A time limit that ran out is reported as EINPROGRESS (connecting) or EAGAIN (reading): not what people would say.
fn in_words(error: io::Error) -> Error {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EINPROGRESS | Errno::EAGAIN) => Error::failed("nothing came back in time"),
        _ => Error::failed("the connection failed").because(error),
    }
}
