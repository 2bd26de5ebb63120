//! Process of a service: a child of the agent, or a process that a killed agent has left behind.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, PipeReader, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use zeroize::Zeroizing;

use super::Service;
use crate::base::error::{Context as _, Error, Result};
use crate::base::moment::{after, is_due};
use crate::control::{AnsweringEnd, PageRequest};
use crate::system::child::{Child, path_of};
use crate::system::command::Command;
use crate::system::disk::{self, FileOrigin};

/// Time from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// Time between two looks at a process that is not a child: the kernel does not report its end.
const GLANCE: Duration = Duration::from_millis(20);

/// Rest after a request on a channel, which costs the agent a turn of its loop: a process that a stranger has
/// taken over must not keep the agent busy.
const REST: Duration = Duration::from_millis(20);

/// Name of the file with the process ID.
const PID_FILE: &str = "pid";

/// Advice if another program has the port.
const PORT_TAKEN: &str = " (another program has taken that port on all interfaces; `ss -lntup` shows which: \
                          if it is a dnsmasq of this host, the line `bind-dynamic` in its configuration \
                          makes it share the port)";

/// Most reads of output before other work has its turn: together, they empty a full pipe.
const AT_ONCE: usize = 64;

/// Largest part of a line that is kept, in bytes.
const LONGEST_LINE: usize = 300;

/// Process of a service.
#[derive(Debug)]
pub(super) struct Process {
    kind: ProcessKind,
    /// Folder of the service.
    folder: PathBuf,
    began: Instant,
    ending: Option<Ending>,
    /// End of the rest after a request on the channel.
    rests_until: Option<Instant>,
}

#[derive(Debug)]
enum ProcessKind {
    Child(Child, ProgramOutput, Option<AnsweringEnd>),
    /// Process ID and start time: together, they identify the process.
    Leftover(Pid, u64),
}

/// End in progress: SIGTERM was sent.
#[derive(Debug)]
struct Ending {
    /// Time at which SIGKILL is due.
    until: Instant,
    is_killed: bool,
}

/// Output of `--help` of a program.
#[derive(Debug)]
pub(super) struct ProgramHelp {
    program: PathBuf,
    text: Vec<u8>,
}

/// Output of a program, of which the last line is kept.
#[derive(Debug)]
struct ProgramOutput {
    /// Pipe from the program; `None` once it is closed.
    pipe: Option<PipeReader>,
    line: Vec<u8>,
    last: String,
}

impl Process {
    /// Writes the files of a service and starts it. Does not wait until it runs: if the program cannot be
    /// executed, the process ends with the reason.
    pub(super) fn start(
        service: &Service,
        folder: &Path,
        help: &mut Option<ProgramHelp>,
        now: Instant,
    ) -> Result<Self> {
        let path =
            path_of(service.program.name).ok_or_else(|| Error::failed(service.program.is_missing()))?;
        write_files(service, folder).context(|| format!("cannot write into {}", folder.display()))?;
        let kind =
            launch(service, folder, &path, help).context(|| format!("cannot start {}", path.display()))?;
        Ok(Self::of(kind, folder, now))
    }

    /// Returns the process that an earlier agent has left behind in this folder, if it still runs.
    pub(super) fn left_behind(folder: &Path) -> Option<Self> {
        let text = disk::read_if_there(&folder.join(PID_FILE), FileOrigin::Ours).ok()??;
        let pid = Pid::from_raw(text.trim().parse().ok().filter(|number| *number > 1)?);
        let kind = ProcessKind::Leftover(pid, start_of(pid)?);
        let found = Self::of(kind, folder, Instant::now());
        works_in(folder, pid).then_some(found)
    }

    fn of(kind: ProcessKind, folder: &Path, began: Instant) -> Self {
        Self { kind, folder: folder.to_owned(), began, ending: None, rests_until: None }
    }

    /// Returns the time since the process was started or found.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// Reports whether the process was asked to end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Reads the output, and describes how the process has ended; returns `None` if it still runs.
    /// Never waits.
    pub(super) fn end_of(&mut self) -> Option<String> {
        let end = match &mut self.kind {
            ProcessKind::Child(child, output, channel) => {
                let status = child.try_wait();
                output.read();
                match status {
                    Ok(None) => return None,
                    Ok(Some(status)) => {
                        let fault = channel.as_ref().and_then(AnsweringEnd::fault);
                        Some(fault.map_or_else(|| output.explain(&status.to_string()), str::to_owned))
                    }
                    Err(error) => Some(error.to_string()),
                }
            }
            ProcessKind::Leftover(pid, start) => (start_of(*pid) != Some(*start)).then(String::new),
        }?;
        // Another process may soon have its ID.
        let _ = fs::remove_file(self.folder.join(PID_FILE));
        Some(end)
    }

    /// Asks the process to end, and kills it if it takes too long. Never waits.
    pub(super) fn end(&mut self, now: Instant) {
        match &mut self.ending {
            None => {
                self.ending = Some(Ending { until: now + GRACE, is_killed: false });
                self.send(Signal::SIGTERM);
            }
            Some(ending) if !ending.is_killed && ending.until <= now => {
                ending.is_killed = true;
                self.send(Signal::SIGKILL);
            }
            Some(_) => {}
        }
    }

    /// Returns the time of the next look at the process even if nothing happens before.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        match (&self.kind, &self.ending) {
            (ProcessKind::Leftover(..), _) => Some(now + GLANCE),
            (ProcessKind::Child(..), Some(ending)) => (!ending.is_killed).then_some(ending.until),
            (ProcessKind::Child(..), None) if self.is_cut_off() => Some(now),
            (ProcessKind::Child(..), None) => self.rests_until,
        }
    }

    /// Adds the descriptors that have input when the process has written something.
    pub(super) fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        if let ProcessKind::Child(_, output, channel) = &self.kind {
            all.extend(output.pipe.as_ref().map(|pipe| pipe.as_fd()));
            let channel = channel.as_ref().filter(|_| self.rests_until.is_none());
            all.extend(channel.and_then(AnsweringEnd::descriptor));
        }
    }

    /// Returns the channel on which the process asks for pages, if it has one.
    pub(super) fn channel(&mut self) -> Option<&mut AnsweringEnd> {
        match &mut self.kind {
            ProcessKind::Child(.., channel) => channel.as_mut(),
            ProcessKind::Leftover(..) => None,
        }
    }

    /// Reports whether the channel is closed: the process has ended, or must end.
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(&self.kind, ProcessKind::Child(.., Some(channel)) if channel.descriptor().is_none())
    }

    /// Returns the next request on the channel, once it is complete. Never waits.
    pub(super) fn hear(&mut self, now: Instant) -> Option<PageRequest> {
        if self.rests_until.is_some() && !is_due(self.rests_until, now) {
            return None;
        }
        let request = self.channel().and_then(AnsweringEnd::hear);
        self.rests_until = request.is_some().then(|| after(now, REST));
        request
    }

    fn send(&self, signal: Signal) {
        let pid = match &self.kind {
            // Not yet waited for, so no other process has the ID.
            ProcessKind::Child(child, ..) => child.pid(),
            ProcessKind::Leftover(pid, _) => *pid,
        };
        match kill(pid, signal) {
            Err(errno) if errno != Errno::ESRCH => {
                log::warn!("cannot end the process of {}: {}", self.folder.display(), errno.desc());
            }
            _ => {}
        }
    }
}

/// Starts the program of a service. Its process ID goes to a file in the folder.
fn launch(
    service: &Service,
    folder: &Path,
    program: &Path,
    help: &mut Option<ProgramHelp>,
) -> io::Result<ProcessKind> {
    let (reader, writer) = io::pipe()?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let pid_file = folder.join(PID_FILE);
    let note = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(pid_file)?;
    // A channel for each process: none gets answers to the requests of another one.
    let (channel, socket) = if service.program.asks { Some(AnsweringEnd::pair()?) } else { None }.unzip();
    let mut command = Command::new(program);
    if disk::is_only_user() {
        command.args(service.program.stays);
    }
    command
        .args(&service.arguments)
        .args(&known(service, program, help))
        .current_dir(c"/")
        .in_own_group()
        .outliving()
        .noted(note)
        .stdout(writer.as_fd())
        .stderr(writer.as_fd());
    if let Some(kept) = service.program.capabilities {
        command.limited(kept);
    }
    if let Some(socket) = &socket {
        command.stdin(socket.as_fd());
    }
    let output = ProgramOutput { pipe: Some(reader), line: Vec::new(), last: String::new() };
    Ok(ProcessKind::Child(command.launch()?, output, channel))
}

/// Returns the arguments of [`Service::if_known`] that the program knows. `help` saves the question for the
/// next service.
fn known(service: &Service, program: &Path, help: &mut Option<ProgramHelp>) -> Vec<&'static str> {
    let mut known = Vec::new();
    if service.if_known.is_empty() {
        return known;
    }
    if help.as_ref().is_none_or(|help| help.program != program)
        && let Ok(output) = Command::new(program).arg("--help").output(&[])
        && output.status.success()
    {
        *help = Some(ProgramHelp { program: program.to_owned(), text: output.stdout });
    }
    let Some(help) = help.as_ref().filter(|help| help.program == program) else { return known };
    let help = String::from_utf8_lossy(&help.text);
    for argument in service.if_known {
        if help.split_whitespace().any(|word| word == *argument) {
            known.push(*argument);
        }
    }
    known
}

/// Reports whether the process names the folder in its arguments. Otherwise it is another process that has
/// got the ID.
fn works_in(folder: &Path, pid: Pid) -> bool {
    let folder = folder.as_os_str().as_bytes();
    for _ in 0..10 {
        let arguments =
            disk::read(format!("/proc/{pid}/cmdline").as_ref(), FileOrigin::Kernel).unwrap_or_default();
        if !arguments.is_empty() {
            return arguments.windows(folder.len()).any(|part| part == folder);
        }
        // During execve(2), a process has no arguments for a moment.
        sleep(Duration::from_millis(1));
    }
    false
}

/// Returns the start time of a process in the kernel's ticks since boot: field 22 of /proc/PID/stat
/// (proc(5)). None if the process has ended.
fn start_of(pid: Pid) -> Option<u64> {
    let stat = disk::kernel_text(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may contain blanks.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    fields.next().filter(|state| *state != "Z")?;
    fields.nth(18)?.parse().ok()
}

impl ProgramOutput {
    /// Reads the output so far.
    fn read(&mut self) {
        let mut piece = [0; 1024];
        for _ in 0..AT_ONCE {
            let Some(pipe) = &mut self.pipe else { break };
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(length) => piece[..length].iter().for_each(|byte| self.take(*byte)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
        if self.pipe.is_none() {
            self.take(b'\n');
        }
    }

    /// Adds a byte to the line. A line that ends becomes the last line, and goes to the log at level debug.
    fn take(&mut self, byte: u8) {
        match byte {
            b'\n' if !self.line.trim_ascii().is_empty() => {
                let line = String::from_utf8_lossy(self.line.trim_ascii());
                self.last.clear();
                for letter in line.chars() {
                    self.last.push(if letter.is_control() { '?' } else { letter });
                }
                self.line.clear();
                log::debug!("{}", self.last);
            }
            b'\n' => self.line.clear(),
            _ if self.line.len() < LONGEST_LINE => self.line.push(byte),
            _ => {}
        }
    }

    /// Returns the exit status and the last line of the program, with advice on a known fault.
    fn explain(&self, status: &str) -> String {
        if self.last.is_empty() {
            return status.to_owned();
        }
        let advice = if self.last.contains(Errno::EADDRINUSE.desc()) { PORT_TAKEN } else { "" };
        format!("{status}: {}{advice}", self.last)
    }
}

/// Writes the files of a service that differ from those in the folder.
fn write_files(service: &Service, folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for file in &service.files {
        let path = folder.join(file.name);
        if !disk::read(&path, FileOrigin::Ours).is_ok_and(|content| Zeroizing::new(content) == file.content) {
            disk::replace(&path, &file.content, 0o600)?;
        }
    }
    Ok(())
}
