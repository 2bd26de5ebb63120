//! Functions of the C library that the standard library calls, in versions that keep the binary small.

use std::ffi::{CStr, c_char, c_int};

use nix::libc::pthread_t;
use nix::sys::prctl;

/// Names the calling thread: the standard library names a thread only from inside, as the first thing in it.
/// musl's version can also name other threads, and brings in all of `printf` for their path below `/proc`: 13
/// kB.
#[unsafe(no_mangle)]
extern "C" fn pthread_setname_np(_: pthread_t, name: *const c_char) -> c_int {
    // SAFETY: pthread_setname_np(3) says that a name is a text that ends with a zero.
    let name = unsafe { CStr::from_ptr(name) };
    prctl::set_name(name).map_or_else(|errno| errno as c_int, |()| 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    #[test]
    fn threads_have_their_names() {
        let comm = || fs::read_to_string("/proc/thread-self/comm").unwrap();
        let thread = thread::Builder::new().name("portals-guest".to_owned()).spawn(comm).unwrap();
        assert_eq!(thread.join().unwrap(), "portals-guest\n");
    }
}
