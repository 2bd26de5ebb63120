//! Servers on the computers of the world: they tell clients their own address, and offer small services to
//! test a connection.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::namespace::Namespace;
use crate::base::error::{Context as _, Result};
use crate::system::threads::spawn;

/// Time without traffic after which the server closes a connection.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// Size in bytes of a large transfer: many times the size of a TCP window.
pub(super) const TRANSFER_SIZE: usize = 200_000;

/// Service on a TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TcpService {
    /// Sends one line: the address of the client.
    WhoAmI,
    /// Sends back all bytes that it receives (RFC 862).
    Echo,
    /// Reads to the end, then answers with one line: the number of bytes (after RFC 863).
    Count,
    /// Sends [`TRANSFER_SIZE`] bytes (after RFC 864).
    Stream,
}

impl TcpService {
    const ALL: [Self; 4] = [Self::WhoAmI, Self::Echo, Self::Count, Self::Stream];

    /// Returns the port of the service.
    pub(super) fn port(self) -> u16 {
        match self {
            Self::WhoAmI => 80,
            Self::Echo => 7,
            Self::Count => 9,
            Self::Stream => 19,
        }
    }

    fn serve(self, mut peer: TcpStream) -> io::Result<()> {
        peer.set_read_timeout(Some(IDLE_TIMEOUT))?;
        peer.set_write_timeout(Some(IDLE_TIMEOUT))?;
        match self {
            Self::WhoAmI => {
                let address = peer.peer_addr()?.ip().to_canonical();
                peer.write_all(format!("{address}\n").as_bytes())
            }
            // Not with `io::copy`: its ways for files, pipes and sockets are code that nothing else needs.
            Self::Echo | Self::Count => {
                let (mut bytes, mut count) = ([0; 4096], 0);
                loop {
                    let part = match peer.read(&mut bytes)? {
                        0 => break,
                        length => &bytes[..length],
                    };
                    count += part.len();
                    if self == Self::Echo {
                        peer.write_all(part)?;
                    }
                }
                if self == Self::Count {
                    peer.write_all(format!("{count}\n").as_bytes())?;
                }
                Ok(())
            }
            Self::Stream => peer.write_all(&vec![b'.'; TRANSFER_SIZE]),
        }
    }
}

/// Server of all services on all addresses of a namespace, until dropped.
#[derive(Debug)]
pub struct Server {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the services in a namespace.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let (stopped, stop) = pipe().context(|| "cannot make a pipe".to_owned())?;
        let thread = namespace.run(|| {
            let listeners = Listeners::open().context(|| format!("cannot listen in {}", namespace.name()))?;
            // A thread inherits the namespaces of the thread that starts it.
            Ok(spawn(Box::new(move || listeners.serve_until_closed(&stopped))))
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A server that panicked has reported that on standard error.
            let _ = thread.join();
        }
    }
}

struct Listeners(Vec<(TcpService, TcpListener)>);

impl Listeners {
    fn open() -> io::Result<Self> {
        let mut listeners = Vec::new();
        for service in TcpService::ALL {
            listeners.push((service, TcpListener::bind(&wildcards(service.port())[..])?));
        }
        Ok(Self(listeners))
    }

    fn serve_until_closed(&self, stopped: &PipeReader) {
        loop {
            let mut waiting = Vec::new();
            for (_, socket) in &self.0 {
                waiting.push(PollFd::new(socket.as_fd(), PollFlags::POLLIN));
            }
            waiting.push(PollFd::new(stopped.as_fd(), PollFlags::POLLIN));
            if poll(&mut waiting, PollTimeout::NONE).is_err() {
                continue;
            }
            let ready: Vec<bool> = waiting.iter().map(|socket| socket.any() == Some(true)).collect();
            if ready.last() == Some(&true) {
                return;
            }
            for ((service, listener), _) in self.0.iter().zip(ready).filter(|(_, ready)| *ready) {
                accept(*service, listener);
            }
        }
    }
}

fn accept(service: TcpService, listener: &TcpListener) {
    if let Ok((peer, _)) = listener.accept() {
        // The client reports a broken connection; the server need not.
        spawn(Box::new(move || drop(service.serve(peer))));
    }
}

/// Returns the wildcard addresses to try in order: the first covers both families, the second only IPv4, for
/// hosts without IPv6.
fn wildcards(port: u16) -> [SocketAddr; 2] {
    [(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
}
