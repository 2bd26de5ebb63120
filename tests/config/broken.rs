//! Cases in `broken/*.txt`: an edit of `base.toml`, and the message that a user gets, byte for byte.
//!
//! The edit reads like a patch: lines that start with a blank or `-` are searched for, lines with `-` are
//! removed, and lines with `+` are inserted there (at the end if no line was searched for). Lines with `|`
//! are a whole file instead. `UPDATE_GOLDEN=1 cargo test --test config` writes the current messages; read the
//! difference before you commit it.

use std::path::{Path, PathBuf};
use std::{env, fs};

use wg_portals::config::parse;

use crate::BASE;

#[test]
fn every_broken_file_gets_its_message() {
    let mut cases = 0;
    for path in golden_files() {
        let golden = fs::read_to_string(&path).expect("a golden file can be read");
        let told: Vec<String> = golden.split("\n\n").map(|case| Case::new(case).tell()).collect();
        cases += told.len();
        let told = told.join("\n\n") + "\n";
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, told).expect("a golden file can be written");
        } else {
            assert_eq!(told, golden, "{}", path.display());
        }
    }
    assert!(cases >= 70, "{cases} cases");
}

#[test]
fn the_base_of_all_cases_is_valid() {
    assert!(parse(BASE).is_ok());
}

/// Titles and texts of all cases in these files.
pub(super) fn cases(names: &[&str]) -> Vec<(String, String)> {
    let is_named = |path: &PathBuf| names.iter().any(|name| path.ends_with(name));
    let paths: Vec<PathBuf> = golden_files().into_iter().filter(is_named).collect();
    assert_eq!(paths.len(), names.len(), "a file has another name");
    let texts = paths.into_iter().map(|path| fs::read_to_string(path).expect("a golden file can be read"));
    texts
        .flat_map(|text| {
            let cases = text.split("\n\n").map(Case::new).map(|case| (case.title.to_owned(), case.file()));
            cases.collect::<Vec<_>>()
        })
        .collect()
}

fn golden_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/broken");
    let entries = fs::read_dir(folder).expect("the folder of golden files can be listed");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry of it, too").path()).collect();
    paths.sort();
    paths
}

/// A title, and the lines of the edit.
struct Case<'a> {
    title: &'a str,
    edit: Vec<&'a str>,
}

impl<'a> Case<'a> {
    fn new(text: &'a str) -> Self {
        let mut lines = text.trim_end().lines();
        let title = lines.next().expect("a case has a title");
        assert!(title.starts_with("# "), "a case begins with its title, not with {title:?}");
        let edit = lines.take_while(|line| !line.starts_with("network.toml:")).collect();
        Self { title, edit }
    }

    /// The case with the message that a user gets.
    fn tell(&self) -> String {
        let Err(faults) = parse(&self.file()) else { panic!("{} is not broken", self.title) };
        assert!(faults.iter().all(|fault| !fault.help.is_empty()), "{}: a fault without help", self.title);
        let path = Path::new("network.toml");
        let mut lines: Vec<String> = [self.title].iter().chain(&self.edit).map(ToString::to_string).collect();
        lines.extend(faults.iter().map(|fault| fault.render(path)));
        lines.join("\n")
    }

    fn file(&self) -> String {
        if self.edit.iter().any(|line| line.starts_with('|')) {
            return self.edit.iter().flat_map(|line| [&line[1..], "\n"]).collect();
        }
        let mut file: Vec<&str> = BASE.lines().collect();
        // The search for each run of lines starts where the previous one was found.
        let mut place = file.len();
        for line in &self.edit {
            let (mark, text) = line.split_at(1);
            let text = text.strip_prefix(' ').unwrap_or(text);
            let find =
                || file.iter().position(|other| *other == text).unwrap_or_else(|| panic!("no line {text:?}"));
            match mark {
                " " => place = find() + 1,
                "-" => {
                    place = if file.get(place) == Some(&text) { place } else { find() };
                    file.remove(place);
                }
                _ => {
                    file.insert(place, text);
                    place += 1;
                }
            }
        }
        file.join("\n") + "\n"
    }
}
