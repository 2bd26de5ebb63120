//! What the built-in WireGuard forgets when its process ends, and the next agent needs: where peers were heard of last. One behind
//! NAT, who is in no file, would else have to notice by himself that his session is not answered any more: in 15 s.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::Agent;
use crate::base::error::{Errors, Result};
use crate::base::net::{IfName, PublicKey};
use crate::kernel::echo::Echo;

impl Agent {
    /// Leaves word for the next one.
    pub(super) fn leave_word(&mut self) {
        if self.kernel.runs_tunnels()
            && let Err(error) = self.heard_of().and_then(|heard| self.journal.hand_over(&heard))
        {
            log::warn!("{error}");
        }
    }

    /// Dials peers that no file tells how to dial where the last agent heard of them.
    pub(super) fn take_over(&mut self) -> Result<(), Errors> {
        let heard = self.journal.take_over()?;
        if heard.is_empty() {
            return Ok(());
        }
        let site = self.files.site(&mut self.kernel, &self.names.addresses())?;
        let mut links = self.kernel.own_tunnels()?;
        for (interface, key, endpoint) in heard {
            let peer = site.peers().find(|(name, _, peer)| **name == interface && peer.public_key == key);
            let Some((_, _, peer)) = peer else { continue };
            let Some(link) = links.remove(&interface) else { continue };
            let from = self.kernel.read_tunnel(&interface, &link, SystemTime::now())?.tunnel;
            let mut to = from.clone();
            if let Some(unknown) = to.peers.get_mut(&key).filter(|peer| peer.endpoint.is_none()) {
                unknown.endpoint = Some(endpoint);
                self.kernel.change_tunnel(&interface, &from, &to)?;
                Echo::knock(
                    &interface,
                    site.address_in(&site.tunnels[&interface], peer.address),
                    peer.address,
                );
            }
            links.insert(interface, link);
        }
        Ok(())
    }

    fn heard_of(&mut self) -> Result<Vec<(IfName, PublicKey, SocketAddr)>> {
        let mut heard = Vec::new();
        for (name, link) in self.kernel.own_tunnels()? {
            let peers = self.kernel.read_tunnel(&name, &link, SystemTime::now())?.peers;
            heard.extend(
                peers.into_iter().filter_map(|(key, peer)| Some((name.clone(), key, peer.endpoint?))),
            );
        }
        Ok(heard)
    }
}
