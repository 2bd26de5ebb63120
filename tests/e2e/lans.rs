//! LANs of portals: leases, names and pages, with a real DHCP client, and DNS that never leaves via the
//! uplink.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::demo::{Capture, HOME_ROUTER, NYC, Namespace, PARIS, ProbeClient, SERVER, World, connect};

use crate::Scenario;
use crate::words::{
    eventually, portal_of, same, seconds, seen_as, settled, shell, spawn_at, start, succeeds,
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a device gets a lease, a name and a page through the exit",
        plots: &[NYC, PARIS],
        run: guest,
    },
    Scenario {
        name: "the resolver of a portal asks via its exit, and nowhere else",
        plots: &[NYC, PARIS],
        run: shut,
    },
    Scenario {
        name: "the host's own resolver does not answer devices of a portal",
        plots: &[NYC, PARIS],
        run: foreign,
    },
    Scenario {
        name: "dnsmasq runs again after it died or was left behind",
        plots: &[NYC, PARIS],
        run: dnsmasq,
    },
];

/// Scenarios that need a kernel with VLANs.
pub(crate) const WITH_VLANS: &[Scenario] =
    &[Scenario { name: "a VLAN is made, kept and removed", plots: &[NYC, PARIS], run: vlan }];

/// Reports whether this kernel has VLANs.
pub(crate) fn has_vlans() -> bool {
    let make = "ip link add one type veth peer name other; ip link add link one name one.5 type vlan id 5";
    Namespace::new("vlans").is_ok_and(|host| shell(&host, make).is_ok())
}

/// A dnsmasq that stays root, because there may be no other user.
pub(crate) const DNSMASQ: &str = "dnsmasq -k -C /dev/null --user=root --group=";

/// Name that only the server on the internet knows, and the page that it serves.
const NAME: &str = "page.example";
const PAGE: &str = "this is the page";

/// Script that udhcpc calls with an event, and with the lease in the environment.
const NOTE_LEASE: &str = r#"#!/bin/sh
[ "$1" = bound ] || exit 0
ip address flush dev "$interface"
ip address add "$ip/$mask" dev "$interface"
ip route add default via "$router"
echo "$ip $mask $router $dns $mtu $lease" >/run/lease
"#;

fn network(world: &World, entrance: &str) -> String {
    world.network(|plot| match plot {
        NYC => portal_of(NYC, "\"paris\"", &format!("{entrance}\ndns = [\"{SERVER}\"]")),
        _ => "links = []\n".to_owned(),
    })
}

fn guest(world: &mut World) -> Result<()> {
    let _internet = Internet::open(world)?;
    start(world, &network(world, "interface = \"portal0\""))?;
    browses(world, "eth0")
}

fn vlan(world: &mut World) -> Result<()> {
    let _internet = Internet::open(world)?;
    let network = network(world, "vlan = { parent = \"portal0\", id = 30 }");
    let (router, guest) = (world.site(NYC).router.clone(), world.site(NYC).guest.clone());
    let tag =
        "ip address flush dev eth0; ip link set eth0 up; ip link add link eth0 name eth0.30 type vlan id 30";
    shell(&guest, tag)?;
    // A foreign interface is in its place.
    shell(&router, "ip link add portal0.30 type veth peer name other")?;
    let site = world.site(NYC);
    site.install(&network)?;
    site.start_agent()?;
    eventually("the agent says why it ends, and gives up", || {
        let log = world.site(NYC).log();
        same(
            &format!("the reason, in {log}"),
            log.contains("cannot add interface portal0.30 (VLAN 30 of portal0"),
            true,
        )
    })?;
    shell(&router, "ip link delete portal0.30")?;
    start(world, &network)?;
    browses(world, "eth0.30")?;

    shell(&router, "ip link set portal0 down; sleep 0.3; ip link set portal0 up")?;
    settled(world.site(NYC))?;
    take_lease(&guest, "eth0.30")?;

    shell(&router, "ip link delete portal0.30")?;
    eventually("a removed VLAN is back", || take_lease(&guest, "eth0.30").map(drop))?;

    // The whole card is removed with its VLAN, and then replaced by another one.
    shell(&router, "ip link delete portal0")?;
    settled(world.site(NYC))?;
    connect((&router, "portal0"), (&guest, "eth0"))?;
    shell(&guest, tag)?;
    eventually("a VLAN follows its card", || take_lease(&guest, "eth0.30").map(drop))?;
    browses(world, "eth0.30")?;

    world.site(NYC).stop_agent()?;
    succeeds(world.site(NYC), &["down"])?;
    let left = shell(&router, "ip -o link show type vlan")?;
    same("VLANs that are left", left.trim(), "")
}

/// Checks the way from the lease to the page: the exit's resolver got its queries from the exit, and none
/// left via the uplink.
pub(crate) fn browses(world: &mut World, interface: &str) -> Result<()> {
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    let guest = world.site(NYC).guest.clone();
    let (address, router) = take_lease(&guest, interface)?;
    let [.., last] = address.octets();
    same("a lease of the LAN, though not the router's own", (66..=126).contains(&last), true)?;
    same("the router, which is the resolver as well", router, NYC.portal())?;
    knows_name(&guest, router)?;
    knows_name(&guest, SERVER).context(|| "asked without the resolver".to_owned())?;
    let page = shell(&guest, &format!("busybox wget -q -O - http://{SERVER}:8080/page"))?;
    same("the page", page.trim(), PAGE)?;
    seen_as(ProbeClient::new(&guest, seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let asked = shell(&world.server, "grep -c 'query.* from 203.0.113.9$' /run/names.log")?;
    same("the exit asked", asked.trim().parse::<u32>().is_ok_and(|times| times >= 2), true)?;
    no_names(capture)
}

/// Checks that the resolver answers nothing, and sends no query via the uplink, while the link is cut, the
/// agent is killed or the rules are gone.
fn shut(world: &mut World) -> Result<()> {
    let _internet = Internet::open(world)?;
    start(world, &network(world, "interface = \"portal0\""))?;
    let guest = world.site(NYC).guest.clone();
    let (_, router) = take_lease(&guest, "eth0")?;
    knows_name(&guest, router)?;
    let capture = Capture::start(&world.site(NYC).router, "uplink")?;
    world.set_cut(NYC, PARIS, true)?;
    no_answer(&guest, router, "cut.example")?;
    world.site(NYC).kill_agent();
    no_answer(&guest, router, "killed.example")?;
    let flush = "ip rule flush; ip rule add priority 32766 lookup main; \
                 ip rule add priority 32767 lookup default; ip link delete to-paris || true";
    shell(&world.site(NYC).router, flush)?;
    same("dnsmasq outlived its agent", resolvers(&world.site(NYC).router)?, 1)?;
    no_answer(&guest, router, "flushed.example")?;
    no_names(capture)?;
    world.set_cut(NYC, PARIS, false)?;
    world.site(NYC).start_agent()?;
    knows_name(&guest, router)
}

/// Runs a resolver of the host that takes port 53 on all its addresses, and asks via the uplink.
fn foreign(world: &mut World) -> Result<()> {
    let _internet = Internet::open(world)?;
    let router = world.site(NYC).router.clone();
    let resolver = format!(
        "exec {DNSMASQ} --port=53 --no-resolv --no-hosts --cache-size=0 --server={SERVER} --pid-file"
    );
    let _resolver = Background::start(&router, &resolver)?;
    start(world, &network(world, "interface = \"portal0\""))?;
    let home = world.site(NYC).home.clone().expect("this plot has one");
    knows_name(&home, HOME_ROUTER)?;

    let capture = Capture::start(&router, "uplink")?;
    let guest = world.site(NYC).guest.clone();
    let (_, own) = take_lease(&guest, "eth0")?;
    knows_name(&guest, own)?;
    let unanswered = || {
        [HOME_ROUTER, NYC.tunnel(), NYC.address]
            .into_iter()
            .try_for_each(|address| no_answer(&guest, address, NAME))
    };
    unanswered()?;

    world.site(NYC).kill_agent();
    shell(&router, "kill -9 $(cat /run/portals/services/dnsmasq-way/pid)")?;
    eventually("the portal's resolver is closed", || same("resolvers", resolvers(&router)?, 0))?;
    no_answer(&guest, own, NAME)?;
    unanswered()?;
    no_names(capture)?;
    resolves(&home, HOME_ROUTER).context(|| "the host's LAN does not go on".to_owned())
}

fn dnsmasq(world: &mut World) -> Result<()> {
    let _internet = Internet::open(world)?;
    let router = world.site(NYC).router.clone();
    let mut foreign = Background::start(
        &router,
        &format!(
            "exec {DNSMASQ} -i lan0 --bind-interfaces --except-interface=lo --pid-file \
             --dhcp-range=192.168.1.100,192.168.1.120 --dhcp-leasefile=/run/foreign.leases"
        ),
    )?;
    start(world, &network(world, "interface = \"portal0\""))?;
    let guest = world.site(NYC).guest.clone();
    take_lease(&guest, "eth0")?;
    killed_and_left_behind(world)?;

    shell(&router, "ip link set portal0 down; sleep 0.3; ip link set portal0 up")?;
    settled(world.site(NYC))?;
    let (address, _) = take_lease(&guest, "eth0")?;
    let site = world.site(NYC);
    let told = succeeds(site, &["status", "--json"])?;
    let lease = format!(r#""leases":[{{"address":"{address}","mac":""#);
    same(&format!("the lease, in {told}"), told.contains(&lease), true)?;

    site.stop_agent()?;
    same("services end with their agent", resolvers(&router)?, 0)?;
    succeeds(site, &["down"])?;
    same("what is left", shell(&router, "ls /run/portals/services 2>/dev/null || true")?.trim(), "")?;
    same("the host's dnsmasq has ended", foreign.0.try_wait().context(String::new)?.is_some(), false)
}

/// Checks that a killed dnsmasq is started again, and that a new agent replaces the one of a killed agent.
fn killed_and_left_behind(world: &mut World) -> Result<()> {
    let (router, guest) = (world.site(NYC).router.clone(), world.site(NYC).guest.clone());
    let pid = || shell(&router, "cat /run/portals/services/dnsmasq-way/pid");
    let killed = pid()?;
    shell(&router, &format!("kill -9 {killed}"))?;
    eventually("a killed dnsmasq is back", || same("another one", pid()? == killed, false))?;
    take_lease(&guest, "eth0")?;

    let left = pid()?;
    let site = world.site(NYC);
    site.kill_agent();
    same("it outlives a killed agent", resolvers(&router)?, 1)?;
    site.start_agent()?;
    settled(site)?;
    eventually("the one left behind has ended", || {
        same(
            "its process",
            shell(&router, &format!("kill -0 {left} 2>/dev/null && echo there || true"))?.trim(),
            "",
        )
    })?;
    eventually("there is one again", || same("resolvers", resolvers(&router)?, 1))?;
    take_lease(&guest, "eth0").map(drop)
}

/// Part of the internet that portals need: a resolver and a web server.
pub(crate) struct Internet {
    _names: Background,
    _pages: Background,
}

impl Internet {
    pub(crate) fn open(world: &World) -> Result<Self> {
        let names = format!(
            "exec {DNSMASQ} --no-resolv --no-hosts --bind-interfaces --listen-address={SERVER} \
             --except-interface=lo \
             --address=/{NAME}/{SERVER} --log-queries --log-facility=/run/names.log --pid-file"
        );
        let pages = format!(
            "mkdir /run/www; echo {PAGE} >/run/www/page; exec busybox httpd -f -p {SERVER}:8080 -h /run/www"
        );
        let (names, pages) =
            (Background::start(&world.server, &names)?, Background::start(&world.server, &pages)?);
        Ok(Self { _names: names, _pages: pages })
    }
}

/// A program that ends with the scenario.
pub(crate) struct Background(Child);

impl Background {
    pub(crate) fn start(host: &Namespace, script: &str) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-e", "-c", script]).stdin(Stdio::null()).stdout(Stdio::null());
        spawn_at(host, &mut command).map(Self).context(|| format!("cannot start {script}"))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a computer take a lease, as its first address or again, and returns its address and the router,
/// which must be the resolver as well.
pub(crate) fn take_lease(host: &Namespace, interface: &str) -> Result<(Ipv4Addr, Ipv4Addr)> {
    let take = format!(
        "rm -f /run/lease; cat >/run/note-lease <<'END'\n{NOTE_LEASE}END\nchmod +x /run/note-lease; \
         ip address flush dev {interface}; \
         ip link set {interface} up; busybox udhcpc -q -f -n -t 10 -T 1 -O mtu -O lease -i {interface} \
         -s /run/note-lease >/run/udhcpc.log \
         2>&1 || {{ cat /run/udhcpc.log >&2; exit 1; }}; cat /run/lease"
    );
    let told = shell(host, &take)?;
    let words: Vec<&str> = told.split_whitespace().collect();
    let [address, mask, router, dns, mtu, lease] = words[..] else {
        return Err(Error::failed(format!("the lease is {told}")));
    };
    same("the mask", mask, "26")?;
    same("the resolver", dns, router)?;
    same("the MTU", mtu, "1280")?;
    same("seconds of the lease", lease, "43200")?;
    let parse = |text: &str| text.parse().context(|| format!("the lease is {told}"));
    Ok((parse(address)?, parse(router)?))
}

/// Waits until a resolver knows the server by its name: a client gives up after 5 seconds, and WireGuard
/// repeats a lost handshake after the same time.
fn knows_name(host: &Namespace, resolver: Ipv4Addr) -> Result<()> {
    eventually(&format!("{resolver} knows {NAME}"), || resolves(host, resolver))
}

/// Checks that a resolver knows the server by its name.
fn resolves(host: &Namespace, resolver: Ipv4Addr) -> Result<()> {
    let told = shell(host, &format!("busybox nslookup -type=a {NAME} {resolver} || true"))?;
    let answer = told.lines().rev().find_map(|line| line.strip_prefix("Address: "));
    same(&format!("the answer in {told}"), answer.map(str::trim), Some(SERVER.to_string().as_str()))
}

/// Checks that a resolver has no answer for a name that no client asked for before.
fn no_answer(host: &Namespace, resolver: Ipv4Addr, name: &str) -> Result<()> {
    let ask = format!("busybox timeout 3 busybox nslookup -type=a {name} {resolver} 2>&1 || true");
    let told = shell(host, &ask)?;
    same(
        &format!("an answer in {told}"),
        told.contains("NXDOMAIN") || told.contains(&format!("Name:\t{name}")),
        false,
    )
}

/// Number of processes that listen for DNS at the portal's address.
fn resolvers(router: &Namespace) -> Result<usize> {
    Ok(shell(router, "ss -Hlnu 'sport = :5053'")?
        .lines()
        .filter(|line| line.contains("10.77.1.65:5053"))
        .count())
}

/// Ends a capture, which must not contain any DNS.
pub(crate) fn no_names(capture: Capture) -> Result<()> {
    let mut packets = capture.stop()?;
    packets.retain(|packet| packet.ports.is_some_and(|(from, to)| from == 53 || to == 53));
    same("DNS that left via the uplink", packets, Vec::new())
}
