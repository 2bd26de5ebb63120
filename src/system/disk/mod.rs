//! Files that are written whole or not at all, also if the power goes meanwhile.

mod reading;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::Path;

use crate::base::path::folder_of;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use reading::all_of;
pub use reading::{
    Source, check_program, group_may_write, kernel_text, open, read, read_if_there, read_up_to, unreadable,
};

/// Part of a draft's name, between the file's and the number of the process.
const DRAFT: &str = "portals-new-";

const CHANGED: &str = "somebody else has changed it meanwhile: nothing was written; do it again";

/// Puts a file in the place of the one that may be there. Readers see the old one or the new one.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace_with(path, |draft| write_new(draft, bytes, mode))
}

/// Puts `to` in the place of `from` into a file, if that still is what it says: it stays whose it is, and who can read it; what leads to
/// it by a link still does.
pub fn rewrite(path: &Path, from: &[u8], to: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let old = fs::metadata(&path)?;
    replace_with(&path, |draft| {
        write_new(draft, to, old.mode() & 0o7777)?;
        chown(draft, Some(old.uid()), Some(old.gid()))?;
        // Last of all: who saves it in an editor holds no lock.
        if read(&path, Source::Ours)? == from { Ok(()) } else { Err(io::Error::other(CHANGED)) }
    })
}

/// As [`replace`], with anything that `make` can make at another path.
pub fn replace_with(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    static DRAFTS: AtomicUsize = AtomicUsize::new(0);
    remove_leftovers(path);
    // No other call's, in this process or another.
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = path.with_added_extension(format!("{DRAFT}{}-{number}", std::process::id()));
    make(&draft).and_then(|()| rename(&draft, path)).inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Removes the drafts of calls that were cut short: their processes are gone. What cannot be removed harms nothing.
fn remove_leftovers(path: &Path) {
    let of_process = |name: &OsStr| {
        let ours = name.as_bytes().strip_prefix(path.file_name()?.as_bytes())?.strip_prefix(b".")?;
        str::from_utf8(ours).ok()?.strip_prefix(DRAFT)?.split('-').next().map(str::to_owned)
    };
    for entry in fs::read_dir(folder_of(path)).into_iter().flatten().flatten() {
        let is_left = |process| !Path::new("/proc").join(process).exists();
        if of_process(&entry.file_name()).is_some_and(is_left) {
            let _ = fs::remove_file(entry.path());
        }
    }
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

/// Names are on the disk once their folder is (fsync(2)).
fn sync_folder(path: &Path) -> io::Result<()> {
    File::options().read(true).open(folder_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_has_saved_meanwhile_stays() {
        let folder = std::env::temp_dir().join(format!("portals-disk-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("network.toml");
        // Of a process that is gone: there is none of such a number.
        fs::write(folder.join("network.toml.portals-new-99999999-0"), "half of").unwrap();
        fs::write(&file, "one").unwrap();
        rewrite(&file, b"one", b"two").unwrap();
        fs::write(&file, "saved in an editor").unwrap();
        let error = rewrite(&file, b"two", b"three").unwrap_err().to_string();
        assert_eq!(error, CHANGED);
        assert_eq!(fs::read(&file).unwrap(), b"saved in an editor");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_lies_in_the_working_folder_lies_in_a_folder_too() {
        sync_folder(Path::new("network.toml")).unwrap();
    }
}
