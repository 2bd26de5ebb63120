//! Content of a map, which the text and the drawing share.

use crate::base::json::Json;
use crate::base::sorted::SortedMap;
use crate::config::model::{EntranceConfig, ExitRef, Name, Network, PortalConfig, SiteConfig};
use crate::site::linked;
use crate::state::words::count;

/// State of the network, as far as one site knows it.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Name of that site.
    pub own: Name,
    /// Its links, by the site at the other end.
    pub links: SortedMap<Name, LinkState>,
    /// Its portals with the exits that they use.
    pub portals: SortedMap<Name, PortalUse>,
}

/// State of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// State in words: `up, relayed by rome`.
    pub words: String,
    /// Looks of its line.
    pub look: Look,
}

/// Looks of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The link works.
    Up,
    /// The link works by way of a third site.
    Relayed,
    /// The link does not work.
    Down,
}

/// Exit that a portal uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalUse {
    /// Exit, as in the network file.
    pub exit: String,
    /// State in a word: `open`.
    pub state: &'static str,
}

/// Content of a map.
#[derive(Debug)]
pub struct Map {
    /// Heading: the name of the network, and what it consists of.
    pub(super) heading: String,
    /// Sites in the order of their names.
    pub(super) sites: Vec<MapSite>,
    /// Links in the order of their ends.
    pub(super) links: Vec<MapLink>,
}

/// Site of a map.
#[derive(Debug)]
pub(super) struct MapSite {
    pub(super) name: Name,
    /// Endpoint, or the words that it has none.
    pub(super) place: String,
    /// Set for the site that drew the map.
    pub(super) is_own: bool,
    pub(super) rows: Vec<Row>,
}

/// Portal, phone or shared network of a site.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// Traffic that enters, or the kind of the row.
    pub(super) entrance: String,
    /// Ways to exits in the order of preference: the names on the way. A way without names is the site's own
    /// uplink. A shared network has no ways.
    pub(super) ways: Vec<Vec<Name>>,
    /// Number of the way in use; the first, if nothing is known.
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
    /// State, if it is known.
    pub(super) state: Option<LinkState>,
}

impl Map {
    /// Returns the map of a network.
    pub fn new(network: &Network, live: Option<&Live>) -> Self {
        let names: Vec<&Name> = network.sites.keys().collect();
        let (mut sites, mut links, mut portals) = (Vec::new(), Vec::new(), 0);
        for (at, (name, site)) in network.sites.iter().enumerate() {
            portals += site.portals.len();
            let own = live.filter(|live| live.own == *name);
            sites.push(MapSite {
                name: name.clone(),
                place: match &site.endpoint {
                    Some(endpoint) => endpoint.to_string(),
                    None => "behind NAT".to_owned(),
                },
                is_own: own.is_some(),
                rows: rows(network, name, site, own),
            });
            for (other, peer) in linked(network, name) {
                let Some(far) = names.iter().position(|name| *name == other).filter(|far| *far > at) else {
                    continue;
                };
                let seen_from = |one: &Name, other: &Name| {
                    live.filter(|live| live.own == *one).and_then(|live| live.links.get(other)).cloned()
                };
                links.push(MapLink {
                    ends: [at, far],
                    exits: [peer.exits.contains(name), site.exits.contains(other)],
                    state: seen_from(name, other).or_else(|| seen_from(other, name)),
                });
            }
        }
        let parts = [
            count(sites.len(), "site"),
            count(links.len(), "link"),
            count(portals, "portal"),
            count(network.phones.len(), "phone"),
        ];
        let heading = ["network ", &network.name, ": ", &parts.join(", ")].concat();
        Self { heading, sites, links }
    }
}

fn rows(network: &Network, own: &Name, site: &SiteConfig, live: Option<&Live>) -> Vec<Row> {
    let mut rows = Vec::new();
    for portal in &site.portals {
        let mut row = Row {
            name: portal.name.clone(),
            entrance: entrance(portal),
            ways: portal.exits.iter().map(way).collect(),
            used: 0,
            state: "",
        };
        if let Some(known) = live.and_then(|live| live.portals.get(&portal.name)) {
            let is_used = |exit: &ExitRef| exit.to_string() == known.exit;
            row.used = portal.exits.iter().position(is_used).unwrap_or(0);
            row.state = known.state;
        }
        rows.push(row);
    }
    for (name, phone) in network.phones.iter().filter(|(_, phone)| phone.at == *own) {
        let ways = vec![phone.exit.as_ref().map_or_else(Vec::new, way)];
        rows.push(Row { name: name.clone(), entrance: "phone".to_owned(), ways, used: 0, state: "" });
    }
    if !site.lan.is_empty() {
        let networks: Vec<String> = site.lan.iter().map(ToString::to_string).collect();
        let entrance = networks.join(", ");
        rows.push(Row { name: "shares".to_owned(), entrance, ways: Vec::new(), used: 0, state: "" });
    }
    rows
}

fn way(exit: &ExitRef) -> Vec<Name> {
    match exit {
        ExitRef::Site(name) | ExitRef::Provider(name) => vec![name.clone()],
        ExitRef::Chain(hops) => hops.clone(),
        ExitRef::Direct => Vec::new(),
    }
}

fn entrance(portal: &PortalConfig) -> String {
    let mut words = match &portal.entrance {
        EntranceConfig::Interface(interface) => interface.to_string(),
        EntranceConfig::Vlan { parent, id } => format!("VLAN {id} of {parent}"),
        EntranceConfig::Wifi(wifi) => format!("Wi-Fi {}", Json::text(&wifi.ssid)),
        EntranceConfig::From(sources) => {
            sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ").replace("/32", "")
        }
        EntranceConfig::Mac(devices) => {
            devices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        EntranceConfig::Own => "this router".to_owned(),
    };
    for ports in &portal.ports {
        words.push(' ');
        words.push_str(&ports.to_string());
    }
    words
}
