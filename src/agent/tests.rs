//! The whole agent on a fake kernel: its poll loop, its signals and its control socket are the real ones.

mod files;
mod join;
mod questions;
mod rotate;

use std::fs;
use std::os::unix::thread::JoinHandleExt as _;
use std::path::PathBuf;
use std::thread::{self, JoinHandle, sleep};

use nix::sys::pthread::pthread_kill;
use nix::sys::signal::Signal;

use super::*;
use crate::base::keys::public_key;
use crate::base::net::Secret;
use crate::base::sorted::SortedMap;
use crate::control::{AgentStatus, Answer, ChangeReport, ControlRequest, ask_at};
use crate::engine::apply::prepare;
use crate::engine::observed::choose_observed;
use crate::kernel::fake::{FakeKernel, SharedFake};
use crate::plan::plan;
use crate::site::Site;
use crate::site::facts::{Facts, HostFirewalls, Uplink};
use crate::state::{State, WireGuardBackend};
use crate::system::key_files;

/// Limit on every wait: far more than even a busy machine needs.
const LIMIT: Duration = Duration::from_mins(2);

/// Network in which the agent's site `nyc` has a portal for one device, with two exits.
const NETWORK: &str = r#"
[network]
name = "home"
subnet = "10.77.0.0/16"
failover = { down_after = 1, up_after = 1 }
[site.nyc]
id = 1
public_key = "KEY"
exits = ["paris", "oslo"]
[site.nyc.portal.desk]
exit = ["paris", "oslo"]
from = ["192.168.1.50"]
[site.paris]
id = 2
public_key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
exits = ["nyc"]
endpoint = "203.0.113.2"
[site.oslo]
id = 3
public_key = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="
exits = ["nyc"]
endpoint = "203.0.113.3"
"#;

/// Source of the portal's connections.
const DESK: &str = "192.168.1.50/32";

/// Agent in its own thread and folder, on a fake machine.
struct Stage {
    folder: PathBuf,
    machine: SharedFake,
    agent: Option<JoinHandle<Result<(), Errors>>>,
}

impl Stage {
    /// Starts an agent, and waits until it has applied the network file.
    fn begin(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portals-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let key = Secret::new([1; 32]);
        key_files::save(&folder.join(key_files::PRIVATE_KEY_FILE), &key).unwrap();
        let mut stage = Self { folder, machine: SharedFake::new(machine()), agent: None };
        stage.write(&NETWORK.replace("KEY", &public_key(&key).to_string()));
        stage.start();
        stage
    }

    fn start(&mut self) {
        let (file, journal, socket) = (self.file(), self.journal(), self.socket());
        let machine = self.machine.clone();
        self.agent = Some(thread::spawn(move || {
            let mut agent = Agent::start_on(&file, journal, &socket, || Ok(Box::new(machine)))?;
            Ok(agent.stay()?)
        }));
        let answer = self.ask(&ControlRequest::Status);
        assert!(answer.is_ok(), "the agent has ended: {:?}", self.agent.take().unwrap().join().unwrap());
    }

    fn signal(&self, signal: Signal) {
        pthread_kill(self.agent.as_ref().unwrap().as_pthread_t(), signal).unwrap();
    }

    /// Ends the agent, and waits for its end.
    fn end(&mut self) {
        self.signal(Signal::SIGTERM);
        self.agent.take().unwrap().join().unwrap().unwrap();
    }

    fn file(&self) -> PathBuf {
        self.folder.join("network.toml")
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    fn journal(&self) -> Journal {
        Journal::in_folder(&self.folder.join("run")).unwrap()
    }

    fn read(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// Replaces a part of the network file.
    fn edit(&self, from: &str, to: &str) {
        let text = self.read();
        assert!(text.contains(from));
        self.write(&text.replace(from, to));
    }

    fn ask(&self, request: &ControlRequest) -> Answer {
        ask_at(&self.socket(), request, LIMIT)
    }

    fn agent_status(&self) -> AgentStatus {
        AgentStatus::from_fields(&self.ask(&ControlRequest::Status).unwrap()).unwrap()
    }

    /// Waits until both exits of the portal answer probes.
    fn wait_for_exits(&self) {
        eventually("both exits answer", || {
            let exits = self.agent_status().exits;
            exits.len() == 2 && exits.iter().all(|exit| exit.words == "up")
        });
    }

    /// Returns the site that the network file describes.
    fn site(&self) -> Site {
        let (mut machine, journal) = (self.machine.clone(), self.journal());
        let files = Files::read(&self.file()).unwrap();
        let site = files.site(&mut machine, &journal, &SortedMap::new(), &SortedMap::new());
        site.unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Reports whether the machine matches the network file, with the exits in use.
    fn matches(&self) -> bool {
        let (mut machine, journal) = (self.machine.clone(), self.journal());
        let mut site = self.site();
        choose_observed(&mut site, &mut machine).unwrap();
        prepare(&mut machine, &journal, &plan(&site), None).unwrap().steps.is_empty()
    }

    /// Reports whether the portal's connections were forgotten since the last call.
    fn has_forgotten_desk(&self) -> bool {
        let desk = DESK.parse().unwrap();
        self.machine.look().forgotten.drain(..).any(|chosen| chosen.by_source.contains(&desk))
    }

    /// Returns the exit that the observed rules lead the portal to.
    fn exit_of_desk(&self) -> String {
        let mut site = self.site();
        choose_observed(&mut site, &mut self.machine.clone()).unwrap();
        site.portals[0].exit.to_string()
    }

    /// Reports whether the observed rules lead the portal to an exit.
    fn leaves_through(&self, exit: &str) -> bool {
        let interface = format!("to-{exit}").parse().unwrap();
        let state = &self.machine.look().state;
        let leads = |table| {
            state.routes.iter().any(|route| route.table == table && route.interface() == Some(&interface))
        };
        let desk = DESK.parse().unwrap();
        let mut tables =
            state.rules.iter().filter(|rule| rule.selector.from == Some(desk)).filter_map(|rule| match rule
                .action
            {
                crate::state::RuleAction::Lookup(table) => Some(table),
                _ => None,
            });
        tables.any(leads)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A thread that a failed test leaves behind ends with the process.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn machine() -> FakeKernel {
    let uplink = Uplink {
        interface: "eth0".parse().unwrap(),
        gateway: Some("198.51.100.1".parse().unwrap()),
        addresses: ["198.51.100.2/24".parse().unwrap()].into(),
    };
    let mut machine = FakeKernel::with_host(["eth0".parse().unwrap()]);
    let settings =
        ["ip_forward", "conf/all/send_redirects", "conf/to-paris/rp_filter", "conf/to-oslo/rp_filter"];
    machine.state.sysctls = settings.map(|name| (format!("net/ipv4/{name}"), "0".to_owned())).into();
    machine.facts = Facts {
        uplink: Some(uplink),
        interfaces: [("eth0".parse().unwrap(), 1500)].into(),
        wireguard: Some(WireGuardBackend::Kernel),
        rules_know_ports: true,
        filters: HostFirewalls { nftables: true, ..HostFirewalls::default() },
        ..Facts::default()
    };
    machine
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_agent_applies_the_network_file_and_leaves_it_in_force_at_its_end() {
    let mut stage = Stage::begin("start");
    assert!(stage.matches() && stage.leaves_through("paris"));
    assert!(stage.journal().has_agent().unwrap());
    stage.end();
    assert!(stage.matches(), "the portals stay as they were");
    assert!(!stage.journal().has_agent().unwrap() && !stage.socket().exists());

    let steps = stage.machine.look().tried;
    stage.start();
    assert_eq!(stage.machine.look().tried, steps, "the next agent finds nothing to do");
    stage.end();
}

#[test]
fn the_agent_repairs_changes_by_other_programs() {
    let mut stage = Stage::begin("repair");
    let changes: [fn(&mut State); 3] = [
        |state| state.firewall = None,
        |state| *state = State { sysctls: state.sysctls.clone(), ..State::default() },
        |state| _ = state.up.remove(&"to-oslo".parse().unwrap()),
    ];
    for change in changes {
        let tried = stage.machine.look().tried;
        stage.machine.by_another_hand(change);
        eventually("the change is repaired", || stage.machine.look().tried > tried && stage.matches());
    }
    stage.end();
}

#[test]
fn the_agent_follows_an_edited_file_on_a_signal() {
    let mut stage = Stage::begin("reload");
    stage.has_forgotten_desk();
    stage.edit(r#"exit = ["paris", "oslo"]"#, r#"exit = "oslo""#);
    stage.signal(Signal::SIGHUP);
    eventually("the portal leaves in Oslo", || stage.leaves_through("oslo") && stage.matches());
    // An answer to the next request comes after the whole reload.
    stage.agent_status();
    assert!(stage.has_forgotten_desk());

    let good = stage.read();
    stage.edit(r#"exit = "oslo""#, r#"exit = "rome""#);
    let errors = stage.ask(&ControlRequest::Reload).unwrap_err();
    assert!(errors.to_string().contains("rome"), "{errors}");
    stage.write(&good);
    assert!(stage.matches(), "the file before it stays in force");
    stage.end();
}

#[test]
fn the_agent_undoes_a_change_that_nobody_confirms() {
    let mut stage = Stage::begin("unconfirmed");
    let before = stage.read();
    stage.edit(r#"exit = ["paris", "oslo"]"#, r#"exit = "oslo""#);
    let change =
        |seconds| ControlRequest::Apply { file: stage.file(), confirm: Some(Duration::from_secs(seconds)) };
    let done = ChangeReport::from_fields(stage.ask(&change(3600)).unwrap()).unwrap();
    assert!(done.changes > 0 && stage.leaves_through("oslo"));
    assert!(stage.agent_status().unconfirmed.is_some());
    // The same change with a short time.
    stage.ask(&change(1)).unwrap();
    eventually("the change is undone", || {
        // The file is missing for a moment while its copies are renamed.
        let is_back = fs::read_to_string(stage.file()).is_ok_and(|text| text == before);
        is_back && stage.leaves_through("paris") && stage.matches()
    });
    assert_eq!(stage.agent_status().unconfirmed, None);
    assert!(stage.ask(&ControlRequest::Confirm).is_err(), "nothing is left to confirm");
    stage.end();
}

#[test]
fn the_agent_moves_a_portal_whose_exit_is_silent() {
    let mut stage = Stage::begin("failover");
    stage.wait_for_exits();
    stage.has_forgotten_desk();
    let silent = stage.machine.look().silent.clone();
    for (is_silent, to) in [(true, "oslo"), (false, "paris")] {
        silent.set(&"to-paris".parse().unwrap(), is_silent);
        eventually("the portal moves", || stage.leaves_through(to) && stage.matches());
        let agent_status = stage.agent_status();
        assert_eq!(agent_status.portals.len(), 1);
        assert!(agent_status.portals[0].words.contains("paris"), "{:?}", agent_status.portals);
        assert!(stage.has_forgotten_desk(), "connections begin anew in {to}");
    }
    stage.end();
}

/// The session with the old address lives, so the plan leaves the peer where it is: it may have roamed there.
#[test]
fn the_agent_dials_an_endpoint_that_changes_in_the_network_file() {
    let mut stage = Stage::begin("moved");
    let key = crate::base::net::PublicKey([2; 32]);
    let endpoint = || {
        let machine = stage.machine.look();
        machine.state.tunnels[&"to-paris".parse().unwrap()].peers[&key].endpoint.unwrap().to_string()
    };
    assert_eq!(endpoint(), "203.0.113.2:51821");
    {
        let mut machine = stage.machine.look();
        let tunnel = machine.state.tunnels.get_mut(&"to-paris".parse().unwrap()).unwrap();
        let peer = tunnel.peers.get_mut(&key).unwrap();
        (peer.alive, peer.endpoint) = (true, Some("198.51.100.7:51821".parse().unwrap()));
        let handshake = Some(std::time::SystemTime::now());
        let alive = crate::kernel::wireguard::PeerStatistics { handshake, ..Default::default() };
        machine.statistics.insert(key, alive);
    }
    stage.ask(&ControlRequest::Reload).unwrap();
    assert_eq!(endpoint(), "198.51.100.7:51821", "a file that has not changed moves nobody");
    stage.edit("203.0.113.2", "203.0.113.9");
    stage.ask(&ControlRequest::Reload).unwrap();
    assert_eq!(endpoint(), "203.0.113.9:51821");
    stage.end();
}

/// Paris answers all the time, so only the probe through the whole chain shows that its end is down.
#[test]
fn the_agent_moves_a_portal_whose_chain_is_silent_at_its_end() {
    let mut stage = Stage::begin("chain");
    stage.edit(r#"exit = ["paris", "oslo"]"#, r#"exit = ["oslo via paris", "paris"]"#);
    stage.edit(
        "exits = [\"nyc\"]\nendpoint = \"203.0.113.2\"",
        "exits = [\"oslo\"]\nendpoint = \"203.0.113.2\"",
    );
    stage.ask(&ControlRequest::Reload).unwrap();
    stage.wait_for_exits();
    let exit = || stage.exit_of_desk();
    assert_eq!(exit(), "oslo via paris");
    let silent = stage.machine.look().silent.clone();
    for (is_silent, to) in [(true, "paris"), (false, "oslo via paris")] {
        stage.has_forgotten_desk();
        silent.set_host("10.77.3.1".parse().unwrap(), is_silent);
        eventually("the portal moves", || exit() == to && stage.matches());
        let words = stage.agent_status().portals[0].words.clone();
        assert!(words.starts_with("oslo via paris "), "{words}");
        assert!(stage.has_forgotten_desk(), "connections begin anew through {to}");
    }
    stage.end();
}

/// The first attempt leaves only the firewall of the move behind. So the second attempt finds the firewall
/// that it wants, and only the agent knows that the portal moves.
#[test]
fn a_move_that_fails_at_first_makes_connections_begin_anew_later() {
    let mut stage = Stage::begin("late");
    stage.wait_for_exits();
    stage.has_forgotten_desk();
    {
        let mut machine = stage.machine.look();
        machine.fail_at = Some(machine.tried);
        machine.silent.set(&"to-paris".parse().unwrap(), true);
    }
    eventually("the portal moves", || stage.leaves_through("oslo") && stage.matches());
    stage.agent_status();
    assert!(stage.has_forgotten_desk());
    stage.end();
}
