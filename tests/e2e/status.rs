//! Status of links, as people see it: it must not call a link up that does not answer.

use wg_portals::base::error::Result;
use wg_portals::demo::{NETWORK_FILE, NYC, PARIS, World};
use wg_portals::system::key_files::PRIVATE_KEY_FILE;

use crate::Scenario;
use crate::ways::each_other;
use crate::words::{portal, same, seconds, seen_as, settled, shell, start, succeeds, within};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a link that does not answer is not called up", plots: &[NYC, PARIS], run: silent },
    Scenario {
        name: "an endpoint that changes in the network file is dialled at once",
        plots: &[NYC, PARIS],
        run: moved,
    },
    Scenario {
        name: "status names an endpoint that is the machine itself",
        plots: &[NYC, PARIS],
        run: itself,
    },
    Scenario {
        name: "status tells a machine that it has become another site",
        plots: &[NYC, PARIS],
        run: swapped,
    },
];

/// Waits until the status of nyc has these words.
fn says(world: &mut World, options: &[&str], words: &str) -> Result<()> {
    let arguments = [&["status"], options].concat();
    within(seconds(60.0), "the status is right", || {
        let told = succeeds(world.site(NYC), &arguments)?;
        same(&format!("`{words}` in {told}"), told.contains(words), true)
    })
}

fn silent(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let exit = format!(r#""exit_address":"{}""#, PARIS.address);
    says(world, &["--json"], &exit)?;
    says(world, &[], "UDP 51822, 52075")?;
    let up = "paris        up    exit  to-paris ";
    says(world, &[], up)?;
    world.set_cut(NYC, PARIS, true)?;
    within(seconds(90.0), "the link is known to be silent", || {
        let _ = world.site(NYC).guest(seconds(0.2)).who_am_i(NYC.own_server());
        let told = succeeds(world.site(NYC), &["status"])?;
        same(&told, told.contains("paris        not answering  exit  to-paris "), true)
    })?;
    says(world, &["--json"], r#""up":true,"last_seen_s":"#)?;
    says(world, &["--json"], r#""not_answering_s":"#)?;
    says(world, &["--prometheus"], "portals_link_not_answering{peer=\"paris\",interface=\"to-paris\"} 1\n")?;
    let map = succeeds(world.site(NYC), &["map"])?;
    same(&map, map.contains("└◀━▶  paris  not answering\n"), true)?;
    world.set_cut(NYC, PARIS, false)?;
    says(world, &[], up)?;
    world.site(NYC).stop_agent()?;
    says(world, &[], &format!("no agent runs: start it with `portals run --config {NETWORK_FILE}`\n"))
}

/// Paris has no endpoint of nyc, and nothing to send: only nyc can find it. The session of nyc with the old
/// address lives for three minutes.
fn moved(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => portal(NYC, r#""paris""#),
        _ => "exits = []\n".to_owned(),
    });
    let network = network.replace(&format!("endpoint = \"{}\"\n", NYC.address), "");
    start(world, &network)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let other = std::net::Ipv4Addr::new(203, 0, 113, 77);
    world.site(PARIS).move_to(other)?;
    let site = world.site(NYC);
    site.install(&network.replace(&PARIS.address.to_string(), &other.to_string()))?;
    site.agent()?.reload()?;
    within(seconds(60.0), "nyc reaches Paris at its new address", || {
        seen_as(site.guest(seconds(1.0)), NYC.own_server(), other)
    })
}

fn itself(world: &mut World) -> Result<()> {
    let network = world.network(each_other).replace(&format!("endpoint = \"{}\"\n", NYC.address), "");
    world.install(&network.replace(&PARIS.address.to_string(), &NYC.address.to_string()))?;
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))?;
    says(
        world,
        &[],
        &format!("{} is an address of this machine: correct the `endpoint` of paris", NYC.address),
    )
}

fn swapped(world: &mut World) -> Result<()> {
    start(world, &world.network(each_other))?;
    let key = NETWORK_FILE.replace("network.toml", PRIVATE_KEY_FILE);
    let of_paris = shell(&world.site(PARIS).router, &format!("cat {key}"))?;
    world.site(NYC).stop_agent()?;
    let swap = format!("cp -p {key} {key}.nyc; printf '%s' '{of_paris}' > {key}");
    let put_back = format!("mv {key}.nyc {key}");
    let words =
        "this key is the key of paris, and this machine was nyc until now: put its own private.key back";
    shell(&world.site(NYC).router, &swap)?;
    // The addresses of nyc are in the way of those of paris.
    let refused = String::from_utf8_lossy(&world.site(NYC).portals(&["plan"])?.stderr).into_owned();
    same(&refused, refused.contains("already connected") && refused.contains(words), true)?;
    shell(&world.site(NYC).router, &put_back)?;
    succeeds(world.site(NYC), &["down"])?;
    shell(&world.site(NYC).router, &swap)?;
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))?;
    says(world, &[], words)?;
    same("the log says so", world.site(NYC).log().contains(words), true)?;
    world.site(NYC).stop_agent()?;
    succeeds(world.site(NYC), &["down"])?;
    shell(&world.site(NYC).router, &put_back)?;
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))?;
    let told = succeeds(world.site(NYC), &["status"])?;
    same(&told, told.contains("until now"), false)
}
