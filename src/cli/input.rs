//! Text that a person types or pastes, from standard input.

use std::io;

use nix::errno::Errno;
use nix::unistd::read;

/// Reads what comes next, into a buffer: a terminal hands out one line at a time. Returns the length; zero at
/// the end of the input.
pub fn read_line(buffer: &mut [u8]) -> nix::Result<usize> {
    loop {
        match read(io::stdin(), buffer) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Reads to the end of the input, but no more than the buffer holds. Returns the length.
pub fn read_all(buffer: &mut [u8]) -> nix::Result<usize> {
    let mut length = 0;
    loop {
        match read_line(&mut buffer[length..])? {
            0 => return Ok(length),
            more => length += more,
        }
    }
}
