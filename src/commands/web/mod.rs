//! `portals web`: the page of this router, and the process that shows pages to browsers.
//!
//! A process without privileges talks to the browser. This one, which is root's, makes the parts of the page
//! that the other one asks for, and does nothing else for it.

mod parts;

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::id;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::{ExitStatus, has_agent, no_agent};
use crate::base::error::{Context as _, Error, Errors, Result};
use crate::cli::WebCommand;
use crate::cli::output::say;
use crate::control::{Answer, ControlListener, ControlRequest, PageRequest, ask};
use crate::engine::journal::Journal;
use crate::site::PAGE_PORT;
use crate::system::child::{Child, SETGID, SETUID, THIS_PROGRAM};
use crate::system::command::Command;
use crate::system::disk::{self, cannot_write};
use crate::system::privileges::ROUTER_PAGE_USER;
use crate::system::wait::wait_for_input;
use crate::web::{self, Door, FILE, Settings};
use parts::Parts;

/// First port that needs no privilege (ip(7)).
const UNPRIVILEGED: u16 = 1024;

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
    let url = format!("http://127.0.0.1:{}/{}/", place.port, place.key);
    say!("{url}\n\nThe key in this address is new each time, and opens everything. Ctrl-C ends the page.");
    let parts = Parts { file, key: &place.key };
    loop {
        let mut descriptors = vec![signals.as_fd()];
        place.listener.descriptors(&mut descriptors);
        wait_for_input(&descriptors, place.listener.deadline())?;
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
        while let Some((request, client)) = place.listener.hear() {
            let answer = answer(&parts, request);
            place.listener.tell(client, &answer);
        }
    }
}

/// Carries out a request of the process that shows the page.
fn answer(parts: &Parts, request: ControlRequest) -> Answer {
    match request {
        ControlRequest::Page(PageRequest::Local(part)) => parts.part(&part),
        ControlRequest::Page(PageRequest::Choose { portal, exit }) => {
            if has_agent()? {
                ask(&ControlRequest::Exit { portal, exit })
            } else {
                Err(Error::failed(no_agent()).into())
            }
        }
        _ => Err(Error::wrong("this page has no such part").into()),
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

/// Process that shows the page, its folder, and the socket at which it asks.
struct Place {
    port: u16,
    key: String,
    folder: PathBuf,
    listener: ControlListener,
    child: Child,
}

impl Place {
    /// Starts the process.
    fn make(port: u16) -> Result<Self> {
        let key = web::new_key();
        let folder = Journal::open()?.folder().join(format!("web-{}", id()));
        // Not in the folder of the process, which only root may enter.
        let socket = format!("/run/portals-web-{}.sock", id());
        let listener = ControlListener::for_pages(Path::new(&socket), ROUTER_PAGE_USER)?;
        disk::make_folder(&folder)?;
        let settings = Settings { socket, doors: vec![Door::Local { key: key.clone(), port }] };
        let path = folder.join(FILE);
        disk::replace(&path, settings.to_text().as_bytes(), 0o600).context(|| cannot_write(&path))?;
        let errors = io::stderr();
        let mut command = Command::new(THIS_PROGRAM);
        command.args(&["web", "--serve"]).arg(&folder).current_dir(c"/").limited(&[SETGID, SETUID]);
        let child = command.stderr(errors.as_fd()).spawn();
        let child = child.context(|| "cannot start the process that shows the page".to_owned())?;
        Ok(Self { port, key, folder, listener, child })
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
