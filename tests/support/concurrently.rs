//! Work on another thread while something happens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Runs `work` on another thread during `events`, and returns the results of both. The function that `work`
/// gets reports whether the events are over; `work` must end then. The events are also over if they panic.
pub(crate) fn concurrently<E, W: Send>(
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

/// Sets the flag on drop.
struct Told<'a>(&'a AtomicBool);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
