//! Providers' files as exits. The providers are sites of other networks, in which nyc is a customer; they
//! give out the same address. nyc knows nothing about them except their files.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::keys;
use wg_portals::base::net::InterfaceAddress;
use wg_portals::config::model::EndpointHost;
use wg_portals::demo::{Capture, HOME, NETWORK_FILE, NYC, OSLO, PARIS, Plot, SERVER, World};
use wg_portals::system::key_files;
use wg_portals::wgquick::{DialledHost, InterfaceSection, PeerSection, WgQuickFile};

use crate::Scenario;
use crate::words::{
    eventually, no_leak, portal, same, seconds, seen_as, seen_going_to, settled, shell, succeeds,
    unreachable, within,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a portal leaves at a provider, and another at a second provider with the same address",
        plots: &[NYC, PARIS, OSLO],
        run: two_at_once,
    },
    Scenario { name: "no leak while a provider is cut off", plots: &[NYC, PARIS], run: cut },
    Scenario { name: "nothing but answers comes from a provider", plots: &[NYC, OSLO], run: strangers },
    Scenario {
        name: "a portal moves away from a silent provider, and back",
        plots: &[NYC, PARIS, OSLO],
        run: failover,
    },
];

/// nyc's address at each provider.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 2, 2, 1);

/// File that `PostUp` would make.
const TOUCHED: &str = "/run/demo/touched";

fn two_at_once(world: &mut World) -> Result<()> {
    let mut files = [hired(world, PARIS)?, hired(world, OSLO)?];
    // The first address of the list, from which oslo accepts nothing.
    files[1].1 = files[1].1.replacen("10.2.2.1/24", "10.2.2.1/24, 10.1.1.1/32", 1);
    let portals = "[site.nyc.portal.way]\nexit = \"paris\"\ninterface = \"portal0\"\ndhcp = false\n\n\
                   [site.nyc.portal.home]\nexit = \"oslo\"\nfrom = [\"192.168.1.50\"]\n";
    begin(world, &files, portals)?;
    let site = world.site(NYC);
    seen_as(site.guest(seconds(3.0)), SERVER, PARIS.address)?;
    seen_as(site.home(seconds(3.0)), SERVER, OSLO.address)?;
    seen_as(site.router(seconds(3.0)), SERVER, NYC.address)?;
    same("bytes fetched", site.guest(seconds(30.0)).download(SERVER)?, 200_000)?;
    same("bytes sent", site.home(seconds(30.0)).upload(SERVER)?, 200_000)?;
    let way = site.guest(seconds(1.0)).traceroute(SERVER)?;
    same("the second router", way.get(1).copied().flatten(), Some([10, 2, 1, 1].into()))?;

    // When the device at home first sends a packet, the firewall learns its hardware address.
    settled(site)?;
    same("something to do", succeeds(site, &["apply"])?.starts_with("nothing to do"), true)?;
    let touched = site.router.run(|| Ok(Path::new(TOUCHED).exists()))?;
    same("the program of the file has run", touched, false)?;
    let status = succeeds(site, &["status", "--json"])?;
    for peer in ["paris", "oslo"] {
        let link = format!("{{\"peer\":\"{peer}\",\"interface\":\"to-{peer}\",\"exit\":true");
        same(&format!("{link} in {status}"), status.contains(&link), true)?;
    }
    same(&format!("open portals in {status}"), status.matches("\"state\":\"open\"").count(), 2)?;
    // Notes are reported even if nothing has to be changed, and each only once.
    let file = Path::new(NETWORK_FILE).with_file_name("paris.conf");
    shell(&site.router, &format!("sed -i '/^PostUp/a PostDown = true' {}", file.display()))?;
    for _ in 0..2 {
        succeeds(site, &["reload"])?;
    }
    let told = |what: &str| site.log().matches(what).count();
    same("notes on programs", ["`PostUp` is left out", "`PostDown` is left out"].map(told), [2, 1])
}

fn cut(world: &mut World) -> Result<()> {
    let file = hired(world, PARIS)?;
    begin(world, &[file], &the_way("\"paris\""))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    no_leak(
        world,
        NYC,
        |site| &site.guest,
        |world| {
            world.set_cut(NYC, PARIS, true)?;
            unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
            shell(&world.site(NYC).router, "ip link set to-paris down")?;
            settled(world.site(NYC))?;
            world.site(NYC).kill_agent();
            unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
            world.site(NYC).start_agent()?;
            world.set_cut(NYC, PARIS, false)?;
            seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)
        },
    )
}

/// Checks a provider that takes nyc's networks for its customer's, and sends packets there.
fn strangers(world: &mut World) -> Result<()> {
    let file = hired(world, OSLO)?;
    // Strict reverse-path filtering alone would drop these packets.
    let nyc = "rp_filter = \"loose\"\nlan = [\"192.168.1.0/24\"]\n\n";
    begin(world, &[file], &(nyc.to_owned() + &the_way("\"oslo\"")))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, OSLO.address)?;
    let inside = Capture::start(&world.site(NYC).router, "lan0")?;
    let sent = Capture::start(&world.site(OSLO).router, "portals0")?;
    let provider = world.site(OSLO).router(seconds(1.0));
    provider.knock(HOME, 5)?;
    unreachable(provider, HOME)?;
    unreachable(provider, ADDRESS)?;
    same("packets sent", seen_going_to(sent, HOME.into())?.len() >= 10, true)?;
    same("packets passed on", seen_going_to(inside, HOME.into())?, vec![])
}

fn failover(world: &mut World) -> Result<()> {
    let files = [hired(world, PARIS)?, hired(world, OSLO)?];
    begin(world, &files, &the_way("\"paris\", \"oslo\""))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), SERVER, PARIS.address)?;
    world.set_cut(NYC, PARIS, true)?;
    let moved = |world: &mut World, exit: Plot, time: f64| {
        within(seconds(time), "the portal moves", || {
            let client = world.site(NYC).guest(seconds(1.0)).waiting(seconds(1.0));
            same("seen", client.who_am_i(SERVER)?, exit.address.into())
        })
    };
    moved(world, OSLO, 45.0)?;
    world.set_cut(NYC, PARIS, false)?;
    moved(world, PARIS, 60.0)
}

pub(crate) fn the_way(exits: &str) -> String {
    portal(NYC, exits).replacen(&format!("exits = [{exits}]\n"), "", 1)
}

/// Makes a site a provider, with its own network and nyc as a customer, and returns nyc's file, which
/// contains a program that must not run.
pub(crate) fn hired(world: &mut World, provider: Plot) -> Result<(Plot, String)> {
    let key = key_files::generate();
    let site = world.site(provider);
    let Plot { name, address, .. } = provider;
    let network = format!(
        "[network]\nname = \"{name}\"\nsubnet = \"10.2.0.0/16\"\n\n[site.provider]\nid = 1\n\
         public_key = \"{}\"\nendpoint = \"{address}\"\n\n\
         [site.customer]\nid = 2\npublic_key = \"{}\"\nexits = [\"provider\"]\n{}",
        site.public_key,
        keys::public_key(&key),
        if provider.home { "" } else { "lan = [\"192.168.1.0/24\"]\n" }
    );
    site.install(&network)?;
    site.start_agent()?;
    settled(site)?;
    let config = WgQuickFile {
        interface: InterfaceSection {
            private_key: Some(key),
            addresses: vec![InterfaceAddress { address: ADDRESS.into(), length: 24 }],
            dns: vec![[10, 2, 1, 1].into()],
            mtu: Some(1300),
            ..InterfaceSection::default()
        },
        peers: vec![PeerSection {
            public_key: site.public_key,
            preshared_key: None,
            endpoint: Some(DialledHost { host: EndpointHost::Address(address.into()), port: 51820 }),
            allowed_ips: ["0.0.0.0/0", "::/0"].map(|network| network.parse().expect("a network")).into(),
            keepalive: None,
        }],
    };
    let text = config.to_text().replacen("[Peer]", &format!("PostUp = touch {TOUCHED}\n\n[Peer]"), 1);
    Ok((provider, text))
}

/// Starts nyc with these files, and without other sites in its network.
pub(crate) fn begin(world: &mut World, files: &[(Plot, String)], rest: &str) -> Result<()> {
    let subnet6 = world.subnet6();
    let site = world.site(NYC);
    let mut network = format!(
        "[network]\nname = \"demo\"\nsubnet = \"10.77.0.0/16\"\n{subnet6}\
         failover = {{ down_after = 3, up_after = 5 }}\n\n\
         [site.nyc]\nid = 1\npublic_key = \"{}\"\n{rest}",
        site.public_key
    );
    for (Plot { name, .. }, text) in files {
        let _ = write!(network, "\n[site.nyc.exit.{name}]\nconfig = \"{name}.conf\"\n");
        let path = Path::new(NETWORK_FILE).with_file_name(format!("{name}.conf"));
        site.router.run(|| fs::write(&path, text).context(|| format!("cannot write {}", path.display())))?;
    }
    site.install(&network)?;
    let refusal = site.portals(&["plan"])?;
    let words = String::from_utf8_lossy(&refusal.stderr);
    let said = (refusal.status.code(), words.matches("other users can read this secret").count());
    same(&format!("files that others can read in {words}"), said, (Some(2), files.len()))?;
    for (Plot { name, .. }, _) in files {
        let path = Path::new(NETWORK_FILE).with_file_name(format!("{name}.conf"));
        shell(&site.router, &format!("chmod 600 {}", path.display()))?;
    }
    site.start_agent()?;
    settled(site)?;
    eventually("the providers answer", || {
        let status = succeeds(site, &["status", "--json"])?;
        same(&format!("links that are down in {status}"), status.matches("\"up\":false").count(), 0)
    })
}
