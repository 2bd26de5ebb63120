//! Safe reads: a file is opened without waiting, and refused unless its type, owner and mode are right. A
//! user who can make this program read a file of theirs controls the router; a user who can replace a file by
//! a pipe blocks the program.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::geteuid;

use super::folder_of;
use crate::base::error::{Error, Result};

/// Largest size of a file, in bytes; far more than any file that belongs here.
const LARGEST: u64 = 4 << 20;

/// Bytes that are read at first. Longer files double the room, again and again.
const PIECE: usize = 4096;

const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// Origin of a file, which determines the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOrigin {
    /// File of the kernel: no user can replace it.
    Kernel,
    /// File of the host and its other programs, with any owner. In a world-writable folder, the file must
    /// belong to root or to this user.
    Host,
    /// File that controls this router: it must belong to root or to this user, and no other user may be able
    /// to write or replace it.
    Ours,
    /// File that a person has named, with any owner; also a pipe that the shell has opened.
    Named,
}

/// Reason for not reading, or not running, a file.
#[derive(Debug)]
enum Unfit {
    Kind(&'static str),
    Owner(PathBuf, u32),
    Writable(PathBuf),
    GroupWritable(PathBuf),
    Link,
    Size(u64),
}

impl fmt::Display for Unfit {
    /// Writes the reason, followed by the way out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = "who could take over this machine through it; run:";
        match self {
            Self::Kind(kind) => write!(f, "it is {kind}: put a file there"),
            Self::Owner(path, owner) => {
                let (path, us) = (path.display(), geteuid());
                write!(f, "{path} belongs to user {owner}, {power} chown {us} {path}")
            }
            Self::Writable(path) => {
                write!(f, "{0} is writable by all users, {power} chmod o-w {0}", path.display())
            }
            Self::GroupWritable(path) => {
                write!(f, "{0} is writable by the users of its group, {power} chmod g-w {0}", path.display())
            }
            Self::Link => f.write_str(
                "it is a symbolic link in a folder where all users can create files: put the file itself \
                 there",
            ),
            Self::Size(most) => {
                write!(f, "it has more than {most} bytes: put the right file there")
            }
        }
    }
}

impl std::error::Error for Unfit {}

impl From<Unfit> for io::Error {
    fn from(unfit: Unfit) -> Self {
        Self::new(io::ErrorKind::InvalidInput, unfit)
    }
}

/// Opens a file after the checks that `source` requires. Never waits.
pub fn open(path: &Path, source: FileOrigin) -> io::Result<File> {
    let path = resolve_links(path, source)?;
    let is_checked = matches!(source, FileOrigin::Host | FileOrigin::Ours);
    let no_link = if is_checked { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | no_link;
    let file =
        File::options().read(true).custom_flags(flags.bits()).open(&path).map_err(|error| {
            match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ELOOP) if is_checked => Unfit::Link.into(),
                Some(Errno::ENXIO) => Unfit::Kind("a socket or a device").into(),
                _ => error,
            }
        })?;
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    if source == FileOrigin::Named && kind.is_fifo() && is_of_shell(&path) {
        // The program at the other end of the pipe may need time.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    } else if !kind.is_file() {
        return Err(Unfit::Kind(words_for(kind)).into());
    }
    if source == FileOrigin::Ours || source == FileOrigin::Host && is_shared(&fs::metadata(folder_of(&path))?)
    {
        check(&path, &metadata)?;
    }
    Ok(file)
}

/// Reads a file of at most 4 MiB after the checks that `source` requires.
pub fn read(path: &Path, source: FileOrigin) -> io::Result<Vec<u8>> {
    read_up_to(path, source, LARGEST)
}

/// Reads a file of at most `most` bytes after the checks that `source` requires.
pub fn read_up_to(path: &Path, source: FileOrigin, most: u64) -> io::Result<Vec<u8>> {
    read_to_end_of(open(path, source)?, most)
}

/// Reads an open file of at most 4 MiB to its end.
pub(crate) fn all_of(file: File) -> io::Result<Vec<u8>> {
    read_to_end_of(file, LARGEST)
}

/// Reads a file of the kernel, such as one in /proc or /sys, as text.
pub fn kernel_text(path: impl AsRef<Path>) -> io::Result<String> {
    utf8(read(path.as_ref(), FileOrigin::Kernel)?)
}

/// Separate, because the compiler would write a copy of the code for each type of path.
#[inline(never)]
fn utf8(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Reads a file as text, if it exists; replaces bytes that are not UTF-8.
pub fn read_if_there(path: &Path, source: FileOrigin) -> io::Result<Option<String>> {
    let text = |bytes: Vec<u8>| match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    match read(path, source) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => Ok(Some(text(bytes?))),
    }
}

/// Reads a file as text; empty if there is none, or if it cannot be read.
pub fn text_or_empty(path: &Path, source: FileOrigin) -> String {
    read_if_there(path, source).ok().flatten().unwrap_or_default()
}

/// Reads a file as text as [`read_if_there`] does. The error is for a person.
pub fn text_if_there(path: &Path, source: FileOrigin) -> Result<Option<String>> {
    read_if_there(path, source).map_err(|error| unreadable(path, error))
}

/// Returns the error for a file that cannot be read; if a check refused the file, the error is for a person
/// to correct.
pub fn unreadable(path: &Path, error: io::Error) -> Error {
    let file = path.display();
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Unfit>) {
        return Error::wrong(format_args!("{file} is not read: {error}"));
    }
    Error::failed(format_args!("cannot read {file}")).because(error)
}

/// Checks that a program may run as root: no other user and no group may be able to write or replace it.
pub fn check_program(path: &Path) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    check_folder(&folder_of(&path))?;
    let metadata = fs::metadata(&path)?;
    check(&path, &metadata)?;
    if metadata.mode() & GROUP_WRITES != 0 { Err(Unfit::GroupWritable(path).into()) } else { Ok(()) }
}

/// Returns a warning if a group can write a file of ours or its folder.
pub fn group_may_write(path: &Path) -> Option<String> {
    for path in [path, &folder_of(path)] {
        let Ok(metadata) = fs::metadata(path) else { continue };
        // Root's own group does not count.
        if metadata.mode() & GROUP_WRITES != 0 && metadata.gid() != 0 {
            return Some(Unfit::GroupWritable(path.to_owned()).to_string());
        }
    }
    None
}

/// Resolves the symbolic links of a path, except in a folder where other users could have created the link.
fn resolve_links(path: &Path, source: FileOrigin) -> io::Result<PathBuf> {
    if matches!(source, FileOrigin::Kernel | FileOrigin::Named) {
        return Ok(path.to_owned());
    }
    let folder = folder_of(path);
    let metadata = fs::metadata(&folder)?;
    if source == FileOrigin::Ours {
        check_folder(&folder)?;
    }
    if is_shared(&metadata) {
        return Ok(path.to_owned());
    }
    let real = fs::canonicalize(path)?;
    if source == FileOrigin::Ours {
        check_folder(&folder_of(&real))?;
    }
    Ok(real)
}

/// Checks that no other user can replace a file of ours in this folder.
fn check_folder(folder: &Path) -> io::Result<()> {
    let metadata = fs::metadata(folder)?;
    if metadata.mode() & STICKY != 0 && is_trusted(metadata.uid()) {
        Ok(())
    } else {
        check(folder, &metadata)
    }
}

fn check(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let path = || path.to_owned();
    if !is_trusted(metadata.uid()) {
        return Err(Unfit::Owner(path(), metadata.uid()).into());
    }
    if is_shared(metadata) { Err(Unfit::Writable(path()).into()) } else { Ok(()) }
}

fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == geteuid().as_raw() || (owner == NOBODY && is_only_user())
}

/// Owner shown for files of users outside this user namespace (overflowuid, user_namespaces(7)). In a
/// namespace with only one user, there is no other user to keep out, and the files of the host's root have
/// this owner.
const NOBODY: u32 = 65_534;

/// Reports whether the user of this process is the only one that exists, such as in a container of an
/// ordinary user: there no program can become another user (user_namespaces(7)).
pub fn is_only_user() -> bool {
    kernel_text("/proc/self/uid_map").is_ok_and(|map| maps_one_user(&map))
}

/// Reports whether a map has one user. Each line is a range: its first user here, its first user outside, and
/// its length.
fn maps_one_user(map: &str) -> bool {
    let mut sizes = map.lines().map(|line| line.split_whitespace().nth(2));
    sizes.next() == Some(Some("1")) && sizes.next().is_none()
}

fn is_shared(metadata: &Metadata) -> bool {
    metadata.mode() & OTHERS_WRITE != 0
}

/// Reports whether the shell opened this path: `<(…)` or `/dev/stdin`.
fn is_of_shell(path: &Path) -> bool {
    path.starts_with("/dev") || path.starts_with("/proc")
}

fn words_for(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device"
    }
}

/// Not `read_to_end`, which takes a kilobyte for this type of reader.
fn read_to_end_of(mut file: File, most: u64) -> io::Result<Vec<u8>> {
    let (mut bytes, mut length) = (vec![0; PIECE], 0);
    loop {
        if length == bytes.len() {
            bytes.resize(2 * length, 0);
        }
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if length as u64 > most {
            return Err(Unfit::Size(most).into());
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
