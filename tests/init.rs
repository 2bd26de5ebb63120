//! `portals init`, without a person and with one at a terminal. Needs root, or `unshare -Urnm`.

mod namespace;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use namespace::{inside, ip};
use nix::pty::openpty;
use wg_portals::config;
use wg_portals::config::model::Network;
use wg_portals::signed::{self, FileStanding};
use wg_portals::system::key_files;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portals");

/// Folder for a network file, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portals-init-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("network.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn network(&self) -> Network {
        *config::check(&self.file(), &self.text()).unwrap()
    }

    /// Runs `init` without a terminal, and returns its standard output and standard error.
    fn init(&self, options: &str) -> (String, String) {
        let mut command = Command::new(PROGRAM);
        command.arg("init").args(options.split_whitespace()).arg("--config").arg(self.file());
        let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
        let words = |bytes| String::from_utf8(bytes).unwrap();
        let (said, complained) = (words(stdout), words(stderr));
        assert!(status.success(), "{said}{complained}");
        (said, complained)
    }

    /// Returns the names of all files but the lock.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "network.toml.lock").collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Program at a terminal, and a person at the keyboard.
struct Terminal {
    program: Child,
    keyboard: File,
    seen: String,
}

impl Terminal {
    /// Starts `init` for a network file at a new terminal, which can interrupt it.
    fn init(file: &Path) -> Self {
        let ends = openpty(None, None).unwrap();
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", PROGRAM, "init", "--config"]).arg(file);
        let end = || Stdio::from(ends.slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
        let program = command.spawn().expect("this test needs setsid");
        Self { program, keyboard: ends.master.into(), seen: String::new() }
    }

    /// Waits until the program has asked a question, and types.
    fn answer(&mut self, question: &str, typed: &str) {
        let mut byte = [0];
        let mut asked = String::new();
        while !asked.contains(question) {
            let read = self.keyboard.read(&mut byte);
            assert!(read.is_ok(), "`{question}` was not asked:\n{}{asked}", self.seen);
            asked.push(char::from(byte[0]));
        }
        self.seen += &asked;
        self.keyboard.write_all(typed.as_bytes()).unwrap();
    }

    /// Waits for the end of the program. Returns its exit status and all that the terminal showed.
    fn end(mut self) -> (Option<i32>, String) {
        let mut byte = [0];
        // A terminal without a program is an error, and no end of the file.
        while self.keyboard.read(&mut byte).is_ok_and(|length| length > 0) {
            self.seen.push(char::from(byte[0]));
        }
        (self.program.wait().unwrap().code(), self.seen)
    }
}

#[test]
fn the_first_file_is_signed_by_a_new_admin_key() {
    let folder = Folder::new("first");
    folder.init("--site nyc");
    assert_eq!(folder.names(), ["admin.key", "network.toml", "private.key"]);
    let admin_file = folder.0.join("admin.key");
    assert_eq!(fs::metadata(&admin_file).unwrap().permissions().mode() & 0o777, 0o600);
    let admin = signed::admin_public(&key_files::load_if_there(&admin_file).unwrap().unwrap());
    let network = folder.network();
    assert_eq!((network.serial, network.admins.as_slice()), (1, [admin].as_slice()));
    assert!(signed::standing(&folder.text(), &network.admins) == FileStanding::Signed(admin));
}

#[test]
fn an_admin_key_that_is_there_is_kept() {
    let folder = Folder::new("kept");
    let key = key_files::generate();
    key_files::save(&folder.0.join("admin.key"), &key).unwrap();
    let (said, _) = folder.init("--site nyc");
    assert!(said.contains("kept the admin key"), "{said}");
    assert_eq!(folder.network().admins, [signed::admin_public(&key)]);
}

/// A limit on the size of files fails as a full disk does: the file can be created, but not filled.
#[test]
fn a_full_disk_leaves_no_half_of_a_key() {
    let folder = Folder::new("full");
    let limited = format!("trap '' XFSZ; ulimit -f 0; exec {PROGRAM} init --site nyc --config \"$0\"");
    let output = Command::new("sh").arg("-c").arg(limited).arg(folder.file()).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && words.contains("cannot write"), "{words}");
    assert_eq!(folder.names(), [""; 0]);
    let (said, _) = folder.init("--site nyc");
    assert!(said.contains("created the key"), "{said}");
    assert_eq!(folder.names(), ["admin.key", "network.toml", "private.key"]);
}

#[test]
fn a_file_that_is_there_gets_no_admin_key() {
    let folder = Folder::new("there");
    folder.init("--site nyc");
    let text = folder.text();
    for name in ["admin.key", "private.key"] {
        fs::remove_file(folder.0.join(name)).unwrap();
    }
    let (said, _) = folder.init("");
    assert_eq!((folder.names(), folder.text()), (vec!["network.toml".into(), "private.key".into()], text));
    assert!(said.contains("give a site in"), "{said}");
    assert!(said.contains(&format!("portals plan --config {}", folder.file().display())), "{said}");
}

#[test]
fn the_sample_names_another_site() {
    for (site, id, other) in [("nyc", 1, "paris"), ("paris", 2, "oslo")] {
        let folder = Folder::new(&format!("sample-{site}"));
        folder.init(&format!("--site {site} --id {id}"));
        let text = folder.text();
        assert!(text.contains(&format!("# [site.{other}]\n")), "{text}");
        assert!(!text.contains(&format!("# id         = {id}\n")), "{text}");
        // Without its `#`, the sample is right.
        let key = "public_key = \"…\"";
        let sample = text.replace("# [site.", "[site.").replace("# exit      =", "exit      =");
        let sample = sample.replace("# interface =", "interface =").replace("# id  ", "id  ");
        let sample = sample
            .replace(&format!("# {key}"), "public_key = \"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"");
        let sample = sample.replace("exits      = []", &format!("exits      = [\"{other}\"]"));
        let sample = sample.replace("# endpoint   =", "endpoint   =");
        let network = config::check(&folder.file(), &sample).unwrap();
        assert_eq!(network.sites.len(), 2);
    }
}

#[test]
fn a_reachable_site_hears_of_its_ports() {
    let folder = Folder::new("ports");
    let (said, _) = folder.init("--site nyc --endpoint nyc.example.net");
    let ports = "\n  51820 to 52074  tunnels\n  52075           sites that join, and questions of sites \
                 behind NAT\n  52076 to 52326  links that this site relays, unless it has `relay = false`\n";
    assert!(said.contains("These UDP ports must reach this box") && said.contains(ports), "{said}");
    let folder = Folder::new("no-ports");
    let (said, _) = folder.init("--site nyc");
    assert!(!said.contains("UDP"), "{said}");
}

#[test]
fn the_next_steps_name_the_file() {
    let folder = Folder::new("next");
    let (said, _) = folder.init("--site nyc");
    for command in ["portals run", "portals invite NAME"] {
        assert!(said.contains(&format!("\n  {command} --config {}\n", folder.file().display())), "{said}");
    }
    let file = folder.0.join("it's here.toml");
    let output =
        Command::new(PROGRAM).args(["init", "--site", "nyc", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let quoted = file.to_str().unwrap().replace('\'', r"'\''");
    assert!(said.contains(&format!("portals run --config '{quoted}'\n")), "{said}");
}

#[test]
fn a_second_init_names_the_options_without_effect() {
    let folder = Folder::new("second");
    folder.init("--site nyc");
    let text = folder.text();
    let (said, complained) = folder.init("--site paris --endpoint 203.0.113.9");
    assert_eq!(folder.text(), text);
    assert!(said.contains("kept the network file"), "{said}");
    assert!(complained.contains("had no effect: --site, --endpoint."), "{complained}");
    assert!(complained.contains("`portals push --config"), "{complained}");
    assert_eq!(folder.init("").1, "");
}

#[test]
fn a_chosen_portal_waits_for_an_exit() {
    let (folder, (said, complained)) = inside(|| {
        ip("link add br-lan type bridge");
        ip("link add eth7 type veth peer name eth8");
        ip("link set eth7 master br-lan");
        let folder = Folder::new("portal");
        let words = folder.init("--site nyc --portal eth7");
        (folder, words)
    });
    let text = folder.text();
    assert!(text.contains("Remove the `#` once there is an exit"), "{text}");
    assert!(text.contains("# interface = \"eth7\"\n"), "{text}");
    assert!(said.contains("The portal on eth7 is a comment in"), "{said}");
    assert!(complained.contains("eth7 is a port of br-lan"), "{complained}");
    assert!(folder.network().sites["nyc"].portals.is_empty());
}

#[test]
fn a_person_is_asked() {
    inside(|| {
        ip("link add br-lan type bridge");
        ip("link add eth7 type veth peer name eth8");
        ip("link set eth7 master br-lan");
        ip("link add wan type bridge");
        ip("address add 203.0.113.7/24 dev wan");
        ip("link set wan up");
        ip("route add default via 203.0.113.1");
        let folder = Folder::new("asked");
        let mut terminal = Terminal::init(&folder.file());
        terminal.answer("Name of this site", "New York\n");
        terminal.answer("Name of this site", "nyc\n");
        terminal.answer("reach this one", "nyc.example.net:51820\n");
        terminal.answer("reach this one", "nyc.example.net\n");
        terminal.answer("the portal [none yet]: ", "eth9\n");
        terminal.answer("the portal [none yet]: ", "wan\n");
        terminal.answer("the portal [none yet]: ", "br-lan\n");
        let (status, seen) = terminal.end();
        assert_eq!(status, Some(0), "{seen}");
        for line in [
            "br-lan           off      bridge    free\r\n",
            "eth7             off      virtual   port of bridge br-lan\r\n",
            "eth8             off      virtual   free\r\n",
            // The kernel may take a moment to see that the bridge has no port.
            "  bridge    uplink                    203.0.113.7/24\r\n",
            "No interface has this name",
            "wan leads to the internet",
        ] {
            assert!(seen.contains(line), "{line}: {seen}");
        }
        assert!(!seen.contains("  lo "), "{seen}");
        let site = &folder.network().sites["nyc"];
        assert_eq!(site.endpoint.as_ref().unwrap().to_string(), "nyc.example.net");
        assert!(folder.text().contains("# interface = \"br-lan\"\n"));
    });
}

#[test]
fn empty_answers_take_the_defaults() {
    let folder = Folder::new("defaults");
    let mut terminal = Terminal::init(&folder.file());
    for question in ["Name of this site", "reach this one", "none yet"] {
        terminal.answer(question, "\n");
    }
    let (status, seen) = terminal.end();
    assert_eq!(status, Some(0), "{seen}");
    let text = folder.text();
    assert!(text.contains("# endpoint = ") && text.contains("# interface = \"eth1\"\n"), "{text}");
}

#[test]
fn an_end_of_the_answers_leaves_nothing_behind() {
    for (name, typed, expected) in [("eof", "\x04", Some(1)), ("interrupt", "\x03", None)] {
        let folder = Folder::new(name);
        let place = folder.0.join("new");
        let mut terminal = Terminal::init(&place.join("network.toml"));
        terminal.answer("Name of this site", "nyc\n");
        terminal.answer("reach this one", typed);
        let (status, seen) = terminal.end();
        assert_eq!(status, expected, "{seen}");
        assert!(!place.exists(), "{seen}");
    }
}

#[test]
fn a_terminal_with_options_asks_nothing() {
    let folder = Folder::new("options");
    let ends = openpty(None, None).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["init", "--site", "nyc", "--config"]).arg(folder.file());
    command.stdin(Stdio::from(ends.slave.try_clone().unwrap())).stdout(Stdio::from(ends.slave));
    assert!(command.status().unwrap().success());
    assert_eq!(folder.network().sites.len(), 1);
}
