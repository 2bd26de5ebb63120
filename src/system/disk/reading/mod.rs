//! Files that are read: opened without waiting, and refused unless they are what they ought to be. Who can have this program read a
//! file of his own steers the router; who can put a pipe in its place stops it.

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
use crate::base::error::Error;

/// Bytes of a file at most; none that belongs here comes near.
const MOST: u64 = 4 << 20;

const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// The origin of a file, and with it the demands on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The kernel: nobody can put anything else there.
    Kernel,
    /// The host and its other programs, whoever runs them. Where everybody may make files it has to be root's or ours.
    Host,
    /// A file that decides on this router: root's or ours, and nobody else may write it or put another one in its place.
    Ours,
    /// A file that a person has named, whosever it is; also a pipe that the shell has opened for it.
    Named,
}

/// Why a file is not read, or not run.
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
    /// The way out comes last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = "who can do anything on this machine by it; run:";
        match self {
            Self::Kind(kind) => write!(f, "it is {kind}: put a file there"),
            Self::Owner(path, owner) => {
                let (path, us) = (path.display(), geteuid());
                write!(f, "{path} belongs to user {owner}, {power} chown {us} {path}")
            }
            Self::Writable(path) => {
                write!(f, "{0} can be written by everybody, {power} chmod o-w {0}", path.display())
            }
            Self::GroupWritable(path) => {
                write!(f, "{0} can be written by its group, {power} chmod g-w {0}", path.display())
            }
            Self::Link => f.write_str(
                "it is a link in a folder where everybody can make one: put the file itself there",
            ),
            Self::Size(most) => {
                write!(f, "it has more than {most} bytes: this is not the file that belongs there")
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

/// Opens a file that is as `source` asks. Never waits.
pub fn open(path: &Path, source: Source) -> io::Result<File> {
    let path = reach(path, source)?;
    let is_checked = matches!(source, Source::Host | Source::Ours);
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
    if source == Source::Named && kind.is_fifo() && is_of_shell(&path) {
        // Whoever writes takes his time.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    } else if !kind.is_file() {
        return Err(Unfit::Kind(words_for(kind)).into());
    }
    if source == Source::Ours || source == Source::Host && is_shared(&fs::metadata(folder_of(&path))?) {
        check(&path, &metadata)?;
    }
    Ok(file)
}

/// Reads a file that is as `source` asks, and not large.
pub fn read(path: &Path, source: Source) -> io::Result<Vec<u8>> {
    read_up_to(path, source, MOST)
}

/// Reads a file of at most so many bytes.
pub fn read_up_to(path: &Path, source: Source, most: u64) -> io::Result<Vec<u8>> {
    rest_of(open(path, source)?, most)
}

/// Reads an open file to its end.
pub(crate) fn all_of(file: File) -> io::Result<Vec<u8>> {
    rest_of(file, MOST)
}

/// The text of a file of the kernel's.
pub fn kernel_text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path.as_ref(), Source::Kernel)?).map_err(io::Error::other)
}

/// The text of a file, if it is there; what is no UTF-8 in it is replaced.
pub fn read_if_there(path: &Path, source: Source) -> io::Result<Option<String>> {
    let text = |bytes: Vec<u8>| match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    match read(path, source) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => Ok(Some(text(bytes?))),
    }
}

/// The error for a file that cannot be read; one that is not what it ought to be is for a person to put right.
pub fn unreadable(path: &Path, error: io::Error) -> Error {
    let file = path.display();
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Unfit>) {
        return Error::wrong(format!("{file} is not read: {error}"));
    }
    Error::failed(format!("cannot read {file}")).because(error)
}

/// Checks that a program may run as root: nobody else, nor a group, may write it or put another one in its place.
pub fn check_program(path: &Path) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    check_folder(&folder_of(&path))?;
    let metadata = fs::metadata(&path)?;
    check(&path, &metadata)?;
    if metadata.mode() & GROUP_WRITES != 0 { Err(Unfit::GroupWritable(path).into()) } else { Ok(()) }
}

/// A warning about a file of ours that a group can write, or whose folder it can write.
pub fn group_may_write(path: &Path) -> Option<String> {
    let writable = |path: &PathBuf| {
        // A group of root's own is no other.
        fs::metadata(path).is_ok_and(|metadata| metadata.mode() & GROUP_WRITES != 0 && metadata.gid() != 0)
    };
    let path = [path.to_owned(), folder_of(path)].into_iter().find(writable)?;
    Some(Unfit::GroupWritable(path).to_string())
}

/// Resolves a path, unless others can have made it lead elsewhere.
fn reach(path: &Path, source: Source) -> io::Result<PathBuf> {
    if matches!(source, Source::Kernel | Source::Named) {
        return Ok(path.to_owned());
    }
    let folder = folder_of(path);
    let metadata = fs::metadata(&folder)?;
    if source == Source::Ours {
        check_folder(&folder)?;
    }
    if is_shared(&metadata) {
        return Ok(path.to_owned());
    }
    let real = fs::canonicalize(path)?;
    if source == Source::Ours {
        check_folder(&folder_of(&real))?;
    }
    Ok(real)
}

/// A folder in which nobody else can put another file in the place of one of ours.
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
    owner == 0 || owner == geteuid().as_raw() || (owner == NOBODY && is_alone(&user_map()))
}

/// Owner of what belongs to users that are not in this user namespace (overflowuid, user_namespaces(7)).
const NOBODY: u32 = 65_534;

/// The users of this user namespace: lines of the first in it, the first outside, and how many.
fn user_map() -> String {
    kernel_text("/proc/self/uid_map").unwrap_or_default()
}

/// Tells whether there is one user in the namespace, with nobody else to be kept out: there, what the host's root owns
/// belongs to nobody.
fn is_alone(map: &str) -> bool {
    matches!(map.split_whitespace().collect::<Vec<_>>()[..], [_, _, "1"])
}

fn is_shared(metadata: &Metadata) -> bool {
    metadata.mode() & OTHERS_WRITE != 0
}

/// `<(…)` and `/dev/stdin`.
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

fn rest_of(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(Unfit::Size(most).into()) } else { Ok(bytes) }
}
