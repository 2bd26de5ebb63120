//! Sockets of the fake kernel: ends of socket pairs, so that the caller's `poll` works.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;

use crate::base::error::{Context as _, Result};
use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::kernel::neighbour::Neighbour;
use crate::kernel::sockets::{ChangeMonitor, EchoSocket, NeighbourMonitor};

/// Interfaces through which no echo request is answered, and hosts that answer none. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Silence(Arc<Mutex<(SortedSet<IfName>, SortedSet<IpAddr>)>>);

impl Silence {
    /// Stops the answers to echo requests through an interface, or lets them begin again.
    pub fn set(&self, interface: &IfName, is_silent: bool) {
        let (interfaces, _) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_silent {
            interfaces.insert(interface.clone());
        } else {
            interfaces.remove(interface);
        }
    }

    /// Stops the answers of a host to echo requests, or lets them begin again.
    pub fn set_host(&self, host: IpAddr, is_silent: bool) {
        let (_, hosts) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_silent {
            hosts.insert(host);
        } else {
            hosts.remove(&host);
        }
    }

    fn holds(&self, interface: &IfName, host: IpAddr) -> bool {
        let (interfaces, hosts) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        interfaces.contains(interface) || hosts.contains(&host)
    }
}

/// Far ends of the subscriptions to changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Subscribers(Vec<Arc<UnixStream>>);

impl Subscribers {
    /// Wakes all subscribers.
    pub(super) fn tell(&self) {
        for listener in &self.0 {
            // A subscriber that has gone needs no news, and one that has not read the last ones will.
            let _ = (&**listener).write(&[0]);
        }
    }
}

/// Subscription to changes of the fake machine. It names no authors and no devices.
#[derive(Debug)]
pub(super) struct FakeMonitor(UnixStream);

impl FakeMonitor {
    pub(super) fn open(listeners: &mut Subscribers) -> Result<Self> {
        let (near, far) = pair().context(|| "cannot make a pair of sockets".to_owned())?;
        listeners.0.push(Arc::new(far));
        Ok(Self(near))
    }
}

impl ChangeMonitor for FakeMonitor {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        all.push(self.0.as_fd());
    }

    fn forget(&mut self) {
        drop(waiting(&self.0));
    }

    fn take_culprit(&mut self) -> Option<String> {
        None
    }
}

impl NeighbourMonitor for FakeMonitor {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn hear(&self) -> Option<Vec<Neighbour>> {
        drop(waiting(&self.0));
        Some(Vec::new())
    }
}

/// Echo requests that are answered at once, unless the interface is silent.
#[derive(Debug)]
pub(super) struct FakeEchoSocket {
    interface: IfName,
    to: IpAddr,
    silence: Silence,
    near: UnixStream,
    far: UnixStream,
    asked: u16,
}

impl FakeEchoSocket {
    pub(super) fn open(interface: &IfName, to: IpAddr, silence: &Silence) -> Result<Self, Errno> {
        let (near, far) =
            pair().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))?;
        Ok(Self { interface: interface.clone(), to, silence: silence.clone(), near, far, asked: 0 })
    }
}

impl EchoSocket for FakeEchoSocket {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.near.as_fd()
    }

    fn ask(&mut self) -> Result<(), Errno> {
        self.ask_in(0).map(drop)
    }

    fn ask_in(&mut self, _: usize) -> Result<u16, Errno> {
        self.asked = self.asked.wrapping_add(1);
        if !self.silence.holds(&self.interface, self.to) {
            self.far.write_all(&self.asked.to_ne_bytes()).map_err(|_| Errno::ENOBUFS)?;
        }
        Ok(self.asked)
    }

    fn answers(&mut self) -> Vec<u16> {
        waiting(&self.near).as_chunks::<2>().0.iter().map(|bytes| u16::from_ne_bytes(*bytes)).collect()
    }
}

pub(super) fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    Ok((near, far))
}

/// Gives a socket input. Reports whether it is still open.
pub(super) fn wake(mut far: &UnixStream) -> bool {
    match far.write(&[0]) {
        // A socket that has not read the last byte has input.
        Err(error) => error.kind() == ErrorKind::WouldBlock,
        Ok(written) => written == 1,
    }
}

/// Returns the bytes that wait at a socket.
pub(super) fn waiting(mut socket: &UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => bytes,
        result => result.map_or_else(|error| panic!("{error}"), |_| bytes),
    }
}
