//! A site gets a new key, while the links of other sites stay as they are.

use std::thread::sleep;
use std::time::Instant;

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, Nat, OSLO, PARIS, Pings, Plot, World};

use crate::Scenario;
use crate::concurrently::concurrently;
use crate::join::{file, in_background};
use crate::words::{eventually, same, seconds, settled, shell, succeeds, within};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a site gets a new key, and no other link notices", plots: &SITES, run: rotated },
    Scenario {
        name: "a rotation that is killed at any moment leaves all links working",
        plots: &SITES,
        run: killed,
    },
    Scenario {
        name: "a new key that one site does not answer is given up at all sites",
        plots: &SITES,
        run: given_up,
    },
    Scenario { name: "a site behind NAT gets a new key", plots: &[OSLO], run: behind_nat },
];

const SITES: [Plot; 3] = [NYC, PARIS, OSLO];

/// Moments of a rotation at which the agent is killed, in seconds. All links are back within two minutes: the
/// time after which other sites undo a file whose giver is silent.
const MOMENTS: [f64; 4] = [0.1, 0.2, 0.4, 0.8];

/// Gives three sites that are linked with each other one signed file. Nyc has the admin key.
fn begin(world: &mut World, sites: [Plot; 3]) -> Result<()> {
    let text = world.network(|plot| {
        let exits = match plot.name {
            "nyc" => "\"paris\"",
            "paris" => "\"nyc\"",
            _ => "\"nyc\", \"paris\"",
        };
        format!("exits = [{exits}]\n")
    });
    let [nyc, ..] = sites;
    world.site(nyc).install(&text)?;
    succeeds(world.site(nyc), &["sign", "--create"])?;
    let text = file(world.site(nyc))?;
    for plot in sites {
        world.site(plot).install(&text)?;
        world.site(plot).start_agent()?;
    }
    linked(world, sites)
}

/// Waits until all links are up, and all sites have the same file.
fn linked(world: &mut World, sites: [Plot; 3]) -> Result<()> {
    for plot in sites {
        within(seconds(180.0), "all links are up", || {
            let status = succeeds(world.site(plot), &["status", "--json"])?;
            let counts = ["\"up\":true", "\"relation\":\"same\""].map(|part| status.matches(part).count());
            same(&format!("links of {} that are up: {status}", plot.name), counts, [2, 2])?;
            same(&status, status.contains("\"unconfirmed_s\":null") && !status.contains("rotating"), true)
        })?;
    }
    let [nyc, paris, oslo] = sites;
    within(seconds(60.0), "all sites have one file", || {
        let text = file(world.site(nyc))?;
        [paris, oslo].into_iter().try_for_each(|plot| same(plot.name, file(world.site(plot))?, text.clone()))
    })?;
    for (from, to) in [(nyc, paris), (oslo, nyc), (oslo, paris)] {
        Pings::begin(world.site(from), to).until_answered(seconds(20.0))?;
    }
    sites.into_iter().try_for_each(|plot| settled(world.site(plot)))
}

/// Returns the text of the private key of a site.
fn private_key(site: &DemoSite) -> Result<String> {
    Ok(shell(&site.router, "cat /run/demo/private.key")?.trim().to_owned())
}

/// Checks that a site has one private key, which is this one or another, and that only its owner can read its
/// secrets.
fn has_one_key(site: &DemoSite, before: &str, is_new: bool) -> Result<()> {
    same("the key is new", private_key(site)? != before, is_new)?;
    let found = shell(
        &site.router,
        &format!("cd /run/demo; grep -rl '{before}' . || true; echo; ls private*; stat -c '%a %n' *.key"),
    )?;
    let holders = if is_new { "" } else { "./private.key\n" };
    same("files", found, format!("{holders}\nprivate.key\n600 admin.key\n600 private.key\n"))
}

fn rotated(world: &mut World) -> Result<()> {
    begin(world, SITES)?;
    let before = private_key(world.site(NYC))?;
    let public = world.site(NYC).public_key.to_string();
    let mut across = Pings::begin(world.site(OSLO), PARIS);
    across.until_answered(seconds(20.0))?;
    while !across.answers().is_empty() {
        sleep(seconds(0.5));
    }
    let mut to_nyc = Pings::begin(world.site(OSLO), NYC);
    let (told, (sent, heard, gap)) = concurrently(
        || succeeds(world.site(NYC), &["rotate"]),
        |is_over| {
            let (mut sent, mut heard, mut late) = (0, 0, None);
            let (mut last, mut gap) = (Instant::now(), seconds(0.0));
            // Until the link to nyc answers a ping that was sent after the rotation.
            while last.elapsed() < seconds(60.0) {
                let was_over = is_over();
                sent += usize::from(!was_over && across.send().is_some());
                let number = to_nyc.send();
                late = late.or(number.filter(|_| was_over));
                sleep(seconds(0.02));
                heard += across.answers().len();
                let answers = to_nyc.answers();
                if !answers.is_empty() {
                    gap = gap.max(last.elapsed());
                    last = Instant::now();
                }
                if heard >= sent && late.is_some_and(|late| answers.iter().any(|number| *number >= late)) {
                    break;
                }
            }
            (sent, heard, gap)
        },
    );
    let told = told?;
    println!(
        "       {heard} of {sent} pings on the other link; own link silent for {:.2} s",
        gap.as_secs_f32()
    );
    same("lost pings", sent - heard, 0)?;
    same("there were some", sent > 10, true)?;
    same(&told, told.contains("this site has a new key"), true)?;
    linked(world, SITES)?;
    has_one_key(world.site(NYC), &before, true)?;
    let text = file(world.site(OSLO))?;
    let named = told.lines().nth(1).unwrap_or_default().trim();
    same(&text, (text.contains(named), text.contains(&public)), (true, false))?;

    // The same again, from a site that was started with the new key.
    world.site(NYC).start_agent()?;
    linked(world, SITES)?;
    succeeds(world.site(NYC), &["rotate"])?;
    linked(world, SITES)?;
    refused(world)
}

/// Runs `rotate` where it would cut sites off, or cannot work.
fn refused(world: &mut World) -> Result<()> {
    let before = private_key(world.site(NYC))?;
    let refuses = |site: &DemoSite, code, words: &str| -> Result<()> {
        let output = site.portals(&["rotate"])?;
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        same(&complained, (output.status.code(), complained.contains(words)), (Some(code), true))
    };
    refuses(world.site(PARIS), 2, "/run/demo/admin.key, so no site would take the new key: put")?;
    let nyc = world.site(NYC);
    nyc.stop_agent()?;
    refuses(nyc, 1, "no agent")?;
    let signed = file(nyc)?;
    let plain: String =
        signed.lines().filter(|line| !line.starts_with("admins")).collect::<Vec<_>>().join("\n");
    nyc.install(&plain)?;
    refuses(nyc, 2, "this site would be cut off: make an admin key with `portals sign --create`")?;
    nyc.install(&signed)?;
    has_one_key(nyc, &before, false)
}

fn killed(world: &mut World) -> Result<()> {
    begin(world, SITES)?;
    for moment in MOMENTS {
        let before = private_key(world.site(NYC))?;
        let site = world.site(NYC);
        in_background(site, "rotate")?;
        sleep(seconds(moment));
        site.kill_agent();
        let left = shell(&site.router, "cd /run/demo; ls; stat -c %a private.key*")?;
        site.start_agent()?;
        let begun = Instant::now();
        linked(world, SITES)?;
        let is_new = private_key(world.site(NYC))? != before;
        has_one_key(world.site(NYC), &before, is_new)?;
        println!(
            "       killed after {moment} s: {} key, linked again after {:.1} s",
            if is_new { "new" } else { "old" },
            begun.elapsed().as_secs_f32()
        );
        let modes = left.lines().filter(|line| line.parse::<u32>().is_ok());
        same(&left, modes.into_iter().all(|mode| mode == "600"), true)?;
    }
    let before = private_key(world.site(NYC))?;
    succeeds(world.site(NYC), &["rotate"])?;
    linked(world, SITES)?;
    has_one_key(world.site(NYC), &before, true)
}

/// Paris stops for the time of the rotation, as a machine does that hangs.
fn given_up(world: &mut World) -> Result<()> {
    begin(world, SITES)?;
    let before = private_key(world.site(NYC))?;
    let pid = world.site(PARIS).agent()?.pid();
    let server = world.server.clone();
    let signal = |signal: &str| shell(&server, &format!("kill -{signal} {pid}")).map(drop);
    signal("STOP")?;
    let output = world.site(NYC).portals(&["rotate"]);
    signal("CONT")?;
    let output = output?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let problem = "this site keeps its old key, because paris did not answer this site with its new key";
    same(&words, (output.status.code(), words.contains(problem)), (Some(1), true))?;
    let status = succeeds(world.site(NYC), &["status"])?;
    same(&status, status.contains(problem), true)?;
    linked(world, SITES)?;
    has_one_key(world.site(NYC), &before, false)?;
    eventually("it works later", || succeeds(world.site(NYC), &["rotate"]).map(drop))?;
    linked(world, SITES)?;
    has_one_key(world.site(NYC), &before, true)?;
    if file(world.site(OSLO))?.contains(&world.site(NYC).public_key.to_string()) {
        return Err(Error::failed(format!("{NETWORK_FILE} of oslo has the old key")));
    }
    Ok(())
}

/// Nobody can dial nyc, and paris is reached only at the address that nyc knows.
fn behind_nat(world: &mut World) -> Result<()> {
    world.add_home(NYC, Nat::PortRestricted)?;
    world.add_home(PARIS, Nat::PortRestricted)?;
    let sites = [NYC.behind_router(), PARIS.behind_router(), OSLO];
    let [nyc, ..] = sites;
    begin(world, sites)?;
    let before = private_key(world.site(nyc))?;
    succeeds(world.site(nyc), &["rotate"])?;
    let begun = Instant::now();
    linked(world, sites)?;
    println!("       linked again after {:.1} s", begun.elapsed().as_secs_f32());
    has_one_key(world.site(nyc), &before, true)
}
