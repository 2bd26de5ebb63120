use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use nix::sys::signal::SigmaskHow;
use nix::unistd::geteuid;

use super::*;
use crate::system::child::{NET_ADMIN, NET_RAW};

/// Longer than the buffer of a pipe.
const LONG: usize = 1_000_000;

/// Capability to give up capabilities (CAP_SETPCAP of linux/capability.h).
const SETPCAP: u8 = 8;

fn shell<'a>(script: &str) -> Command<'a> {
    let mut command = Command::new("sh");
    command.args(&["-c", script]);
    command
}

fn text(command: &Command) -> String {
    let output = command.output(&[]).unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Returns a line of /proc/self/status as a program sees it that starts by this command.
fn status_line(condition: impl FnOnce(&mut Command), name: &str) -> u64 {
    let mut command = Command::new("grep");
    condition(command.args(&[name, "/proc/self/status"]));
    let line = text(&command);
    u64::from_str_radix(line.trim_start_matches(name).trim_start_matches(':').trim(), 16).unwrap()
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("portals-command-{name}-{}", process::id()))
}

#[test]
fn a_program_gets_its_arguments() {
    let mut command = shell("printf '%s|' \"$0\" \"$@\"");
    command.args(&["zero", "", "two words"]).arg(OsStr::from_bytes(b"\xff")).arg("$HOME");
    let output = command.output(&[]).unwrap();
    assert_eq!(output.stdout, b"zero||two words|\xff|$HOME|");
    assert_eq!(
        text(Command::new("cat").arg0(c"other").arg("/proc/self/cmdline")),
        "other\0/proc/self/cmdline\0"
    );
}

#[test]
fn a_program_that_cannot_start_is_an_error() {
    let errno =
        |program: &str| Command::new(program).spawn().unwrap_err().raw_os_error().map(Errno::from_raw);
    assert_eq!(errno("/nonexistent/program"), Some(Errno::ENOENT));
    assert_eq!(errno("portals-nonexistent"), Some(Errno::ENOENT));
    assert_eq!(errno("/proc/self/status"), Some(Errno::EACCES));
    assert_eq!(errno("true\0"), Some(Errno::EINVAL));
    let mut command = Command::new("true");
    assert!(command.env("NAME", "a\0b").spawn().is_err());
    let mut command = Command::new("true");
    // SAFETY: the step makes no call.
    unsafe { command.before(Box::new(|| Err(Errno::ESRCH))) };
    assert_eq!(command.spawn().unwrap_err().raw_os_error(), Some(Errno::ESRCH as c_int));
}

#[test]
fn a_program_gets_our_environment_and_more() {
    let variables = |command: &mut Command| {
        let text = String::from_utf8_lossy(&command.arg("-0").output(&[]).unwrap().stdout).into_owned();
        text.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>()
    };
    let ours = variables(&mut Command::new("env"));
    assert_eq!(ours.len(), std::env::vars_os().count());
    let mut command = Command::new("env");
    let theirs =
        variables(command.env("PATH_TO", "one").env("PATH", "/usr/bin:/bin").env("PATH_TO", "two=2"));
    assert_eq!(theirs.len(), ours.len() + 1);
    let of_name = |name: &str| theirs.iter().filter(|known| known.starts_with(name)).collect::<Vec<_>>();
    assert_eq!(of_name("PATH="), ["PATH=/usr/bin:/bin"]);
    assert_eq!(of_name("PATH_TO="), ["PATH_TO=two=2"]);
    assert!(variables(Command::new("/usr/bin/env").env_clear()).is_empty());
    assert_eq!(variables(Command::new("/usr/bin/env").env_clear().env("ONE", "1")), ["ONE=1"]);
}

#[test]
fn long_input_and_output_pass_at_the_same_time() {
    let input: Vec<u8> = (0..=250).cycle().take(LONG).collect();
    let output = shell("tee /dev/stderr").output(&input).unwrap();
    assert!(output.status.success() && output.stdout == input && output.stderr == input);
    let output = shell("exec <&-; sleep 0.1; exit 3").output(&input).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    let output = shell("exec >&- 2>&-; cat >/dev/null").output(&input).unwrap();
    assert!(output.status.success());
}

#[test]
fn input_is_empty_and_output_is_lost_by_default() {
    let mut child = shell("test ! -t 0 && test -z \"$(cat)\" && echo lost && echo lost >&2").spawn().unwrap();
    assert!(child.wait().unwrap().success());
    let (mut reader, writer) = io::pipe().unwrap();
    let mut child = shell("echo out; echo err >&2").stderr(writer.as_fd()).spawn().unwrap();
    drop(writer);
    let mut errors = String::new();
    reader.read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "err\n");
    assert!(child.wait().unwrap().success());
    assert_eq!(shell("exit 5").status().unwrap().code(), Some(5));
}

#[test]
fn a_child_can_be_ended() {
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTERM);
    let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).unwrap();
    let blocked = status_line(|_| (), "SigBlk");
    before.thread_set_mask().unwrap();
    assert_eq!(blocked, 0);
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::SIGKILL as c_int));
    assert_eq!(child.try_wait().unwrap(), Some(status));
    child.kill().unwrap();
}

#[test]
fn only_a_program_that_outlives_its_reader_ignores_sigpipe() {
    let bit = 1 << (Signal::SIGPIPE as c_int - 1);
    assert_eq!(status_line(|_| (), "SigIgn") & bit, 0);
    assert_eq!(status_line(|command| _ = command.outliving(), "SigIgn") & bit, bit);
}

#[test]
fn a_program_starts_in_its_folder_and_group_with_a_note() {
    let path = file("note");
    let script = "pwd; read -r pid name state parent group rest </proc/$$/stat; echo $pid $group; cat \"$0\"";
    let mut command = shell(script);
    command.arg(&path).current_dir(c"/").in_own_group().noted(File::create(&path).unwrap());
    let text = text(&command);
    fs::remove_file(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [folder, numbers, note] = lines[..] else { panic!("{text}") };
    assert_eq!(folder, "/");
    assert_eq!(numbers, format!("{note} {note}"));
}

#[test]
fn a_child_has_no_more_capabilities_than_it_needs() {
    let ours = status_line(|_| (), "CapBnd");
    let kept = status_line(|command| _ = command.limited(&[NET_ADMIN, NET_RAW]), "CapBnd");
    let wanted = ours & (1 << NET_ADMIN | 1 << NET_RAW);
    // A process that may not give up capabilities keeps them.
    let may = geteuid().is_root() && ours & (1 << SETPCAP) != 0;
    assert_eq!(kept, if may { wanted } else { ours });
}

#[test]
fn a_program_gets_no_descriptor_of_ours() {
    let path = file("descriptor");
    let ours = File::create(&path).unwrap();
    // The shell closes the folder before it looks at the first entry.
    let script = "for fd in /proc/$$/fd/*; do test ! -e $fd || echo ${fd##*/}; done";
    let numbers = text(&shell(script));
    fs::remove_file(&path).unwrap();
    let inherited = |number: &c_int| {
        // SAFETY: the descriptor stays open: this process has got it from its parent, and never closes it.
        let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl(descriptor, FcntlArg::F_GETFD) == Ok(0)
    };
    let numbers = numbers.lines().map(|number| number.parse().unwrap());
    let unexpected: Vec<c_int> = numbers.filter(|number| *number > 2 && !inherited(number)).collect();
    assert_eq!(unexpected, Vec::new());
    drop(ours);
}
