//! Standard output without a reader, or on a full disk: commands still do their work, and end with the right
//! status. Errors, help and completions, and the output of `status` about the network file.

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

    /// Runs `status` on a host of its own.
    fn status(&self, option: &str) -> String {
        let mut command = Command::new("unshare");
        command.args([
            "-Urnm",
            "sh",
            "-ec",
            "mount -t tmpfs none /run; exec \"$0\" \"$@\"",
            PROGRAM,
            "status",
        ]);
        command.arg(option).arg("--config").arg(self.0.join("network.toml"));
        let Output { status, stdout, stderr } = command.output().expect("this test needs unshare");
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
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

#[test]
fn status_shows_the_standing_of_the_network_file() {
    let folder = Folder::new("file");
    let file = folder.0.join("network.toml");
    let text = fs::read_to_string(&file).unwrap();
    let plain: String = text.split_inclusive('\n').filter(|line| !line.starts_with("admins")).collect();
    let signed = folder.status("--verbose");
    let key = text.split("admins = [\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(signed.contains(&format!("\nnetwork file: serial 1, signed by {key}\n")), "{signed}");
    let json = folder.status("--json");
    let object = format!(r#","file":{{"serial":1,"signature":"signed","signed_by":"{key}"}}"#);
    assert!(json.contains(&object), "{json}");
    assert!(folder.status("--prometheus").contains("\nportals_file_serial 1\n"));
    for (changed, words) in [
        (
            text.replace("id         = 1 ", "id         = 2 "),
            "serial 1, edited by hand since it was signed: run",
        ),
        (text.split("# signature").next().unwrap().to_owned(), "serial 1, not signed: run `portals push`\n"),
    ] {
        fs::write(&file, changed).unwrap();
        let shown = folder.status("--verbose");
        assert!(shown.contains(&format!("\nnetwork file: {words}")), "{shown}");
    }
    fs::write(&file, plain).unwrap();
    assert!(!folder.status("--verbose").contains("network file:"), "nobody signs the file");
    assert!(!folder.status("--json").contains("\"file\""));
}

/// Runs the program, and returns its exit status, its standard output and its standard error.
fn told(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(PROGRAM);
    let Output { status, stdout, stderr } = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Runs the program as a user who is not root, in namespaces of its own.
fn told_to_nobody(arguments: &str, may_write: bool) -> String {
    let script = "mount -t tmpfs none /run; [ \"$2\" ] || chmod 555 /run; \
                  exec unshare -U --map-user=1 --map-group=1 \"$0\" $1";
    let mut command = Command::new("unshare");
    command.args(["-Urnm", "sh", "-ec", script, PROGRAM, arguments, if may_write { "yes" } else { "" }]);
    let output = command.stdin(Stdio::null()).output().expect("this test needs unshare");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_error_begins_with_the_name_of_the_program() {
    for (arguments, status, words) in [
        (&["satus"][..], 2, "portals: `portals` has no command `satus`: did you mean `status`?\n"),
        (&["phone", "ad"], 2, "portals: `portals phone` has no command `ad`: did you mean `add`?\n"),
        (
            &["plan", "--chekc"],
            2,
            "portals: `portals plan` has no option `--chekc`: did you mean `--check`?\n",
        ),
        (&["--dance"], 2, "portals: `portals` has no option `--dance`: see `portals --help`\n"),
        (
            &["completions", "tcsh"],
            2,
            "portals: no completions for `tcsh`: name a shell: bash, zsh or fish\n",
        ),
    ] {
        assert_eq!(told(arguments), (Some(status), String::new(), words.to_owned()));
    }
    let (status, _, words) = told(&["init", "--id", "300"]);
    assert_eq!(status, Some(2));
    assert!(words.starts_with("portals: `--id 300`") && words.contains("1 to 250"), "{words}");
}

/// `script` gives the program a terminal.
#[test]
fn errors_have_colour_on_a_terminal_only() {
    let on_terminal = |variables: &str| {
        let line = format!("{variables} '{PROGRAM}' satus");
        let mut command = Command::new("script");
        let output = command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output();
        String::from_utf8(output.expect("this test needs script").stdout).unwrap()
    };
    assert!(on_terminal("env -u NO_COLOR").starts_with("\x1b[31mportals:\x1b[0m `portals`"));
    assert!(on_terminal("NO_COLOR=1").starts_with("portals: `portals`"));
}

#[test]
fn help_and_version_are_commands_too() {
    let (status, version, _) = told(&["version"]);
    assert_eq!((status, &version), (Some(0), &told(&["--version"]).1));
    assert_eq!(told(&["help", "phone", "add"]), told(&["phone", "add", "--help"]));
    assert!(told(&["help", "phone", "add"]).1.starts_with("Usage: portals phone add "));
    let (_, help, _) = told(&["help"]);
    let groups: Vec<&str> = help.lines().filter(|line| line.ends_with(':')).collect();
    let expected =
        "Options: Set up: Every day: The network: When something is wrong: By hand: About portals:";
    assert_eq!(groups.join(" "), expected, "{help}");
}

#[test]
fn a_refused_permission_names_the_way_out() {
    let words = told_to_nobody("down", false);
    assert!(words.contains("Permission denied\nRun it as root, as in: sudo portals down\n"), "{words}");
    // Here, the kernel refuses to answer.
    let words = told_to_nobody("down", true);
    assert!(words.contains("Operation not permitted\nRun it as root, as in: sudo portals down\n"), "{words}");
    let words = told_to_nobody("restart", false);
    assert!(
        words.contains("Operation not permitted\nRun it as root, as in: sudo portals restart\n"),
        "{words}"
    );
}

#[test]
fn an_unwritable_log_is_reported() {
    let (_, _, words) = told(&["run", "--log", "/nowhere/portals.log", "--config", "/nowhere/network.toml"]);
    let expected = "portals: cannot write the log /nowhere/portals.log, whose lines are lost until that \
                    works: No such file";
    assert!(words.starts_with(expected), "{words}");
}

#[test]
fn faults_of_keys_name_the_command_that_makes_one() {
    let folder = Folder::new("keys");
    let plan = || String::from_utf8(folder.run("plan", Stdio::null()).stderr).unwrap();
    fs::write(folder.0.join("private.key"), "what is this\n").unwrap();
    assert!(plan().contains("; move this file away, and make a new key with `portals init`\n"), "{}", plan());
    fs::remove_file(folder.0.join("private.key")).unwrap();
    assert!(plan().contains("create this site's key with `portals init`\n"), "{}", plan());
    let text = fs::read_to_string(folder.0.join("network.toml")).unwrap();
    let without: String = text.split_inclusive('\n').filter(|line| !line.starts_with("public_key")).collect();
    fs::write(folder.0.join("network.toml"), without).unwrap();
    assert!(plan().contains("add `public_key = \"<what portals init prints there>\"`\n"), "{}", plan());
}

#[test]
fn an_export_makes_its_folder() {
    let folder = Folder::new("export");
    let file = folder.0.join("network.toml");
    let paris = "[site.paris]\nid = 2\nendpoint = \"paris.example.net\"\nlinks = [\"nyc\"]\n\
                 public_key = \"zo060cy2M+x7cMF4FKXHbs0CloUFDTRHRboFhw5YfVk=\"\n";
    fs::write(&file, fs::read_to_string(&file).unwrap() + paris).unwrap();
    let to = folder.0.join("a/b");
    let output = folder.run(&format!("export paris --to {}", to.display()), Stdio::null());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(to).unwrap().count(), 1);
}

#[test]
fn an_installation_in_an_image_says_what_is_true() {
    let folder = std::env::temp_dir().join(format!("portals-image-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let root = folder.to_str().unwrap();
    let (status, _, words) = told(&["uninstall", "--root", "/nowhere"]);
    assert_eq!((status, words.as_str()), (Some(2), "portals: there is no folder /nowhere\n"));
    for command in ["install", "uninstall"] {
        let (status, _, words) = told(&[command, "--root", root]);
        let expected = format!("portals: there is no init on {root} that portals knows: ");
        assert!(status == Some(1) && words.starts_with(&expected), "{words}");
    }
    fs::create_dir_all(folder.join("lib/systemd")).unwrap();
    fs::write(folder.join("lib/systemd/systemd"), "").unwrap();
    assert_eq!(told(&["install", "--root", root]).0, Some(0));
    let (_, words, _) = told(&["uninstall", "--root", root]);
    assert!(words.ends_with(&format!("as well: rm -r {root}/etc/portals\n")), "{words}");
    let (_, words, _) = told(&["uninstall", "--root", root]);
    assert_eq!(words, format!("nothing to do: portals is not installed in {root}\n"));
    fs::remove_dir_all(folder).unwrap();
}
