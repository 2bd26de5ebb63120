//! Text for people, on standard output and standard error. A reader that goes away early, such as `head`, is
//! no error. A full disk is an error: the command still does all its work, and its exit status reports the
//! lost output.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::stat::{Mode, SFlag, fchmod, fstat};

use super::style::Style;
use crate::base::error::{Error, Result};

/// First write that failed; nothing is written after it.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line on standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::output::print(format_args!("{}\n", format_args!($($words)*))) };
}

/// Prints a line on standard error.
macro_rules! complain {
    ($($words:tt)*) => { $crate::cli::output::print_error(format_args!("{}\n", format_args!($($words)*))) };
}

pub(crate) use {complain, say};

/// Prints a text on standard output.
pub fn print(text: Arguments) {
    let mut failure = failure();
    if failure.is_none() {
        *failure = io::stdout().write_fmt(text).err();
    }
}

/// Prints a text on standard error. Failures are ignored: there is no other place to report them.
pub fn print_error(text: Arguments) {
    let _ = io::stderr().write_fmt(text);
}

/// Makes a file that takes the output readable for its owner alone: a secret follows. A shell makes files
/// that all users can read.
pub fn keep_private() {
    let stdout = io::stdout();
    let Ok(stat) = fstat(&stdout) else { return };
    let is_open = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits() && stat.st_mode & 0o077 != 0;
    if !is_open {
        return;
    }
    match fchmod(&stdout, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) => complain!("note: the output holds a secret, so its file has mode 600 now"),
        Err(errno) => complain!(
            "warning: the output holds a secret, and other users can read its file: {}",
            errno.desc()
        ),
    }
}

/// Prints an error on standard error, behind the name of this program.
pub fn print_fault(text: &str) {
    print_error(format_args!("{} {text}\n", Style::for_stderr().bad("portals:")));
}

/// Flushes standard output, and reports whether everything printed so far could be written.
pub fn flush() -> bool {
    let mut failure = failure();
    if failure.is_none() {
        *failure = io::stdout().flush().err();
    }
    failure.is_none()
}

/// Flushes standard output at the end of the program.
///
/// # Errors
/// If a text could not be written, except to a reader that has gone away.
pub fn finish() -> Result<()> {
    flush();
    match failure().take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::failed("cannot write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

fn failure() -> MutexGuard<'static, Option<io::Error>> {
    FAILURE.lock().unwrap_or_else(PoisonError::into_inner)
}
