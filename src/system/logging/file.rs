//! A log file that never grows large: flash is small. It is opened for each line, so that it may be moved or deleted, and its disk
//! may come and go.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;

/// Bytes of a file; there is one older one, `FILE.1`.
pub(super) const LIMIT: u64 = 256 * 1024;

/// Adds a line. A file that it would make larger than `limit` becomes the old one.
pub(super) fn append(path: &Path, line: &str, limit: u64) -> io::Result<()> {
    let mut file = open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 && metadata.len() + line.len() as u64 > limit {
        fs::rename(path, old(path))?;
        file = open(path)?;
    }
    file.write_all(line.as_bytes())
}

/// Not to be waited for, should it be a pipe that nobody reads.
fn open(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).mode(0o600).custom_flags(O_NONBLOCK).open(path)
}

fn old(path: &Path) -> PathBuf {
    path.with_added_extension("1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_full_becomes_the_old_one() {
        let folder = std::env::temp_dir().join(format!("portals-log-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("portals.log");
        for number in 0..100 {
            append(&path, &format!("line {number:03}\n"), 100).unwrap();
            assert!(fs::metadata(&path).unwrap().len() <= 100);
        }
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        // Eleven lines of nine bytes go into each.
        assert_eq!(read(&path), "line 099\n");
        assert!(read(&old(&path)).starts_with("line 088\n") && read(&old(&path)).ends_with("line 098\n"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "no others");
        fs::remove_file(&path).unwrap();
        append(&path, "after somebody has deleted it\n", 100).unwrap();
        assert_eq!(read(&path), "after somebody has deleted it\n");
        append(&path, &"x".repeat(1000), 100).unwrap();
        assert_eq!(read(&path).len(), 1000, "a line longer than the limit stands alone");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_disk_and_a_missing_one_are_errors_and_no_more() {
        let errno = |path| append(Path::new(path), "a line\n", LIMIT).unwrap_err().raw_os_error();
        assert_eq!(errno("/dev/full"), Some(nix::libc::ENOSPC));
        assert_eq!(errno("/nowhere/portals.log"), Some(nix::libc::ENOENT));
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("portals-log-pipe-{}", std::process::id()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let result = append(&path, "a line\n", LIMIT);
        fs::remove_file(&path).unwrap();
        assert_eq!(result.unwrap_err().raw_os_error(), Some(nix::libc::ENXIO));
    }
}
