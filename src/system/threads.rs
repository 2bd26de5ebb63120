//! Threads that run until their work ends.

use std::thread::{self, JoinHandle};

/// Starts a thread. The code that starts a thread takes a kilobyte for each type of work, so there is only
/// one type.
pub(crate) fn spawn(work: Box<dyn FnOnce() + Send>) -> JoinHandle<()> {
    thread::spawn(work)
}
