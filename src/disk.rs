//! Files that are written whole or not at all, also if the power goes meanwhile.

mod reading;

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

pub(crate) use reading::all_of;
pub use reading::{
    Source, check_program, group_may_write, kernel_text, open, read, read_if_there, read_up_to, unreadable,
};

/// Puts a file in the place of the one that may be there. Readers see the old one or the new one.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace_with(path, |draft| write_new(draft, bytes, mode))
}

/// Puts other bytes into a file that is there: it stays whose it is, and who can read it; what leads to it by a link still does.
pub fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let old = fs::metadata(&path)?;
    replace_with(&path, |draft| {
        write_new(draft, bytes, old.mode() & 0o7777)?;
        chown(draft, Some(old.uid()), Some(old.gid()))
    })
}

/// As [`replace`], with anything that `make` can make at another path.
pub fn replace_with(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let draft = path.with_added_extension("portals-new");
    // Of a call that was cut short.
    remove(&draft)?;
    make(&draft).and_then(|()| rename(&draft, path)).inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Makes a file; one that exists is left as it is.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    // Whatever the umask says.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    // Or the new name may be on the disk before what it names.
    file.sync_all()
}

/// Moves a file, for good.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to)
}

/// Removes a file, for good, if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(path),
    }
}

/// The folder of a file.
pub fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Names are on the disk once their folder is (fsync(2)).
fn sync_folder(path: &Path) -> io::Result<()> {
    File::options().read(true).open(folder_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_the_working_folder_lies_in_a_folder_too() {
        assert_eq!(folder_of(Path::new("network.toml")), Path::new("."));
        assert_eq!(folder_of(Path::new("/etc/portals/network.toml")), Path::new("/etc/portals"));
        sync_folder(Path::new("network.toml")).unwrap();
    }
}
