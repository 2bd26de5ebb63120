//! Tests of the supervisor with real processes.

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt as _;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs, mem, process};

use nix::unistd::close;

use super::keeper::ServiceCondition;
use super::*;
use crate::control::PageRequest;

/// Longest wait for a process to begin or to end: more than any machine needs.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

const SHELL: Program =
    Program { name: "sh", package: "dash", purpose: "tests", capabilities: None, asks: false, stays: &[] };
const NOWHERE: Program = Program {
    name: "no-such-program",
    package: "no-such-package",
    purpose: "tests",
    capabilities: None,
    asks: false,
    stays: &[],
};

/// Folder that is removed with the test, and the supervisor of its services.
struct TestSupervisor {
    folder: PathBuf,
    supervisor: Supervisor,
}

impl TestSupervisor {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("portals-services-{name}-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let supervisor = Supervisor::open(&folder).unwrap();
        Self { folder, supervisor }
    }

    /// Returns a service that is a shell with this script. The script gets the folder of the service as `$1`.
    fn shell(&self, name: &str, script: &str) -> Service {
        let folder = folder(&self.folder, name);
        Service {
            name: name.to_owned(),
            program: &SHELL,
            arguments: vec!["-c".into(), script.into(), folder.join("script").into(), folder.into()],
            if_known: &[],
            files: Vec::new(),
            interface: None,
        }
    }

    fn follow(&mut self, wanted: Vec<Service>) {
        self.supervisor.follow(wanted, Instant::now());
    }

    /// Takes turns until the condition holds.
    fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + TEST_TIMEOUT;
        loop {
            self.supervisor.turn(Instant::now());
            if holds(self) {
                return;
            }
            assert!(Instant::now() < give_up, "{:?}", self.supervisor);
            sleep(Duration::from_millis(5));
        }
    }

    fn pid(&self, name: &str) -> Option<u32> {
        fs::read_to_string(folder(&self.folder, name).join("pid")).ok()?.parse().ok()
    }

    /// Returns the content of a file of the service, once its last line is complete.
    fn written(&self, name: &str, file: &str) -> Option<String> {
        fs::read_to_string(folder(&self.folder, name).join(file)).ok().filter(|text| text.ends_with('\n'))
    }

    fn condition(&self, name: &str) -> Option<ServiceCondition> {
        self.supervisor.conditions().find(|(told, _)| *told == name).map(|(_, condition)| condition)
    }
}

impl Drop for TestSupervisor {
    fn drop(&mut self) {
        self.supervisor.clear().unwrap();
        fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Script that writes its process ID and stays. It becomes another program without children, so that no
/// process is left of it.
const ENDLESS: &str = r#"echo $$ >>"$1/log"; exec tail -f "$1/log""#;

fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

#[test]
fn a_wanted_service_runs_and_an_unwanted_one_ends() {
    let mut place = TestSupervisor::new("wanted");
    let (one, other) = (place.shell("one", ENDLESS), place.shell("other", ENDLESS));
    place.follow(vec![one.clone(), other]);
    place.until(|place| place.written("one", "log").is_some() && place.written("other", "log").is_some());
    let (pid, ends) = (place.pid("one").unwrap(), place.pid("other").unwrap());
    assert_eq!(place.written("one", "log").unwrap().trim(), pid.to_string());
    assert_eq!(place.condition("one"), Some(ServiceCondition::Running));
    place.follow(vec![one]);
    place.until(|place| !folder(&place.folder, "other").exists());
    assert!(!is_alive(ends) && is_alive(pid), "only the unwanted service has ended");
    place.supervisor = Supervisor::open(&place.folder).unwrap();
    assert!(!is_alive(pid) && place.pid("one").is_none());
    assert!(place.written("one", "log").is_some(), "its files stay for the next agent");
}

#[test]
fn services_start_in_the_turn_after_the_demand() {
    let mut place = TestSupervisor::new("many");
    let names = ["one", "three", "two"];
    let now = Instant::now();
    place.supervisor.follow(names.map(|name| place.shell(name, ENDLESS)).into(), now);
    assert_eq!(place.supervisor.failures(), ["one and 2 others do not run: not started yet"]);
    assert!(names.iter().all(|name| place.condition(name) == Some(ServiceCondition::Starting)));
    assert!(place.supervisor.deadline().is_some_and(|due| due <= Instant::now()), "due at once");
    place.supervisor.turn(now);
    assert!(names.iter().all(|name| place.condition(name) == Some(ServiceCondition::Running)));
    place.until(|place| names.iter().all(|name| place.written(name, "log").is_some()));
    assert_eq!(place.supervisor.failures(), Vec::<String>::new());
}

#[test]
fn a_program_that_cannot_run_is_a_failure_with_its_reason() {
    let mut place = TestSupervisor::new("unable");
    let program = place.folder.join("program");
    fs::write(&program, "#!/no/such/shell\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let name: &'static str = program.to_str().unwrap().to_owned().leak();
    let program: &'static Program = Box::leak(Box::new(Program { name, ..SHELL }));
    place.follow(vec![Service { program, ..place.shell("one", "") }]);
    place.until(|place| matches!(place.condition("one"), Some(ServiceCondition::Failed(_))));
    let why = format!("exit status: 1: cannot start {name}: No such file or directory");
    assert_eq!(place.condition("one"), Some(ServiceCondition::Failed(why)));
}

#[test]
fn a_changed_file_restarts_the_process() {
    let mut place = TestSupervisor::new("files");
    let mut service = place.shell("one", ENDLESS);
    service.files.push(ServiceFile { name: "secret", content: b"first".to_vec().into() });
    place.follow(vec![service.clone()]);
    place.until(|place| place.written("one", "log").is_some());
    let first = place.pid("one");
    let file = folder(&place.folder, "one").join("secret");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!format!("{service:?}").contains("first"), "the content is not shown");
    place.follow(vec![service.clone()]);
    assert_eq!(place.pid("one"), first);
    service.files[0].content = b"second".to_vec().into();
    place.follow(vec![service]);
    place.until(|place| place.written("one", "log").is_some_and(|log| log.lines().count() == 2));
    assert_ne!(place.pid("one"), first);
    assert_eq!(fs::read(&file).unwrap(), b"second");
}

#[test]
fn a_service_that_dies_is_started_again_after_longer_and_longer_waits() {
    let mut place = TestSupervisor::new("dies");
    let script = r#"echo first; echo "port 67 is in use" >&2; echo $$ >>"$1/log"; exit 7"#;
    let service = place.shell("one", script);
    let mut now = Instant::now();
    place.supervisor.follow(vec![service], now);
    let mut waits = Vec::new();
    for starts in 1..=8 {
        let give_up = Instant::now() + TEST_TIMEOUT;
        while !matches!(place.condition("one"), Some(ServiceCondition::Failed(_)))
            || place.written("one", "log").is_none_or(|log| log.lines().count() < starts)
        {
            assert!(Instant::now() < give_up, "{:?}", place.supervisor);
            place.supervisor.turn(now);
            sleep(Duration::from_millis(5));
        }
        let due = place.supervisor.deadline().unwrap();
        waits.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    let why = "exit status: 7: port 67 is in use".to_owned();
    assert_eq!(place.condition("one"), Some(ServiceCondition::Failed(why)));
}

#[test]
fn an_argument_that_the_program_does_not_list_is_left_out() {
    let mut place = TestSupervisor::new("known");
    let program = place.folder.join("program");
    let script = r#"#!/bin/sh
        [ "$1" = --help ] && { echo "  --known-too  as an example"; echo "  --known      for tests"; exit; }
        echo "$@" >"$1/log"; exec tail -f "$1/log""#;
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let name: &'static str = program.to_str().unwrap().to_owned().leak();
    let program: &'static Program = Box::leak(Box::new(Program { name, ..SHELL }));
    let one = folder(&place.folder, "one");
    let service = Service {
        program,
        arguments: vec![one.clone().into()],
        if_known: &["--unknown", "--known"],
        ..place.shell("one", "")
    };
    place.follow(vec![service]);
    place.until(|place| place.written("one", "log").is_some());
    assert_eq!(place.written("one", "log").unwrap(), format!("{} --known\n", one.display()));
}

#[test]
fn a_program_that_asks_is_heard_on_its_standard_input() {
    let mut place = TestSupervisor::new("asks");
    let program: &'static Program = Box::leak(Box::new(Program { asks: true, ..SHELL }));
    let script = r"printf '\000\000\000\010opened\0000\000\000\000\010opened\0001' >&0; exec sleep 1000";
    place.follow(vec![Service { program, ..place.shell("one", script) }, place.shell("two", ENDLESS)]);
    let mut now = Instant::now();
    let give_up = now + TEST_TIMEOUT;
    while place.supervisor.hear(now) != Some(PageRequest::Opened { errno: 0 }) {
        now = Instant::now();
        assert!(now < give_up, "{:?}", place.supervisor);
        place.supervisor.turn(now);
        sleep(Duration::from_millis(5));
    }
    let rested = now + Duration::from_millis(20);
    assert_eq!(place.supervisor.deadline(), Some(rested));
    assert_eq!(place.supervisor.hear(now + Duration::from_millis(19)), None);
    assert_eq!(place.supervisor.hear(rested), Some(PageRequest::Opened { errno: 1 }));
}

#[test]
fn a_program_that_misuses_its_channel_ends_and_is_started_again_later() {
    let program: &'static Program = Box::leak(Box::new(Program { asks: true, ..SHELL }));
    let stays = "echo $$ >\"$1/log\"; exec sleep 1000";
    for (number, (misuse, why)) in [
        (r"printf '\000\000\000\006status' >&0", "it broke the protocol of its channel"),
        (r"printf '\000\000\000\010opened\0000' >&0", "it did not read its answers"),
        ("exec 0</dev/null", "signal: 15 (SIGTERM)"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut place = TestSupervisor::new(&format!("misuses-{number}"));
        let service = Service { program, ..place.shell("one", &format!("{misuse}; {stays}")) };
        place.follow(vec![service]);
        let mut now = Instant::now();
        let give_up = now + TEST_TIMEOUT;
        while place.condition("one") != Some(ServiceCondition::Failed(why.to_owned())) {
            now = Instant::now();
            assert!(now < give_up, "{why}: {:?}", place.supervisor);
            place.supervisor.turn(now);
            if place.written("one", "log").is_some() && place.supervisor.hear(now).is_some() {
                let long = Ok(vec!["a".repeat(1 << 20)]);
                place.supervisor.channel().unwrap().tell(&long, Duration::ZERO);
            }
            sleep(Duration::from_millis(5));
        }
        assert!(place.pid("one").is_none_or(|pid| !is_alive(pid)), "{why}");
        assert!(place.supervisor.deadline().is_some_and(|next| next > now), "{why}");
    }
}

#[test]
fn a_service_that_does_not_end_when_asked_is_killed() {
    let mut place = TestSupervisor::new("stubborn");
    let script = r#"trap '' TERM; echo $$ >>"$1/log"; while :; do sleep 0.1; done"#;
    place.follow(vec![place.shell("one", script)]);
    place.until(|place| place.written("one", "log").is_some());
    let pid = place.pid("one").unwrap();
    let asked = Instant::now();
    place.supervisor.follow(Vec::new(), asked);
    sleep(Duration::from_millis(100));
    place.supervisor.turn(asked + Duration::from_millis(2900));
    assert!(is_alive(pid), "the service has time to end");
    place.supervisor.turn(asked + Duration::from_secs(3));
    place.until(|place| !folder(&place.folder, "one").exists());
    assert!(!is_alive(pid));
}

#[test]
fn a_service_that_does_not_end_is_killed_even_if_it_is_wanted_again() {
    let mut place = TestSupervisor::new("regretted");
    let script = r#"trap '' TERM; echo $$ >>"$1/log"; while :; do sleep 0.1; done"#;
    let service = place.shell("one", script);
    place.follow(vec![service.clone()]);
    place.until(|place| place.written("one", "log").is_some());
    let pid = place.pid("one").unwrap();
    let asked = Instant::now();
    place.supervisor.follow(Vec::new(), asked);
    place.supervisor.follow(vec![service], asked);
    assert!(is_alive(pid) && place.pid("one") == Some(pid));
    place.supervisor.turn(asked + Duration::from_secs(3));
    place.until(|place| place.written("one", "log").is_some_and(|log| log.lines().count() == 2));
    assert!(!is_alive(pid), "the process was asked to end, so it is of no use any more");
}

#[test]
fn a_process_that_was_left_behind_ends_before_the_new_one_begins() {
    let mut place = TestSupervisor::new("left");
    let service = place.shell("one", ENDLESS);
    place.follow(vec![service.clone()]);
    place.until(|place| place.written("one", "log").is_some());
    let left = place.pid("one").unwrap();
    let next = Supervisor::open(&place.folder).unwrap();
    // A killed agent does not end its services.
    mem::forget(mem::replace(&mut place.supervisor, next));
    place.follow(vec![service]);
    place.until(|place| place.written("one", "log").is_some_and(|log| log.lines().count() == 2));
    assert!(!is_alive(left));
    let now = place.pid("one").unwrap();
    assert!(is_alive(now) && now != left);
    place.supervisor.clear().unwrap();
    assert!(!is_alive(now) && !folders(&place.folder).exists(), "`down` leaves nothing");
}

#[test]
fn a_process_that_was_left_behind_may_go_on_writing() {
    let mut place = TestSupervisor::new("talks");
    let script = r#"echo $$ >"$1/log"; until [ -e "$1/gone" ]; do sleep 0.01; done
        echo "is there a reader?"; echo $$ >"$1/said"; exec tail -f "$1/log""#;
    place.follow(vec![place.shell("one", script)]);
    place.until(|place| place.written("one", "log").is_some());
    let next = Supervisor::open(&place.folder).unwrap();
    let killed = mem::replace(&mut place.supervisor, next);
    let mut descriptors = Vec::new();
    killed.descriptors(&mut descriptors);
    let pipes: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    mem::forget(killed);
    assert_eq!(pipes.len(), 1);
    close(pipes[0]).unwrap();
    let left = place.pid("one").unwrap();
    let folder = folder(&place.folder, "one");
    fs::write(folder.join("gone"), "").unwrap();
    let give_up = Instant::now() + TEST_TIMEOUT;
    while place.written("one", "said").is_none() {
        assert!(is_alive(left), "the process has died of SIGPIPE");
        assert!(Instant::now() < give_up);
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn another_process_with_the_noted_id_is_left_alone() {
    let mut place = TestSupervisor::new("reused");
    let mut stranger = process::Command::new("sleep").arg("1000").spawn().unwrap();
    let one = folder(&place.folder, "one");
    fs::create_dir_all(&one).unwrap();
    fs::write(one.join("pid"), stranger.id().to_string()).unwrap();
    place.supervisor = Supervisor::open(&place.folder).unwrap();
    place.supervisor.clear().unwrap();
    assert!(is_alive(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_service_waits_for_its_interface_and_keeps_its_folder_meanwhile() {
    let mut place = TestSupervisor::new("interface");
    let on = |interface: &str, place: &TestSupervisor| {
        vec![Service { interface: Some(interface.parse().unwrap()), ..place.shell("one", ENDLESS) }]
    };
    let (away, here) = (on("no-such", &place), on("lo", &place));
    place.follow(away.clone());
    assert_eq!(place.condition("one"), Some(ServiceCondition::Waiting));
    assert_eq!(place.supervisor.deadline(), None, "the netlink monitor tells when the interface comes");
    place.follow(here);
    place.until(|place| place.written("one", "log").is_some());
    place.follow(away);
    place.until(|place| place.pid("one").is_none());
    assert!(place.written("one", "log").is_some());
}

#[test]
fn a_missing_program_is_named_once_with_its_package() {
    let mut place = TestSupervisor::new("missing");
    let lost = |name| Service { program: &NOWHERE, ..place.shell(name, "") };
    let services = vec![lost("one"), lost("two"), place.shell("three", ENDLESS)];
    let told = missing(&services);
    assert_eq!(told.len(), 1, "{told:?}");
    let begin = "one and 1 other do not run: the program no-such-program is missing: install";
    assert!(told[0].starts_with(begin) && told[0].contains("no-such-package"), "{told:?}");
    place.follow(services);
    place.until(|place| place.supervisor.failures() == told);
    place.follow(vec![place.shell("three", ENDLESS)]);
    assert_eq!(place.supervisor.failures(), Vec::<String>::new());
}
