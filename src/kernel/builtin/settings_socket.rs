//! A read-only socket with the settings of an interface of the built-in WireGuard, where `wg show` looks for
//! it.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, shutdown};

use super::control::{Control, lock};
use crate::base::net::IfName;
use crate::system::threads::spawn;

/// Folder in which `wg` looks for the sockets of WireGuards outside of the kernel.
const SOCKETS: &str = "/var/run/wireguard";

/// Time that a visitor has to ask, and to read the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(3);

/// A socket on which other programs see the settings of an interface, and the thread that answers there.
pub(super) struct SettingsSocket {
    path: PathBuf,
    listener: Arc<UnixListener>,
    thread: Option<JoinHandle<()>>,
}

impl SettingsSocket {
    /// Opens the socket for the interface `name`.
    pub(super) fn open(name: &IfName, control: &Arc<Mutex<Control>>) -> io::Result<Self> {
        let path = socket_path(name);
        if UnixStream::connect(path.as_path()).is_ok() {
            // An interface of the same name exists in another network namespace.
            return Err(Errno::EADDRINUSE.into());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(SOCKETS)?;
        // A process that was killed leaves its socket.
        let _ = fs::remove_file(&path);
        let listener = Arc::new(UnixListener::bind(path.as_path())?);
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let (doorman, control) = (Arc::clone(&listener), Arc::clone(control));
        let thread = spawn(Box::new(move || {
            while let Ok((visitor, _)) = doorman.accept() {
                // A visitor that leaves early harms only itself.
                let _ = answer(&visitor, &control);
            }
        }));
        Ok(Self { path, listener, thread: Some(thread) })
    }
}

impl Drop for SettingsSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        // Ends the wait in `accept`.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers a visitor. Settings are shown, never taken: only this process changes them.
fn answer(mut visitor: &UnixStream, control: &Mutex<Control>) -> io::Result<()> {
    visitor.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    visitor.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    let mut request = String::new();
    BufReader::new(visitor.take(64)).read_line(&mut request)?;
    match request.as_str() {
        "get=1\n" => {
            // The lock is free again before the visitor reads, so no other thread waits for a slow visitor.
            let settings = lock(control).get()?;
            visitor.write_all(&settings)
        }
        _ => writeln!(visitor, "errno={}\n", Errno::EPERM as i32),
    }
}

/// Returns the path of the socket of an interface.
pub(super) fn socket_path(name: &IfName) -> PathBuf {
    Path::new(SOCKETS).join(name.as_str()).with_added_extension("sock")
}
