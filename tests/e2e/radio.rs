//! Wi-Fi cards of mac80211_hwsim, which hear each other across namespaces.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, Stdio};

use netlink_packet_core::{DefaultNla, Emitable as _};
use wg_portals::base::error::{Context as _, Error, Result};
use wg_portals::base::net::IfName;
use wg_portals::demo::Namespace;
use wg_portals::kernel::generic::find_family;
use wg_portals::kernel::message::Message;
use wg_portals::kernel::netlink::{Socket, protocols};
use wg_portals::kernel::nl80211::Wireless;

use crate::words::spawn_at;

/// HWSIM_CMD_NEW_RADIO and HWSIM_ATTR_IFTYPE_SUPPORT of drivers/net/wireless/mac80211_hwsim.h.
const NEW_RADIO: u8 = 4;
const IFTYPE_SUPPORT: u16 = 23;

/// Values of linux/nl80211.h: NL80211_CMD_SET_WIPHY_NETNS, NL80211_ATTR_WIPHY and NL80211_ATTR_NETNS_FD, and
/// the bit of NL80211_IFTYPE_STATION.
const SET_WIPHY_NETNS: u8 = 49;
const WIPHY: u16 = 1;
const NETNS_FD: u16 = 219;
const STATION: u32 = 1 << 2;

/// Programs of both ends, and the client's DHCP program.
const PROGRAMS: [&str; 3] = ["hostapd", "wpa_supplicant", "udhcpc"];

/// Reports whether this kernel can make cards, and the programs are installed.
pub(crate) fn can_be_made() -> bool {
    let mut load = Command::new("modprobe");
    load.args(["-q", "mac80211_hwsim", "radios=0"]).stderr(Stdio::null());
    let _ = load.status();
    let has_kernel = family("MAC80211_HWSIM").is_ok();
    has_kernel && PROGRAMS.iter().all(|program| on_the_path(program))
}

fn on_the_path(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// Abilities of a card.
#[derive(Clone, Copy)]
pub(crate) enum Abilities {
    All,
    Station,
}

/// Gives each of these hosts a card: `wlan0` to the first, `wlan1` to the second and so on. The cards go with
/// their hosts.
pub(crate) fn give(hosts: &[&Namespace], abilities: Abilities) -> Result<()> {
    let (mut socket, hwsim) = family("MAC80211_HWSIM")?;
    let limits = match abilities {
        Abilities::All => Vec::new(),
        Abilities::Station => written(&[number(IFTYPE_SUPPORT, STATION)]),
    };
    for _ in hosts {
        // The kernel replies with the number of the radio, which looks like an error.
        drop(socket.batch(vec![Message::generic(hwsim, NEW_RADIO, &limits)]));
    }
    for (index, host) in hosts.iter().enumerate() {
        hand_over(card_of(&format!("wlan{index}"))?, host)?;
    }
    Ok(())
}

/// Takes the card of this interface out of a host, so that another host can get it.
pub(crate) fn take(host: &Namespace, interface: &str) -> Result<u32> {
    let here = File::open("/proc/self/ns/net").context(|| "cannot open our own network".to_owned())?;
    host.run(|| {
        let card = card_of(interface)?;
        move_to(&here, card)?;
        Ok(card)
    })
}

/// Moves a card from this namespace to a host.
pub(crate) fn hand_over(card: u32, host: &Namespace) -> Result<()> {
    let network =
        File::open(host.path()).context(|| format!("cannot open the network of {}", host.name()))?;
    move_to(&network, card)
}

fn card_of(interface: &str) -> Result<u32> {
    let name: IfName = interface.parse().expect("the name of an interface");
    let mut wireless = Wireless::find()?.ok_or_else(|| Error::failed("this kernel has no Wi-Fi"))?;
    let card = wireless.cards([&name].into_iter())?.remove(&name);
    card.map(|card| card.number).ok_or_else(|| Error::failed(format!("there is no card {interface}")))
}

fn written(attributes: &[DefaultNla]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

fn move_to(network: &File, card: u32) -> Result<()> {
    let (mut socket, nl80211) = family("nl80211")?;
    let attributes = [number(WIPHY, card), number(NETNS_FD, network.as_raw_fd().cast_unsigned())];
    let message = Message::generic(nl80211, SET_WIPHY_NETNS, &written(&attributes));
    let verdicts = socket.batch(vec![message]);
    verdicts.into_iter().collect::<Result<(), _>>().context(|| format!("cannot move card {card}"))
}

fn number(kind: u16, number: u32) -> DefaultNla {
    DefaultNla::new(kind, number.to_ne_bytes().to_vec())
}

fn family(name: &str) -> Result<(Socket, u16)> {
    let mut socket = Socket::open(protocols::NETLINK_GENERIC)?;
    let number = find_family(&mut socket, name).context(|| format!("cannot ask for {name}"))?;
    number.map(|number| (socket, number)).ok_or_else(|| Error::failed(format!("this kernel has no {name}")))
}

/// wpa_supplicant on a host's card, until dropped.
pub(crate) struct Supplicant {
    process: Child,
    host: Namespace,
    log: String,
}

impl Supplicant {
    /// Starts looking for a network: `block` is the content of a network block in wpa_supplicant.conf.
    pub(crate) fn start(host: &Namespace, interface: &str, block: &str) -> Result<Self> {
        let file = format!("/run/{interface}.conf");
        let text = format!("sae_pwe=2\nnetwork={{\n{block}\n}}\n");
        host.run(|| fs::write(&file, text).context(|| format!("cannot write {file}")))?;
        let log = format!("/run/{interface}.log");
        let mut command = Command::new("wpa_supplicant");
        command
            .args(["-t", "-f", &log, "-i", interface, "-c", &file])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = spawn_at(host, &mut command).context(|| "cannot start wpa_supplicant".to_owned())?;
        Ok(Self { process, host: host.clone(), log })
    }

    /// Prints the log of wpa_supplicant if the result is an error.
    pub(crate) fn telling<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            let log = self.host.run(|| fs::read(&self.log).context(|| format!("cannot read {}", self.log)));
            let words = log.unwrap_or_else(|error| error.to_string().into_bytes());
            println!("--- what wpa_supplicant said:\n{}", String::from_utf8_lossy(&words));
        }
        result
    }
}

impl Drop for Supplicant {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
