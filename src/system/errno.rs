//! The error number of a failed kernel call, at any depth among the causes of an error.

use std::error::Error as StdError;

use nix::errno::Errno;

use crate::base::error::Error;

/// Returns the number that the kernel gave, if a kernel call is among the causes of `error`.
pub fn of(error: &Error) -> Option<Errno> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(errno) = error.downcast_ref::<Errno>() {
            return Some(*errno);
        }
        if let Some(number) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
            return Some(Errno::from_raw(number));
        }
        cause = error.source();
    }
    None
}
