//! Standard output without a reader, or on a full disk: commands still do their work, and end with the right
//! status.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portals");

/// Folder with a network file, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portals-output-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let folder = Self(folder);
        assert!(folder.run("init --site nyc --id 1", Stdio::null()).status.success());
        folder
    }

    fn run(&self, arguments: &str, output: impl Into<Stdio>) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(arguments.split(' ')).arg("--config").arg(self.0.join("network.toml"));
        command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped()).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Commands that print, and that any user can run.
const PRINTING: [&str; 4] = ["--help", "--version", "init --site nyc --id 1", "phone --help"];

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn a_full_output_is_an_error() {
    let folder = Folder::new("full");
    for arguments in PRINTING {
        let Output { status, stderr, .. } = folder.run(arguments, full());
        let words = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{arguments}: {words}");
        assert!(words.contains("cannot write to standard output: No space left on device"), "{words}");
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let folder = Folder::new("gone");
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let Output { status, stderr, .. } = folder.run(arguments, writer);
        let words = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(0), "{arguments}: {words}");
        assert!(!words.contains("standard output") && !words.contains("panicked"), "{words}");
    }
}

#[test]
fn an_error_keeps_its_exit_status() {
    let folder = Folder::new("both");
    let status = |output: Stdio| folder.run("export nyc", output).status.code();
    assert_eq!(status(full().into()), status(Stdio::null()));
}

#[test]
fn a_full_error_output_ends_nothing() {
    let mut command = Command::new(PROGRAM);
    let status = command.arg("no-such-command").stdin(Stdio::null()).stdout(full()).stderr(full()).status();
    assert_eq!(status.unwrap().code(), Some(2));
}

#[test]
fn an_argument_that_is_not_utf8_is_refused() {
    let mut command = Command::new(PROGRAM);
    let output = command.arg(OsStr::from_bytes(b"\xffnyc")).stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("nyc` is not UTF-8"), "{words}");
}

/// Simulates a kernel without random numbers. For a real one: `scripts/lab x86_64 --kernel 4.15 --no-entropy
/// --run 'portals init …'`.
#[test]
fn a_wait_for_random_numbers_is_reported() {
    let folder = Folder::new("random");
    let key = folder.0.join("private.key");
    // One of the first calls asks whether there are random numbers; the calls before it are the C library's
    // own.
    let told = (1..=5).find(|number| {
        let _ = fs::remove_file(&key);
        let mut command = Command::new("strace");
        let refusal = format!("inject=getrandom:error=EAGAIN:when={number}");
        command.args(["-f", "-qq", "-e", "trace=getrandom", "-e", &refusal]);
        command.args([PROGRAM, "init", "--config"]).arg(folder.0.join("network.toml"));
        let Output { status, stderr, .. } = command.output().expect("this test needs strace");
        String::from_utf8(stderr).unwrap().contains("waiting for random numbers") && status.success()
    });
    assert!(told.is_some() && key.exists(), "no wait was reported: {told:?}");
}
