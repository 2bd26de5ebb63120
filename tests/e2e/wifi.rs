//! Wi-Fi as an entrance, on cards of mac80211_hwsim, with the real hostapd and wpa_supplicant.

use wg_portals::demo::{Client, NETWORK_FILE, NYC, Namespace, PARIS, Plot, World};
use wg_portals::error::{Error, Result};
use wg_portals::net::InterfaceAddress;

use crate::Scenario;
use crate::radio::{Supplicant, give};
use crate::words::{same, seconds, seen_as, shell, start, succeeds};

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "Wi-Fi: a client goes in at one site and comes out at the other",
    plots: &[NYC, PARIS],
    run: through,
}];

/// Passphrases may have all of this.
const PASSPHRASE: &str = " #a|id=b|c=d\\e\"f ";

/// Of the client behind the first portal of nyc; the second has the next /26.
const ADDRESS: &str = "10.77.1.70/26";

fn through(world: &mut World) -> Result<()> {
    let client = Namespace::new("the client")?;
    give(&[&world.site(NYC).router, &client])?;
    begin(world, r#"ssid = "Café \\ \"1\"", channel = 6"#)?;
    let _supplicant =
        Supplicant::start(&client, "wlan1", &block("436166c3a9205c20223122", "key_mgmt=WPA-PSK", "psk"))?;
    sit_down(&client, "wlan1", ADDRESS, "10.77.1.65")?;
    let phone = Client::new(&client, seconds(3.0));
    seen_as(phone, NYC.own_server(), PARIS.address)?;
    let status = succeeds(world.site(NYC), &["status"])?;
    same(&format!("a station in {status}"), status.contains("02:00:00:00:01:00  -"), true)
}

/// Starts both sites: nyc has a portal that is a Wi-Fi with these keys, to Paris.
fn begin(world: &mut World, keys: &str) -> Result<()> {
    let portal = format!(
        "exits = [\"paris\"]\n\n[site.nyc.portal.air]\nexit = \"paris\"\nwifi = {{ interface = \"wlan0\", passphrase_file = \"wifi.key\", country = \"US\", {keys} }}\n"
    );
    let details =
        move |plot: Plot| if plot == NYC { portal.clone() } else { "exits = [\"nyc\"]\n".to_owned() };
    write_passphrase(&world.site(NYC).router, PASSPHRASE)?;
    start(world, &world.network(details))
}

fn write_passphrase(router: &Namespace, passphrase: &str) -> Result<()> {
    let file = NETWORK_FILE.replace("network.toml", "wifi.key");
    router.run(|| {
        std::fs::write(&file, format!("{passphrase}\n")).map_err(|error| Error::failed(error.to_string()))
    })?;
    shell(router, &format!("chmod 600 {file}")).map(drop)
}

/// What wpa_supplicant is told: the name in hexadecimal, how it proves itself, and the key of its passphrase. Only one channel is looked
/// at, or it would take its time.
fn block(ssid: &str, how: &str, key: &str) -> String {
    format!("ssid={ssid}\n{how}\n{key}=\"{PASSPHRASE}\"\nscan_freq=2437\nscan_ssid=1")
}

/// Gives the client an address and the way to the router.
fn sit_down(client: &Namespace, interface: &str, address: &str, router: &str) -> Result<()> {
    client.set_up(interface, true)?;
    client.add_address(interface, address.parse::<InterfaceAddress>().expect("an address"))?;
    client.add_route(wg_portals::net::Family::V4.everything(), router.parse().expect("an address"))
}
