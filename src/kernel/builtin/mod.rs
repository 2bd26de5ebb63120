//! The built-in WireGuard, for kernels without WireGuard: WireGuard's protocol by boringtun, on tun devices
//! and UDP sockets of this process. It ends with this process.
//!
//! One thread runs all tunnels. Boringtun has a runner of its own, with several threads and a text protocol
//! for each tunnel (docs/decisions/0015-own-event-loop.md).

mod device;
mod inbox;
mod merge;
mod networks;
#[cfg(test)]
mod offload_tests;
mod outbox;
mod peer;
mod peers;
pub(crate) mod settings;
pub(crate) mod split;
#[cfg(test)]
mod tests;
mod tunnel;
mod turn;
mod udp;
mod window;

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime};

use log::warn;
use nix::errno::Errno;
use zeroize::Zeroizing;

use super::tun;
use super::wireguard::Reading;
use crate::base::error::{Context, Error, Result};
use crate::base::moment::after;
use crate::base::net::IfName;
use crate::state::Tunnel as Settings;
use crate::system::entropy;
use device::Device;
use tunnel::Tunnel;
use turn::Runner;
use window::{Window, socket_path};

/// Time that another process has to show the settings of a tunnel.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Length of the longest answer in bytes: room for ten thousand peers.
const LONGEST_ANSWER: usize = 8 << 20;

/// Interfaces that this process runs. They disappear when the value is dropped.
#[derive(Default)]
pub struct Devices {
    /// `None` before the first interface, and after the last one.
    runner: Option<Runner>,
}

impl Devices {
    /// Makes an interface, down and without a key. No interface of that name may exist: the kernel would hand
    /// out another program's tun device.
    pub fn create(&mut self, name: &IfName) -> Result<()> {
        check_tun()?;
        check_random_numbers()?;
        let context = || format!("cannot make the interface {name} for the built-in WireGuard");
        if self.runner.is_none() {
            self.runner = Some(Runner::start().context(context)?);
        }
        let (file, has_headers) = tun::create(name).context(context)?;
        let device = Device { file: file.into(), has_headers };
        let window = Window::open(name)
            .inspect_err(|error| warn!("other programs cannot see the settings of {name}: {error}"))
            .ok();
        let runner = self.runner.as_ref().expect("it was started above");
        runner.add(Tunnel::new(name, device, window)).context(context)
    }

    /// Reports whether there are no interfaces.
    pub fn is_empty(&self) -> bool {
        self.runner.as_ref().is_none_or(|runner| runner.lock().iter().next().is_none())
    }

    /// Reports whether this process runs an interface.
    pub fn contains(&self, name: &IfName) -> bool {
        self.runner.as_ref().is_some_and(|runner| runner.lock().iter().any(|tunnel| tunnel.name == *name))
    }

    /// Removes an interface, if this process runs it.
    pub fn remove(&mut self, name: &IfName) {
        drop(self.take(&|tunnel| tunnel.name == *name));
    }

    /// Removes the interfaces that no longer work, and returns the name of each.
    pub fn remove_lost(&mut self) -> Vec<IfName> {
        let mut lost = Vec::new();
        while let Some(tunnel) = self.take(&|tunnel| tunnel.is_lost) {
            lost.push(tunnel.name.clone());
        }
        lost
    }

    fn take(&mut self, is_chosen: &dyn Fn(&Tunnel) -> bool) -> Option<Box<Tunnel>> {
        let mut tunnels = self.runner.as_ref()?.lock();
        let taken = tunnels.take(is_chosen);
        let is_last = tunnels.iter().next().is_none();
        drop(tunnels);
        if is_last {
            self.runner = None;
        }
        taken
    }

    /// Reads the settings of an interface. `now` decides which sessions are still usable. Returns `None` if
    /// this process does not run the interface.
    pub fn read(&self, name: &IfName, now: SystemTime) -> Option<Result<Reading>> {
        let tunnels = self.runner.as_ref()?.lock();
        let tunnel = tunnels.iter().find(|tunnel| tunnel.name == *name)?;
        Some(if tunnel.is_lost { Err(lost(name)) } else { Ok(tunnel.read(now)) })
    }

    /// Starts again with peers that do not answer.
    pub fn begin_anew(&self) {
        let Some(runner) = &self.runner else { return };
        let mut tunnels = runner.lock();
        for tunnel in tunnels.iter_mut() {
            tunnel.begin_anew(SystemTime::now());
        }
        runner.wake(&mut tunnels);
    }

    /// Changes the settings of an interface that differ. A peer of which more than the networks differs is
    /// removed and added again, which ends its session; all other peers keep their sessions. Returns `None`
    /// if this process does not run the interface.
    pub fn change(&self, name: &IfName, from: &Settings, to: &Settings) -> Option<Result<()>> {
        let runner = self.runner.as_ref()?;
        let mut tunnels = runner.lock();
        let tunnel = tunnels.iter_mut().find(|tunnel| tunnel.name == *name)?;
        if tunnel.is_lost {
            return Some(Err(lost(name)));
        }
        let changed = tunnel.change(from, to).and_then(|has_new_sockets| {
            if has_new_sockets {
                let context = || format!("cannot listen to the network for {name}");
                runner.listen(&mut tunnels, name).context(context)?;
            }
            runner.wake(&mut tunnels);
            Ok(())
        });
        Some(changed)
    }
}

fn lost(name: &IfName) -> Error {
    Error::failed(format!("another program has deleted the interface {name} of the built-in WireGuard"))
}

/// Reads the settings of an interface that another process on this machine runs.
pub fn read_foreign(name: &IfName, now: SystemTime) -> Result<Reading> {
    let read = || settings::parse(&ask(name)?, now);
    read().context(|| format!("cannot read the settings of {name} from the built-in WireGuard"))
}

/// Asks another process for the settings of an interface. The answer ends with an empty line.
fn ask(name: &IfName) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut socket = UnixStream::connect(socket_path(name).as_path())?;
    socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    socket.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    socket.write_all(b"get=1\n\n")?;
    let end = after(Instant::now(), ANSWER_TIMEOUT);
    let mut answer = Zeroizing::new(Vec::new());
    let mut piece = Zeroizing::new([0; 4096]);
    while !answer.ends_with(b"\n\n") {
        match socket.read(&mut *piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) if answer.len() > LONGEST_ANSWER => return Err(ErrorKind::FileTooLarge.into()),
            Ok(_) if Instant::now() > end => return Err(ErrorKind::TimedOut.into()),
            Ok(length) => answer.extend_from_slice(&piece[..length]),
            // A wait with a time limit ends when the process was stopped and goes on (signal(7)).
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
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
