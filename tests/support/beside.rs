//! Work on another thread while something happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Does `work` beside `events`, and returns the results of both. The work asks the function that it is given
/// whether the events are over, and ends then. They are over when they panic as well.
pub(crate) fn beside<E, W: Send>(
    events: impl FnOnce() -> E,
    work: impl FnOnce(&dyn Fn() -> bool) -> W + Send,
) -> (E, W) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let working = scope.spawn(|| work(&|| over.load(Ordering::Relaxed)));
        let told = Told(&over);
        let result = events();
        drop(told);
        (result, working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Says at its end that something is over.
struct Told<'a>(&'a AtomicBool);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
