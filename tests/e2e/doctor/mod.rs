//! `portals doctor`: each fault is made for real, and named at the first try.

mod firmware;
mod links;

use wg_portals::base::error::{Error, Result};
use wg_portals::demo::{DemoSite, NYC, Namespace, PARIS, World};

use crate::Scenario;
use crate::entrances::has_bridges;
use crate::troubles::doctor::{OF_FILES, OF_RUNNING, OF_STOPPED};
use crate::troubles::{At, Trouble, has_words};
use crate::words::{eventually, portal, same, shell, start};

pub(crate) use firmware::SCENARIOS as ON_FIRMWARE;
pub(crate) use links::SCENARIOS as ABOUT_LINKS;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "doctor: faults of the file, the key and the disk",
        plots: &[NYC, PARIS],
        run: of_files,
    },
    Scenario { name: "doctor: faults of a running site", plots: &[NYC, PARIS], run: of_running },
    Scenario { name: "doctor: faults without an agent", plots: &[NYC, PARIS], run: of_stopped },
    Scenario { name: "doctor: JSON, a single file, and an ordinary user", plots: &[NYC, PARIS], run: forms },
];

/// Network of two sites: a portal of nyc leads to paris.
fn network(world: &World) -> String {
    world.network(|plot| match plot {
        NYC => portal(NYC, r#""paris""#),
        _ => String::new(),
    })
}

/// Output and exit status of the doctor.
fn doctor(site: &DemoSite, options: &[&str]) -> Result<(String, Option<i32>)> {
    said(site, &[&["doctor"], options].concat())
}

fn said(site: &DemoSite, command: &[&str]) -> Result<(String, Option<i32>)> {
    let output = site.portals(command)?;
    let text = [output.stdout, output.stderr].concat();
    Ok((String::from_utf8_lossy(&text).into_owned(), output.status.code()))
}

/// Waits until nothing is wrong.
pub(crate) fn is_well(site: &DemoSite) -> Result<()> {
    eventually("nothing is wrong", || {
        let (text, status) = doctor(site, &[])?;
        same(&format!("exit status of the doctor, who says\n{text}"), status, Some(0))?;
        same(&format!("✗ in {text}"), text.contains('✗'), false)
    })
}

/// Waits until the command names a fault in its words.
pub(crate) fn names(site: &DemoSite, trouble: &Trouble) -> Result<()> {
    let fault = trouble.fault;
    let command: Vec<&str> = trouble.command.split(' ').skip(1).collect();
    eventually(&format!("named: {fault}"), || {
        let (text, status) = said(site, &command)?;
        same(&format!("words\n{}\nin\n{text}", trouble.words), has_words(&text, trouble.words), true)?;
        if trouble.words.starts_with('✗') {
            same(&format!("exit status of {command:?}, which says\n{text}"), status, Some(1))?;
        }
        Ok(())
    })
}

pub(crate) fn host(world: &World, at: At) -> Namespace {
    let site = |plot| world.sites().iter().find(|site| site.plot == plot).expect("a site of this world");
    match at {
        At::Router => site(NYC).router.clone(),
        At::Guest => site(NYC).guest.clone(),
        At::Peer => site(PARIS).router.clone(),
        At::Internet => world.internet.clone(),
    }
}

/// Variables of the scripts.
pub(crate) fn setting() -> String {
    let portals = crate::program();
    format!(
        "folder=/run/demo; file=$folder/network.toml; gateway={}; \
         portals() {{ {} --config $file \"$@\"; }}\n",
        NYC.gateway(),
        portals.display()
    )
}

/// Makes one fault after the other, each undone before the next, and demands its words.
fn each(world: &mut World, troubles: &[Trouble]) -> Result<()> {
    is_well(world.site(NYC))?;
    for trouble in troubles {
        if trouble.breaks.contains("type bridge") && !has_bridges() {
            continue;
        }
        let host = host(world, trouble.at);
        let run = |script: &str| shell(&host, &[&setting(), script].concat());
        run(trouble.breaks)?;
        let named = names(world.site(NYC), trouble);
        run(trouble.mends)?;
        named?;
        is_well(world.site(NYC))?;
        println!("named: {}", trouble.fault);
    }
    Ok(())
}

fn of_files(world: &mut World) -> Result<()> {
    let network = network(world);
    world.site(NYC).install(&network)?;
    shell(&world.site(NYC).router, &[&setting(), "portals sign --create"].concat())?;
    let signed = shell(&world.site(NYC).router, "cat /run/demo/network.toml")?;
    start(world, &signed)?;
    each(world, OF_FILES)
}

fn of_running(world: &mut World) -> Result<()> {
    let network = network(world);
    start(world, &network)?;
    each(world, OF_RUNNING)
}

/// Without an agent, each fault stays until the agent starts again.
fn of_stopped(world: &mut World) -> Result<()> {
    let network = network(world);
    start(world, &network)?;
    for trouble in OF_STOPPED {
        is_well(world.site(NYC))?;
        world.site(NYC).stop_agent()?;
        shell(&world.site(NYC).router, &[&setting(), trouble.breaks].concat())?;
        names(world.site(NYC), trouble)?;
        if trouble.breaks.is_empty() {
            let (text, _) = doctor(world.site(NYC), &[])?;
            same(&format!("a WireGuard at work in {text}"), text.contains("! WireGuard"), false)?;
        }
        println!("named: {}", trouble.fault);
        world.site(NYC).start_agent()?;
    }
    is_well(world.site(NYC))
}

fn forms(world: &mut World) -> Result<()> {
    let network = network(world);
    start(world, &network)?;
    is_well(world.site(NYC))?;
    let site = world.site(NYC);
    let (json, status) = doctor(site, &["--json"])?;
    same("exit status", status, Some(0))?;
    same(&json, json.starts_with(r#"{"wrong":0,"findings":[{"check":"file","verdict":"ok","seen":"#), true)?;
    let (text, _) = doctor(site, &[])?;
    let told = "✓ MSS: TCP in tunnels carries at most 1240 bytes a packet, 1220 with IPv6.\n";
    same(&format!("{told} in {text}"), text.contains(told), true)?;
    let (text, status) = doctor(site, &["--file", "/run/demo/network.toml"])?;
    same(&text, status, Some(0))?;
    same(&format!("only the file in {text}"), text.contains("clock"), false)?;
    let (text, status) = doctor(site, &["--file", "/run/demo/nothing.toml"])?;
    same(&format!("a missing file in {text}"), text.starts_with("✗ file: there is no network file"), true)?;
    same(&text, status, Some(1))?;
    as_user(site)
}

/// An ordinary user may run the doctor: it changes nothing, and says what it cannot see.
fn as_user(site: &DemoSite) -> Result<()> {
    let script = [&setting(), "portals doctor"].concat();
    // A process without capabilities is refused what an ordinary user is refused.
    let dropped = format!("setpriv --reuid=65534 --clear-groups sh -c '{script}' || true");
    let Ok(text) = shell(&site.router, &dropped) else {
        return Err(Error::failed("setpriv does not work"));
    };
    for words in ["- key: Only root can read", "- live state: Tunnels, routes, firewall and links need root"]
    {
        same(&format!("{words} in {text}"), text.contains(words), true)?;
    }
    Ok(())
}
