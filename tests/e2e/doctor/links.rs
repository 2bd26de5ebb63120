//! Faults of links, of the ways between sites, and of programs: each in a world of its own.

use std::io::Read as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::keys::public_key;
use wg_portals::base::net::PublicKey;
use wg_portals::demo::{DemoSite, NYC, OSLO, PARIS, Plot, World};
use wg_portals::state::WireGuardBackend;
use wg_portals::system::key_files;

use super::{doctor, is_well, names, network, setting};
use crate::Scenario;
use crate::concurrently::concurrently;
use crate::filters::swallow_large_packets;
use crate::program;
use crate::troubles::doctor::{
    BUILT_IN, DHCP_PORT, DNS_PORT, DNSMASQ, EDITED_THERE, KEY_OF_THIS_SITE, MOVED, NARROW, NEVER_UP, NO_CARD,
    NO_EXIT, OLD_DNSMASQ, PORT, SILENT_PEER, STRANGERS, UNKNOWN_KEY, UNRESOLVED,
};
use crate::words::{eventually, portal, portal_of, same, settled, shell, spawn_at, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "doctor: a link that never came up", plots: &[NYC, PARIS], run: never_up },
    Scenario { name: "doctor: a site that does not dial", plots: &[NYC, PARIS], run: silent },
    Scenario { name: "doctor: a name without an address", plots: &[NYC, PARIS], run: unresolved },
    Scenario { name: "doctor: a key that the file does not have", plots: &[NYC, PARIS], run: unknown_key },
    Scenario { name: "doctor: handshakes of strangers", plots: &[NYC, OSLO], run: strangers },
    Scenario { name: "doctor: an old key of this site", plots: &[NYC, PARIS], run: old_key },
    Scenario { name: "doctor: a path that swallows large packets", plots: &[NYC, PARIS], run: narrow },
    Scenario { name: "doctor: an endpoint with an old address", plots: &[NYC, PARIS, OSLO], run: moved },
    Scenario { name: "doctor: a file that was edited elsewhere", plots: &[NYC, PARIS], run: edited },
    Scenario { name: "doctor: DHCP of a portal", plots: &[NYC, PARIS], run: dhcp },
    Scenario { name: "doctor: a port that another program has", plots: &[NYC, PARIS], run: port },
    Scenario { name: "doctor: a Wi-Fi without a card", plots: &[NYC, PARIS], run: wifi },
    Scenario { name: "doctor: the built-in WireGuard", plots: &[NYC, PARIS], run: built_in },
];

fn never_up(world: &mut World) -> Result<()> {
    world.set_cut(NYC, PARIS, true)?;
    let network = network(world);
    start(world, &network)?;
    names(world.site(NYC), &NEVER_UP)?;
    names(world.site(NYC), &NO_EXIT)?;
    comes_bit_by_bit(world.site(NYC))?;
    world.set_cut(NYC, PARIS, false)?;
    is_well(world.site(NYC))
}

/// While a link is down, the doctor listens for a while: what it has found before is there at once.
fn comes_bit_by_bit(site: &DemoSite) -> Result<()> {
    eventually("a finding comes before the end", || {
        let mut command = Command::new(program());
        command.args(["--config", "/run/demo/network.toml", "doctor"]).stdout(Stdio::piped());
        let started = spawn_at(&site.router, &mut command);
        let mut doctor = started.context(|| "cannot start the doctor".to_owned())?;
        let mut text = vec![0; 1 << 16];
        let length = doctor.stdout.as_mut().expect("a pipe").read(&mut text);
        let ended = doctor.kill().and_then(|()| doctor.wait());
        ended.context(|| "cannot end the doctor".to_owned())?;
        let length = length.context(|| "cannot hear the doctor".to_owned())?;
        let text = String::from_utf8_lossy(&text[..length]);
        same(&text, (text.starts_with("✓ file"), text.contains("✗ portals")), (true, false))
    })
}

fn silent(world: &mut World) -> Result<()> {
    let text = network(world).replace(&format!("endpoint = \"{}\"\n", PARIS.address), "");
    world.install(&text)?;
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))?;
    names(world.site(NYC), &SILENT_PEER)?;
    world.site(PARIS).start_agent()?;
    is_well(world.site(NYC))
}

/// The status and the trace know why nobody dials.
fn unresolved(world: &mut World) -> Result<()> {
    let endpoint = |to: &dyn std::fmt::Display| format!("endpoint = \"{to}\"\n");
    let text = network(world).replace(&endpoint(&PARIS.address), &endpoint(&"paris.invalid"));
    world.install(&text)?;
    world.site(NYC).start_agent()?;
    settled(world.site(NYC))?;
    names(world.site(NYC), &UNRESOLVED)?;
    let told = succeeds(world.site(NYC), &["status"])?;
    same(&told, told.contains("  name has no address  "), true)?;
    let trace = world.site(NYC).portals(&["trace", "self", "10.77.2.1"])?;
    let told = String::from_utf8_lossy(&trace.stdout).into_owned();
    same(&told, told.contains("paris, whose name is not resolved, no handshake yet"), true)
}

/// Gives a site a new key, and returns its public half.
fn new_key(world: &World, plot: Plot) -> Result<PublicKey> {
    let site = world.sites().iter().find(|site| site.plot == plot).expect("a site of this world");
    let key = key_files::generate();
    site.router.run(|| key_files::replace("/run/demo/private.key".as_ref(), &key))?;
    Ok(public_key(&key))
}

fn public(world: &World, plot: Plot) -> String {
    let site = world.sites().iter().find(|site| site.plot == plot).expect("a site of this world");
    site.public_key.to_string()
}

/// Paris has a key that only its own file has.
fn unknown_key(world: &mut World) -> Result<()> {
    let text = network(world);
    world.install(&text)?;
    let new = new_key(world, PARIS)?.to_string();
    let theirs = text.replace(&public(world, PARIS), &new);
    world.site(PARIS).install(&theirs)?;
    both_start(world)?;
    names(world.site(NYC), &UNKNOWN_KEY)
}

/// Nyc has a key that only its own file has.
fn old_key(world: &mut World) -> Result<()> {
    let text = network(world);
    world.install(&text)?;
    let new = new_key(world, NYC)?.to_string();
    let ours = text.replace(&public(world, NYC), &new);
    world.site(NYC).install(&ours)?;
    both_start(world)?;
    names(world.site(NYC), &KEY_OF_THIS_SITE)
}

/// The link to oslo is down, because its endpoint is wrong at nyc, and its key has changed. Nobody whom nyc
/// does not dial can make it name a fault.
fn strangers(world: &mut World) -> Result<()> {
    let text = world.network(|plot| match plot {
        NYC => portal(NYC, r#""oslo""#),
        _ => String::new(),
    });
    world.install(&text)?;
    let old = public_key(&key_files::generate()).to_string();
    let moved = OSLO.address.to_string();
    let ours = text.replace(&public(world, OSLO), &old).replace(&moved, "192.0.2.77");
    world.site(NYC).install(&ours)?;
    for plot in [NYC, OSLO] {
        world.site(plot).start_agent()?;
        settled(world.site(plot))?;
    }
    names(world.site(NYC), &STRANGERS)?;
    shell(&world.internet, "ip route add local 198.19.7.0/24 dev lo")?;
    let internet = world.internet.clone();
    let site = world.site(NYC);
    let (named, knocked) = concurrently(
        || {
            eventually("250 strangers are a note", || {
                let (text, _) = doctor(site, &[])?;
                let (first, more) = (STRANGERS.words.split('⟨').next(), " hosts (");
                same(&text, text.contains(first.unwrap_or_default()) && text.contains(more), true)?;
                same(&text, text.contains("✗ unknown keys"), false)
            })
        },
        |is_over| {
            while !is_over() {
                internet.run(|| (1..=250).try_for_each(|host| knock([198, 19, 7, host])))?;
                sleep(Duration::from_millis(100));
            }
            Ok(())
        },
    );
    knocked?;
    named
}

/// Sends a handshake that makes no sense to nyc.
fn knock(from: [u8; 4]) -> Result<()> {
    let mut handshake = [0; 148];
    handshake[0] = 1;
    UdpSocket::bind((Ipv4Addr::from(from), 0))
        .and_then(|socket| socket.send_to(&handshake, (NYC.address, 51820 + u16::from(OSLO.id))))
        .context(|| "cannot knock".to_owned())
        .map(drop)
}

fn both_start(world: &mut World) -> Result<()> {
    for plot in [NYC, PARIS] {
        world.site(plot).start_agent()?;
        settled(world.site(plot))?;
    }
    Ok(())
}

fn narrow(world: &mut World) -> Result<()> {
    let network = network(world);
    start(world, &network)?;
    is_well(world.site(NYC))?;
    swallow_large_packets(world)?;
    names(world.site(NYC), &NARROW)
}

/// A third site makes the others helpers, which tell what they see.
fn moved(world: &mut World) -> Result<()> {
    let network = world.network(|plot| match plot {
        NYC => portal(NYC, r#""paris""#),
        OSLO => "links = [\"nyc\", \"paris\"]\n".to_owned(),
        _ => String::new(),
    });
    start(world, &network)?;
    is_well(world.site(NYC))?;
    let old = network.replace(&NYC.address.to_string(), "198.51.100.77");
    world.site(NYC).install(&old)?;
    names(world.site(NYC), &MOVED)
}

fn edited(world: &mut World) -> Result<()> {
    let network = network(world);
    world.site(NYC).install(&network)?;
    succeeds(world.site(NYC), &["sign", "--create"])?;
    let signed = shell(&world.site(NYC).router, "cat /run/demo/network.toml")?;
    start(world, &signed)?;
    is_well(world.site(NYC))?;
    world.site(PARIS).install(&format!("# by hand\n{signed}"))?;
    world.site(PARIS).agent()?.reload()?;
    names(world.site(NYC), &EDITED_THERE)
}

/// The program is hidden first; then another one has the port for DHCP, and then that for DNS.
fn dhcp(world: &mut World) -> Result<()> {
    let text = world.network(|plot| match plot {
        NYC => portal_of(NYC, r#""paris""#, "interface = \"portal0\""),
        _ => String::new(),
    });
    start(world, &text)?;
    is_well(world.site(NYC))?;
    world.site(NYC).stop_agent()?;
    let router = world.site(NYC).router.clone();
    let hide = "readlink -f $(which dnsmasq) >/run/hidden; mount --bind /dev/null $(cat /run/hidden)";
    shell(&router, hide)?;
    names(world.site(NYC), &DNSMASQ)?;
    world.site(NYC).start_agent()?;
    names(world.site(NYC), &DNSMASQ)?;
    world.site(NYC).stop_agent()?;
    shell(&router, "umount $(cat /run/hidden)")?;
    let old = "printf '#!/bin/sh\necho Dnsmasq version 2.62  Copyright\n' >/run/old; chmod +x /run/old
        mount --bind /run/old $(cat /run/hidden)";
    shell(&router, old)?;
    names(world.site(NYC), &OLD_DNSMASQ)?;
    shell(&router, "umount $(cat /run/hidden)")?;
    world.site(NYC).start_agent()?;
    is_well(world.site(NYC))?;
    // Each has its interfaces.
    let begin = |more: &str| {
        let other = "dnsmasq --conf-file=/dev/null --interface=lan0 --bind-dynamic --pid-file=/run/other \
                     --dhcp-leasefile=/run/other.leases --user=root --group=";
        shell(&router, &[other, more].concat()).map(drop)
    };
    let end = || shell(&router, "kill $(cat /run/other)").map(drop);
    let dhcp = " --port=0 --dhcp-range=192.168.1.100,192.168.1.110";
    begin(dhcp)?;
    let told = doctor(world.site(NYC), &[]);
    end()?;
    let (text, _) = told?;
    same(&format!("ports named in {text}"), text.contains("is used by"), false)?;
    // That of the portal does not run.
    world.site(NYC).stop_agent()?;
    for (more, trouble) in [(dhcp, &DHCP_PORT), (" --port=5053", &DNS_PORT)] {
        begin(more)?;
        let named = names(world.site(NYC), trouble);
        end()?;
        named?;
    }
    Ok(())
}

/// This process has the port of the tunnel while no agent runs.
fn port(world: &mut World) -> Result<()> {
    let network = network(world);
    start(world, &network)?;
    is_well(world.site(NYC))?;
    world.site(NYC).stop_agent()?;
    let router = world.site(NYC).router.clone();
    shell(&router, "ip link delete to-paris 2>/dev/null || true")?;
    let mut taken = None;
    eventually("the port is free", || {
        let bind = || UdpSocket::bind("0.0.0.0:51822").context(|| "cannot take the port".to_owned());
        taken = Some(router.run(bind)?);
        Ok(())
    })?;
    same("the port is taken", taken.is_some(), true)?;
    names(world.site(NYC), &PORT)
}

fn wifi(world: &mut World) -> Result<()> {
    let entrance = concat!(
        r#"wifi = { interface = "portal0", ssid = "Paris", passphrase_file = "wifi.key", "#,
        r#"country = "US", channel = 6 }"#
    );
    let text = world.network(|plot| match plot {
        NYC => portal_of(NYC, r#""paris""#, entrance),
        _ => String::new(),
    });
    let router = world.site(NYC).router.clone();
    shell(&router, &[&setting(), "umask 77; echo a-long-passphrase >$folder/wifi.key"].concat())?;
    world.install(&text)?;
    world.site(NYC).start_agent()?;
    names(world.site(NYC), &NO_CARD)
}

fn built_in(world: &mut World) -> Result<()> {
    world.site(NYC).demand_wireguard(WireGuardBackend::BuiltIn);
    let network = network(world);
    start(world, &network)?;
    is_well(world.site(NYC))?;
    names(world.site(NYC), &BUILT_IN)
}
