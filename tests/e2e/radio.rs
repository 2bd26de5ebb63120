//! Wi-Fi cards made of mac80211_hwsim: they hear each other wherever they are.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, Stdio};

use netlink_packet_core::DefaultNla;
use wg_portals::demo::Namespace;
use wg_portals::error::{Context as _, Error, Result};
use wg_portals::kernel::generic::find_family;
use wg_portals::kernel::message::Message;
use wg_portals::kernel::netlink::{Socket, protocols, request};
use wg_portals::kernel::nl80211::Wireless;
use wg_portals::net::IfName;

/// HWSIM_CMD_NEW_RADIO of drivers/net/wireless/mac80211_hwsim.h; NL80211_CMD_SET_WIPHY_NETNS, NL80211_ATTR_WIPHY and
/// NL80211_ATTR_NETNS_FD of linux/nl80211.h.
const NEW_RADIO: u8 = 4;
const SET_WIPHY_NETNS: u8 = 49;
const WIPHY: u16 = 1;
const NETNS_FD: u16 = 219;

const NOTHING: &[DefaultNla] = &[];

/// The programs at both ends, and what a client gets its address with.
const PROGRAMS: [&str; 3] = ["hostapd", "wpa_supplicant", "udhcpc"];

/// Whether this kernel can make cards, and the programs are there.
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

/// Gives each of these hosts a card: `wlan0` to the first, `wlan1` to the second and so on. The cards go with their hosts.
pub(crate) fn give(hosts: &[&Namespace]) -> Result<()> {
    let (mut socket, hwsim) = family("MAC80211_HWSIM")?;
    for _ in hosts {
        // It answers with the number of the radio, which reads as an error.
        drop(socket.batch(vec![request(Message::generic(hwsim, NEW_RADIO, &NOTHING), 0)]));
    }
    let name = |number| format!("wlan{number}").parse().expect("the name of an interface");
    let names: Vec<IfName> = (0..hosts.len()).map(name).collect();
    let mut wireless = Wireless::find()?.ok_or_else(|| Error::failed("this kernel has no Wi-Fi"))?;
    let cards = wireless.cards(names.iter())?;
    for (name, host) in names.iter().zip(hosts) {
        let card = cards.get(name).ok_or_else(|| Error::failed(format!("{name} was not made")))?;
        hand_over(card.number, host)?;
    }
    Ok(())
}

fn hand_over(card: u32, host: &Namespace) -> Result<()> {
    let doing = || format!("cannot hand a card to {}", host.name());
    let network = File::open(host.path()).doing(doing)?;
    let (mut socket, nl80211) = family("nl80211")?;
    let attributes = [
        DefaultNla::new(WIPHY, card.to_ne_bytes().to_vec()),
        DefaultNla::new(NETNS_FD, network.as_raw_fd().to_ne_bytes().to_vec()),
    ];
    let message = Message::generic(nl80211, SET_WIPHY_NETNS, &attributes.as_slice());
    socket.batch(vec![request(message, 0)]).into_iter().collect::<Result<(), _>>().doing(doing)
}

fn family(name: &str) -> Result<(Socket, u16)> {
    let mut socket = Socket::open(protocols::NETLINK_GENERIC)?;
    let number = find_family(&mut socket, name).doing(|| format!("cannot ask for {name}"))?;
    number.map(|number| (socket, number)).ok_or_else(|| Error::failed(format!("this kernel has no {name}")))
}

/// wpa_supplicant on a host's card, until dropped.
pub(crate) struct Supplicant(Child);

impl Supplicant {
    /// Looks for a network: `block` is what wpa_supplicant.conf has between the braces of one.
    pub(crate) fn start(host: &Namespace, interface: &str, block: &str) -> Result<Self> {
        let file = format!("/run/{interface}.conf");
        let text = format!("sae_pwe=2\nnetwork={{\n{block}\n}}\n");
        host.run(|| fs::write(&file, text).doing(|| format!("cannot write {file}")))?;
        let mut command = Command::new("wpa_supplicant");
        command.args(["-i", interface, "-c", &file]).stdin(Stdio::null()).stdout(Stdio::null());
        host.spawn(&mut command).map(Self).doing(|| "cannot start wpa_supplicant".to_owned())
    }
}

impl Drop for Supplicant {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
