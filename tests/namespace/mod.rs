//! Network namespaces for tests: each belongs to one thread, and has a private `/run`.

use std::process::Command;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Runs `work` in a new network namespace, with the loopback interface up.
pub(crate) fn inside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
            .expect("these tests need root: run them as root, or with `unshare -Urnm`");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        ip("link set lo up");
        work()
    });
    namespace.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Output of `ip` in the namespace of this thread.
pub(crate) fn ip(arguments: &str) -> String {
    let output =
        Command::new("ip").args(arguments.split_whitespace()).output().expect("these tests need `ip`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
