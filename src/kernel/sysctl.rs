//! Kernel settings below `/proc/sys`.

use std::fs;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::base::error::{Context, Error, Result};
use crate::system::disk::kernel_text;

/// Folder of the kernel's settings (proc(5)).
const ROOT: &str = "/proc/sys";

/// Reads the value of a setting such as `net/ipv4/ip_forward`; `None` if this kernel has no such setting.
pub fn read(key: &str) -> Result<Option<String>> {
    match kernel_text(path(key)?) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        // Settings come and go with interfaces and modules.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context(|| format!("cannot read the kernel setting {key}")),
    }
}

/// Writes a setting, unless it has that value already: some settings have side effects on every write
/// (`ip_forward` drops the routing cache and resets other settings).
pub fn write(key: &str, value: &str) -> Result<()> {
    if read(key)?.as_deref() == Some(value) {
        return Ok(());
    }
    fs::write(path(key)?, value).map_err(|error| {
        let hint = match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EROFS) => {
                " (/proc/sys is read-only here, as in a container; \
                 set it on the host, or start the container with it)"
            }
            Some(Errno::EACCES | Errno::EPERM) => " (this needs root in the namespace that owns the network)",
            _ => "",
        };
        Error::failed(format!("cannot set the kernel setting {key} to {value}{hint}")).because(error)
    })
}

/// Returns the file of a setting. A key is a relative path without `..`, so it cannot name a file outside of
/// `/proc/sys`.
fn path(key: &str) -> Result<PathBuf> {
    let is_sound = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !key.split('/').all(is_sound) {
        return Err(Error::failed(format!(
            "`{key}` is not a kernel setting; a kernel setting looks like net/ipv4/ip_forward"
        )));
    }
    Ok(PathBuf::from(ROOT).join(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_leave_its_folder() {
        for key in ["../self/mem", "net/../../self/mem", "/etc/passwd", "net//ipv4", "", "net/."] {
            assert!(read(key).is_err(), "{key}");
        }
    }

    #[test]
    fn values_come_without_the_line_end() {
        assert_eq!(read("kernel/ostype").unwrap().as_deref(), Some("Linux"));
        assert_eq!(read("kernel/no_such_thing").unwrap(), None);
    }
}
