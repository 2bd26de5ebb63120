//! Wi-Fi as an entrance, on cards of mac80211_hwsim, with the real hostapd and wpa_supplicant.

use std::fs;
use std::process::Output;

use wg_portals::base::error::{Context as _, Result};
use wg_portals::base::net::{Family, InterfaceAddress};
use wg_portals::demo::{DemoSite, NETWORK_FILE, NYC, Namespace, PARIS, Plot, ProbeClient, SERVER, World};

use crate::Scenario;
use crate::lans::{Internet, browses};
use crate::radio::{Abilities, Supplicant, give, hand_over, take};
use crate::words::{
    eventually, no_leak, same, seconds, seen_as, settled, shell, start, succeeds, unreachable,
};

/// Scenarios that need simulated cards.
pub(crate) const WITH_CARDS: &[Scenario] = &[
    Scenario {
        name: "Wi-Fi: an old phone joins with WPA2 and leaves at the other site",
        plots: &[NYC, PARIS],
        run: old_phone,
    },
    Scenario {
        name: "Wi-Fi: a device gets a lease, a name and a page through the exit",
        plots: &[NYC, PARIS],
        run: browsing,
    },
    Scenario {
        name: "Wi-Fi: no leak after any fault, and recovery without help",
        plots: &[NYC, PARIS],
        run: hard_times,
    },
    Scenario {
        name: "Wi-Fi: a card that is switched off works when it is on again",
        plots: &[NYC, PARIS],
        run: switched_off,
    },
    Scenario {
        name: "Wi-Fi: a card without an ability is left alone, and a note names the ability",
        plots: &[NYC, PARIS],
        run: unable,
    },
];

/// Scenarios with WPA3, which need the cards, too. A client's handshake keeps the processor of a router busy,
/// and meanwhile another client repeats its association: such a client was seen to report a connection, and
/// to get no packet through for minutes. So clients connect one after the other here, and no other scenario
/// runs at the same time.
pub(crate) const WITH_WPA3: &[Scenario] =
    &[Scenario { name: "Wi-Fi: one card offers two names with WPA3", plots: &[NYC, PARIS], run: two_names }];

/// Scenarios whose faults are found before any card is used.
pub(crate) const WITHOUT_CARDS: &[Scenario] = &[Scenario {
    name: "Wi-Fi: files that would add lines to hostapd's file are refused",
    plots: &[NYC, PARIS],
    run: injected,
}];

/// Passphrase with all kinds of characters.
const PASSPHRASE: &str = " #a|id=b|c=d\\e\"f ";

/// File with the process id of hostapd.
const PID_FILE: &str = "/run/portals/services/hostapd-wlan0/pid";

/// Name with characters that are special in most files, and the same name in hexadecimal for wpa_supplicant.
const NAME: &str = r#"Café # \\ \"1\""#;
const NAME_IN_HEX: &str = "436166c3a92023205c20223122";

fn old_phone(world: &mut World) -> Result<()> {
    let supplicant = on_air(world)?;
    let site = world.site(NYC);
    supplicant.telling(seen_as(site.guest(seconds(3.0)), NYC.own_server(), PARIS.address))?;
    let mac = shell(&site.guest, "ip -o link show wlan1 | sed 's/.*ether //; s/ .*//'")?;
    let status = succeeds(site, &["status"])?;
    same(&format!("a station in\n{status}"), status.contains(&format!("\n    {}  -", mac.trim())), true)?;
    let json = succeeds(site, &["status", "--json"])?;
    let station = format!(r#""stations":[{{"mac":"{}","signal_dbm":-"#, mac.trim());
    same(&format!("{station} in {json}"), json.contains(&station), true)?;
    kept_secret(site)
}

/// Checks that the passphrase is in no process's arguments, in no log, and in no file that others can read.
fn kept_secret(site: &DemoSite) -> Result<()> {
    let told = shell(&site.router, "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'")? + &site.log();
    same("the passphrase is told", told.contains(PASSPHRASE), false)?;
    let readable = "find /run -type f -perm /077 -exec cat {} +";
    same("others can read the passphrase", shell(&site.router, readable)?.contains(PASSPHRASE), false)?;
    let all = "find /run -type f -exec cat {} +";
    same("the passphrase is where it is looked for", shell(&site.router, all)?.contains(PASSPHRASE), true)
}

fn two_names(world: &mut World) -> Result<()> {
    let (phone, television) = (world.site(NYC).guest.clone(), Namespace::new("the television")?);
    give(&[&world.site(NYC).router, &phone, &television], Abilities::All)?;
    let tv = format!(
        "exit = \"direct\"\ndhcp = false\n{}",
        wifi(r#"ssid = "TV", channel = 36, hidden = true, wpa = "wpa3""#)
    );
    begin(world, &format!("ssid = \"Paris\", channel = 36\ndhcp = false\n[site.nyc.portal.tv]\n{tv}"))?;
    let block =
        |name| block(&format!("\"{name}\""), "key_mgmt=SAE\nieee80211w=2", "sae_password", PASSPHRASE, 5180);
    let phone_at = Supplicant::start(&phone, "wlan1", &block("Paris"))?;
    sit_down(&phone, "wlan1", NYC, 0)?;
    phone_at.telling(seen_as(ProbeClient::new(&phone, seconds(3.0)), NYC.own_server(), PARIS.address))?;
    let television_at = Supplicant::start(&television, "wlan2", &block("TV"))?;
    sit_down(&television, "wlan2", NYC, 1)?;
    let watches = || {
        let seen = seen_as(ProbeClient::new(&television, seconds(3.0)), NYC.own_server(), NYC.address);
        television_at.telling(seen)
    };
    watches()?;
    eventually("each Wi-Fi has its station", || {
        let json = succeeds(world.site(NYC), &["status", "--json"])?;
        let stations = json.matches("\"stations\":[{").count();
        same(&format!("Wi-Fis with a station in {json}"), stations, 2)
    })?;
    // The second interface goes and comes with the first.
    drop(phone_at);
    shell(&world.site(NYC).router, &kill_hostapd())?;
    watches()
}

fn hard_times(world: &mut World) -> Result<()> {
    let supplicant = on_air(world)?;
    seen_as(world.site(NYC).guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    no_leak(
        world,
        NYC,
        |site| &site.guest,
        |world| {
            world.set_cut(NYC, PARIS, true)?;
            unreachable(world.site(NYC).guest(seconds(1.0)), NYC.own_server())?;
            world.set_cut(NYC, PARIS, false)?;
            for harm in [&kill_hostapd(), "ip link set wlan0 down", "ip address flush dev wlan0"] {
                let site = world.site(NYC);
                shell(&site.router, harm)?;
                back(site, harm)?;
            }
            Ok(())
        },
    )?;
    // The card is pulled out, and put in again.
    let site = world.site(NYC);
    let card = take(&site.router, "wlan0")?;
    eventually("its hostapd ends", || shell(&site.router, &format!("test ! -e {PID_FILE}")).map(drop))?;
    settled(site)?;
    hand_over(card, &site.router)?;
    back(site, "a card that was away")?;
    drop(supplicant);
    site.stop_agent()?;
    succeeds(site, &["down"]).map(drop)
}

fn kill_hostapd() -> String {
    format!("kill -KILL $(cat {PID_FILE})")
}

/// Checks that a card that is switched off, and thus cannot be set up, does not stop the agent from repairing
/// the rest.
fn switched_off(world: &mut World) -> Result<()> {
    // State of rfkill for a card, which is among the files of its network namespace.
    shell(&world.site(NYC).router, "mount -t sysfs sysfs /sys")?;
    let _supplicant = on_air(world)?;
    let site = world.site(NYC);
    seen_as(site.guest(seconds(3.0)), NYC.own_server(), PARIS.address)?;
    let switch = |value| format!("echo {value} > $(echo /sys/class/net/wlan0/phy80211/rfkill*)/soft");
    shell(&site.router, &switch(1))?;
    unreachable(site.guest(seconds(1.0)), NYC.own_server())?;
    let Output { stdout, stderr, .. } = site.portals(&["plan"])?;
    let words = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    same(&words, words.contains("the radio of wlan0 is switched off"), true)?;
    shell(&site.router, "ip rule flush; ip rule add priority 32766 lookup main")?;
    settled(site)?;
    shell(&site.router, &switch(0))?;
    back(site, "a card that was switched off")
}

fn back(site: &DemoSite, harm: &str) -> Result<()> {
    seen_as(site.guest(seconds(3.0)), NYC.own_server(), PARIS.address)
        .context(|| format!("not repaired: {harm}"))?;
    settled(site)
}

/// Checks that an unsuitable card is left alone, and does not stop the rest from being set up.
fn unable(world: &mut World) -> Result<()> {
    give(&[&world.site(NYC).router], Abilities::Station)?;
    begin(world, "ssid = \"A\", channel = 6")?;
    let site = world.site(NYC);
    for command in ["plan", "status"] {
        let Output { stdout, stderr, .. } = site.portals(&[command])?;
        let words = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        let expected = "portal `air`: wlan0 cannot be an access point (it can be: station, monitor); \
                        its Wi-Fi stays off.";
        same(&words, words.contains(expected), true)?;
    }
    let closed = shell(&site.router, "ip rule | grep -c 'iif wlan0 unreachable'")?;
    same("rules that close it", closed.trim(), "1")?;
    same("its addresses", shell(&site.router, "ip -4 address show dev wlan0")?.as_str(), "")
}

fn injected(world: &mut World) -> Result<()> {
    let file = network(world, r#"ssid = "A\nctrl_interface=/run/x", channel = 6"#);
    world.install(&file)?;
    refused(world.site(NYC), "`ssid` contains control characters")?;
    world.install(&network(world, r#"ssid = "A", channel = 6"#))?;
    let site = world.site(NYC);
    kept_off(site, "wifi.key: there is no such file")?;
    for (passphrase, mode, expected) in [
        ("12345678\nctrl_interface=/run/x\n", 0o600, "wifi.key: has several lines"),
        ("12345678\rctrl_interface=/run/x\n", 0o600, "only printable ASCII characters"),
        ("1234567\n", 0o600, "8 to 63 characters"),
        ("12345678\n", 0o644, "other users can read this secret; run: chmod 600"),
    ] {
        write_passphrase(&site.router, passphrase, mode)?;
        kept_off(site, expected)?;
    }
    Ok(())
}

/// Checks that `portals apply` reports the fault with the exit status of a wrong file.
fn refused(site: &DemoSite, expected: &str) -> Result<()> {
    let output = site.portals(&["apply"])?;
    let words = String::from_utf8_lossy(&output.stderr);
    same(&words, (output.status.code(), words.contains(expected)), (Some(2), true))
}

/// Checks that `portals plan` plans the rest, and gives the reason for the missing Wi-Fi.
fn kept_off(site: &DemoSite, expected: &str) -> Result<()> {
    let output = site.portals(&["plan"])?;
    let words = String::from_utf8_lossy(&output.stderr);
    let is_told = words.contains("note: portal `air`: its Wi-Fi stays off: ") && words.contains(expected);
    same(&words, (output.status.code(), is_told), (Some(0), true))
}

/// Checks a guest with an old phone's abilities at nyc's Wi-Fi, without waiting for its connection first.
/// Addresses and names come from dnsmasq, on the interface that hostapd opens.
fn browsing(world: &mut World) -> Result<()> {
    let _internet = Internet::open(world)?;
    let guest = world.site(NYC).guest.clone();
    give(&[&world.site(NYC).router, &guest], Abilities::All)?;
    begin(world, &format!("ssid = \"{NAME}\", channel = 6\ndns = [\"{SERVER}\"]"))?;
    guest.set_up("eth0", false)?;
    let block = block(NAME_IN_HEX, "key_mgmt=WPA-PSK", "psk", PASSPHRASE, 2437);
    let _supplicant = Supplicant::start(&guest, "wlan1", &block)?;
    let site = world.site(NYC);
    eventually("it is connected", || {
        let status = succeeds(site, &["status"])?;
        same(&format!("a station in\n{status}"), status.contains(" dBm "), true)
    })?;
    browses(world, "wlan1")
}

fn on_air(world: &mut World) -> Result<Supplicant> {
    let guest = world.site(NYC).guest.clone();
    give(&[&world.site(NYC).router, &guest], Abilities::All)?;
    begin(world, &format!("ssid = \"{NAME}\", channel = 6"))?;
    let block = block(NAME_IN_HEX, "key_mgmt=WPA-PSK", "psk", PASSPHRASE, 2437);
    let supplicant = Supplicant::start(&guest, "wlan1", &block)?;
    sit_down(&guest, "wlan1", NYC, 0)?;
    Ok(supplicant)
}

fn begin(world: &mut World, keys: &str) -> Result<()> {
    write_passphrase(&world.site(NYC).router, &format!("{PASSPHRASE}\n"), 0o600)?;
    let network = network(world, keys);
    start(world, &network)
}

/// Network in which nyc has a Wi-Fi portal to Paris; `keys` are further keys of `wifi`, and may be followed
/// by others.
fn network(world: &World, keys: &str) -> String {
    let (keys, rest) = keys.split_once('\n').unwrap_or((keys, "dhcp = false"));
    let portal =
        format!("exits = [\"paris\"]\n\n[site.nyc.portal.air]\nexit = \"paris\"\n{}\n{rest}\n", wifi(keys));
    world.network(|plot| if plot == NYC { portal.clone() } else { "exits = [\"nyc\"]\n".to_owned() })
}

fn wifi(keys: &str) -> String {
    format!("wifi = {{ interface = \"wlan0\", passphrase_file = \"wifi.key\", country = \"US\", {keys} }}")
}

fn write_passphrase(router: &Namespace, text: &str, mode: u32) -> Result<()> {
    let file = NETWORK_FILE.replace("network.toml", "wifi.key");
    router.run(|| fs::write(&file, text).context(|| format!("cannot write {file}")))?;
    shell(router, &format!("chmod {mode:o} {file}")).map(drop)
}

/// Network block for wpa_supplicant: a name, the method, the passphrase. Only one frequency is scanned, which
/// saves time.
fn block(ssid: &str, how: &str, key: &str, passphrase: &str, frequency: u16) -> String {
    format!("ssid={ssid}\nscan_ssid=1\n{how}\n{key}=\"{passphrase}\"\nscan_freq={frequency}")
}

/// Gives a client an address of the site's portal number `portal`, and a route via the router.
fn sit_down(client: &Namespace, interface: &str, plot: Plot, portal: u32) -> Result<()> {
    let further =
        |address: std::net::Ipv4Addr| std::net::Ipv4Addr::from_bits(address.to_bits() + 64 * portal);
    if portal == 0 {
        // Its cable would lead to the same network.
        client.set_up("eth0", false)?;
    }
    client.set_up(interface, true)?;
    client.add_address(interface, InterfaceAddress { address: further(plot.guest()).into(), length: 26 })?;
    client.add_route(Family::V4.everything(), further(plot.portal()).into())
}
