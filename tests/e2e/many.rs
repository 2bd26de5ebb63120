//! Sixty-four exits at once: the number of kernel calls for them.

use std::fmt::Write as _;
use std::fs;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::keys;
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, World};
use wg_portals::system::key_files;

use crate::snapshot::Snapshot;
use crate::words::{same, shell, succeeds};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "sixty-four exits take two batches and no other process",
    plots: &[NYC],
    run: few_batches,
}];

const EXITS: u8 = 64;

/// First id of the exits.
const FIRST: u8 = 101;

/// Folder of a site in which `strace` writes its output.
const TRACE: &str = "/run/demo/trace";

fn few_batches(world: &mut World) -> Result<()> {
    world.install(&network(world))?;
    let site = world.site(NYC);
    let entrances = (1..=EXITS).fold(String::new(), |text, n| text + &format!("link add e{n} type bridge\n"));
    shell(&site.router, &format!("ip -batch - <<'END'\n{entrances}END"))?;
    let untouched = Snapshot::of(&site.router)?;

    let calls = traced(site, "apply")?;
    same(
        "batches of addresses, routes and rules",
        calls.beginning_with(&["RTM_NEWADDR", "RTM_NEWROUTE", "RTM_NEWRULE"]),
        1,
    )?;
    same(
        "batches of the firewall: to ask for its abilities, to fill its sets, and to change it",
        calls.beginning_with(&["NFNL_MSG_BATCH_BEGIN"]),
        3,
    )?;
    same(
        "batches about interfaces: to make them, and to give them their aliases",
        calls.beginning_with(&["RTM_NEWLINK", "RTM_SETLINK"]),
        2,
    )?;
    same("programs started, itself among them", calls.programs(), 1)?;

    let calls = traced(site, "apply")?;
    same("a second apply has nothing to do", calls.said.starts_with("nothing to do"), true)?;
    same(
        "changes of a second apply",
        calls.beginning_with(&["RTM_NEW", "RTM_SET", "RTM_DEL", "NFNL_MSG_BATCH_BEGIN"]),
        0,
    )?;
    succeeds(site, &["down"])?;
    untouched.same_as(&Snapshot::of(&site.router)?)
}

/// Network file with all the exits, none of which answers, and a portal to each.
fn network(world: &World) -> String {
    let exits: Vec<String> = (1..=EXITS).map(|n| format!("\"s{n}\"")).collect();
    let mut text = world.network(|_| format!("exits = [{}]\n", exits.join(", ")));
    for n in 1..=EXITS {
        let key = keys::public_key(&key_files::generate());
        let id = FIRST + n - 1;
        let (third, fourth) = (200 + n / 4, n % 4 * 64 + 1);
        let _ = write!(
            text,
            "\n[site.s{n}]\nid = {id}\npublic_key = \"{key}\"\nendpoint = \"198.18.1.{n}\"\n\
             \n[site.nyc.portal.p{n}]\nexit = \"s{n}\"\ninterface = \"e{n}\"\n\
             address = \"10.77.{third}.{fourth}/26\"\ndhcp = false\n"
        );
    }
    text
}

/// Messages that a command sent to the kernel, processes that it started, and its output.
struct Calls {
    trace: String,
    said: String,
}

fn traced(site: &DemoSite, command: &str) -> Result<Calls> {
    let program = program();
    let program = program.display();
    let said = shell(
        &site.router,
        &format!(
            "strace -f -qq -o {TRACE} -e trace=%process,%network '{program}' {command} \
             --config {NETWORK_FILE}"
        ),
    )?;
    let trace = site.router.run(|| fs::read_to_string(TRACE).context(|| format!("cannot read {TRACE}")))?;
    Ok(Calls { trace, said })
}

impl Calls {
    /// Number of sends that begin with a message of one of these kinds.
    fn beginning_with(&self, kinds: &[&str]) -> usize {
        let first = |line: &str| line.split_once("nlmsg_type=").map(|(_, kind)| kind.to_owned());
        let sends = self.trace.lines().filter(|line| line.contains("sendto(") || line.contains("sendmsg("));
        sends.filter_map(first).filter(|first| kinds.iter().any(|kind| first.starts_with(kind))).count()
    }

    fn programs(&self) -> usize {
        self.trace.lines().filter(|line| line.contains("execve(")).count()
    }
}
