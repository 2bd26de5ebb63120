//! wg-quick files of several boxes, imported into one network.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::net::Secret;
use wg_portals::demo::{HOME, NETWORK_FILE, NYC, OSLO, PARIS, Plot, SERVER, World};
use wg_portals::system::key_files::{PRIVATE_KEY_FILE, load, save};

use crate::Scenario;
use crate::words::{eventually, plots, same, seconds, seen_as, settled, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "wg-quick files of three boxes become one network",
        plots: &[NYC, PARIS, OSLO],
        run: three,
    },
    Scenario { name: "an imported box keeps its exit and reaches its LAN", plots: &[NYC, OSLO], run: exit },
];

/// Peer in a wg-quick file: its site, and the networks that it gets.
type OldPeer = (Plot, &'static str);

/// Three boxes that are linked to each other; oslo has no `Endpoint` in any file.
fn three(world: &mut World) -> Result<()> {
    let files: [(Plot, &[OldPeer]); 3] = [
        (NYC, &[(PARIS, "10.8.0.2/32"), (OSLO, "10.8.0.3/32")]),
        (PARIS, &[(NYC, "10.8.0.1/32"), (OSLO, "10.8.0.3/32")]),
        (OSLO, &[(NYC, "10.8.0.1/32"), (PARIS, "10.8.0.2/32")]),
    ];
    start_imported(world, &files, &[NYC, PARIS])?;
    for from in [NYC, PARIS, OSLO] {
        for to in [NYC, PARIS, OSLO] {
            if from != to {
                reaches(world, from, to.tunnel())?;
            }
        }
    }
    Ok(())
}

/// A box that sends everything to another one.
fn exit(world: &mut World) -> Result<()> {
    let files: [(Plot, &[OldPeer]); 2] =
        [(NYC, &[(OSLO, "10.8.0.3/32")]), (OSLO, &[(NYC, "0.0.0.0/0, 192.168.1.0/24")])];
    start_imported(world, &files, &[NYC])?;
    // The second file is the site with id 2.
    let tunnel = Ipv4Addr::new(10, 77, 2, 1);
    seen_as(world.site(OSLO).router(seconds(3.0)), SERVER, NYC.address)?;
    seen_as(world.site(OSLO).router(seconds(3.0)), HOME, tunnel)?;
    reaches(world, NYC, tunnel)?;
    reaches(world, OSLO, NYC.tunnel())
}

/// Checks that a site gets an answer from a tunnel address, without a host in between.
fn reaches(world: &mut World, from: Plot, to: Ipv4Addr) -> Result<()> {
    let router = world.site(from).router(seconds(3.0));
    eventually(&format!("{} reaches {to}", from.name), || {
        same("the way", router.traceroute(to)?, vec![Some(to)])
    })
}

/// Imports the wg-quick files of all sites at the first one, gives each site its part, and starts the agents.
/// Each site in `dialled` has an `Endpoint` in the files of the others.
fn start_imported(world: &mut World, files: &[(Plot, &[OldPeer])], dialled: &[Plot]) -> Result<()> {
    let folder = NETWORK_FILE.trim_end_matches("/network.toml");
    let mut import = vec!["import".to_owned()];
    for (plot, peers) in files {
        let text = wg_quick_file(world, *plot, peers, dialled)?;
        let path = format!("{folder}/{}.conf", plot.name);
        world.sites()[0].router.run(|| {
            fs::write(&path, &text).context(|| format!("cannot write {path}"))?;
            fs::set_permissions(&path, PermissionsExt::from_mode(0o600))
                .context(|| format!("cannot change {path}"))
        })?;
        import.push(path);
    }
    let made = format!("{folder}/mesh");
    import.extend(["--to".to_owned(), made.clone()]);
    let import: Vec<&str> = import.iter().map(String::as_str).collect();
    let told = succeeds(&world.sites()[0], &import)?;
    same(&format!("next steps in {told}"), told.contains("portals install"), true)?;
    for plot in plots(world) {
        let (text, key) = world.sites()[0].router.run(|| {
            let folder = Path::new(&made).join(plot.name);
            let text = fs::read_to_string(folder.join("network.toml"))
                .context(|| format!("cannot read the network file of {}", plot.name))?;
            Ok((text, load(&folder.join(PRIVATE_KEY_FILE))?))
        })?;
        let site = world.site(plot);
        site.install(&text)?;
        site.router.run(|| {
            let path = Path::new(folder).join(PRIVATE_KEY_FILE);
            fs::remove_file(&path).context(|| format!("cannot remove {}", path.display()))?;
            save(&path, &key)
        })?;
        site.start_agent()?;
    }
    plots(world).into_iter().try_for_each(|plot| settled(world.site(plot)))
}

/// Returns the wg-quick file of a site, as a person would have written it.
fn wg_quick_file(world: &mut World, plot: Plot, peers: &[OldPeer], dialled: &[Plot]) -> Result<String> {
    let key: Secret =
        world.site(plot).router.run(|| load(&Path::new(NETWORK_FILE).with_file_name(PRIVATE_KEY_FILE)))?;
    let mut text = format!(
        "[Interface]\nPrivateKey = {}\nAddress = 10.8.0.{}/24\nListenPort = 51820\nMTU = 1400\n",
        key.to_base64().as_str(),
        plot.id
    );
    for (peer, allowed) in peers {
        let public_key = world.site(*peer).public_key;
        let _ = write!(text, "\n# {}\n[Peer]\nPublicKey = {public_key}\nAllowedIPs = {allowed}\n", peer.name);
        if dialled.contains(peer) {
            let _ = writeln!(text, "Endpoint = {}:51820", peer.address);
        }
    }
    Ok(text)
}
