//! The start of other programs. It takes the place of `Command` of the standard library, which keeps the
//! environment in a sorted map, and knows more ways to start and more conditions: 25 kB on mipsel.

#[cfg(test)]
mod tests;
mod texts;

use std::ffi::{CStr, OsStr, c_char, c_int, c_short};
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{self, ExitStatus, Output};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::unistd::{Pid, chdir, setpgid};

use super::child::Child;
use texts::Texts;

/// Number above all capabilities. The kernel refuses numbers that it does not know.
const CAPABILITY_LIMIT: u8 = 64;

unsafe extern "C" {
    /// The environment of this process (environ(7)).
    static environ: *const *const c_char;
}

/// Program with its arguments, and the conditions under which it starts.
///
/// The program starts with no signal blocked. The agent blocks its signals, to read them one by one, and its
/// children and their children would inherit this: processes that a hook leaves behind could not be ended.
///
/// Standard input is empty, and standard output and standard error are lost, unless a method says otherwise.
/// The program gets no other descriptor that has the flag `FD_CLOEXEC`.
pub struct Command<'a> {
    /// The program and its arguments.
    words: Texts,
    /// Name that the program gets in place of its path.
    name: Option<&'static CStr>,
    /// Environment variables, in addition to those of this process.
    variables: Texts,
    has_our_variables: bool,
    /// Standard input, output and error; `/dev/null` in place of each that is missing.
    descriptors: [Option<BorrowedFd<'a>>; 3],
    folder: Option<&'static CStr>,
    has_own_group: bool,
    is_outliving: bool,
    note: Option<File>,
    capabilities: Option<&'static [u8]>,
    step: Option<Step>,
}

/// Step of a new process, before it becomes the program.
type Step = Box<dyn Fn() -> nix::Result<()>>;

impl<'a> Command<'a> {
    /// Returns the command for a program: its path, or its name in one of the folders of `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Self::nothing();
        command.arg(program);
        command
    }

    /// Returns a command without a program. Separate, because the compiler would write a copy of the code for
    /// each type of path.
    fn nothing() -> Self {
        Self {
            words: Texts::default(),
            name: None,
            variables: Texts::default(),
            has_our_variables: true,
            descriptors: [None; 3],
            folder: None,
            has_own_group: false,
            is_outliving: false,
            note: None,
            capabilities: None,
            step: None,
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.words.add(&[argument.as_ref().as_bytes()]);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, arguments: &[impl AsRef<OsStr>]) -> &mut Self {
        for argument in arguments {
            self.arg(argument);
        }
        self
    }

    /// Gives the program a name in place of its path.
    pub fn arg0(&mut self, name: &'static CStr) -> &mut Self {
        self.name = Some(name);
        self
    }

    /// Adds an environment variable, in place of one that has the same name.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.add(&[name.as_bytes(), b"=", value.as_bytes()]);
        self
    }

    /// Makes the program start without the environment variables of this process.
    pub fn env_clear(&mut self) -> &mut Self {
        self.has_our_variables = false;
        self
    }

    /// Sets the standard input.
    pub fn stdin(&mut self, input: BorrowedFd<'a>) -> &mut Self {
        self.descriptors[0] = Some(input);
        self
    }

    /// Sets the standard output.
    pub fn stdout(&mut self, output: BorrowedFd<'a>) -> &mut Self {
        self.descriptors[1] = Some(output);
        self
    }

    /// Sets the standard error.
    pub fn stderr(&mut self, errors: BorrowedFd<'a>) -> &mut Self {
        self.descriptors[2] = Some(errors);
        self
    }

    /// Makes the program start in a folder.
    pub fn current_dir(&mut self, folder: &'static CStr) -> &mut Self {
        self.folder = Some(folder);
        self
    }

    /// Makes the program start in its own process group: a key such as Ctrl-C at the terminal of this process
    /// does not end the program.
    pub fn in_own_group(&mut self) -> &mut Self {
        self.has_own_group = true;
        self
    }

    /// Makes the program start with SIGPIPE ignored: output to a reader that is gone is lost, and the program
    /// goes on.
    pub fn outliving(&mut self) -> &mut Self {
        self.is_outliving = true;
        self
    }

    /// Makes the program write its process number to a file before it starts, so that it can be found even if
    /// this process dies.
    pub fn noted(&mut self, file: File) -> &mut Self {
        self.note = Some(file);
        self
    }

    /// Limits the capabilities of the program, and of all programs that it executes, to `kept`: numbers of
    /// linux/capability.h. A capability that cannot be given up, such as in a container, is kept.
    pub fn limited(&mut self, kept: &'static [u8]) -> &mut Self {
        self.capabilities = Some(kept);
        self
    }

    /// Adds the last step of the new process before it becomes the program.
    ///
    /// # Safety
    /// The step may make only system calls: it allocates nothing, takes no lock, and never panics.
    pub unsafe fn before(&mut self, step: Step) -> &mut Self {
        self.step = Some(step);
        self
    }

    /// Starts the program.
    pub fn spawn(&self) -> io::Result<Child> {
        self.start(self.descriptors)
    }

    /// Starts the program, and does not wait until it runs. If it cannot run, the new process writes the
    /// reason to its standard error, and ends.
    pub fn launch(&self) -> io::Result<Child> {
        self.fork(self.descriptors, None)
    }

    /// Runs the program with the standard output and standard error of this process, until it ends.
    pub fn status(&self) -> io::Result<ExitStatus> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        self.start([None, Some(stdout.as_fd()), Some(stderr.as_fd())])?.wait()
    }

    /// Runs the program until it ends, with this input, and returns its output.
    pub fn output(&self, input: &[u8]) -> io::Result<Output> {
        let (stdin, writer) = io::pipe()?;
        let (mut reader, stdout) = io::pipe()?;
        let (mut errors, stderr) = io::pipe()?;
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let mut child = self.start([Some(stdin.as_fd()), Some(stdout.as_fd()), Some(stderr.as_fd())])?;
        drop((stdin, stdout, stderr));
        let (mut writer, mut rest) = (Some(writer).filter(|_| !input.is_empty()), input);
        let mut output = Output { status: ExitStatus::default(), stdout: Vec::new(), stderr: Vec::new() };
        let wait = |fd: c_int, events: c_short| libc::pollfd { fd, events, revents: 0 };
        let mut waits = [
            wait(writer.as_ref().map_or(-1, AsRawFd::as_raw_fd), libc::POLLOUT),
            wait(reader.as_raw_fd(), libc::POLLIN),
            wait(errors.as_raw_fd(), libc::POLLIN),
        ];
        while waits.iter().any(|wait| wait.fd >= 0) {
            // SAFETY: the three places are valid. The kernel skips those without a descriptor (poll(2)).
            let ready = Errno::result(unsafe { libc::poll(waits.as_mut_ptr(), 3, -1) });
            if ready == Err(Errno::EINTR) {
                continue;
            }
            ready?;
            if waits[0].revents != 0
                && let Some(pipe) = &mut writer
            {
                match pipe.write(rest) {
                    Ok(length) => rest = &rest[length..],
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    // If the program ends before it has read all input, its exit status tells why.
                    Err(_) => rest = &[],
                }
                if rest.is_empty() {
                    (writer, waits[0].fd) = (None, -1);
                }
            }
            read(&mut reader, &mut waits[1], &mut output.stdout)?;
            read(&mut errors, &mut waits[2], &mut output.stderr)?;
        }
        output.status = child.wait()?;
        Ok(output)
    }

    /// Starts the program with these standard descriptors, and waits until it runs.
    fn start(&self, descriptors: [Option<BorrowedFd>; 3]) -> io::Result<Child> {
        let (mut failure, report) = io::pipe()?;
        let mut child = self.fork(descriptors, Some(&report))?;
        drop(report);
        let mut errno = [0; size_of::<c_int>()];
        // The end of the pipe without a number: the child has become the program, which closed the pipe.
        if failure.read_exact(&mut errno).is_err() {
            return Ok(child);
        }
        child.wait()?;
        Err(io::Error::from_raw_os_error(c_int::from_ne_bytes(errno)))
    }

    /// Starts the program with these standard descriptors, each of which is above 2, or its own. If it cannot
    /// run, the new process reports the error number, or in words on its standard error, and ends.
    fn fork(&self, descriptors: [Option<BorrowedFd>; 3], report: Option<&PipeWriter>) -> io::Result<Child> {
        if self.words.has_zero || self.variables.has_zero {
            return Err(Errno::EINVAL.into());
        }
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let descriptors = descriptors.map(|fd| fd.map_or(null.as_raw_fd(), |fd| fd.as_raw_fd()));
        let mut words = self.words.all();
        let path = words[0];
        words[0] = self.name.unwrap_or(path);
        let (words, variables) = (pointers(&words), pointers(&self.environment()));
        // SAFETY: the child makes only system calls: no allocation, no lock.
        let pid = Errno::result(unsafe { libc::fork() })?;
        if pid == 0 {
            let errno = match self.prepare(descriptors) {
                Ok(()) => {
                    // SAFETY: the pointers lead to texts that end with a zero, and each list ends with a null
                    // pointer.
                    unsafe { libc::execvpe(path.as_ptr(), words.as_ptr(), variables.as_ptr()) };
                    Errno::last()
                }
                Err(errno) => errno,
            };
            let number = (errno as c_int).to_ne_bytes();
            let words = [b"cannot start ", path.to_bytes(), b": ", errno.desc().as_bytes()];
            let (descriptor, parts) = match report {
                Some(report) => (report.as_raw_fd(), &[&number[..]][..]),
                None => (libc::STDERR_FILENO, &words[..]),
            };
            for part in parts {
                // SAFETY: the bytes are valid.
                unsafe { libc::write(descriptor, part.as_ptr().cast(), part.len()) };
            }
            // SAFETY: nothing of this process is used again.
            unsafe { libc::_exit(1) };
        }
        Ok(Child::of(Pid::from_raw(pid)))
    }

    /// Fulfils all conditions, in the new process.
    fn prepare(&self, descriptors: [c_int; 3]) -> nix::Result<()> {
        for (target, descriptor) in (0..).zip(descriptors) {
            // SAFETY: this changes the meaning of a descriptor of the new process, which uses no descriptor
            // below 3.
            while let Err(errno) = Errno::result(unsafe { libc::dup2(descriptor, target) }) {
                if errno != Errno::EINTR {
                    return Err(errno);
                }
            }
        }
        if let Some(folder) = self.folder {
            chdir(folder)?;
        }
        if self.has_own_group {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        }
        SigSet::empty().thread_set_mask()?;
        let handler = if self.is_outliving { SigHandler::SigIgn } else { SigHandler::SigDfl };
        // SAFETY: this sets no handler.
        unsafe { signal(Signal::SIGPIPE, handler) }?;
        if let Some(mut note) = self.note.as_ref() {
            write!(note, "{}", process::id())
                .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        }
        if let Some(kept) = self.capabilities {
            for capability in (0..CAPABILITY_LIMIT).filter(|capability| !kept.contains(capability)) {
                // SAFETY: this changes a number of the process, and reads no memory.
                unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
            }
        }
        self.step.as_ref().map_or(Ok(()), |step| step())
    }

    /// Returns the environment variables of the program.
    fn environment(&self) -> Vec<&CStr> {
        let mut variables = Vec::new();
        for index in 0.. {
            // SAFETY: the list ends with a null pointer, and nothing behind it is read. Nothing in this
            // program changes its environment.
            let variable = unsafe { *environ.add(index) };
            if variable.is_null() || !self.has_our_variables {
                break;
            }
            // SAFETY: each pointer before leads to a text that ends with a zero.
            variables.push(unsafe { CStr::from_ptr(variable) });
        }
        for variable in self.variables.all() {
            variables.retain(|known| name_of(known) != name_of(variable));
            variables.push(variable);
        }
        variables
    }
}

/// Returns the name of an environment variable.
fn name_of(variable: &CStr) -> Option<&[u8]> {
    variable.to_bytes().split(|byte| *byte == b'=').next()
}

/// Returns pointers to these texts, and a null pointer behind them.
fn pointers(texts: &[&CStr]) -> Vec<*const c_char> {
    let mut pointers = Vec::with_capacity(texts.len() + 1);
    for text in texts {
        pointers.push(text.as_ptr());
    }
    pointers.push(ptr::null());
    pointers
}

/// Reads a piece from a pipe that is ready. A pipe at its end is waited for no more.
fn read(pipe: &mut PipeReader, wait: &mut libc::pollfd, text: &mut Vec<u8>) -> io::Result<()> {
    if wait.revents == 0 {
        return Ok(());
    }
    let mut piece = [0; 4096];
    match pipe.read(&mut piece) {
        Ok(0) => wait.fd = -1,
        Ok(length) => text.extend_from_slice(&piece[..length]),
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
