//! `portals completions` in the shells themselves: bash, zsh and fish.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portals");

/// Folder with the completions for a shell, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(shell: &str, file: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portals-{shell}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let output = Command::new(PROGRAM).args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        fs::write(folder.join(file), output.stdout).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Returns a shell that finds the program in its path, and works in a folder.
fn shell(name: &str, folder: &Path) -> Command {
    let program = Path::new(PROGRAM).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path);
    let mut command = Command::new(name);
    command.env("PATH", std::env::join_paths([program].into_iter().chain(folders)).unwrap());
    command.env("TERM", "dumb").current_dir(folder).stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("this test needs bash, zsh and fish");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = Folder::new("bash", "portals");
    for (line, expected) in [
        ("portals sta", "status start"),
        ("portals phone ", "add show list remove"),
        ("portals plan --c", "--commands --check"),
        ("portals sign ", ""),
    ] {
        let script = r#"source ./portals; IFS=' ' read -ra COMP_WORDS <<<"$1"
            [[ $1 != *' ' ]] || COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _portals portals
            echo "${COMPREPLY[*]}"; complete -p portals"#;
        let words = output(shell("bash", &folder.0).args(["-c", script, "bash", line]));
        assert_eq!(words, format!("{expected}\ncomplete -o default -F _portals portals\n"));
    }
}

#[test]
fn fish_completes_commands_options_and_files() {
    let folder = Folder::new("fish", "portals.fish");
    for (line, expected) in [
        ("portals sta", "start status"),
        ("portals phone ", "add list remove show"),
        ("portals plan --c", "--check --commands"),
        ("portals sign po", "portals.fish"),
    ] {
        let script = format!("source portals.fish; complete -C '{line}'");
        let lines = output(shell("fish", &folder.0).args(["--no-config", "-c", &script]));
        let words: Vec<&str> = lines.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(words.join(" "), expected, "{lines}");
    }
}

/// A shell at a terminal, which `script` makes, completes words at the tab: the file is read, or is found in
/// the path of functions.
#[test]
fn zsh_completes_commands_and_files() {
    let folder = Folder::new("zsh", "_portals");
    for begin in [
        "autoload -U compinit; compinit -D; source ./_portals",
        "fpath=($PWD $fpath); autoload -U compinit; compinit -u -D",
    ] {
        let mut script = shell("script", &folder.0);
        script.args(["-qec", "zsh -f -i", "/dev/null"]);
        let child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("this test needs script");
        let typed = format!("{begin}\nportals vers\t\nportals help phone li\t\nportals sign _por\t\nexit\n");
        child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        let shown = child.wait_with_output().unwrap().stdout;
        let shown = String::from_utf8_lossy(&shown);
        let version = format!("\nportals {}", env!("CARGO_PKG_VERSION"));
        for words in [version.as_str(), "Usage: portals phone list", "./admin.key: there is no such file"] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
    }
}
