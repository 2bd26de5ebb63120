//! Handover from one agent to the next: the endpoints at which the built-in WireGuard last heard its peers,
//! because it forgets them when its process ends. A peer behind NAT has no endpoint in any file; it would
//! otherwise notice only after 15 s that its session gets no answers.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::SystemTime;

use super::Agent;
use super::dial::dial;
use crate::base::error::{Errors, Result};
use crate::base::net::{IfName, PublicKey};
use crate::kernel::wireguard::Reading;
use crate::system::logging as log;

impl Agent {
    /// Leaves the endpoints of its peers for the next agent.
    pub(super) fn hand_over(&mut self) {
        if self.kernel.runs_tunnels()
            && let Err(error) = self.heard_endpoints().and_then(|heard| self.journal.hand_over(&heard))
        {
            log::warn!("{error}");
        }
    }

    /// Dials peers without an endpoint in the network file where the last agent heard them.
    pub(super) fn take_over(&mut self) -> Result<(), Errors> {
        let heard = self.journal.take_over()?;
        if heard.is_empty() {
            return Ok(());
        }
        let files = Rc::clone(&self.files);
        let site = self.view(&files)?;
        for (interface, key, endpoint) in heard {
            let peer = site.peers().find(|(name, _, peer)| **name == interface && peer.public_key == key);
            let Some((_, _, peer)) = peer else { continue };
            let Some(Reading { tunnel, .. }) = self.kernel.own_tunnel(&interface)? else { continue };
            if tunnel.peers.get(&key).is_some_and(|peer| peer.endpoint.is_none()) {
                dial(&mut *self.kernel, &interface, tunnel, key, (endpoint, true))?;
                let own_address = site.address_in(&site.tunnels[&interface], peer.address);
                self.kernel.knock(&interface, own_address, peer.address);
            }
        }
        Ok(())
    }

    fn heard_endpoints(&mut self) -> Result<Vec<(IfName, PublicKey, SocketAddr)>> {
        let mut heard = Vec::new();
        for (name, peers) in &self.kernel.own_peers(SystemTime::now())? {
            for (key, peer) in peers {
                if let Some(endpoint) = peer.endpoint {
                    heard.push((name.clone(), *key, endpoint));
                }
            }
        }
        Ok(heard)
    }
}
