//! Log file of limited size: flash is small.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;

/// Largest size of a log file in bytes. One older file, `FILE.1`, may have this size too.
const LIMIT: u64 = 256 * 1024;

/// Writer to a log file. It opens the file for each line, so that the file may be moved or deleted, and its
/// disk may come and go. A line that cannot be written, such as to a full or missing disk, is lost; the next
/// line is tried again.
pub(super) struct LogFile(PathBuf);

impl LogFile {
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = append(&self.0, line, LIMIT);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Adds a line to a file. A file that would outgrow `limit` bytes becomes the old file first.
fn append(path: &Path, line: &[u8], limit: u64) -> io::Result<()> {
    let mut file = open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 && metadata.len() + line.len() as u64 > limit {
        fs::rename(path, old(path))?;
        file = open(path)?;
    }
    file.write_all(line)
}

/// Opens without waiting, since the path may name a pipe that has no reader.
pub(super) fn open(path: &Path) -> io::Result<File> {
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
            append(&path, format!("line {number:03}\n").as_bytes(), 100).unwrap();
            assert!(fs::metadata(&path).unwrap().len() <= 100);
        }
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        // Eleven lines of nine bytes go into each.
        assert_eq!(read(&path), "line 099\n");
        assert!(read(&old(&path)).starts_with("line 088\n") && read(&old(&path)).ends_with("line 098\n"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "no other files");
        fs::remove_file(&path).unwrap();
        append(&path, b"after the file was deleted\n", 100).unwrap();
        assert_eq!(read(&path), "after the file was deleted\n");
        append(&path, "x".repeat(1000).as_bytes(), 100).unwrap();
        assert_eq!(read(&path).len(), 1000, "a line longer than the limit has the file to itself");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_disk_and_a_missing_one_are_errors_and_no_more() {
        let errno = |path| append(Path::new(path), b"a line\n", LIMIT).unwrap_err().raw_os_error();
        assert_eq!(errno("/dev/full"), Some(nix::libc::ENOSPC));
        assert_eq!(errno("/nowhere/portals.log"), Some(nix::libc::ENOENT));
    }

    #[test]
    fn a_pipe_without_a_reader_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("portals-log-pipe-{}", std::process::id()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let result = append(&path, b"a line\n", LIMIT);
        fs::remove_file(&path).unwrap();
        assert_eq!(result.unwrap_err().raw_os_error(), Some(nix::libc::ENXIO));
    }
}
