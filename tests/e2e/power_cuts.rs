//! Power cuts: the programs of a site are killed at any moment of a join and of a push. Each file is the old
//! one or the new one then, whole, and the same command completes what was cut off.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::config;
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, PARIS, Pings, Plot, World};
use wg_portals::signed::{FileStanding, standing};

use crate::join::{file, found_with_endpoint, have_one_file, invite};
use crate::words::{eventually, same, seconds, settled, shell, spawn_at, succeeds};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a join that any power cut interrupts is completed by the same command (1)",
        plots: &[NYC, PARIS],
        run: |world| joins(world, 1),
    },
    Scenario {
        name: "a join that any power cut interrupts is completed by the same command (2)",
        plots: &[NYC, PARIS],
        run: |world| joins(world, 2),
    },
    Scenario {
        name: "a push that any power cut interrupts is completed by the same command (1)",
        plots: &[NYC, PARIS],
        run: |world| pushes(world, 3),
    },
    Scenario {
        name: "a push that any power cut interrupts is completed by the same command (2)",
        plots: &[NYC, PARIS],
        run: |world| pushes(world, 4),
    },
];

/// Number of power cuts in each scenario; slow machines divide it by their factor.
const TIMES: u128 = 50;

/// Sites that a power cut hits.
const VICTIMS: [&[Plot]; 3] = [&[PARIS], &[NYC], &[NYC, PARIS]];

/// Moments of power cuts, and the sites that they hit: random, and the same for the same seed.
struct PowerCuts {
    state: u64,
}

impl PowerCuts {
    /// Returns the next number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        // The generator of Knuth, TAOCP, volume 2, § 3.3.4.
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % end
    }

    /// Returns the moment of the next power cut in an operation that takes this time, and its victims.
    fn next(&mut self, whole: Duration) -> (Duration, &'static [Plot]) {
        let place = u32::try_from(self.below(1000)).expect("a small number");
        let victims = VICTIMS[usize::try_from(self.below(3)).expect("a small number")];
        (whole * place / 1000, victims)
    }
}

/// Cuts an operation off again and again. `round` begins the operation, and ends at the moment of the power
/// cut; its result is passed to `complete`, which does the rest.
fn cut_off<T>(
    world: &mut World,
    seed: u64,
    whole: Duration,
    mut round: impl FnMut(&mut World, u128, Duration, &[Plot]) -> Result<T>,
    mut complete: impl FnMut(&mut World, T) -> Result<()>,
) -> Result<()> {
    let times = TIMES * 1000 / seconds(1.0).as_millis();
    let mut cuts = PowerCuts { state: seed };
    for number in 0..times {
        let (moment, victims) = cuts.next(whole);
        round(world, number, moment, victims).and_then(|begun| complete(world, begun)).context(|| {
            let names: Vec<_> = victims.iter().map(|plot| plot.name).collect();
            format!("seed {seed}, power cut {number} at {} after {moment:?}", names.join(" and "))
        })?;
    }
    println!("       {times} power cuts within {whole:.1?}");
    are_tidy(world)
}

/// Starts a command of portals.
fn spawn(site: &DemoSite, arguments: &[&str]) -> Result<Child> {
    let mut command = Command::new(program());
    command.args(arguments).args(["--config", NETWORK_FILE]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    spawn_at(&site.router, &mut command).context(|| "cannot start portals".to_owned())
}

fn kill(child: &mut Child) -> Result<()> {
    child.kill().and_then(|()| child.wait()).map(drop).context(|| "cannot kill a command".to_owned())
}

/// Checks that the network file of a site is whole: made by a join, or signed. Returns its serial; `None` if
/// there is no file.
fn whole_file(site: &DemoSite) -> Result<Option<u64>> {
    let text = shell(&site.router, &format!("cat {NETWORK_FILE} 2> /dev/null || true"))?;
    if text.is_empty() {
        return Ok(None);
    }
    let network = config::parse(&text).map_err(|_| Error::failed(format!("half a file: {text}")))?;
    let is_signed = matches!(standing(&text, &network.admins), FileStanding::Signed(_));
    let is_provisional = network.serial == 0 && text.starts_with("# Enough of the");
    same(&format!("a whole file: {text}"), is_signed || is_provisional, true)?;
    Ok(Some(network.serial))
}

/// Waits until Paris reaches nyc through its tunnel.
fn is_linked(world: &mut World) -> Result<()> {
    Pings::begin(world.site(PARIS), NYC).until_answered(seconds(60.0)).map(drop)
}

/// Checks that interrupted commands and agents have not left more than a few files behind.
fn are_tidy(world: &mut World) -> Result<()> {
    for plot in [NYC, PARIS] {
        let files = shell(&world.site(plot).router, "ls /run/demo")?;
        same(&format!("few files: {files}"), files.lines().count() < 16, true)?;
    }
    Ok(())
}

/// Command with which Paris joins. Both sites can dial, so a link is up at once after a power cut at either.
fn join(token: &str) -> [&str; 4] {
    ["join", token, "--endpoint", "203.0.113.9"]
}

/// Joins until the moment of a power cut: first the command, then the agent.
fn join_until(site: &mut DemoSite, token: &str, moment: Duration) -> Result<()> {
    let end = Instant::now() + moment;
    let mut joining = spawn(site, &join(token))?;
    let mut is_running = true;
    while Instant::now() < end {
        if is_running && joining.try_wait().is_ok_and(|status| status.is_some()) {
            is_running = false;
            site.start_agent()?;
        }
        sleep(Duration::from_millis(1));
    }
    kill(&mut joining)
}

/// Makes Paris a machine without portals, and nyc a network of its own. Returns a token for Paris.
fn begin_anew(world: &mut World) -> Result<String> {
    let paris = world.site(PARIS);
    paris.kill_agent();
    if whole_file(paris)?.is_some() {
        succeeds(paris, &["down"])?;
    }
    shell(&paris.router, &format!("rm -f {NETWORK_FILE}* /run/demo/private.key"))?;
    let nyc = world.site(NYC);
    if file(nyc)?.contains("\n[site.paris]") {
        succeeds(nyc, &["site", "remove", "paris"])?;
        succeeds(nyc, &["push"])?;
    }
    invite(world, &["paris"])
}

fn joins(world: &mut World, seed: u64) -> Result<()> {
    found_with_endpoint(world)?;
    let token = begin_anew(world)?;
    let begun = Instant::now();
    succeeds(world.site(PARIS), &join(&token))?;
    world.site(PARIS).start_agent()?;
    have_one_file(world, &[PARIS])?;
    let whole = begun.elapsed();
    let round = |world: &mut World, _, moment, victims: &[Plot]| {
        let token = begin_anew(world)?;
        join_until(world.site(PARIS), &token, moment)?;
        for victim in victims {
            world.site(*victim).kill_agent();
        }
        for plot in [NYC, PARIS] {
            whole_file(world.site(plot))?;
        }
        Ok(token)
    };
    cut_off(world, seed, whole, round, |world, token| {
        world.site(NYC).start_agent()?;
        let told = succeeds(world.site(PARIS), &join(&token))?;
        let is_site = told.contains("this machine is site paris") || told.contains("nothing to do");
        same(&told, is_site, true)?;
        world.site(PARIS).start_agent()?;
        have_one_file(world, &[PARIS])?;
        is_linked(world)?;
        let text = file(world.site(NYC))?;
        same(&format!("sites in {text}"), text.matches("\n[site.").count(), 2)?;
        settled(world.site(NYC))?;
        settled(world.site(PARIS))
    })
}

/// Text of the file of nyc after a change by hand.
fn change(site: &DemoSite, number: u128) -> Result<String> {
    let text = file(site)?;
    let (_, rest) =
        text.split_once("[network]\n").ok_or_else(|| Error::failed("a file without a network"))?;
    let text = format!("# change {number}\n[network]\n{rest}");
    site.install(&text)?;
    Ok(text)
}

fn pushes(world: &mut World, seed: u64) -> Result<()> {
    found_with_endpoint(world)?;
    let token = begin_anew(world)?;
    succeeds(world.site(PARIS), &join(&token))?;
    world.site(PARIS).start_agent()?;
    have_one_file(world, &[PARIS])?;
    is_linked(world)?;
    change(world.site(NYC), 1000)?;
    let begun = Instant::now();
    succeeds(world.site(NYC), &["push"])?;
    let whole = begun.elapsed();
    let round = |world: &mut World, number, moment, victims: &[Plot]| {
        let before = whole_file(world.site(PARIS))?;
        let edited = change(world.site(NYC), number)?;
        let mut push = spawn(world.site(NYC), &["push"])?;
        sleep(moment);
        for victim in victims {
            world.site(*victim).kill_agent();
        }
        kill(&mut push)?;
        let after = whole_file(world.site(PARIS))?;
        same("the file of Paris is older", after < before, false)?;
        if file(world.site(NYC))? != edited {
            whole_file(world.site(NYC))?;
        }
        for victim in victims {
            world.site(*victim).start_agent()?;
        }
        Ok(number)
    };
    cut_off(world, seed, whole, round, |world, number| {
        is_linked(world)?;
        eventually("nyc pushes", || succeeds(world.site(NYC), &["push"]).map(drop))?;
        have_one_file(world, &[PARIS])?;
        let text = file(world.site(PARIS))?;
        same(&text, text.contains(&format!("# change {number}\n")), true)?;
        settled(world.site(NYC))?;
        settled(world.site(PARIS))
    })
}
