//! The settings of interfaces of the built-in WireGuard, shown where `wg show` looks for them.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, shutdown};

use super::control::{Control, lock};
use crate::base::net::IfName;

/// The folder in which `wg` looks for the sockets of WireGuards outside of the kernel.
const SOCKETS: &str = "/var/run/wireguard";

/// The time that a visitor is given to ask, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The socket on which other programs see the settings of an interface, and the thread that answers there.
pub(super) struct Window {
    path: PathBuf,
    listener: Arc<UnixListener>,
    thread: Option<JoinHandle<()>>,
}

impl Window {
    /// Opens it for the interface `name`.
    pub(super) fn open(name: &IfName, control: &Arc<Mutex<Control>>) -> io::Result<Self> {
        let path = socket_path(name);
        if UnixStream::connect(&path).is_ok() {
            // An interface of the same name in another network namespace.
            return Err(Errno::EADDRINUSE.into());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(SOCKETS)?;
        // What a process that was killed has left.
        let _ = fs::remove_file(&path);
        let listener = Arc::new(UnixListener::bind(&path)?);
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let (doorman, control) = (Arc::clone(&listener), Arc::clone(control));
        let thread = thread::spawn(move || {
            while let Ok((visitor, _)) = doorman.accept() {
                // A visitor who leaves early only harms himself.
                let _ = answer(&visitor, &control);
            }
        });
        Ok(Self { path, listener, thread: Some(thread) })
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        // Ends the wait in `accept`.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Settings are shown, never taken: only this process changes them.
fn answer(mut visitor: &UnixStream, control: &Mutex<Control>) -> io::Result<()> {
    visitor.set_read_timeout(Some(PATIENCE))?;
    visitor.set_write_timeout(Some(PATIENCE))?;
    let mut request = String::new();
    BufReader::new(visitor.take(64)).read_line(&mut request)?;
    match request.as_str() {
        "get=1\n" => {
            // Nobody else waits for a visitor who does not read.
            let settings = lock(control).get()?;
            visitor.write_all(&settings)
        }
        _ => writeln!(visitor, "errno={}\n", Errno::EPERM as i32),
    }
}

/// The place of an interface's socket.
pub(super) fn socket_path(name: &IfName) -> PathBuf {
    Path::new(SOCKETS).join(name.as_str()).with_added_extension("sock")
}
