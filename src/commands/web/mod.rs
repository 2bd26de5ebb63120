//! `portals web`: the page of this router, and the process that shows pages to browsers.
//!
//! A process without privileges talks to the browser. This one, which is root's, makes the parts of the page
//! that the other one asks for, and does nothing else for it.

mod parts;

use std::io;
use std::mem;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::id;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::{ExitStatus, has_agent, no_agent};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::cli::WebCommand;
use crate::cli::output::say;
use crate::control::{Answer, AnsweringEnd, ControlRequest, PageRequest, ask};
use crate::engine::journal::Journal;
use crate::site::PAGE_PORT;
use crate::system::child::{Child, SETGID, SETUID, THIS_PROGRAM};
use crate::system::command::Command;
use crate::system::disk::{self, cannot_write};
use crate::system::wait::wait_for_input;
use crate::web::{self, Door, FILE, Settings};
use parts::Parts;

/// First port that needs no privilege (ip(7)).
const UNPRIVILEGED: u16 = 1024;

/// Longest time for the process to read an answer: maps and QR codes are long.
const PATIENCE: Duration = Duration::from_secs(15);

/// Shows the page of this router, or, for a process without privileges, the pages in a folder.
pub(super) fn run(file: &Path, options: &WebCommand) -> Result<ExitStatus, Errors> {
    if let Some(folder) = &options.serve {
        web::serve(folder)?;
        return Ok(ExitStatus::Done);
    }
    if options.port.is_some_and(|port| port < UNPRIVILEGED) {
        let words = format_args!("--port: the page has no privileges: choose a port from {UNPRIVILEGED} on");
        return Err(Error::wrong(words).into());
    }
    // Before the other process begins, so that its end is not missed.
    let signals = signals()?;
    let mut place = Place::make(options.port.unwrap_or(PAGE_PORT))?;
    loop {
        let mut descriptors = vec![signals.as_fd()];
        descriptors.extend(place.channel.descriptor());
        wait_for_input(&descriptors, None)?;
        if let Some(signal) = signals.read_signal().context(|| "cannot read a signal".to_owned())? {
            if i32::try_from(signal.ssi_signo) != Ok(Signal::SIGCHLD as i32) {
                return Ok(ExitStatus::Done);
            }
            let end = place.child.try_wait().context(|| "cannot wait for a process".to_owned())?;
            if let Some(status) = end {
                return Err(Error::failed(format_args!(
                    "the process that shows the page has ended: {status}"
                ))
                .into());
            }
        }
        // One request, and then a look at the signals.
        if let Some(request) = place.channel.hear() {
            let answer = place.answer(file, request);
            place.channel.tell(&answer, PATIENCE);
        }
        if let Some(fault) = place.channel.fault() {
            let words = format_args!("the process that shows the page has failed: {fault}");
            return Err(Error::failed(words).into());
        }
    }
}

/// Blocks the signals that end this command, and opens a descriptor for them.
fn signals() -> Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        set.add(signal);
    }
    let context = || "cannot watch for signals".to_owned();
    set.thread_block().context(context)?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context(context)
}

/// Process that shows the page, its folder, and the channel on which it asks.
struct Place {
    port: u16,
    key: String,
    folder: PathBuf,
    channel: AnsweringEnd,
    child: Child,
    /// Set once the address is printed.
    is_open: bool,
}

impl Place {
    /// Starts the process.
    fn make(port: u16) -> Result<Self> {
        let key = web::new_key();
        let folder = Journal::open()?.folder().join(format!("web-{}", id()));
        let context = || "cannot start the process that shows the page".to_owned();
        let (channel, socket) = AnsweringEnd::pair().context(context)?;
        disk::make_folder(&folder)?;
        let settings = Settings { doors: vec![Door::Local { key: key.clone(), port }] };
        let path = folder.join(FILE);
        disk::replace(&path, settings.to_text().as_bytes(), 0o600).context(|| cannot_write(&path))?;
        let errors = io::stderr();
        let mut command = Command::new(THIS_PROGRAM);
        command.args(&["web", "--serve"]).arg(&folder).current_dir(c"/").limited(&[SETGID, SETUID]);
        let child = command.stdin(socket.as_fd()).stderr(errors.as_fd()).spawn().context(context)?;
        Ok(Self { port, key, folder, channel, child, is_open: false })
    }

    /// Carries out a request of the process.
    fn answer(&mut self, file: &Path, request: PageRequest) -> Answer {
        match request {
            PageRequest::Opened { errno } if !mem::replace(&mut self.is_open, true) => {
                web::warn_without_filter(errno);
                let Self { port, key, .. } = self;
                say!(
                    "http://127.0.0.1:{port}/{key}/\n\nThe key in this address is new each time, and opens \
                     everything. Ctrl-C ends the page."
                );
                Ok(Vec::new())
            }
            PageRequest::Opened { .. } => Ok(Vec::new()),
            PageRequest::Local(part) => Parts { file, key: &self.key }.part(&part),
            PageRequest::Choose { portal, exit } if has_agent()? => {
                ask(&ControlRequest::Exit { portal, exit })
            }
            PageRequest::Choose { .. } => Err(Error::failed(no_agent()).into()),
            PageRequest::Portal(_) => Err(Error::wrong("this page has no such part").into()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A process that has ended already is no error, and what stays in /run does no harm.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = disk::remove(&self.folder.join(FILE));
        let _ = std::fs::remove_dir(&self.folder);
    }
}
