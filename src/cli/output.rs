//! Words for people, on standard output and standard error. A reader who has gone, as `head` does, is no fault. A full disk is one: the
//! work that is being told of is done all the same, and the exit status tells.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::error::{Error, Result};

/// The first write that failed; nothing is written behind that.
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

/// Prints on standard output.
pub fn print(text: Arguments) {
    let mut failure = failure();
    if failure.is_none() {
        *failure = io::stdout().write_fmt(text).err();
    }
}

/// Prints on standard error; who cannot be told is not told.
pub fn print_error(text: Arguments) {
    let _ = io::stderr().write_fmt(text);
}

/// Hands on all that was printed, and tells whether it has arrived so far.
pub fn flush() -> bool {
    let mut failure = failure();
    if failure.is_none() {
        *failure = io::stdout().flush().err();
    }
    failure.is_none()
}

/// Ends the printing.
///
/// # Errors
/// If something could not be written, other than to a reader who has gone.
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
