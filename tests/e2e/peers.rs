//! Peers of other kinds: another WireGuard, and a box without portals.

use std::fs;
use std::path::Path;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{DemoSite, HOME, NETWORK_FILE, NYC, OSLO, PARIS, Plot, SERVER, World};
use wg_portals::state::WireGuardBackend;
use wg_portals::system::key_files;

use crate::Scenario;
use crate::ways::each_other;
use crate::words::{portal, same, seconds, seen_as, settled, shell, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "the built-in WireGuard talks to the kernel's WireGuard",
        plots: &[NYC, PARIS],
        run: mixed,
    },
    Scenario {
        name: "a stock wg-quick box leaves at a site, and reaches its LAN",
        plots: &[NYC, OSLO],
        run: stock_user,
    },
    Scenario { name: "a stock wg-quick box is an exit", plots: &[NYC, OSLO], run: stock_exit },
];

fn mixed(world: &mut World) -> Result<()> {
    world.site(NYC).demand_wireguard(WireGuardBackend::Kernel);
    world.site(PARIS).demand_wireguard(WireGuardBackend::BuiltIn);
    start(world, &world.network(each_other))?;
    for (entry, exit, wireguard) in [(NYC, PARIS, "kernel"), (PARIS, NYC, "built-in")] {
        let site = world.site(entry);
        let status = succeeds(site, &["status", "--json"])?;
        let wanted = format!("\"wireguard\":\"{wireguard}\"");
        same(&format!("{wanted} in {status}"), status.contains(&wanted), true)?;
        seen_as(site.guest(seconds(3.0)), SERVER, exit.address)?;
        same("bytes fetched", site.guest(seconds(30.0)).download(SERVER)?, 200_000)?;
    }
    Ok(())
}

/// Network in which nyc has the box on its shared interface, and the box has nyc on a dedicated one.
fn stock_user(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => "lan = [\"192.168.1.0/24\"]\nlinks = [\"oslo\"]\n".to_owned(),
        _ => "exits = [\"nyc\"]\n".to_owned(),
    });
    start_nyc(world, &network)?;
    wg_quick_up(world, "to-nyc", &[])?;
    let oslo = world.site(OSLO).router(seconds(3.0));
    seen_as(oslo, SERVER, NYC.address)?;
    seen_as(oslo, HOME, OSLO.tunnel())?;
    seen_as(world.site(NYC).router(seconds(3.0)), OSLO.tunnel(), NYC.tunnel())
}

fn stock_exit(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => portal(NYC, r#""oslo""#),
        _ => "links = [\"nyc\"]\n".to_owned(),
    });
    start_nyc(world, &network)?;
    // The comments in the exported file list the lines that an exit needs.
    wg_quick_up(world, "portals0", &[("# PostUp", "PostUp"), ("# PostDown", "PostDown")])?;
    let site = world.site(NYC);
    seen_as(site.guest(seconds(3.0)), SERVER, OSLO.address)?;
    same("bytes sent", site.guest(seconds(30.0)).upload(SERVER)?, 200_000)?;
    let way = site.guest(seconds(1.0)).traceroute(SERVER)?;
    same("the way", way, [NYC.portal(), OSLO.tunnel(), OSLO.gateway(), SERVER].map(Some).to_vec())
}

/// Network in which only nyc runs portals.
fn start_nyc(world: &mut World, network: &str) -> Result<()> {
    let site = world.site(NYC);
    site.install(network)?;
    site.start_agent()?;
    settled(site)
}

/// Brings oslo up with Debian's tools, from nyc's export with oslo's key and with `edits`.
fn wg_quick_up(world: &mut World, interface: &str, edits: &[(&str, &str)]) -> Result<()> {
    let mut settings = succeeds(world.site(NYC), &["export", "oslo"])?;
    let DemoSite { plot: Plot { name, .. }, router, .. } = world.site(OSLO);
    let path = format!("/run/demo/{interface}.conf");
    router.run(|| {
        let key = key_files::load(&Path::new(NETWORK_FILE).with_file_name(key_files::PRIVATE_KEY_FILE))?;
        for (from, to) in [("<the private key goes here>", key.to_base64().as_str())].iter().chain(edits) {
            same(&format!("{from} in {settings}"), settings.contains(from), true)?;
            settings = settings.replace(from, to);
        }
        fs::write(&path, &settings).context(|| format!("cannot write {path} of {name}"))
    })?;
    shell(router, &format!("wg-quick up {path}")).map(drop)
}
