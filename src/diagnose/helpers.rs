//! Questions to the helpers of other sites: under which address do they see a packet of this machine?

use std::net::IpAddr;

use crate::base::net::PublicKey;
use crate::nat::packet::{Ask, Header, Message};
use crate::nat::seal::PairKey;
use crate::nat::search::HelperView;
use crate::site::{SearchedLink, Site};
use crate::system::key_files;
use crate::system::resolver::exchange;

/// Helper of another site.
pub(super) struct Helper<'a> {
    /// Name of the site.
    pub(super) name: &'a str,
    site: &'a Site,
    key: PublicKey,
    link: &'a SearchedLink,
    view: &'a HelperView,
}

/// Returns the helpers of all links of a site, each once.
pub(super) fn helpers(site: &Site) -> Vec<Helper<'_>> {
    let mut all: Vec<Helper> = Vec::new();
    for link in &site.nat.links {
        for view in &link.view.helpers {
            let (name, key) = (link.helper_names.get(&view.id), site.nat.helper_keys.get(&view.id));
            if let (Some(name), Some(key)) = (name, key)
                && !all.iter().any(|known| known.view.id == view.id)
            {
                all.push(Helper { name, site, key: *key, link, view });
            }
        }
    }
    all
}

impl Helper<'_> {
    /// Asks for the address of a packet from `source`, an address of this host, or of the tunnels' own
    /// packets; `None` if no answer comes. A question without a cookie changes nothing there.
    pub(super) fn sees(&self, source: Option<IpAddr>) -> Option<IpAddr> {
        let link = &self.link.view;
        let key = PairKey::derive(&self.site.private_key, self.key)?;
        let question = Message::Ask(Ask {
            peer: link.peer,
            has_opened: false,
            relay_here: false,
            port: link.port,
            peer_port: link.peer_port,
            cookie: [0; 8],
            addresses: Vec::new(),
        });
        let salt = key_files::random();
        let question = key.seal(link.own, self.view.id, salt, &question);
        let port = self.view.port;
        let mut seen = None;
        for place in [port, self.view.extra_port.unwrap_or(port), port] {
            exchange(source, place, &question, &mut |packet| {
                let answer = Header::decode(packet).and_then(|header| key.open(&header, packet));
                if let Some(Message::Answer(answer)) = answer
                    && salt.starts_with(&answer.question)
                {
                    seen = Some(answer.seen.ip());
                }
                seen.is_some()
            });
            if seen.is_some() {
                break;
            }
        }
        seen
    }
}
