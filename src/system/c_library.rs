//! Calls of the C library that the standard library and boringtun make, done without what they would bring into the binary.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use nix::libc::pthread_t;
use nix::sys::prctl;

/// Names a thread; the standard library does so for the calling one alone, as the first thing in it. musl's could name others, too, and
/// has all of `printf` for their path below `/proc`: 13 kB.
#[unsafe(no_mangle)]
extern "C" fn pthread_setname_np(_: pthread_t, name: *const c_char) -> c_int {
    // SAFETY: a name is a text that ends with a zero, as pthread_setname_np(3) has it.
    let name = unsafe { CStr::from_ptr(name) };
    prctl::set_name(name).map_or_else(|errno| errno as c_int, |()| 0)
}

/// Who has logged in: nobody. boringtun would have a folder belong to that user which it never makes here, and bring in all that
/// reads `/etc/passwd`: 7 kB.
#[unsafe(no_mangle)]
extern "C" fn getlogin() -> *mut c_char {
    ptr::null_mut()
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
