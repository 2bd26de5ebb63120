//! Two homes with the same network, in which computers even have the same addresses: each home sees the other
//! one under another network.

use std::net::Ipv4Addr;

use wg_portals::base::error::Result;
use wg_portals::demo::{
    HOME, HOME_ROUTER, NYC, Namespace, OTHER_HOME, PARIS, Plot, ProbeClient, SERVER, World,
};

use crate::Scenario;
use crate::lans::{Background, DNSMASQ, Internet};
use crate::phones::{Phone, add_phones, anna_address, mike_address};
use crate::ways::each_other;
use crate::words::{
    eventually, portal_of, same, seconds, seen_as, settled, shell, start, succeeds, unreachable,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "two homes with the same network reach each other",
        plots: &[NYC, PARIS],
        run: |world| both(world, ""),
    },
    Scenario {
        name: "two homes with the same network reach each other through iptables",
        plots: &[NYC, PARIS],
        run: |world| both(world, "firewall = \"iptables\"\n"),
    },
    Scenario {
        name: "single computers and several networks are shared under others",
        plots: &[NYC, PARIS],
        run: several,
    },
    Scenario {
        name: "a phone reaches both of two homes with the same network",
        plots: &[NYC, PARIS],
        run: phones,
    },
    Scenario { name: "names of two homes with the same network", plots: &[NYC, PARIS], run: names },
];

/// Address of a computer of a site's home, as the other site sees it: `10.78.N.x` for `192.168.1.x`.
pub(crate) fn seen(plot: Plot, computer: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, plot.id, computer.octets()[3])
}

/// Settings of a site that shares its home; `more` are further settings.
fn shared(plot: Plot, more: &str) -> String {
    format!("lan = [\"192.168.1.0/24 as 10.78.{}.0/24\"]\n{more}", plot.id)
}

/// Network in which both homes are shared, and the guests of each site leave at the other.
pub(crate) fn network(world: &World, more: &str) -> String {
    world.network(|plot| shared(plot, more) + &each_other(plot))
}

pub(crate) fn other(plot: Plot) -> Plot {
    if plot == NYC { PARIS } else { NYC }
}

fn both(world: &mut World, more: &str) -> Result<()> {
    let network = network(world, more);
    world.install(&network)?;
    let plan = succeeds(world.site(NYC), &["plan"])?;
    let words = "linked sites and phones see 192.168.1.0/24 as 10.78.1.0/24";
    same(&format!("{words} in {plan}"), plan.contains(words), true)?;
    start(world, &network)?;
    reach_each_other(world)?;
    for plot in [NYC, PARIS] {
        let there = other(plot);
        let site = world.site(plot);
        seen_as(site.router(seconds(3.0)), seen(there, HOME), plot.tunnel())?;
        seen_as(site.guest(seconds(3.0)), seen(there, HOME), plot.guest())?;
        seen_as(site.home(seconds(3.0)), seen(there, HOME_ROUTER), seen(plot, HOME))?;
        let home = site.home(seconds(30.0)).from(HOME);
        same("bytes fetched", home.download(seen(there, OTHER_HOME))?, 200_000)?;
        same("bytes sent", home.upload(seen(there, OTHER_HOME))?, 200_000)?;
        // A guest's way to these addresses leads into the other home, where they are not those of its guests.
        for hidden in [HOME, HOME_ROUTER, seen(plot, HOME)] {
            unreachable(site.guest(seconds(1.0)), hidden)?;
        }
        // Untranslated, a home has this network nowhere but at itself.
        unreachable(site.home(seconds(1.0)).from(HOME), seen(plot, OTHER_HOME))?;
        seen_as(site.home(seconds(3.0)), SERVER, plot.address)?;
        let strict = shell(&site.router, "cat /proc/sys/net/ipv4/conf/lan0/rp_filter")?;
        same("strict reverse-path filtering", strict.trim(), "1")?;
    }
    let site = world.site(NYC);
    let status = succeeds(site, &["status", "--json"])?;
    for words in [
        r#"{"site":"nyc","network":"192.168.1.0/24","seen_as":"10.78.1.0/24"}"#,
        r#"{"site":"paris","network":"10.78.2.0/24"}"#,
    ] {
        same(&format!("{words} in {status}"), status.contains(words), true)?;
    }
    site.stop_agent()?;
    succeeds(site, &["down"])?;
    let left = shell(&site.router, "ip route show table all protocol 77; ip route show 10.78.0.0/16")?;
    same("routes that are left", left.as_str(), "")
}

/// Checks that computers of both homes reach those of the other home that have the same address.
pub(crate) fn reach_each_other(world: &mut World) -> Result<()> {
    for plot in [NYC, PARIS] {
        for computer in [HOME, OTHER_HOME] {
            let client = world.site(plot).home(seconds(3.0)).from(computer);
            seen_as(client, seen(other(plot), computer), seen(plot, computer))?;
        }
    }
    Ok(())
}

fn several(world: &mut World) -> Result<()> {
    let network = world.network(|plot| {
        match plot {
            NYC => {
                "links = [\"paris\"]\n\
             lan = [\"192.168.1.50 as 10.79.1.5\", \"192.168.1.0/27 as 10.78.1.96/27\"]\n"
            }
            _ => "lan = [\"192.168.1.32/28 as 10.78.2.32/28\", \"192.168.1.48/28 as 10.80.2.0/28\"]\n",
        }
        .to_owned()
    });
    start(world, &network)?;
    let nyc = |last| Ipv4Addr::new(10, 78, 1, last);
    let single = Ipv4Addr::new(10, 79, 1, 5);
    let paris = |computer: Ipv4Addr| Ipv4Addr::new(10, 80, 2, computer.octets()[3] - 48);
    let site = world.site(NYC);
    let home = || site.home(seconds(3.0));
    seen_as(home().from(HOME), paris(HOME), single)?;
    // This computer is not shared, and connects under its router's address.
    seen_as(home().from(OTHER_HOME), paris(OTHER_HOME), NYC.tunnel())?;
    unreachable(home(), Ipv4Addr::new(10, 78, 2, 50))?;
    let site = world.site(PARIS);
    let home = || site.home(seconds(3.0));
    seen_as(home().from(HOME), single, paris(HOME))?;
    seen_as(home().from(OTHER_HOME), nyc(97), paris(OTHER_HOME))?;
    unreachable(home(), nyc(60))
}

fn phones(world: &mut World) -> Result<()> {
    let network = world.network(|plot| shared(plot, if plot == NYC { "exits = [\"paris\"]\n" } else { "" }));
    let [mike, anna] = add_phones(world, &network, [&["mike", "--exit", "paris"], &["anna"]])?;
    let (mike, anna) = (Phone::switch_on(world, 1, &mike)?, Phone::switch_on(world, 2, &anna)?);
    for (phone, address, exit) in [(&mike, mike_address(), PARIS), (&anna, anna_address(), NYC)] {
        for plot in [NYC, PARIS] {
            seen_as(phone.client(), seen(plot, HOME), address)?;
        }
        seen_as(phone.client(), SERVER, exit.address)?;
        unreachable(phone.client(), HOME)?;
    }
    Ok(())
}

/// Answer of a resolver for a name; an empty text if there is none.
fn answer(host: &Namespace, resolver: Ipv4Addr, name: &str) -> Result<String> {
    let told = shell(host, &format!("busybox nslookup -type=a {name} {resolver} 2>&1 || true"))?;
    let answer = told.lines().skip(2).find_map(|line| line.strip_prefix("Address: "));
    Ok(answer.unwrap_or_default().trim().to_owned())
}

fn names(world: &mut World) -> Result<()> {
    let _internet = Internet::open(world)?;
    let mut resolvers = Vec::new();
    for plot in [NYC, PARIS] {
        let home = world.site(plot).home.clone().expect("this plot has one");
        let domain = format!("{}.portals.internal", plot.name);
        let names = format!(
            "exec {DNSMASQ} --no-resolv --no-hosts --listen-address={HOME} --bind-interfaces --pid-file \
             --address=/printer.{domain}/{OTHER_HOME} --address=/hidden.{domain}/192.168.7.7 \
             --address=/public.{domain}/{SERVER}"
        );
        resolvers.push(Background::start(&home, &names)?);
    }
    let network = world.network(|plot| {
        let entrance = format!("interface = \"portal0\"\ndhcp = false\ndns = [\"{SERVER}\"]");
        let way = portal_of(plot, &format!("\"{}\"", other(plot).name), &entrance);
        shared(plot, &format!("dns = \"{HOME}\"\n")) + &way
    });
    start(world, &network)?;
    resolve(world)?;
    // The tunnels are made anew, and the resolver with them.
    shell(&world.site(PARIS).router, "ip link delete to-nyc")?;
    settled(world.site(PARIS))?;
    resolve(world)?;
    let asked = shell(&world.server, "grep -c portals.internal /run/names.log || true")?;
    same("names of homes that public resolvers were asked for", asked.trim(), "0")
}

fn resolve(world: &mut World) -> Result<()> {
    for plot in [NYC, PARIS] {
        let there = other(plot);
        let guest = world.site(plot).guest.clone();
        let domain = format!("{}.portals.internal", there.name);
        for (name, expected) in [
            (format!("printer.{domain}"), seen(there, OTHER_HOME).to_string()),
            // An address that is not shared must not lead into the home of the client.
            (format!("hidden.{domain}"), "240.168.7.7".to_owned()),
            (format!("public.{domain}"), SERVER.to_string()),
            (format!("unknown.{domain}"), String::new()),
            ("printer.oslo.portals.internal".to_owned(), String::new()),
            // At home, the computer has its own address.
            (format!("printer.{}.portals.internal", plot.name), OTHER_HOME.to_string()),
        ] {
            eventually(&format!("{name} resolves"), || {
                same(&name, answer(&guest, plot.portal(), &name)?, expected.clone())
            })?;
        }
        let known = ProbeClient::new(&guest, seconds(3.0));
        seen_as(known, seen(there, OTHER_HOME), plot.guest())?;
        // Only resolvers of portals may ask at the address in the tunnels, and not computers at home.
        let home = world.site(plot).home.clone().expect("this plot has one");
        let name = format!("printer.{domain}");
        let ask =
            format!("busybox timeout 2 busybox nslookup -type=a {name} {}:5053 2>&1 || true", there.tunnel());
        let told = shell(&home, &ask)?;
        same(&format!("an answer in {told}"), told.contains(&seen(there, OTHER_HOME).to_string()), false)?;
    }
    Ok(())
}
