//! Port mappings at a home router with the real miniupnpd, in PCP, NAT-PMP and UPnP.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::base::net::{Family, InterfaceAddress, Secret};
use wg_portals::demo::{Capture, Namespace, World, connect};
use wg_portals::nat::mapping::MappingState;
use wg_portals::system::port_mapping::{PortMapping, Router};

use crate::Scenario;
use crate::filters::has_nftables;
use crate::lans::Background;
use crate::words::{eventually, same, seconds, shell, spawn_at};

pub(crate) const WITH_MINIUPNPD: &[Scenario] = &[
    Scenario { name: "a port is mapped by PCP", plots: &[], run: by_pcp },
    Scenario { name: "a port is mapped by NAT-PMP", plots: &[], run: by_nat_pmp },
    Scenario { name: "a port is mapped by UPnP", plots: &[], run: by_upnp },
    Scenario { name: "two homes behind a router map the same port", plots: &[], run: conflict },
    Scenario { name: "a port mapping is renewed at a router that has lost it", plots: &[], run: renewed },
    Scenario { name: "down gives port mappings back", plots: &[], run: down },
    Scenario { name: "a port mapping behind a second NAT is given back", plots: &[], run: second_nat },
    Scenario { name: "a router that refuses port mappings says why", plots: &[], run: refused },
    Scenario { name: "nothing is asked where no port is to be mapped", plots: &[], run: nothing_asked },
];

/// Reports whether this machine can run a home router with miniupnpd.
pub(crate) fn can_be_run() -> bool {
    has_nftables() && Path::new(MINIUPNPD).exists()
}

const MINIUPNPD: &str = "/usr/sbin/miniupnpd";

const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);

/// Public addresses of the router and of a host on the internet: miniupnpd maps nothing at an address for
/// documentation, or at any other address that IANA reserves.
const WAN: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 77);
const FAR: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 78);

const PORT: u16 = 51821;

/// Folder of the record in the client's own `/run`.
const FOLDER: &str = "/run/portals";

/// Chains that miniupnpd fills, at a router with the interfaces WAN and LAN.
const RULES: &str = "
table inet filter {
    chain forward { type filter hook forward priority 0; policy drop; ct state established accept; \
        iifname LAN accept; jump miniupnpd; }
    chain miniupnpd { }
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain prerouting_miniupnpd { }
    chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; \
        oifname WAN masquerade; }
    chain postrouting_miniupnpd { }
}
";

/// File of miniupnpd, at such a router.
const FILE: &str = "
ext_ifname=WAN
listening_ip=LAN
port=5000
secure_mode=yes
uuid=00000000-0000-4000-8000-000000000000
allow 1024-65535 192.168.0.0/16 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
";

/// Prepares a router with these interfaces for miniupnpd; `options` are further lines of its file.
fn prepare(router: &Namespace, [wan, lan]: [&str; 2], options: &str) -> Result<()> {
    let fill = |text: &str| text.replace("WAN", wan).replace("LAN", lan);
    shell(router, &format!("nft -f - <<'END'{}END", fill(RULES)))?;
    shell(router, &format!("cat >/run/miniupnpd.conf <<'END'\n{options}{}END", fill(FILE))).map(drop)
}

/// Starts miniupnpd, and waits until it listens.
fn start(router: &Namespace) -> Result<Background> {
    let command = format!("exec {MINIUPNPD} -d -f /run/miniupnpd.conf -P /run/pid >/run/log 2>&1");
    let daemon = Background::start(router, &command)?;
    eventually("miniupnpd listens", || {
        let log = shell(router, "cat /run/log")?;
        let listens = log.contains("HTTP listening on port") || log.contains("Listening for NAT-PMP");
        same(&format!("it listens, in {log}"), listens, true)
    })?;
    Ok(daemon)
}

/// Makes a router with these interfaces map ports by PCP and NAT-PMP. Its address must be public.
pub(crate) fn map_ports(router: &Namespace, interfaces: [&str; 2]) -> Result<Background> {
    prepare(router, interfaces, "enable_natpmp=yes\nenable_upnp=no")?;
    start(router)
}

/// Rule by which the router does not hear PCP, so that it speaks NAT-PMP alone: the version is the first byte
/// behind the header of UDP.
const WITHOUT_PCP: &str = "nft add chain inet filter input '{ type filter hook input priority 0; }'; \
    nft add rule inet filter input udp dport 5351 @th,64,8 2 drop";

/// Home with a router, a client and a host on the internet.
struct Home {
    gateway: Namespace,
    client: Namespace,
    far: Namespace,
    daemon: Option<Background>,
    mapping: PortMapping,
    /// Time by which the clock of the client is ahead.
    ahead: Duration,
}

impl Home {
    /// Builds the home; `options` are lines of miniupnpd's file.
    fn build(wan: Ipv4Addr, options: &str) -> Result<Self> {
        let [gateway, client, far] = ["gateway", "client", "far"].map(Namespace::new);
        let client = client?;
        let mapping = client.run(|| Ok(PortMapping::open(Path::new(FOLDER))))?;
        let mut home =
            Self { gateway: gateway?, client, far: far?, daemon: None, mapping, ahead: Duration::ZERO };
        home.attach_client("lan", CLIENT)?;
        connect((&home.gateway, "wan"), (&home.far, "eth0"))?;
        configure(&home.gateway, "lan", GATEWAY)?;
        configure(&home.gateway, "wan", wan)?;
        configure(&home.far, "eth0", FAR)?;
        home.gateway.set_sysctl("net/ipv4/ip_forward", "1")?;
        prepare(&home.gateway, ["wan", "lan"], options)?;
        home.start_daemon()?;
        Ok(home)
    }

    fn attach_client(&mut self, port: &str, address: Ipv4Addr) -> Result<()> {
        for interface in ["all", "default"] {
            self.client.set_sysctl(&format!("net/ipv6/conf/{interface}/disable_ipv6"), "1")?;
        }
        connect((&self.gateway, port), (&self.client, "uplink"))?;
        configure(&self.client, "uplink", address)?;
        self.client.add_route(Family::V4.everything(), GATEWAY.into())
    }

    fn start_daemon(&mut self) -> Result<()> {
        self.daemon = Some(start(&self.gateway)?);
        Ok(())
    }

    /// Takes over the ports to map, and waits until the state of each is known.
    fn follow(&mut self, ports: &[u16]) -> Result<()> {
        self.mapping.follow(ports, Some(router(CLIENT)), &Secret::new([7; 32]), Instant::now() + self.ahead);
        self.settle()
    }

    /// Lets the client work until nothing is due soon.
    fn settle(&mut self) -> Result<()> {
        let (mapping, ahead) = (&mut self.mapping, self.ahead);
        let limit = Instant::now() + seconds(30.0);
        self.client.run(|| {
            std::fs::create_dir_all(FOLDER).context(|| format!("cannot make {FOLDER}"))?;
            loop {
                let now = Instant::now() + ahead;
                mapping.turn(now);
                if mapping.deadline().is_none_or(|due| due > now + Duration::from_secs(30)) {
                    return Ok(());
                }
                if Instant::now() > limit {
                    return Err(Error::failed(format!("the client does not settle: {mapping:?}")));
                }
                sleep(Duration::from_millis(2));
            }
        })
    }

    fn state(&self) -> Option<MappingState> {
        self.mapping.states().next().map(|(_, state)| state)
    }

    fn words(&self) -> String {
        self.state().map(|state| state.to_string()).unwrap_or_default()
    }

    /// Reports whether a packet from the internet to this port of the router arrives at the client's port.
    fn is_reached(&self, port: u16) -> Result<bool> {
        let context = || "cannot use a socket".to_owned();
        let inside = self.client.run(|| UdpSocket::bind((CLIENT, PORT)).context(context))?;
        inside.set_read_timeout(Some(Duration::from_millis(300))).context(context)?;
        self.far.run(|| {
            // Each time from another port: the router translates the first packet of a connection.
            let socket = UdpSocket::bind((FAR, 0)).context(context)?;
            socket.send_to(b"knock", (WAN, port)).context(context)
        })?;
        Ok(inside.recv_from(&mut [0; 16]).is_ok_and(|(_, from)| from.ip() == FAR))
    }

    /// Checks that the port is mapped, as `external`, and reached.
    fn is_mapped(&self, words: &str) -> Result<()> {
        same("the state", self.words().as_str(), words)?;
        let Some(external) = self.mapping.external(PORT) else {
            return Err(Error::failed("the port is not mapped"));
        };
        same("a packet arrives", self.is_reached(external.port())?, true)
    }

    /// Checks that the router has no mapping of the port.
    fn is_given_back(&self) -> Result<()> {
        let rules = shell(&self.gateway, "nft list chain inet filter prerouting_miniupnpd")?;
        same(&format!("mappings are left in {rules}"), rules.contains("dnat"), false)?;
        same("a packet arrives", self.is_reached(PORT)?, false)?;
        same("the record is left", shell(&self.client, &format!("ls {FOLDER}"))?.trim(), "")
    }
}

fn router(client: Ipv4Addr) -> Router {
    Router { interface: "uplink".parse().expect("a name"), address: GATEWAY, client }
}

fn configure(host: &Namespace, interface: &str, address: Ipv4Addr) -> Result<()> {
    host.set_up(interface, true)?;
    host.add_address(interface, InterfaceAddress { address: address.into(), length: 24 })
}

fn by_pcp(_: &mut World) -> Result<()> {
    let mut home = Home::build(WAN, "enable_natpmp=yes\nenable_upnp=no")?;
    home.follow(&[PORT])?;
    home.is_mapped("mapped by PCP as 11.0.0.77:51821")?;
    home.follow(&[])?;
    home.is_given_back()
}

fn by_nat_pmp(_: &mut World) -> Result<()> {
    let mut home = Home::build(WAN, "enable_natpmp=yes\nenable_upnp=no")?;
    shell(&home.gateway, WITHOUT_PCP)?;
    home.follow(&[PORT])?;
    home.is_mapped("mapped by NAT-PMP as 11.0.0.77:51821")?;
    home.follow(&[])?;
    home.is_given_back()
}

fn by_upnp(_: &mut World) -> Result<()> {
    let mut home = Home::build(WAN, "enable_natpmp=no\nenable_upnp=yes")?;
    home.follow(&[PORT])?;
    home.is_mapped("mapped by UPnP as 11.0.0.77:51821")?;
    home.follow(&[])?;
    home.is_given_back()
}

/// Checks that a client gets another port in each protocol if a neighbour has the port already.
fn conflict(_: &mut World) -> Result<()> {
    for options in ["enable_natpmp=yes\nenable_upnp=no", "enable_natpmp=no\nenable_upnp=yes"] {
        let mut home = Home::build(WAN, options)?;
        home.follow(&[PORT])?;
        // The client moves to another address, as if it were another router at home.
        let address = |address: Ipv4Addr| InterfaceAddress { address: address.into(), length: 24 };
        home.client.add_address("uplink", address(NEIGHBOUR))?;
        home.mapping.follow(&[PORT], Some(router(NEIGHBOUR)), &Secret::new([8; 32]), Instant::now());
        home.settle()?;
        let external = home.mapping.external(PORT).map(|external| external.port());
        let is_other = external.is_some_and(|port| port != PORT);
        same(&format!("another port is mapped: {}", home.words()), is_other, true)?;
    }
    Ok(())
}

fn renewed(_: &mut World) -> Result<()> {
    for options in ["enable_natpmp=yes\nenable_upnp=no", "enable_natpmp=no\nenable_upnp=yes"] {
        let mut home = Home::build(WAN, options)?;
        home.follow(&[PORT])?;
        let words = home.words();
        home.daemon = None;
        shell(&home.gateway, "nft flush ruleset")?;
        shell(&home.gateway, &format!("nft -f - <<'END'{RULES}END"))?;
        home.start_daemon()?;
        home.ahead = Duration::from_mins(59);
        home.settle()?;
        same("a packet arrives", home.is_reached(PORT)?, false)?;
        home.ahead = Duration::from_mins(61);
        home.settle()?;
        home.is_mapped(&words)?;
    }
    Ok(())
}

/// Checks that `portals down` gives back the mappings of an agent that has ended.
fn down(_: &mut World) -> Result<()> {
    for options in ["enable_natpmp=yes\nenable_upnp=no", "enable_natpmp=no\nenable_upnp=yes"] {
        let mut home = Home::build(WAN, options)?;
        home.follow(&[PORT])?;
        home.mapping = PortMapping::open(Path::new("/nonexistent"));
        same("a packet arrives once the agent has ended", home.is_reached(PORT)?, true)?;
        let mut command = Command::new(crate::program());
        command.arg("down").stdin(Stdio::null()).stdout(Stdio::null());
        let status = spawn_at(&home.client, &mut command).and_then(|mut child| child.wait());
        same("down succeeds", status.is_ok_and(|status| status.success()), true)?;
        let rules = shell(&home.gateway, "nft list chain inet filter prerouting_miniupnpd")?;
        same(&format!("mappings are left in {rules}"), rules.contains("dnat"), false)?;
    }
    Ok(())
}

fn second_nat(_: &mut World) -> Result<()> {
    let mut home = Home::build(WAN, "enable_natpmp=yes\nenable_upnp=no")?;
    home.follow(&[PORT])?;
    home.mapping.doubt(SocketAddr::from((WAN, 4)), Instant::now());
    home.settle()?;
    home.is_mapped("mapped by PCP as 11.0.0.77:51821")?;
    home.mapping.doubt(SocketAddr::from((FAR, 4)), Instant::now());
    home.settle()?;
    home.is_mapped("mapped by PCP as 11.0.0.77:51821")?;
    home.mapping.doubt(SocketAddr::from((FAR, 4)), Instant::now());
    home.settle()?;
    let words = "your router's own address 11.0.0.77 is not 11.0.0.78, which other sites see: it is \
                 behind a second NAT";
    same("the state", home.words().as_str(), words)?;
    home.is_given_back()
}

/// Checks the words for a router that is behind a second NAT, and knows that; and for one that does not allow
/// the port.
fn refused(_: &mut World) -> Result<()> {
    let carriers = Ipv4Addr::new(100, 64, 1, 2);
    for (options, words) in [
        ("enable_natpmp=yes\nenable_upnp=no", "NAT-PMP error 3: it has no public address itself"),
        ("enable_natpmp=no\nenable_upnp=yes", "UPnP error 0: it has no public address itself"),
    ] {
        let mut home = Home::build(carriers, options)?;
        home.follow(&[PORT])?;
        same("the state", home.words(), format!("refused by the router ({words})"))?;
    }
    // In PCP, this miniupnpd looks for a port that it allows for ever.
    let mut home = Home::build(WAN, "enable_natpmp=no\nenable_upnp=yes\ndeny 0-65535 0.0.0.0/0 0-65535")?;
    home.follow(&[PORT])?;
    same("the state", home.words().as_str(), "refused by the router (UPnP error 606: it does not allow it)")
}

fn nothing_asked(_: &mut World) -> Result<()> {
    let mut home = Home::build(WAN, "enable_natpmp=yes\nenable_upnp=yes")?;
    let capture = Capture::start(&home.client, "uplink")?;
    home.follow(&[])?;
    same("the next turn", home.mapping.deadline(), None)?;
    let sent = capture.stop()?;
    same(&format!("nothing is sent, in {sent:?}"), sent.is_empty(), true)
}
