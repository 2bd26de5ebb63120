//! What the network file may say, but this version does not do yet: refused by name, never ignored.

use std::path::Path;

use crate::config::model::{Entrance, Network, Portal, Position};
use crate::error::Error;

/// Something that is not built yet, and where the file asks for it, if that is known.
struct Refusal {
    position: Option<Position>,
    what: String,
}

/// Everything that concerns the site `own` and is not built yet.
pub(crate) fn refusals(file: &Path, network: &Network, own: &str) -> Vec<Error> {
    let site = &network.sites[own];
    let mut refused = Vec::new();
    if let Some(subnet6) = &network.subnet6 {
        refused.push(Refusal {
            position: Some(subnet6.position),
            what: "IPv6 through portals (`subnet6`)".to_owned(),
        });
    }
    refused.extend(site.portals.iter().flat_map(portal));
    refused.into_iter().map(|refusal| refusal.error(file)).collect()
}

impl Refusal {
    fn error(self, file: &Path) -> Error {
        let file = file.display();
        let place = match self.position {
            Some(Position { line, column }) => format!("{file}:{line}:{column}"),
            None => file.to_string(),
        };
        Error::wrong(format!("{place}: {} is not built yet; take it out of the file", self.what))
    }
}

fn portal(portal: &Portal) -> Vec<Refusal> {
    let entrance = match portal.entrance {
        Entrance::Vlan { .. } => Some("a VLAN as the entrance"),
        Entrance::Interface(_) | Entrance::Wifi(_) | Entrance::From(_) | Entrance::Mac(_) | Entrance::Own => {
            None
        }
    };
    let refuse =
        |what| Refusal { position: Some(portal.position), what: format!("portal `{}`: {what}", portal.name) };
    entrance.into_iter().map(refuse).collect()
}
