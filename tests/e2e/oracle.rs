//! Script of `plan --commands`, run by hand with the real programs: it must lead to the same kernel state as
//! `apply`.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::base::net::Secret;
use wg_portals::config::{self, model::EntranceConfig, model::Network};
use wg_portals::demo::{Namespace, World, connect};
use wg_portals::system::key_files;

use crate::filters;
use crate::words::{same, shell};
use crate::{Scenario, program};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "the commands of a plan, run by hand, do the same as apply",
    plots: &[],
    run: every_golden_case,
}];

/// Network file of a golden case.
macro_rules! cases {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../golden/", $name, "/network.toml")))),*]
    };
}

const CASES: &[(&str, &str)] = cases![
    "both-ways",
    "device",
    "device-by-mac",
    "exits-probed",
    "exits-probed6",
    "device-of-shared-lan",
    "direct",
    "exit-inside-a-lan",
    "ipv6",
    "linked-for-access",
    "mesh",
    "mixed-peers",
    "network-secret",
    "no-ipv6",
    "no-uplink",
    "one-way",
    "own-traffic",
    "ports",
    "providers",
    "settings",
    "to-and-except",
];

/// Files of providers in golden cases.
const PROVIDERS: [(&str, &str); 2] = [
    ("swiss.conf", include_str!("../golden/providers/swiss.conf")),
    ("work.conf", include_str!("../golden/providers/work.conf")),
];

/// Commands that show the state of a kernel; interface numbers and link-layer addresses are removed from
/// their output.
const QUESTIONS: &[&str] = &[
    "ip -o address",
    "ip -d -o -batch - <<'END'\nlink show type wireguard\nrule show\nroute show table all\nEND",
    "ip -6 -d -o -batch - <<'END'\nrule show\nroute show table all\nEND",
    "for i in $(wg show interfaces); do echo \"# $i\"; wg showconf $i; done",
    "nft list ruleset",
    r"for i in iptables ip6tables; do $i-legacy-save | sed 's/^#.*//; s/\[.*\]//'; done",
    "sysctl net.ipv4.ip_forward",
    "grep -s . /proc/sys/net/ipv6/conf/*/forwarding /proc/sys/net/ipv6/conf/*/accept_ra || true",
];

fn every_golden_case(_: &mut World) -> Result<()> {
    for (case, text) in CASES {
        let network = config::parse(text).map_err(|_| Error::failed(format!("{case} is not sound")))?;
        for site in network.sites.keys() {
            same_by_hand(case, text, &network, site).context(|| format!("{case}, at {site}"))?;
        }
    }
    Ok(())
}

fn same_by_hand(case: &str, text: &str, network: &Network, site: &str) -> Result<()> {
    let folder = Folder::with_files(text, network.sites[site].id)?;
    let file = folder.0.join("network.toml").display().to_string();
    let portals = program().display().to_string();

    let (applied, _others) = host(network, site)?;
    shell(&applied, &format!("'{portals}' apply --config '{file}'"))?;
    let (by_hand, _other_others) = host(network, site)?;
    let script = shell(&by_hand, &format!("'{portals}' plan --commands --config '{file}'"))?;
    shell(&by_hand, &script)?;

    let (by_hand_says, applied_says) = (answers(&by_hand)?, answers(&applied)?);
    for (question, (by_hand, applied)) in QUESTIONS.iter().zip(by_hand_says.into_iter().zip(applied_says)) {
        same(&format!("{case}, at {site}: {question}\nby hand"), by_hand, applied)?;
    }
    shell(&by_hand, &format!("'{portals}' plan --check --config '{file}'\n'{portals}' down")).map(drop)
}

/// Output of a host for each of the commands; one shell runs all of them, because starting one takes a while.
fn answers(host: &Namespace) -> Result<Vec<String>> {
    let all = shell(host, &QUESTIONS.join("\necho 'NEXT ANSWER'\n"))?;
    Ok(all.split("NEXT ANSWER\n").map(normal).collect())
}

/// A host with an uplink, a LAN, and the interfaces through which the site's portals are entered, and the
/// hosts at the other ends of its cables.
fn host(network: &Network, site: &str) -> Result<(Namespace, Namespace)> {
    let (host, others) = (Namespace::new("host")?, Namespace::new("others")?);
    host.set_up("lo", true)?;
    let mut interfaces = vec!["wan".to_owned(), "lan".to_owned()];
    interfaces.extend(network.sites[site].portals.iter().filter_map(|portal| match &portal.entrance {
        EntranceConfig::Interface(name) => Some(name.to_string()),
        _ => None,
    }));
    for interface in &interfaces {
        connect((&host, interface), (&others, interface))?;
    }
    for (interface, address) in [("wan", "198.51.100.7/24"), ("lan", "172.20.0.1/24")] {
        others.set_up(interface, true)?;
        host.set_up(interface, true)?;
        host.add_address(interface, address.parse().expect("an address"))?;
    }
    host.add_route("0.0.0.0/0".parse().expect("a network"), IpAddr::from([198, 51, 100, 1]))?;
    if network.subnet6.is_some() {
        host.add_address("wan", "2001:db8:1::7/64".parse().expect("an address"))?;
        host.add_route("::/0".parse().expect("a network"), "2001:db8:1::1".parse().expect("an address"))?;
    }
    filters::prepare(&host)?;
    Ok((host, others))
}

/// Output without the parts that differ between namespaces: interface numbers, addresses derived from
/// link-layer addresses, and whether the kernel has noticed yet that a cable has no other end, which takes it
/// up to a second.
fn normal(answer: &str) -> String {
    let lines = answer.lines().filter(|line| !line.contains("fe80:") && !line.contains("ff00::"));
    let normal = lines.map(|line| {
        let after_number =
            line.split_once(": ").filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()));
        let line = after_number.filter(|_| !line.contains("from ")).map_or(line, |(_, rest)| rest);
        line.replace(" linkdown", "").trim_end().to_owned()
    });
    normal.collect::<Vec<_>>().join("\n")
}

/// Folder with a site's files, which is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn with_files(text: &str, id: u8) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("portals-oracle-{}", std::process::id()));
        let doing = || format!("cannot write into {}", folder.display());
        fs::create_dir_all(&folder).context(doing)?;
        fs::write(folder.join("network.toml"), text).context(doing)?;
        let secret = folder.join(key_files::NETWORK_SECRET_FILE);
        if text.contains("network secret") && !secret.exists() {
            key_files::save(&secret, &Secret::new([7; 32]))?;
        }
        write_secret(&folder.join(key_files::PRIVATE_KEY_FILE), &key_of(id).to_base64()).context(doing)?;
        for (name, content) in PROVIDERS {
            write_secret(&folder.join(name), content).context(doing)?;
        }
        Ok(Self(folder))
    }
}

/// Private key of the site with this id in all golden cases: its id, 32 times.
fn key_of(id: u8) -> Secret {
    Secret::new([id; 32])
}

fn write_secret(path: &Path, content: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, content.as_bytes())
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
