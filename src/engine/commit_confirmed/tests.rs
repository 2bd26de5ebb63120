use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::watch::is_watched;
use super::*;

impl Version for &str {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

/// Folder with a network file, removed with the test.
struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portals-change-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("network.toml")
    }

    fn copies(&self) -> Copies {
        Copies::of(&self.file())
    }

    fn change(&self) -> CommitConfirmed {
        CommitConfirmed::of(&self.file())
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// Returns the network file and its copies, by name.
    fn files(&self) -> String {
        let mut names: Vec<_> = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let one = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().strip_prefix("network.toml").unwrap();
            format!("{name}={}", fs::read_to_string(path).unwrap())
        };
        names.iter().map(one).collect::<Vec<_>>().join(" ")
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Time that no test waits for.
const LONG: Option<Duration> = Some(Duration::from_mins(1));

#[test]
fn an_unconfirmed_change_is_undone() {
    let place = TestFile::new("undone");
    let copies = place.copies();
    place.write("old");
    copies.keep("old").unwrap();
    place.write("new");
    place.change().begin(&(), "new", LONG).unwrap();
    assert_eq!(place.files(), "=new .confirmed=old .unconfirmed=new");
    assert_eq!(place.change().undo().unwrap(), UndoOutcome::Change);
    assert_eq!(place.files(), "=old .confirmed=old .undone=new");
    assert_eq!(place.change().undo().unwrap(), UndoOutcome::Nothing);
    assert!(place.change().confirm().unwrap_err().to_string().starts_with("nothing waits"));
}

#[test]
fn a_confirmed_change_stays() {
    let place = TestFile::new("confirmed");
    place.write("old");
    place.copies().keep("old").unwrap();
    place.write("new");
    place.change().begin(&(), "new", LONG).unwrap();
    place.write("newer, and not in force");
    place.change().confirm().unwrap();
    assert_eq!(place.change().undo().unwrap(), UndoOutcome::Nothing);
    assert_eq!(place.files(), "=newer, and not in force .confirmed=new");
    place.change().begin(&(), "newer", LONG).unwrap();
    let mut change = place.change();
    change.begin(&(), "newer", None).unwrap();
    change.is_in_force("newer");
    assert_eq!(place.files(), "=newer, and not in force .confirmed=newer", "applied for good meanwhile");
}

#[test]
fn without_a_version_before_the_change_none_is_left_after_it() {
    let place = TestFile::new("first");
    place.write("first");
    place.change().begin(&(), "first", LONG).unwrap();
    assert_eq!(place.change().undo().unwrap(), UndoOutcome::Everything);
    assert_eq!(place.files(), ".undone=first");
}

#[test]
fn an_agent_goes_back_to_the_version_before_the_first_change() {
    let place = TestFile::new("agent");
    place.write("old");
    let (mut change, in_force) = CommitConfirmed::<&str>::open(&place.file());
    assert_eq!(in_force, place.file());
    change.is_in_force("old");
    place.write("new");
    change.begin(&"old", "new", LONG).unwrap();
    let first = change.deadline().unwrap();
    change.is_in_force("new");
    place.write("newer");
    change.begin(&"new", "newer", LONG.map(|time| time * 2)).unwrap();
    assert!(change.deadline().unwrap() > first);
    assert_eq!(change.failed(), None, "the first change still has to be undone");
    assert_eq!(change.go_back(), Some("old"));
    assert_eq!((change.go_back(), change.deadline()), (None, None));
    assert_eq!(place.files(), "=old .confirmed=old .undone=newer");
}

#[test]
fn a_first_change_that_fails_leaves_nothing_to_confirm() {
    let place = TestFile::new("fails");
    place.write("old");
    let mut change = CommitConfirmed::<&str>::open(&place.file()).0;
    place.write("new");
    change.begin(&"old", "new", LONG).unwrap();
    assert_eq!(change.failed(), Some("old"));
    assert!(change.confirm().is_err());
    assert_eq!(place.files(), "=new .confirmed=old", "a person can repair the file and try again");
    change.begin(&"old", "new", None).unwrap();
    assert_eq!(change.failed(), None);
}

#[test]
fn the_next_agent_undoes_the_change() {
    let place = TestFile::new("next");
    place.write("old");
    let mut change = CommitConfirmed::<&str>::open(&place.file()).0;
    change.is_in_force("old");
    place.write("new");
    change.begin(&"old", "new", LONG).unwrap();
    let (next, in_force) = CommitConfirmed::<&str>::open(&place.file());
    assert_eq!((next.deadline(), in_force), (None, place.file()));
    assert_eq!(place.files(), "=old .confirmed=old .undone=new");
}

#[test]
fn if_no_file_can_be_written_the_confirmed_copy_is_in_force() {
    let place = TestFile::new("full");
    let copies = place.copies();
    let file = place.file();
    place.write("old");
    copies.keep("old").unwrap();
    place.write("new");
    copies.begin("new").unwrap();
    // A folder is in the way of the undone copy.
    fs::create_dir_all(place.0.join("network.toml.undone/full")).unwrap();
    assert_eq!(copies.settle(), (UndoOutcome::Change, copies.confirmed()));
    fs::remove_file(copies.confirmed()).unwrap();
    assert_eq!(copies.settle(), (UndoOutcome::Nothing, file.clone()));
    fs::remove_dir_all(place.0.join("network.toml.undone")).unwrap();
    copies.keep("old").unwrap();
    copies.begin("new").unwrap();
    assert_eq!(copies.settle(), (UndoOutcome::Change, file.clone()));
    assert_eq!(copies.settle(), (UndoOutcome::Nothing, file));
}

#[test]
fn undoing_that_was_cut_short_goes_on() {
    let place = TestFile::new("short");
    let copies = place.copies();
    copies.keep("old").unwrap();
    copies.begin("new").unwrap();
    // The network file was moved away, and then the power went.
    fs::write(place.0.join("network.toml.undone"), "new").unwrap();
    fs::write(place.0.join("network.toml.portals-new-99999999-0"), "half of").unwrap();
    assert_eq!(copies.undo().unwrap(), UndoOutcome::Change);
    assert_eq!(place.files(), "=old .confirmed=old .undone=new");
    copies.begin("new").unwrap();
    // The network file was put back, and then the power went.
    assert_eq!(copies.undo().unwrap(), UndoOutcome::Change);
    assert_eq!(place.files(), "=old .confirmed=old .undone=new");
}

#[test]
fn a_copy_is_written_only_if_it_differs_and_only_its_owner_can_read_it() {
    let place = TestFile::new("copy");
    let copies = place.copies();
    let number = || fs::metadata(copies.confirmed()).unwrap().ino();
    copies.keep("one").unwrap();
    let first = number();
    copies.keep("one").unwrap();
    assert_eq!(number(), first);
    copies.keep("two").unwrap();
    assert_ne!(number(), first);
    assert_eq!(fs::metadata(copies.confirmed()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_watch_ends_when_the_change_is_confirmed_or_replaced() {
    let place = TestFile::new("watch");
    let copies = place.copies();
    let is_watched = || is_watched(&copies.unconfirmed());
    assert!(!is_watched());
    copies.begin("new").unwrap();
    assert!(!is_watched());
    let watch = place.change().watch().unwrap();
    assert!(is_watched());
    place.change().undo_if_unwatched().unwrap();
    assert!(watch.wait(Duration::from_millis(50)).unwrap(), "nobody has confirmed");
    for end in [Copies::confirm, Copies::give_up, |copies: &Copies| copies.begin("other")] {
        copies.begin("new").unwrap();
        let watch = place.change().watch().unwrap();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| watch.wait(Duration::from_mins(1)).unwrap());
            std::thread::sleep(Duration::from_millis(50));
            end(&copies).unwrap();
            assert!(!watching.join().unwrap());
        });
        assert!(begun.elapsed() < Duration::from_secs(30), "the watch ends at once");
    }
}
