//! Content of a map, which the text and the drawing share.

use std::fmt::Write as _;
use std::slice;

use crate::base::json::Json;
use crate::base::text::append;
use crate::config::model::{EntranceConfig, ExitRef, Name, Network, PortalConfig};
use crate::site::linked;
use crate::state::words::count;

/// Looks of a link.
#[derive(Debug, Clone, Copy)]
pub enum Look {
    /// Nothing is known about the link.
    Unknown,
    /// The link works.
    Up,
    /// The link works by way of a third site.
    Relayed,
    /// The link does not work.
    Down,
}

/// Content of a map.
#[derive(Debug)]
pub struct Map<'a> {
    /// Heading: the name of the network, and what it consists of.
    pub(super) heading: String,
    /// Number of the site that draws the map, if it is one of the network.
    pub(super) own: Option<usize>,
    /// Sites in the order of their names.
    pub(super) sites: Vec<MapSite<'a>>,
    /// Links in the order of their ends.
    pub(super) links: Vec<MapLink>,
}

/// Site of a map.
#[derive(Debug)]
pub(super) struct MapSite<'a> {
    pub(super) name: &'a str,
    /// Endpoint, or the words that it has none.
    pub(super) place: String,
    pub(super) rows: Vec<Row<'a>>,
}

/// Portal, phone or shared network of a site.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    /// Traffic that enters, or the kind of the row.
    pub(super) entrance: String,
    /// Exits in the order of preference. A shared network has none.
    pub(super) exits: &'a [ExitRef],
    /// Number of the exit in use; the first, if nothing is known.
    pub(super) used: usize,
    /// State in words; empty if nothing is known.
    pub(super) state: &'static str,
}

/// Link between two sites.
#[derive(Debug)]
pub(super) struct MapLink {
    /// Numbers of the two sites.
    pub(super) ends: [usize; 2],
    /// Set for each end that is an exit of the other end.
    pub(super) exits: [bool; 2],
    /// State in words; empty if nothing is known.
    pub(super) state: String,
    pub(super) look: Look,
}

impl<'a> Map<'a> {
    /// Returns the map of a network, as any site draws it.
    pub fn new(network: &'a Network) -> Self {
        let (mut sites, mut links, mut portals) = (Vec::new(), Vec::new(), 0);
        for (name, site) in &network.sites {
            portals += site.portals.len();
            let mut place = String::from("behind NAT");
            if let Some(endpoint) = &site.endpoint {
                place = endpoint.to_string();
            }
            for (other, peer) in linked(network, name) {
                if let Some(far) = network.sites.keys().position(|one| one == other)
                    && far > sites.len()
                {
                    links.push(MapLink {
                        ends: [sites.len(), far],
                        exits: [peer.exits.contains(name), site.exits.contains(other)],
                        state: String::new(),
                        look: Look::Unknown,
                    });
                }
            }
            sites.push(MapSite { name, place, rows: rows(network, name) });
        }
        let parts = [
            count(sites.len(), "site"),
            count(links.len(), "link"),
            count(portals, "portal"),
            count(network.phones.len(), "phone"),
        ];
        let heading = ["network ", &network.name, ": ", &parts.join(", ")].concat();
        Self { heading, own: None, sites, links }
    }

    /// Names the site that draws the map.
    pub fn draw_at(&mut self, own: &str) {
        self.own = self.sites.iter().position(|site| site.name == own);
    }

    /// Takes in the state of this site's link to another one, with words such as `up, relayed by rome`.
    pub fn set_link(&mut self, peer: &str, look: Look, state: &str) {
        for link in &mut self.links {
            let [one, other] = link.ends.map(|end| self.own == Some(end) || self.sites[end].name == peer);
            if one && other {
                (link.look, link.state) = (look, state.to_owned());
            }
        }
    }

    /// Takes in the exit that a portal of this site uses, as in the network file, and its state in a word.
    pub fn set_portal(&mut self, portal: &str, exit: &str, state: &'static str) {
        let Some(own) = self.own else { return };
        for row in &mut self.sites[own].rows {
            if row.name == portal && row.entrance != PHONE {
                row.used = row.exits.iter().position(|other| other.to_string() == exit).unwrap_or(0);
                row.state = state;
            }
        }
    }
}

/// Kind of the row of a phone.
const PHONE: &str = "phone";

fn rows<'a>(network: &'a Network, own: &str) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    let mut add = |name, entrance, exits| rows.push(Row { name, entrance, exits, used: 0, state: "" });
    let site = &network.sites[own];
    for portal in &site.portals {
        add(&portal.name, entrance(portal), &portal.exits[..]);
    }
    for (name, phone) in &network.phones {
        if phone.at == own {
            let exit = phone.exit.as_ref().unwrap_or(&ExitRef::Direct);
            add(name, PHONE.to_owned(), slice::from_ref(exit));
        }
    }
    if !site.lan.is_empty() {
        let mut networks = String::new();
        for network in &site.lan {
            append(&mut networks, network);
        }
        add("shares", networks, &[]);
    }
    rows
}

/// Returns the names on the way to an exit; none, if it is the site's own uplink.
pub(super) fn hops(exit: &ExitRef) -> &[Name] {
    match exit {
        ExitRef::Site(name) | ExitRef::Provider(name) => slice::from_ref(name),
        ExitRef::Chain(hops) => hops,
        ExitRef::Direct => &[],
    }
}

fn entrance(portal: &PortalConfig) -> String {
    let mut words = String::new();
    match &portal.entrance {
        EntranceConfig::Interface(interface) => append(&mut words, interface),
        EntranceConfig::Vlan { parent, id } => append(&mut words, &format_args!("VLAN {id} of {parent}")),
        EntranceConfig::Wifi(wifi) => {
            append(&mut words, &format_args!("Wi-Fi {}", Json::text(&wifi.ssid)));
        }
        EntranceConfig::From(sources) => {
            for source in sources {
                append(&mut words, source);
            }
            words = words.replace("/32", "");
        }
        EntranceConfig::Mac(devices) => {
            for device in devices {
                append(&mut words, device);
            }
        }
        EntranceConfig::Own => words.push_str("this router"),
    }
    for ports in &portal.ports {
        let _ = write!(words, " {ports}");
    }
    words
}
