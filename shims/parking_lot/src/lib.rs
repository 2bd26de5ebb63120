//! The part of parking_lot that boringtun uses, made of the standard library's locks. A panic of a thread
//! that holds a lock leaves the lock usable, as in parking_lot.

use std::ops::{Deref, DerefMut};
use std::sync::{self, PoisonError};

pub use sync::RwLockWriteGuard;

/// A lock for one owner at a time.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Returns an unlocked lock.
    pub const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A lock that is held, except while a [`Condvar`] waits.
#[derive(Debug)]
pub struct MutexGuard<'a, T: ?Sized>(Option<sync::MutexGuard<'a, T>>);

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(HELD)
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(HELD)
    }
}

/// Reason why a guard has what it guards.
const HELD: &str = "the lock is held";

/// A signal to threads that wait for a change.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

impl Condvar {
    /// Returns a signal for which no thread waits.
    pub const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    /// Releases the lock, waits for the signal, and takes the lock again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect(HELD);
        guard.0 = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Wakes all threads that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A lock for one writer or many readers.
#[derive(Debug, Default)]
pub struct RwLock<T: ?Sized>(sync::RwLock<T>);

impl<T> RwLock<T> {
    /// Returns an unlocked lock.
    pub const fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until the value may be read.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard { lock: self, held: Some(self.hold()) }
    }

    /// Waits until the value may be changed.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self) -> sync::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The share of a reader in a lock.
#[derive(Debug)]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    held: Option<sync::RwLockReadGuard<'a, T>>,
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// Returns the lock.
    pub fn rwlock(guard: &Self) -> &'a RwLock<T> {
        guard.lock
    }

    /// Gives the share back while `work` runs.
    pub fn unlocked<U>(guard: &mut Self, work: impl FnOnce() -> U) -> U {
        guard.held = None;
        let result = work();
        guard.held = Some(guard.lock.hold());
        result
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_waits_for_the_signal_of_another() {
        let (number, signal) = (Mutex::new(0), Condvar::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut held = number.lock();
                while *held == 0 {
                    signal.wait(&mut held);
                }
                *held += 1;
                signal.notify_all();
            });
            let mut held = number.lock();
            *held = 1;
            signal.notify_all();
            while *held == 1 {
                signal.wait(&mut held);
            }
        });
        assert_eq!(*number.lock(), 2);
    }

    #[test]
    fn a_reader_lets_a_writer_in_and_reads_on() {
        let lock = RwLock::new(1);
        let mut guard = lock.read();
        let owner = RwLockReadGuard::rwlock(&guard);
        let seen = RwLockReadGuard::unlocked(&mut guard, || {
            thread::scope(|scope| {
                scope.spawn(|| *owner.write() += 1);
            });
            *owner.read()
        });
        assert_eq!((seen, *guard), (2, 2));
    }

    #[test]
    fn a_panic_leaves_the_locks_usable() {
        let (one, other) = (Mutex::new(1), RwLock::new(1));
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let (_one, _other) = (one.lock(), other.write());
                panic!("as a test");
            });
            assert!(thread.join().is_err());
        });
        assert_eq!((*one.lock(), *other.read()), (1, 1));
        *other.write() = 2;
        assert_eq!(*other.read(), 2);
    }
}
