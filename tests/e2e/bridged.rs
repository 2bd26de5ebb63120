//! Bridges of portals' devices, while bridged packets pass the rules for routed ones (`br_netfilter`), as on
//! every host with Docker.

use std::net::{SocketAddr, UdpSocket};

use nix::net::if_::if_nametoindex;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::demo::{NYC, Namespace, PARIS, World, connect};

use crate::Scenario;
use crate::doctor::{is_well, names};
use crate::troubles::doctor::BRIDGED;
use crate::ways::only_nyc;
use crate::words::{eventually, same, seconds, seen_as, shell, start};

/// Scenarios that need a kernel with bridges.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "devices on a portal's bridge reach each other", plots: &[NYC, PARIS], run: whole },
    Scenario {
        name: "a device of a portal reaches its neighbours on a bridge",
        plots: &[NYC, PARIS],
        run: device,
    },
];

/// Port of the receivers.
const PORT: u16 = 7007;

/// Gives a device an IPv6 address that counts on its link.
const LINK_LOCAL: &str = "ip address add fe80::70/64 dev eth0 nodad";

/// Adds a neighbour with an address to a bridge, whose packets pass the rules for routed ones. Before Linux
/// 5.3, one setting counts for all hosts: such a kernel keeps it.
fn neighbour(router: &Namespace, bridge: &str, address: &str) -> Result<Namespace> {
    let neighbour = Namespace::new("the neighbour")?;
    connect((router, "br-far"), (&neighbour, "eth0"))?;
    shell(
        &neighbour,
        &format!(
            "ip link set lo up; ip link set eth0 up
             ip address add {address} dev eth0
             ip address add fe80::71/64 dev eth0 nodad"
        ),
    )?;
    let filters = "for file in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do echo 1 >$file; done || true";
    shell(router, &format!("ip link set br-far up; ip link set br-far master {bridge}; {filters}"))?;
    Ok(neighbour)
}

/// Checks that a computer hears the datagrams of another one at each of these addresses.
fn hears(receiver: &Namespace, sender: &Namespace, addresses: &[&str]) -> Result<()> {
    let doing = || "datagrams of a bridge".to_owned();
    for address in addresses {
        let socket = receiver.run(|| UdpSocket::bind(("::", PORT)).context(doing))?;
        socket.set_read_timeout(Some(seconds(0.2))).context(doing)?;
        eventually(&format!("a datagram to {address} arrives"), || {
            sender.run(|| {
                let index = if_nametoindex("eth0").map_err(std::io::Error::from).context(doing)?;
                let mut to: SocketAddr = format!("{address}:{PORT}").parse().expect("an address");
                if let SocketAddr::V6(to) = &mut to {
                    to.set_scope_id(index);
                }
                let own =
                    UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).context(doing)?;
                own.set_broadcast(true).context(doing)?;
                own.send_to(address.as_bytes(), to).map(drop).context(doing)
            })?;
            let mut heard = [0; 64];
            let length = socket.recv(&mut heard).context(doing)?;
            same("the datagram", &heard[..length] == address.as_bytes(), true)
        })?;
    }
    Ok(())
}

fn whole(world: &mut World) -> Result<()> {
    let router = world.site(NYC).router.clone();
    shell(
        &router,
        "ip link add br-guest type bridge; ip link set portal0 master br-guest; ip link set portal0 up",
    )?;
    let neighbour = neighbour(&router, "br-guest", "10.77.1.71/26")?;
    start(world, &world.network(only_nyc("interface = \"br-guest\"\ndhcp = false")))?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let guest = world.site(NYC).guest.clone();
    shell(&guest, LINK_LOCAL)?;
    let addresses = ["10.77.1.71", "255.255.255.255", "[ff02::1]", "[fe80::71]"];
    hears(&neighbour, &guest, &addresses)?;
    let filtered = shell(&router, "cat /proc/sys/net/bridge/bridge-nf-call-iptables || true")?;
    if filtered.trim() == "1" {
        shell(&router, BRIDGED.breaks)?;
        names(world.site(NYC), &BRIDGED)?;
        shell(&router, BRIDGED.mends)?;
        hears(&neighbour, &guest, &addresses)?;
        is_well(world.site(NYC))?;
    }
    Ok(())
}

fn device(world: &mut World) -> Result<()> {
    let router = world.site(NYC).router.clone();
    shell(
        &router,
        "ip address flush dev lan0; ip link add br-home type bridge; ip link set br-home up
         ip link set lan0 master br-home; ip address add 192.168.1.1/24 dev br-home",
    )?;
    let neighbour = neighbour(&router, "br-home", "192.168.1.61/24")?;
    start(world, &world.network(only_nyc("from = [\"192.168.1.50\"]")))?;
    seen_as(world.site(NYC).home(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let home = world.site(NYC).home.clone().expect("a home");
    shell(&home, LINK_LOCAL)?;
    hears(&neighbour, &home, &["192.168.1.61", "255.255.255.255", "[ff02::1]", "[fe80::71]"])
}
