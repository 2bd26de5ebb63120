//! `portals check`: no key, no root, no host.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wg_portals::base::json::Json;

/// Exit status, standard output and standard error of `portals check` for a user without any rights.
fn check(file: &Path) -> (Option<i32>, String, String) {
    check_with(&[], file)
}

fn check_with(options: &[&str], file: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portals"));
    command.arg("check").args(options).arg(file).env_clear().stdin(Stdio::null());
    if nix::unistd::Uid::effective().is_root() {
        // A program below a folder of another user can be started by its descriptor only.
        command = Command::new("/proc/self/fd/0");
        command.arg("check").args(options).arg(file).env_clear();
        command.stdin(fs::File::open(env!("CARGO_BIN_EXE_portals")).unwrap()).uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    let words = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), words(output.stdout), words(output.stderr))
}

/// Folder that every user can read, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portals-check-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// Copies the files of a golden case, and checks its network file.
    fn check(&self, case: &str) -> (Option<i32>, String, String) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case);
        for entry in fs::read_dir(golden).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), self.0.join(entry.file_name())).unwrap();
        }
        check(&self.file())
    }

    fn file(&self) -> PathBuf {
        self.0.join("network.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn all_examples_are_right() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for entry in fs::read_dir(golden).unwrap() {
        let case = entry.unwrap().file_name().into_string().unwrap();
        let folder = Folder::new(&case);
        let (status, said, complained) = folder.check(&case);
        assert_eq!(status, Some(0), "{case}: {complained}");
        let start = format!("{} is right: network home, ", folder.file().display());
        assert!(said.starts_with(&start), "{case}: {said}");
    }
}

#[test]
fn a_right_file_is_counted() {
    let folder = Folder::new("counted");
    let (status, said, complained) = folder.check("chain");
    assert_eq!(status, Some(0), "{complained}");
    let expected = "is right: network home, 4 sites, 5 portals, 1 phone\n";
    assert!(said.ends_with(expected), "{said}");
    fs::remove_file(folder.0.join("mullvad-ch.conf")).unwrap();
    let (status, _, complained) = check(&folder.file());
    assert_eq!(status, Some(0), "{complained}");
    let note = "note: site `oslo` is checked without its provider `mullvad`: ";
    let end = "/mullvad-ch.conf is not here; it is needed at `oslo`\n";
    assert!(complained.starts_with(note) && complained.ends_with(end), "{complained}");
}

#[test]
fn every_fault_has_its_place() {
    let folder = Folder::new("faults");
    folder.check("mesh");
    let text = fs::read_to_string(folder.file()).unwrap();
    fs::write(folder.file(), text.replace("id         = 2", "id         = 0\ncolour = 1")).unwrap();
    let (status, said, complained) = check(&folder.file());
    assert_eq!((status, said.as_str()), (Some(2), ""), "{complained}");
    let file = folder.file();
    let faults = complained.lines().filter(|line| line.starts_with("portals: "));
    let places: Vec<&str> = faults
        .map(|line| line.split(": ").nth(1).unwrap().strip_prefix(file.to_str().unwrap()).unwrap())
        .collect();
    assert_eq!(places, [":13:14", ":14:1"], "{complained}");
}

#[test]
fn faults_that_only_a_site_has_name_the_site() {
    let folder = Folder::new("site");
    folder.check("providers");
    let provider = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path());
    for file in provider.filter(|path| path.extension().is_some_and(|ending| ending == "conf")) {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("Endpoint", "#Endpoint")).unwrap();
    }
    let (status, _, complained) = check(&folder.file());
    assert_eq!(status, Some(2), "{complained}");
    assert!(complained.contains("portals: site `nyc`: "), "{complained}");
    assert!(complained.contains("no `[Peer]` has an `Endpoint`"), "{complained}");
}

#[test]
fn a_missing_file_is_wrong() {
    let (status, _, complained) = check(Path::new("/nowhere/network.toml"));
    assert_eq!(status, Some(2), "{complained}");
}

/// Returns the JSON that has the same content as the output for people.
fn as_json(file: &Path, (status, _, complained): &(Option<i32>, String, String)) -> String {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let mut lines = complained.lines();
    while let Some(line) = lines.next() {
        let (is_error, words) = match line.strip_prefix("portals: ") {
            Some(words) => (true, words),
            None => (false, line.strip_prefix("note: ").unwrap()),
        };
        let text = words.split_once(": ").filter(|(site, _)| site.starts_with("site `"));
        let (site, rest) = text.map_or((String::new(), words), |(site, rest)| (format!("{site}: "), rest));
        let parts: Vec<&str> = rest.splitn(4, ':').collect();
        let json = match parts[..] {
            [path, line, column, message] if is_error && column.parse::<usize>().is_ok() => {
                let help = lines.nth(1).unwrap().split_once("^ ").unwrap().1;
                entry(Some(path), line, column, &format!("{site}{}", message.trim_start()), Some(help))
            }
            [path, line, ..] if line.parse::<usize>().is_ok() => {
                let message = format!("{site}{}", rest.split_once(": ").unwrap().1);
                entry(Some(path), line, "null", &message, None)
            }
            _ => entry(None, "null", "null", words, None),
        };
        if is_error { &mut errors } else { &mut warnings }.push(json);
    }
    format!(
        "{{\"file\":{},\"valid\":{},\"errors\":[{}],\"warnings\":[{}]}}\n",
        Json::text(file.to_str().unwrap()),
        *status == Some(0),
        errors.join(","),
        warnings.join(",")
    )
}

fn entry(file: Option<&str>, line: &str, column: &str, message: &str, hint: Option<&str>) -> String {
    let text = |text: Option<&str>| text.map_or("null".to_owned(), |text| Json::text(text).to_string());
    let (file, message, hint) = (text(file), text(Some(message)), text(hint));
    format!("{{\"file\":{file},\"line\":{line},\"column\":{column},\"message\":{message},\"hint\":{hint}}}")
}

/// Compares the JSON with the output for people; returns the JSON.
fn both(file: &Path) -> String {
    let for_people = check(file);
    let (status, said, complained) = check_with(&["--json"], file);
    assert_eq!(said, as_json(file, &for_people), "{}", for_people.2);
    assert_eq!((status, complained.as_str()), (for_people.0, ""));
    said
}

#[test]
fn programs_get_the_same_words_as_people() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for entry in fs::read_dir(golden).unwrap() {
        let case = entry.unwrap().file_name().into_string().unwrap();
        let folder = Folder::new(&format!("json-{case}"));
        folder.check(&case);
        assert!(both(&folder.file()).contains("\"valid\":true,\"errors\":[],"), "{case}");
    }
    let folder = Folder::new("json");
    folder.check("mesh");
    let right = fs::read_to_string(folder.file()).unwrap();
    let wrong = right.replace("id         = 2", "id         = 0\ncolour = \"\\\"red\"\nprivate_key = 1");
    fs::write(folder.file(), &wrong).unwrap();
    let json = both(&folder.file());
    assert!(json.contains("\"line\":13,\"column\":14,"), "{json}");
    assert_eq!(json.matches("\"column\":1,").count(), 2, "{json}");
    for text in [&b"\xff"[..], b"", b"[network\n", b"[network]\nname = home\n[site.Nyc]\nid = 1.5\n"] {
        fs::write(folder.file(), text).unwrap();
        assert!(both(&folder.file()).contains("\"valid\":false,\"errors\":[{\"file\":\""));
    }
    fs::set_permissions(folder.file(), PermissionsExt::from_mode(0o000)).unwrap();
    let (status, said, _) = check_with(&["--json"], &folder.file());
    assert_eq!(status, Some(1), "a file that may not be read: {said}");
    assert!(said.contains("\"valid\":false,\"errors\":[{\"file\":null,"), "{said}");
    assert!(both(Path::new("/nowhere/network.toml")).contains("[{\"file\":null,\"line\":null,"));
}

#[test]
fn programs_get_the_places_in_files_of_providers() {
    let folder = Folder::new("json-provider");
    folder.check("chain");
    let provider = folder.0.join("mullvad-ch.conf");
    let right = fs::read_to_string(&provider).unwrap();
    let name = Json::text(provider.to_str().unwrap());
    fs::write(&provider, right.replace("[Peer]", "[Peer]\nColour = red")).unwrap();
    let json = both(&folder.file());
    assert!(json.contains(&format!("{{\"file\":{name},\"line\":")), "{json}");
    assert!(json.contains("\"message\":\"site `oslo`: "), "{json}");
    fs::write(&provider, right.replace("[Peer]", "PostUp = true\n[Peer]")).unwrap();
    let json = both(&folder.file());
    assert!(json.contains(&format!("\"warnings\":[{{\"file\":{name},\"line\":")), "{json}");
    fs::remove_file(&provider).unwrap();
    let json = both(&folder.file());
    assert!(json.contains("\"warnings\":[{\"file\":null,\"line\":null,\"column\":null,"), "{json}");
}

#[test]
fn programs_learn_that_a_group_may_write_the_file() {
    let folder = Folder::new("json-group");
    folder.check("mesh");
    let file = folder.file();
    if chown(&file, None, Some(1)).is_err() && nix::unistd::Gid::effective().as_raw() == 0 {
        return;
    }
    fs::set_permissions(&file, PermissionsExt::from_mode(0o664)).unwrap();
    let note = format!("{} is writable by the users of its group, ", file.display());
    let (status, _, complained) = check(&file);
    assert_eq!(status, Some(0), "{complained}");
    assert!(complained.starts_with(&format!("note: {note}")), "{complained}");
    let json = both(&file);
    assert!(json.contains(&format!("\"message\":\"{note}")), "{json}");
    fs::write(&file, "[network\n").unwrap();
    let json = both(&file);
    assert!(json.contains("\"valid\":false,") && json.contains(&note), "{json}");
}

#[test]
fn a_device_that_may_be_in_two_portals_is_noted() {
    let folder = Folder::new("twice");
    folder.check("device-by-mac");
    let file = folder.file();
    let text = fs::read_to_string(&file).unwrap();
    let line = text.lines().position(|line| line == "[site.nyc.portal.tv]").unwrap() + 1;
    let house = |exit: &str, from: &str| {
        let portal = format!("\n[site.nyc.portal.house]\nexit = \"{exit}\"\nfrom = [\"{from}\"]\n");
        fs::write(&file, format!("{text}{portal}")).unwrap();
        let (status, _, complained) = check(&file);
        assert_eq!(status, Some(0), "{complained}");
        complained
    };
    let complained = house("direct", "192.168.1.0/24");
    let note = "site `nyc`: a device of portal `tv` with an address in 192.168.1.0/24 enters portal `house` ";
    assert!(complained.starts_with(&format!("note: {}:{line}: {note}", file.display())), "{complained}");
    let json = both(&file);
    assert!(json.contains(&format!("\"line\":{line},\"column\":null,\"message\":\"{note}")), "{json}");
    assert_eq!(house("paris", "192.168.1.0/24"), "", "both lead to the same exit");
    assert_eq!(house("direct", "192.168.1.50"), "", "one address is probably that of another device");
}
