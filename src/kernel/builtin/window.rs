//! A read-only socket with the settings of a tunnel, where `wg show` looks for it, and its visitors.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use zeroize::Zeroizing;

use crate::base::net::IfName;

/// Folder in which `wg` looks for the sockets of WireGuards outside of the kernel.
const SOCKETS: &str = "/var/run/wireguard";

/// Length of the longest request in bytes.
const LONGEST_REQUEST: usize = 64;

/// A socket at which other programs see the settings of a tunnel. They are shown, never taken: only this
/// process changes them.
pub(super) struct Window {
    path: PathBuf,
    /// Socket that listens.
    pub(super) listener: UnixListener,
}

impl Window {
    /// Opens the socket for the interface `name`.
    pub(super) fn open(name: &IfName) -> io::Result<Self> {
        let path = socket_path(name);
        if UnixStream::connect(path.as_path()).is_ok() {
            // An interface of the same name exists in another network namespace.
            return Err(Errno::EADDRINUSE.into());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(SOCKETS)?;
        // A process that was killed leaves its socket.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(path.as_path())?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { path, listener })
    }

    /// Returns the next visitor.
    pub(super) fn next(&self) -> Option<UnixStream> {
        let (stream, _) = self.listener.accept().ok()?;
        stream.set_nonblocking(true).is_ok().then_some(stream)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns the path of the socket of an interface.
pub(super) fn socket_path(name: &IfName) -> PathBuf {
    Path::new(SOCKETS).join(name.as_str()).with_added_extension("sock")
}

/// A program that asks for the settings of a tunnel.
pub(super) struct Visitor {
    /// Connection to the program.
    pub(super) stream: UnixStream,
    /// Number of the tunnel.
    pub(super) tunnel: u32,
    /// Number of seconds that the visitor may stay.
    pub(super) patience: u8,
    request: Vec<u8>,
    answer: Option<Zeroizing<Vec<u8>>>,
    written: usize,
}

/// Wish of a visitor.
pub(super) enum Wish {
    /// More time: to ask, or to read the answer.
    Wait,
    /// The settings of the tunnel.
    Settings,
    /// Nothing more.
    Leave,
}

impl Visitor {
    /// Returns a visitor who has not asked yet.
    pub(super) fn new(stream: UnixStream, tunnel: u32) -> Self {
        Self { stream, tunnel, patience: 3, request: Vec::new(), answer: None, written: 0 }
    }

    /// Reports whether the visitor has an answer to read.
    pub(super) fn has_answer(&self) -> bool {
        self.answer.is_some()
    }

    /// Gives the visitor an answer.
    pub(super) fn give(&mut self, answer: Zeroizing<Vec<u8>>) {
        self.answer = Some(answer);
    }

    /// Reads the request, or writes more of the answer, and never waits.
    pub(super) fn turn(&mut self) -> Wish {
        let Some(answer) = &self.answer else { return self.listen() };
        match self.stream.write(&answer[self.written..]) {
            Ok(length) => self.written += length,
            Err(error) => return waits(&error),
        }
        if self.written < answer.len() { Wish::Wait } else { Wish::Leave }
    }

    fn listen(&mut self) -> Wish {
        let mut piece = [0; LONGEST_REQUEST];
        match self.stream.read(&mut piece) {
            Ok(0) => return Wish::Leave,
            Ok(length) => self.request.extend_from_slice(&piece[..length]),
            Err(error) => return waits(&error),
        }
        let Some(end) = self.request.iter().position(|byte| *byte == b'\n') else {
            return if self.request.len() < LONGEST_REQUEST { Wish::Wait } else { Wish::Leave };
        };
        if self.request[..end] == *b"get=1" {
            return Wish::Settings;
        }
        self.give(Zeroizing::new(format!("errno={}\n\n", Errno::EPERM as i32).into_bytes()));
        Wish::Wait
    }
}

fn waits(error: &io::Error) -> Wish {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Wish::Wait,
        _ => Wish::Leave,
    }
}
