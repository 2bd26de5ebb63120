//! Atomic writes: a file is written completely or not at all, even if the power fails.

mod reading;

use std::env;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::path::{Path, PathBuf};

use crate::base::error::{Context as _, Result};
use crate::base::path::folder_of;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use reading::all_of;
pub use reading::{
    FileOrigin, check_program, group_may_write, is_only_user, kernel_text, open, read, read_if_there,
    read_up_to, text_if_there, text_or_empty, unreadable,
};

/// Part of a draft's name, between the name of the file and the process id.
const DRAFT: &str = "portals-new-";

/// Returns the words for a failure to write a file.
pub fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Returns an absolute path, which a program with another working directory can use. Not
/// `std::path::absolute`, which takes a kilobyte.
pub fn absolute(file: &Path) -> Result<PathBuf> {
    let here = if file.is_absolute() { Ok(PathBuf::new()) } else { env::current_dir() };
    let here = here.context(|| format!("cannot tell where {} is", file.display()))?;
    // Parts that mean the same folder, `.` and a second slash, are left out.
    Ok(here.join(file).components().collect())
}

const CHANGED: &str = "the file has changed since it was read: nothing was written; run the command again";

/// Replaces a file, which need not exist yet. Readers see either the old file or the new one.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace_with(path, &|draft| write_draft(draft, bytes, mode))
}

/// Replaces the content `from` of a file with `to`; fails if the content is no longer `from`. The owner and
/// the mode stay, and so do symbolic links to the file.
pub fn rewrite(path: &Path, from: &[u8], to: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let old = fs::metadata(&path)?;
    replace_with(&path, &|draft| {
        write_draft(draft, to, old.mode() & 0o7777)?;
        chown(draft, Some(old.uid()), Some(old.gid()))?;
        // This check comes last: an editor that saves the file holds no lock.
        if read(&path, FileOrigin::Ours)? == from { Ok(()) } else { Err(io::Error::other(CHANGED)) }
    })
}

/// Replaces a file as [`replace`] does, with the file that `make` creates at another path.
pub fn replace_with(path: &Path, make: &dyn Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    put(path, make, rename)
}

/// Creates a file; fails if it exists. Readers see either no file or all of it.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    put(path, &|draft| write_draft(draft, bytes, mode), give_name)
}

/// Makes a draft, and gives the draft its name with `place`.
fn put(
    path: &Path,
    make: &dyn Fn(&Path) -> io::Result<()>,
    place: fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    static DRAFTS: AtomicUsize = AtomicUsize::new(0);
    remove_leftovers(path);
    // The name is unique among all calls, in this process and others.
    let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
    let draft = path.with_added_extension(format!("{DRAFT}{}-{number}", std::process::id()));
    make(&draft).and_then(|()| place(&draft, path)).inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Gives a draft its name, unless a file has that name.
fn give_name(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Ok(()) => remove(draft),
        // Some file systems, such as FAT, have no links.
        Err(_) if path.symlink_metadata().is_err() => rename(draft, path),
        Err(error) => Err(error),
    }
}

/// Removes the drafts of interrupted calls, whose processes are gone. A draft that stays does no harm.
fn remove_leftovers(path: &Path) {
    let of_process = |name: &OsStr| {
        let ours = name.as_bytes().strip_prefix(path.file_name()?.as_bytes())?.strip_prefix(b".")?;
        str::from_utf8(ours).ok()?.strip_prefix(DRAFT)?.split('-').next().map(str::to_owned)
    };
    let is_left = |process| !Path::new("/proc").join(process).exists();
    for entry in entries(&folder_of(path)).unwrap_or_default() {
        if entry.file_name().and_then(of_process).is_some_and(is_left) {
            let _ = fs::remove_file(entry);
        }
    }
}

/// Returns the paths of the files and folders in a folder.
pub fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    Ok(paths)
}

fn write_draft(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    // The mode must not depend on the umask.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    // Otherwise the new name may reach the disk before the content does.
    file.sync_all()
}

/// Makes a folder for its owner alone, and those above it, unless they exist.
pub fn make_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.context(|| ["cannot make the folder ", &path.to_string_lossy()].concat())
}

/// Renames a file, and waits until the new name is on the disk.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to)
}

/// Removes a file if it exists, and waits until its name is gone from the disk.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(path),
    }
}

/// Waits until the folder of a file is on the disk, and with it the names in the folder (fsync(2)).
fn sync_folder(path: &Path) -> io::Result<()> {
    File::options().read(true).open(folder_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_since_it_was_read_stays() {
        let folder = std::env::temp_dir().join(format!("portals-disk-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("network.toml");
        // The draft of a process that is gone: no process has such an id.
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
    fn a_new_file_replaces_no_other() {
        let folder = std::env::temp_dir().join(format!("portals-new-file-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("private.key");
        write_new(&file, b"one", 0o600).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(write_new(&file, b"two", 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"one");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no draft is left");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_lies_in_the_working_folder_lies_in_a_folder_too() {
        sync_folder(Path::new("network.toml")).unwrap();
    }
}
