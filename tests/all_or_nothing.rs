//! An apply that fails at any step: it leaves the machine, and the journal, as they were.

mod support;

use std::path::PathBuf;

use wg_portals::engine::apply::{OnFailure, apply, remove_all};
use wg_portals::engine::journal::Journal;
use wg_portals::firewall::Firewall;
use wg_portals::kernel::Kernel as _;
use wg_portals::kernel::fake::FakeKernel;
use wg_portals::plan::plan;
use wg_portals::state::{RouteTarget, State};

/// A journal in its own folder, which is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("portals-{name}-{}", std::process::id())))
    }

    fn journal(&self) -> Journal {
        Journal::in_folder(&self.0).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Plan of New York in one of the golden cases.
fn golden(case: &str) -> State {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case);
    let network = support::network(&std::fs::read_to_string(folder.join("network.toml")).unwrap());
    let (mut facts, resolved) =
        support::facts(&std::fs::read_to_string(folder.join("nyc.facts.toml")).unwrap());
    facts.interfaces = support::entrances(&network, "nyc");
    facts.radios = support::radios(&network, "nyc");
    let mut files = support::files(&network, "nyc", None);
    files.providers =
        support::providers(&network, "nyc", |config| std::fs::read(folder.join(config)).unwrap());
    plan(&files.view(&facts, &resolved).unwrap_or_else(|errors| panic!("{errors}")))
}

/// A host with all interfaces that the golden cases name.
fn host() -> FakeKernel {
    let mut host = FakeKernel::with_host(["eth0", "eth1", "eth2", "ppp0"].map(|name| name.parse().unwrap()));
    for key in ["net/ipv4/ip_forward", "net/ipv4/conf/all/send_redirects", "net/ipv4/conf/to-paris/rp_filter"]
    {
        host.state.sysctls.insert(key.to_owned(), "0".to_owned());
    }
    host
}

fn fails_at_every_step(from: &State, to: &State, name: &str) {
    let folder = Folder::new(name);
    let journal = folder.journal();
    let mut kernel = host();
    apply(&mut kernel, &journal, from, None, OnFailure::Undo).unwrap();
    let scope = from.scope().union(to.scope());
    let before = kernel.observe(&scope).unwrap();
    let claims = journal.claims().unwrap();
    let mut failures = 0;
    loop {
        kernel.fail_at = Some(kernel.tried + failures);
        let Err(error) = apply(&mut kernel, &journal, to, None, OnFailure::Undo) else { break };
        assert!(error.to_string().contains("was undone"), "{error}");
        assert_eq!(kernel.observe(&scope).unwrap(), before, "failing at step {failures}");
        assert_eq!(journal.claims().unwrap(), claims, "failing at step {failures}");
        failures += 1;
    }
    assert!(failures > 5, "only {failures} steps were made to fail");
}

/// A repair that fails restores everything except the steps that close portals: the steps that succeeded
/// stay.
#[test]
fn steps_that_close_portals_stay_when_a_repair_fails() {
    for case in ["both-ways", "fast-path"] {
        closing_steps_stay(&golden(case));
    }
}

fn closing_steps_stay(want: &State) {
    let refusing = |state: &State| {
        let rules = state.rules.iter().filter(|rule| rule.closes());
        let routes = state.routes.iter().filter(|route| route.target == RouteTarget::Unreachable);
        // The devices of a flowtable do not close anything.
        let firewall = state.firewall.clone().map(|firewall| Firewall { flows: None, ..firewall });
        (firewall, rules.cloned().collect::<Vec<_>>(), routes.cloned().collect::<Vec<_>>())
    };
    for failing in 0.. {
        let folder = Folder::new("closed");
        let journal = folder.journal();
        let mut kernel = host();
        let before = kernel.observe(&want.scope()).unwrap();
        kernel.fail_at = Some(failing);
        let Err(error) = apply(&mut kernel, &journal, want, None, OnFailure::StayClosed) else {
            assert!(failing > 5, "only {failing} steps were made to fail");
            return;
        };
        let outcome = "the rules that guard portals were put in place; everything else is as it was before \
                       this attempt";
        assert!(error.to_string().ends_with(outcome), "{error}");
        let mut now = kernel.observe(&want.scope()).unwrap();
        assert_eq!(refusing(&now), refusing(want), "failing at step {failing}");
        now.firewall = None;
        now.rules.retain(|rule| !rule.closes());
        now.routes.retain(|route| route.target != RouteTarget::Unreachable);
        assert_eq!(now, before, "failing at step {failing}");
    }
}

/// A repair does not fail if another program flushes rules again meanwhile: it restores everything that is
/// missing then.
#[test]
fn a_repair_that_meets_another_flush_succeeds() {
    let folder = Folder::new("flushed");
    let journal = folder.journal();
    let mut kernel = host();
    let want = golden("both-ways");
    apply(&mut kernel, &journal, &want, None, OnFailure::Undo).unwrap();
    let whole = kernel.observe(&want.scope()).unwrap();
    for (on_failure, is_done) in [(OnFailure::StayClosed, true), (OnFailure::Undo, false)] {
        kernel.state.firewall = None;
        kernel.flush_behind = Some(kernel.tried);
        let result = apply(&mut kernel, &journal, &want, None, on_failure);
        assert_eq!(result.is_ok(), is_done, "{result:?}");
        assert_eq!(kernel.observe(&want.scope()).unwrap() == whole, is_done);
    }
}

#[test]
fn first_apply() {
    fails_at_every_step(&State::default(), &golden("both-ways"), "first");
}

#[test]
fn first_apply_with_the_fast_path() {
    fails_at_every_step(&State::default(), &golden("fast-path"), "fast");
}

#[test]
fn change_from_the_fast_path() {
    fails_at_every_step(&golden("fast-path"), &golden("mesh"), "slow");
}

#[test]
fn removal_of_the_fast_path() {
    fails_at_every_step(&golden("fast-path"), &State::default(), "gone");
}

#[test]
fn change_of_everything() {
    fails_at_every_step(&golden("settings"), &golden("mesh"), "change");
}

#[test]
fn change_to_own_traffic() {
    fails_at_every_step(&golden("mesh"), &golden("own-traffic"), "own");
}

#[test]
fn down_leaves_nothing_and_restores_settings() {
    let folder = Folder::new("down");
    let journal = folder.journal();
    let mut kernel = host();
    let want = golden("both-ways");
    let before = kernel.observe(&want.scope()).unwrap();
    apply(&mut kernel, &journal, &want, None, OnFailure::Undo).unwrap();
    assert_eq!(
        apply(&mut kernel, &journal, &want, None, OnFailure::Undo).unwrap(),
        vec![],
        "a second apply changes nothing"
    );
    remove_all(&mut kernel, &journal).unwrap();
    assert_eq!(kernel.observe(&want.scope()).unwrap(), before);
    assert_eq!(remove_all(&mut kernel, &journal).unwrap(), vec![]);
}

#[test]
fn objects_of_the_host_stay() {
    let folder = Folder::new("hosts");
    let journal = folder.journal();
    let want = golden("both-ways");
    let mut kernel = host();
    // The host had forwarding on, and its NIC up, before the apply.
    kernel.state.sysctls.insert("net/ipv4/ip_forward".to_owned(), "1".to_owned());
    kernel.state.up.insert("eth1".parse().unwrap());
    apply(&mut kernel, &journal, &want, None, OnFailure::Undo).unwrap();
    remove_all(&mut kernel, &journal).unwrap();
    assert_eq!(kernel.state.sysctls["net/ipv4/ip_forward"], "1");
    assert!(kernel.state.up.contains(&"eth1".parse().unwrap()));
}
