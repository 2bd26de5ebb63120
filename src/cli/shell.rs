//! Commands for a shell, to be copied by people.

use std::path::{Path, PathBuf};

use crate::system::platform;

/// Returns the network file that a command without `--config` uses.
pub fn default_file() -> PathBuf {
    platform::folder().join(platform::NETWORK_FILE)
}

/// Returns a command for this network file, to be copied into a shell.
pub fn command_for(command: &str, file: &Path) -> String {
    if is_of_platform(file) {
        return command.to_owned();
    }
    [command, " --config ", &shell_word(file)].concat()
}

/// Returns the command that starts the agent with this network file on this platform.
pub fn start_command(file: &Path) -> String {
    let of_platform = is_of_platform(file).then(platform::start_command).flatten();
    of_platform.map_or_else(|| command_for("portals run", file), str::to_owned)
}

/// Returns a path as a word for a shell, quoted if it needs quotes.
pub fn shell_word(path: &Path) -> String {
    let path = path.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@".contains(&byte);
    if path.bytes().all(is_plain) { path.into_owned() } else { quoted(&path) }
}

/// Reports whether the agent that starts at boot uses this network file.
pub fn is_of_platform(file: &Path) -> bool {
    file == default_file()
}

/// Quotes a text as one word for any POSIX shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
