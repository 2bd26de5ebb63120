//! The built-in WireGuard: boringtun on a tun device, for kernels without WireGuard. It ends with this
//! process.
//!
//! The library's own control socket is not used, because it brings handlers that take SIGINT and SIGTERM away
//! from the rest of the process. A pair of sockets does the same, and the settings are shown, read-only,
//! where `wg show` looks for them.

mod control;
pub(crate) mod decode;
mod settings_socket;

use std::fmt::Write as _;
use std::fs::File;
use std::net::{Shutdown, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::os::fd::{AsRawFd as _, IntoRawFd as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use defguard_boringtun::device::{self, DeviceConfig, DeviceHandle};
use defguard_wireguard_rs::key::Key;
use defguard_wireguard_rs::net::IpAddrMask;
use defguard_wireguard_rs::peer::Peer as UapiPeer;
use log::warn;
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket};
use nix::unistd::{SysconfVar, sysconf};
use zeroize::Zeroizing;

use super::tun;
use super::wireguard::Reading;
use crate::base::error::{Context, Error, Result};
use crate::base::net::{IfName, PublicKey, Secret};
use crate::base::sorted::SortedSet;
use crate::state::tunnel_delta::{Change, TunnelDelta, delta};
use crate::state::{Peer, Tunnel};
use crate::system::threads::spawn;
use crate::system::{entropy, open_files};
use control::{Control, lock};
use decode::parse;
use settings_socket::{SettingsSocket, socket_path};

/// Largest number of threads of one interface: each takes 130 kB.
const THREADS: usize = 2;

/// Time between two attempts to reach peers that the library has given up: after 90 s without an answer it
/// sends nothing more, not even keepalives, until there is data (`update_timers` in its noise/timers.rs).
const ROUND: Duration = Duration::from_mins(2);

/// Private key of an interface that has none: the library fails when a packet comes in before it has a key.
/// Such an interface has no peers, so the key lets no packet in.
const NO_KEY: [u8; 32] = [1; 32];

/// An interface that this process runs. The interface disappears when the value is dropped.
pub struct Device {
    name: IfName,
    control: Arc<Mutex<Control>>,
    /// Client end of the control socket. Its shutdown ends all waits for answers.
    socket: Arc<UnixStream>,
    /// The library's device; in an option only so that it can be taken out when dropped.
    handle: Option<DeviceHandle>,
    window: Option<SettingsSocket>,
    keeper: Option<HandshakeRetry>,
}

impl Device {
    /// Makes an interface, down and without a key. No interface of that name may exist: the kernel would hand
    /// out another program's tun device.
    pub fn create(name: &IfName) -> Result<Self> {
        check_tun()?;
        check_random_numbers()?;
        let (ours, theirs) =
            UnixStream::pair().context(|| format!("cannot make a control socket for {name}"))?;
        // The library keeps a list by the numbers of its files. If other threads close files at the wrong
        // moment, it looks behind the end of the list, which ends the process (`clear_event_by_fd` in its
        // device/epoll.rs). A large number makes the list long enough.
        let theirs = open_files::renumbered(theirs)?;
        // The standard library would also look for a control group's share of the processors, with 4 kB of
        // code.
        let processors = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
        let config = DeviceConfig {
            n_threads: processors.and_then(|number| number.try_into().ok()).unwrap_or(1).min(THREADS),
            // A connected socket would keep its source address when the address of the uplink changes.
            use_connected_socket: false,
            use_multi_queue: false,
            uapi_fd: theirs.into_raw_fd(),
        };
        let context = || format!("cannot make the interface {name} for the built-in WireGuard");
        // The library takes an open file by its number, and closes it.
        let tun = tun::create(name).context(context)?.into_raw_fd();
        let handle = DeviceHandle::new(&tun.to_string(), config).map_err(cause).context(context)?;
        let socket = Arc::new(ours);
        let mut control = Control::new(Arc::clone(&socket)).context(context)?;
        control.set(name, &set_key(&NO_KEY))?;
        let control = Arc::new(Mutex::new(control));
        let window = SettingsSocket::open(name, &control)
            .inspect_err(|error| warn!("other programs cannot see the settings of {name}: {error}"))
            .ok();
        let keeper = Some(HandshakeRetry::start(name, &control));
        Ok(Self { name: name.clone(), control, socket, handle: Some(handle), window, keeper })
    }

    /// Reads the settings. `now` decides which sessions are still usable.
    pub fn read(&self, now: SystemTime) -> Result<Reading> {
        let answer = lock(&self.control).get().context(|| cannot_read(&self.name))?;
        parse(&answer, now).context(|| cannot_read(&self.name))
    }

    /// Reports whether the library has stopped answering, so that the interface must be made again.
    pub fn is_lost(&self) -> bool {
        lock(&self.control).is_lost()
    }

    /// Starts again with peers that do not answer.
    pub fn begin_anew(&self) {
        revive_or_warn(&self.name, &self.control);
    }

    /// Changes the settings that differ. A peer that differs is removed and added again, which ends its
    /// session; all other peers keep their sessions.
    pub fn change(&mut self, from: &Tunnel, to: &Tunnel) -> Result<()> {
        check_port(&self.name, from.port, to.port)?;
        let mut control = lock(&self.control);
        encode(from, to).iter().try_for_each(|request| control.set(&self.name, request))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // The library's threads end with their control socket, and so do all waits of visitors for an answer.
        let _ = self.socket.shutdown(Shutdown::Both);
        drop((self.window.take(), self.keeper.take()));
        if let Some(mut handle) = self.handle.take() {
            handle.wait();
        }
    }
}

/// Reads the settings of an interface that this or another process on this machine runs.
pub fn read_foreign(name: &IfName, now: SystemTime) -> Result<Reading> {
    let read = || {
        let socket = UnixStream::connect(socket_path(name).as_path())?;
        parse(&Control::new(Arc::new(socket))?.get()?, now)
    };
    read().context(|| cannot_read(name))
}

/// Checks that this process may make tun devices.
///
/// # Errors
/// If it may not: the message contains the reason and a remedy.
pub fn check_tun() -> Result<()> {
    let Err(error) = File::options().read(true).write(true).open(tun::DEVICE) else { return Ok(()) };
    let way_out = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => {
            "load the module with `modprobe tun`; in a container, start it with `--device /dev/net/tun`"
        }
        _ => "run as root; in a container, start it with `--device /dev/net/tun --cap-add NET_ADMIN`",
    };
    Err(Error::failed(format!("the built-in WireGuard needs {}: {way_out}", tun::DEVICE)).because(error))
}

/// Checks that the kernel has random numbers: the library, and its caller, would wait for them without a
/// limit.
fn check_random_numbers() -> Result<()> {
    if entropy::is_ready() {
        return Ok(());
    }
    entropy::hasten();
    Err(Error::failed(
        "the kernel has no random numbers for the built-in WireGuard yet: \
         this device started a short time ago, and the kernel is still \
         collecting randomness",
    ))
}

fn cannot_read(name: &IfName) -> String {
    format!("cannot read the settings of {name} from the built-in WireGuard")
}

/// Returns the cause in an error of the library, which hides the error number.
fn cause(error: device::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        device::Error::IOCtl(error) | device::Error::Socket(error) | device::Error::IoError(error) => {
            error.into()
        }
        other => other.into(),
    }
}

/// Checks that a port is free: the library is left without any port if it cannot have the new one. Like the
/// library, the check shares a port with sockets that allow it. Those belong to our other interfaces, one of
/// which may have got the port by chance.
fn check_port(name: &IfName, from: Option<NonZeroU16>, to: Option<NonZeroU16>) -> Result<()> {
    let Some(port) = to.filter(|_| to != from) else { return Ok(()) };
    let try_to_bind = || {
        let udp = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&udp, ReuseAddr, &true)?;
        bind(udp.as_raw_fd(), &SockaddrIn::new(0, 0, 0, 0, port.get()))
    };
    try_to_bind().context(|| {
        format!("cannot let {name} listen on UDP port {port} (`ss -ulpn` shows which program does)")
    })
}

/// A thread that makes the library try again to reach peers with a keepalive.
struct HandshakeRetry {
    end: Arc<End>,
    thread: Option<JoinHandle<()>>,
}

/// The end of a thread: a channel would bring 6 kB of code.
#[derive(Default)]
struct End {
    has_come: Mutex<bool>,
    signal: Condvar,
}

impl HandshakeRetry {
    fn start(name: &IfName, control: &Arc<Mutex<Control>>) -> Self {
        let end = Arc::new(End::default());
        let (name, control, awaited) = (name.clone(), Arc::clone(control), Arc::clone(&end));
        let thread = spawn(Box::new(move || {
            while !awaited.comes_within(ROUND) {
                revive_or_warn(&name, &control);
            }
        }));
        Self { end, thread: Some(thread) }
    }
}

impl Drop for HandshakeRetry {
    fn drop(&mut self) {
        self.end.come();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl End {
    fn come(&self) {
        *self.has_come.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.notify_all();
    }

    /// Waits for the end; reports whether it has come.
    fn comes_within(&self, time: Duration) -> bool {
        let has_come = self.has_come.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.signal.wait_timeout_while(has_come, time, |has_come| !*has_come);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn revive_or_warn(name: &IfName, control: &Mutex<Control>) {
    if let Err(error) = revive(name, &mut lock(control), SystemTime::now()) {
        warn!("{error}");
    }
}

/// Removes peers that should be alive and are not, and adds them again, so that they start again.
fn revive(name: &IfName, control: &mut Control, now: SystemTime) -> Result<()> {
    let answer = control.get().context(|| cannot_read(name))?;
    let reading = parse(&answer, now).context(|| cannot_read(name))?;
    let is_given_up = |peer: &Peer| peer.keepalive.is_some() && peer.endpoint.is_some() && !peer.alive;
    for (key, peer) in reading.tunnel.peers.into_iter().filter(|(_, peer)| is_given_up(peer)) {
        control.set(name, &remove_peer(key))?;
        control.set(name, &add_peer(key, &peer, None))?;
    }
    Ok(())
}

/// Returns the requests that lead from one tunnel to the other. Each peer has its own request: within a
/// request the library applies the removal, the endpoint and the pre-shared key of one peer to the peers
/// behind it.
fn encode(from: &Tunnel, to: &Tunnel) -> Vec<Zeroizing<String>> {
    let delta = delta(from, to);
    let mut requests = vec![encode_device(&delta, to)];
    for key in delta.removed.iter().chain(delta.changed.keys()) {
        requests.push(remove_peer(*key));
    }
    let added: SortedSet<&PublicKey> = delta.added.keys().chain(delta.changed.keys()).collect();
    for key in added {
        // The address at which the peer was last heard is better than none.
        let known = from.peers.get(key).and_then(|peer| peer.endpoint);
        requests.push(add_peer(*key, &to.peers[key], known));
    }
    requests.retain(|request| !request.is_empty());
    requests
}

fn encode_device(delta: &TunnelDelta, to: &Tunnel) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    if delta.private_key.bytes().is_some() {
        text.push_str(&set_key(to.private_key.as_ref().map_or(&NO_KEY, Secret::bytes)));
    }
    if let Some(port) = delta.port.number::<u16>() {
        let _ = writeln!(text, "listen_port={port}");
    }
    // A new port means new sockets, to which the library does not give the mark.
    if delta.fwmark != Change::Keep || (delta.port != Change::Keep && to.fwmark.is_some()) {
        let _ = writeln!(text, "fwmark={}", to.fwmark.map_or(0, NonZeroU32::get));
    }
    text
}

fn set_key(key: &[u8; 32]) -> Zeroizing<String> {
    let hex = Zeroizing::new(Key::new(*key).to_lower_hex());
    Zeroizing::new(["private_key=", &hex, "\n"].concat())
}

fn remove_peer(key: PublicKey) -> Zeroizing<String> {
    Zeroizing::new(UapiPeer::new(Key::new(key.0)).as_uapi_remove())
}

fn add_peer(key: PublicKey, peer: &Peer, known: Option<SocketAddr>) -> Zeroizing<String> {
    let mut uapi = UapiPeer::new(Key::new(key.0));
    uapi.preshared_key = peer.preshared_key.as_ref().map(|key| Key::new(*key.bytes()));
    uapi.endpoint = peer.endpoint.or(known);
    uapi.persistent_keepalive_interval = Some(peer.keepalive.map_or(0, NonZeroU16::get));
    let networks = peer.allowed_ips.iter();
    uapi.allowed_ips = networks.map(|network| IpAddrMask::new(network.address(), network.length())).collect();
    Zeroizing::new(uapi.as_uapi_update())
}
