//! Filter of system calls (seccomp(2)) for a process that talks to strangers.

use std::ffi::{c_long, c_ulong};
use std::mem::offset_of;

use nix::errno::Errno;
use nix::libc::{self, seccomp_data, sock_filter, sock_fprog};
use nix::sys::signal::{SigHandler, Signal, signal};

/// System calls of a server whose sockets are open: it accepts connections, reads, writes and waits, and in
/// the end it ends. None of them makes a socket, opens a file or starts a program, and none takes an address:
/// sendto(2) could connect a listener that was shut down (`MSG_FASTOPEN`, tcp(7)).
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm", target_arch = "mips"))]
const ALLOWED: &[c_long] = &[
    libc::SYS_accept4,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_fcntl,
    #[cfg(any(target_arch = "arm", target_arch = "mips"))]
    libc::SYS_fcntl64,
    #[cfg(not(target_arch = "aarch64"))]
    libc::SYS_poll,
    #[cfg(target_arch = "aarch64")]
    libc::SYS_ppoll,
    // The time, where the kernel's library in each process (vdso(7)) does not tell it.
    libc::SYS_clock_gettime,
    #[cfg(any(target_arch = "arm", target_arch = "mips"))]
    CLOCK_GETTIME64,
    // Memory.
    #[cfg(not(target_arch = "arm"))]
    libc::SYS_mmap,
    #[cfg(any(target_arch = "arm", target_arch = "mips"))]
    libc::SYS_mmap2,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_brk,
    // The end of a signal, and of the program.
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit_group,
];

/// Nobody has looked at the calls of the C library there.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm", target_arch = "mips")))]
const ALLOWED: &[c_long] = &[];

/// Time in 64 bits, on a processor with 32 (asm/unistd_o32.h of MIPS, asm/unistd-common.h of ARM).
#[cfg(any(target_arch = "arm", target_arch = "mips"))]
const CLOCK_GETTIME64: c_long = if cfg!(target_arch = "arm") { 403 } else { 4403 };

/// Architecture of this program, as the kernel tells it with each call (`AUDIT_ARCH_…` of linux/audit.h): the
/// processor (linux/elf-em.h), and bits for 64 bits and for the least byte first.
const ARCHITECTURE: u32 = {
    let machine = if cfg!(target_arch = "x86_64") {
        libc::EM_X86_64
    } else if cfg!(target_arch = "aarch64") {
        libc::EM_AARCH64
    } else if cfg!(target_arch = "arm") {
        libc::EM_ARM
    } else {
        libc::EM_MIPS
    };
    let size = if cfg!(target_pointer_width = "64") { 0x8000_0000 } else { 0 };
    let order = if cfg!(target_endian = "little") { 0x4000_0000 } else { 0 };
    machine as u32 | size | order
};

/// Leaves this process the system calls of a server whose sockets are open. All others fail with EPERM from
/// now on, also by another of the kernel's interfaces, such as that for programs of 32 bits. The process must
/// have given up its privileges before (`no_new_privs`). A fault ends it, and so does abort(3), which ends in
/// a fault: the handlers of the standard library would try in vain, for ever, to give its signal back to the
/// kernel.
///
/// # Errors
/// If the kernel has no filters (`CONFIG_SECCOMP_FILTER`), or if this processor has no list of calls.
pub fn keep_to_open_sockets() -> nix::Result<()> {
    if ALLOWED.is_empty() {
        return Err(Errno::ENOSYS);
    }
    for fault in [Signal::SIGSEGV, Signal::SIGBUS] {
        // SAFETY: no code of this process runs at these signals any more.
        unsafe { signal(fault, SigHandler::SigDfl) }?;
    }
    let mut filter = filter();
    let length = filter.len().try_into().unwrap_or_default();
    let program = sock_fprog { len: length, filter: filter.as_mut_ptr() };
    let mode = c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the kernel reads the program, and as many instructions as it tells.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) }).map(drop)
}

/// Returns the program that judges each call (classic BPF, Documentation/userspace-api/seccomp_filter.rst in
/// the kernel). The numbers of the interface x32 have a bit that no allowed number has.
fn filter() -> Vec<sock_filter> {
    let refuse = answer(libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned());
    let mut filter = vec![load(offset_of!(seccomp_data, arch)), skip_if(ARCHITECTURE), refuse];
    filter.push(load(offset_of!(seccomp_data, nr)));
    for call in ALLOWED {
        filter.extend([skip_unless(number(*call)), answer(libc::SECCOMP_RET_ALLOW)]);
    }
    filter.push(refuse);
    filter
}

/// Returns the number of a call as the filter sees it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of calls are small")]
fn number(call: c_long) -> u32 {
    call as u32
}

/// Loads the field of the call at this offset.
#[expect(clippy::cast_possible_truncation, reason = "the fields are within 64 bytes")]
fn load(offset: usize) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, [0, 0], offset as u32)
}

/// Skips the next instruction if the loaded field has this value.
fn skip_if(value: u32) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, [1, 0], value)
}

/// Skips the next instruction unless the loaded field has this value.
fn skip_unless(value: u32) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, [0, 1], value)
}

/// Ends the program with this answer.
fn answer(answer: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, [0, 0], answer)
}

#[expect(clippy::cast_possible_truncation, reason = "codes have 16 bits")]
fn instruction(code: u32, [jt, jf]: [u8; 2], k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;

    use nix::sys::prctl::set_no_new_privs;
    use nix::sys::socket::{
        AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, SockaddrIn, connect, sendto, shutdown, socket,
        socketpair,
    };
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork, read, write};

    use super::*;
    use crate::system::loopback;

    /// Runs a check in a process of its own behind the filter, and requires that it holds.
    fn behind_the_filter(holds: impl FnOnce() -> bool) {
        // SAFETY: the child takes no lock but those of the C library, which a fork leaves open, and ends.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
            ForkResult::Child => {
                let is_right = set_no_new_privs().is_ok() && keep_to_open_sockets().is_ok() && holds();
                // SAFETY: nothing of this process is used again.
                unsafe { libc::_exit(i32::from(!is_right)) };
            }
        }
    }

    fn tcp() -> nix::Result<std::os::fd::OwnedFd> {
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)
    }

    #[test]
    fn no_connection_begins_behind_the_filter() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = SockaddrIn::new(127, 0, 0, 1, listener.local_addr().unwrap().port());
        let (fresh, closed) = (tcp().unwrap(), TcpListener::bind(("127.0.0.1", 0)).unwrap());
        behind_the_filter(|| {
            // A listener that is shut down becomes a socket that could be connected.
            let is_shut = shutdown(closed.as_raw_fd(), Shutdown::Both).is_ok();
            let denied = Err(Errno::EPERM);
            let fast = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
            let by_first_bytes = sendto(closed.as_raw_fd(), b"a", &address, fast).map(drop);
            is_shut
                && connect(fresh.as_raw_fd(), &address) == denied
                && by_first_bytes == denied
                && tcp().map(drop) == denied
                && socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::empty()).map(drop)
                    == denied
        });
    }

    #[test]
    fn no_file_opens_and_no_program_starts_behind_the_filter() {
        behind_the_filter(|| {
            // SAFETY: a program that cannot start leaves everything as it is.
            let started = unsafe { libc::execl(c"/bin/true".as_ptr(), std::ptr::null::<libc::c_char>()) };
            let opened = File::open("/dev/null").map_err(|error| error.kind());
            started == -1 && opened.is_err_and(|kind| kind == io::ErrorKind::PermissionDenied)
        });
    }

    #[test]
    fn open_sockets_work_behind_the_filter() {
        loopback::bring_up();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let browser = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        write(&browser, b"question").unwrap();
        behind_the_filter(|| {
            let Ok((stream, _)) = listener.accept() else { return false };
            let mut question = [0; 8];
            let memory = vec![1_u8; 1 << 24];
            read(&stream, &mut question).is_ok_and(|length| &question[..length] == b"question")
                && write(&stream, b"answer").is_ok()
                && memory.iter().all(|byte| *byte == 1)
        });
        let mut answer = [0; 6];
        assert_eq!(read(&browser, &mut answer), Ok(6));
        assert_eq!(&answer, b"answer");
    }

    #[test]
    fn a_fault_ends_the_process_behind_the_filter() {
        let fault = || {
            // SAFETY: there is no page at this address, so nothing is written.
            unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(0) };
            true
        };
        for crash in [fault, || std::process::abort()] {
            // SAFETY: the child takes no lock but those of the C library, which a fork leaves open, and ends.
            match unsafe { fork() }.unwrap() {
                ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
                    WaitStatus::Signaled(_, signal, _) => assert_ne!(signal, Signal::SIGALRM, "it went on"),
                    other => panic!("{other:?}"),
                },
                ForkResult::Child => {
                    // A process that does not end by itself ends in spite of that.
                    // SAFETY: this sets a timer.
                    unsafe { libc::alarm(20) };
                    let _ = set_no_new_privs().is_ok() && keep_to_open_sockets().is_ok() && crash();
                    // SAFETY: nothing of this process is used again.
                    unsafe { libc::_exit(0) };
                }
            }
        }
    }

    /// A call of the interface x32 has its number with a bit on top.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_calls_of_x32_are_refused() {
        behind_the_filter(|| {
            // SAFETY: a refused call reads and writes nothing; an allowed one would close no descriptor.
            Errno::result(unsafe { libc::syscall(0x4000_0000 | libc::SYS_close, -1) }) == Err(Errno::EPERM)
        });
    }
}
