//! A change that is undone unless it is confirmed. What a start after a power cut has to know of it lies beside the network file:
//!
//! | file | is |
//! |---|---|
//! | `network.toml.confirmed` | a copy of the last one in force that nobody waits to confirm; written when that changes |
//! | `network.toml.unconfirmed` | a copy of the one in force that has yet to be confirmed; only while that is so |
//! | `network.toml.undone` | what `network.toml` was when the last unconfirmed change was undone |

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::base::error::{Context as _, Error, Result};
use crate::system::disk::{self, Source};

/// Of copies: what a network file tells is nobody else's business.
const MODE: u32 = 0o600;

/// The network file and its copies.
#[derive(Debug)]
pub struct Trial {
    file: PathBuf,
}

/// What came of undoing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// Nothing waits to be confirmed.
    Nothing,
    /// The network file is the confirmed one again.
    Change,
    /// Nothing was confirmed ever: there is no network file any more.
    Everything,
}

impl Trial {
    /// That of a network file.
    pub fn of(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    /// This text is in force for good. Writes only what is not so yet.
    pub fn keep(&self, text: &str) -> Result<()> {
        let confirmed = self.confirmed();
        let keep = || {
            if disk::read_if_there(&confirmed, Source::Ours)?.as_deref() != Some(text) {
                disk::replace(&confirmed, text.as_bytes(), MODE)?;
            }
            disk::remove(&self.unconfirmed())
        };
        keep().doing(|| format!("cannot keep a copy of the network file in {}", confirmed.display()))
    }

    /// This text is about to be in force, and is not to stay so unless it is confirmed.
    pub fn begin(&self, text: &str) -> Result<()> {
        let unconfirmed = self.unconfirmed();
        disk::replace(&unconfirmed, text.as_bytes(), MODE).doing(|| {
            format!(
                "the change is not begun, since it could not be undone: cannot write {}",
                unconfirmed.display()
            )
        })
    }

    /// What has begun has failed, and left everything as it was.
    pub fn give_up(&self) -> Result<()> {
        let unconfirmed = self.unconfirmed();
        disk::remove(&unconfirmed).doing(|| format!("cannot remove {}", unconfirmed.display()))
    }

    /// What waits to be confirmed is in force for good. An error if nothing waits.
    pub fn confirm(&self) -> Result<()> {
        let unconfirmed = self.unconfirmed();
        if !unconfirmed.exists() {
            return Err(nothing_waits());
        }
        disk::rename(&unconfirmed, &self.confirmed())
            .doing(|| format!("cannot keep {}", unconfirmed.display()))
    }

    /// Makes the confirmed network file the network file again, if another one waits to be confirmed, and says so. May be cut short
    /// anywhere, and called again.
    pub fn undo(&self) -> Result<Undone> {
        let doing = || format!("cannot go back to {}", self.confirmed().display());
        if !self.unconfirmed().exists() {
            return Ok(Undone::Nothing);
        }
        let (file, undone) = (self.file.display(), self.beside("undone"));
        let confirmed = disk::read_if_there(&self.confirmed(), Source::Ours).doing(doing)?;
        self.put_back(confirmed.as_deref(), &undone).doing(doing)?;
        let undone = undone.display();
        Ok(if confirmed.is_some() {
            log::warn!(
                "the change was not confirmed: {file} is the one before it again; what it was is in {undone}"
            );
            Undone::Change
        } else {
            log::warn!("the change was not confirmed, and nothing was before it: {file} is {undone} now");
            Undone::Everything
        })
    }

    /// Undoes what waits to be confirmed, and names the file to go by: the network file, or, where nothing can be written beside it, the
    /// confirmed copy. The machine goes back all the same.
    pub fn settle(&self) -> (Undone, PathBuf) {
        let error = match self.undo() {
            Ok(undone) => return (undone, self.file.clone()),
            Err(error) => error,
        };
        let confirmed = self.confirmed();
        if !confirmed.exists() {
            log::error!("{error}; nothing was confirmed before, so {} stays in force", self.file.display());
            return (Undone::Nothing, self.file.clone());
        }
        log::error!("{error}; {} is in force until that can be written", confirmed.display());
        (Undone::Change, confirmed)
    }

    fn put_back(&self, confirmed: Option<&str>, undone: &Path) -> std::io::Result<()> {
        let current = disk::read_if_there(&self.file, Source::Ours)?;
        if current.is_some() && current.as_deref() != confirmed {
            disk::rename(&self.file, undone)?;
        }
        if let Some(text) = confirmed.filter(|text| current.as_deref() != Some(*text)) {
            let mode = fs::metadata(undone).map_or(MODE, |metadata| metadata.permissions().mode() & 0o777);
            disk::replace(&self.file, text.as_bytes(), mode)?;
        }
        // Last of all: until here the next start would do it again.
        disk::remove(&self.unconfirmed())
    }

    /// Watches over what waits to be confirmed, so that others know that it will be undone.
    pub fn watch(&self) -> Result<Watch> {
        let path = self.unconfirmed();
        let doing = || format!("cannot watch over {}", path.display());
        let news = Inotify::init(InitFlags::IN_CLOEXEC).doing(doing)?;
        let events = AddWatchFlags::IN_MOVE_SELF | AddWatchFlags::IN_ATTRIB;
        news.add_watch(&path, events).doing(doing)?;
        let file = disk::open(&path, Source::Ours).doing(doing)?;
        let file =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).doing(doing)?;
        Ok(Watch { path, file, news })
    }

    /// Whether somebody watches over what waits to be confirmed, and will undo it.
    pub fn is_watched(&self) -> bool {
        let Ok(file) = disk::open(&self.unconfirmed(), Source::Ours) else { return false };
        matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
    }

    /// Path of the copy of the last one in force that nobody waits to confirm.
    pub fn confirmed(&self) -> PathBuf {
        self.beside("confirmed")
    }

    fn unconfirmed(&self) -> PathBuf {
        self.beside("unconfirmed")
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.file.with_added_extension(what)
    }
}

/// What a person is told about a change that was made.
pub fn must_confirm(time: Duration) -> String {
    format!("this is undone in {} s, unless you confirm it: portals confirm", time.as_secs())
}

/// Somebody asks to confirm, and there is nothing.
pub fn nothing_waits() -> Error {
    Error::failed(
        "nothing waits to be confirmed: no change was made with --confirm, or it was undone already since nobody confirmed it in time",
    )
}

/// Held by the one who will undo what nobody confirms.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    file: Flock<File>,
    news: Inotify,
}

impl Watch {
    /// Waits for `time`, or until it is confirmed or undone by somebody else, or another change has taken its place. Whether it still
    /// waits to be confirmed.
    pub fn wait(&self, time: Duration) -> Result<bool> {
        let until = Instant::now() + time;
        while self.is_there() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(true);
            }
            let timeout = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            let waiting = PollFd::new(std::os::fd::AsFd::as_fd(&self.news), PollFlags::POLLIN);
            match poll(&mut [waiting], timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => drop(self.news.read_events()),
                Err(errno) => return Err(errno).doing(|| "cannot wait".to_owned()),
            }
        }
        Ok(false)
    }

    /// Whether the file still is the one that is watched over; nothing else gets its number while it is open.
    pub fn is_there(&self) -> bool {
        let number = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let ours = self.file.metadata().map(number);
        matches!((ours, fs::metadata(&self.path).map(number)), (Ok(ours), Ok(there)) if ours == there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a network file, gone with the test.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("portals-trial-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn trial(&self) -> Trial {
            Trial::of(&self.0.join("network.toml"))
        }

        fn write(&self, text: &str) {
            fs::write(self.0.join("network.toml"), text).unwrap();
        }

        /// What is there: the network file, and its copies by name.
        fn files(&self) -> String {
            let mut names: Vec<_> =
                fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
            names.sort();
            let one = |path: &PathBuf| {
                let name = path.file_name().unwrap().to_str().unwrap().strip_prefix("network.toml").unwrap();
                format!("{name}={}", fs::read_to_string(path).unwrap())
            };
            names.iter().map(one).collect::<Vec<_>>().join(" ")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn what_is_not_confirmed_is_undone() {
        let place = Place::new("undone");
        let trial = place.trial();
        place.write("old");
        trial.keep("old").unwrap();
        place.write("new");
        trial.begin("new").unwrap();
        assert_eq!(place.files(), "=new .confirmed=old .unconfirmed=new");
        assert_eq!(trial.undo().unwrap(), Undone::Change);
        assert_eq!(place.files(), "=old .confirmed=old .undone=new");
        assert_eq!(trial.undo().unwrap(), Undone::Nothing);
        assert!(trial.confirm().unwrap_err().to_string().starts_with("nothing waits"));
    }

    #[test]
    fn what_is_confirmed_stays() {
        let place = Place::new("confirmed");
        let trial = place.trial();
        place.write("old");
        trial.keep("old").unwrap();
        place.write("new");
        trial.begin("new").unwrap();
        place.write("newer, and not in force");
        trial.confirm().unwrap();
        assert_eq!(trial.undo().unwrap(), Undone::Nothing);
        assert_eq!(place.files(), "=newer, and not in force .confirmed=new");
        trial.begin("newer").unwrap();
        trial.keep("newer").unwrap();
        assert_eq!(place.files(), "=newer, and not in force .confirmed=newer", "applied for good meanwhile");
    }

    #[test]
    fn where_nothing_was_before_nothing_is_after() {
        let place = Place::new("first");
        let trial = place.trial();
        place.write("first");
        trial.begin("first").unwrap();
        assert_eq!(trial.undo().unwrap(), Undone::Everything);
        assert_eq!(place.files(), ".undone=first");
    }

    #[test]
    fn where_nothing_can_be_written_the_confirmed_copy_is_in_force() {
        let place = Place::new("full");
        let trial = place.trial();
        let file = place.0.join("network.toml");
        place.write("old");
        trial.keep("old").unwrap();
        place.write("new");
        trial.begin("new").unwrap();
        // A folder is in the way of the draft's place.
        fs::create_dir_all(place.0.join("network.toml.undone/full")).unwrap();
        assert_eq!(trial.settle(), (Undone::Change, trial.confirmed()));
        fs::remove_file(trial.confirmed()).unwrap();
        assert_eq!(trial.settle(), (Undone::Nothing, file.clone()));
        fs::remove_dir_all(place.0.join("network.toml.undone")).unwrap();
        trial.keep("old").unwrap();
        trial.begin("new").unwrap();
        assert_eq!(trial.settle(), (Undone::Change, file.clone()));
        assert_eq!(trial.settle(), (Undone::Nothing, file));
    }

    #[test]
    fn undoing_that_was_cut_short_goes_on() {
        let place = Place::new("short");
        let trial = place.trial();
        trial.keep("old").unwrap();
        trial.begin("new").unwrap();
        // The network file was moved away, and then the power went.
        fs::write(place.0.join("network.toml.undone"), "new").unwrap();
        fs::write(place.0.join("network.toml.portals-new-99999999-0"), "half of").unwrap();
        assert_eq!(trial.undo().unwrap(), Undone::Change);
        assert_eq!(place.files(), "=old .confirmed=old .undone=new");
        trial.begin("new").unwrap();
        // It was put back, and then the power went.
        assert_eq!(trial.undo().unwrap(), Undone::Change);
        assert_eq!(place.files(), "=old .confirmed=old .undone=new");
    }

    #[test]
    fn a_copy_is_written_only_if_it_differs_and_nobody_else_can_read_it() {
        let place = Place::new("copy");
        let trial = place.trial();
        let number = || fs::metadata(trial.confirmed()).unwrap().ino();
        trial.keep("one").unwrap();
        let first = number();
        trial.keep("one").unwrap();
        assert_eq!(number(), first);
        trial.keep("two").unwrap();
        assert_ne!(number(), first);
        assert_eq!(fs::metadata(trial.confirmed()).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_watch_ends_when_somebody_confirms_or_another_change_comes() {
        let place = Place::new("watch");
        let trial = place.trial();
        assert!(!trial.is_watched());
        trial.begin("new").unwrap();
        assert!(!trial.is_watched());
        let watch = trial.watch().unwrap();
        assert!(trial.is_watched());
        assert!(watch.wait(Duration::from_millis(50)).unwrap(), "nobody came");
        for end in [Trial::confirm, Trial::give_up, |trial: &Trial| trial.begin("other")] {
            trial.begin("new").unwrap();
            let watch = trial.watch().unwrap();
            let begun = Instant::now();
            std::thread::scope(|scope| {
                let watching = scope.spawn(|| watch.wait(Duration::from_mins(1)).unwrap());
                std::thread::sleep(Duration::from_millis(50));
                end(&trial).unwrap();
                assert!(!watching.join().unwrap());
            });
            assert!(begun.elapsed() < Duration::from_secs(30), "it is told at once");
        }
    }
}
