//! Proof of a file that has come into force: sites that it concerns answer through their tunnels.

use std::time::Instant;

use super::peer::REFUSED_FOR_GOOD;
use super::{Exchange, OwnFile};

/// Proof of the file in force: answers of sites through their tunnels.
#[derive(Debug)]
pub(super) struct Proving {
    /// Ids of the sites that have to answer.
    pub(super) sites: Vec<u8>,
    /// Set if the file gives this site a new key. The others keep the file once this site has answered them,
    /// so it answers nobody before all of them have proven that the key works.
    is_of_own_key: bool,
}

impl Exchange {
    /// Takes note that the file of this site is in force here until the site answers through its tunnel. The
    /// file is not offered to others before.
    pub fn prove(&mut self, giver: u8, now: Instant) {
        self.begin_proof(Proving { sites: vec![giver], is_of_own_key: false }, now);
    }

    /// Takes note that the file in force gives this site a new key, until all of these sites have answered.
    pub fn prove_own_key(&mut self, sites: Vec<u8>, now: Instant) {
        self.begin_proof(Proving { sites, is_of_own_key: true }, now);
    }

    fn begin_proof(&mut self, proving: Proving, now: Instant) {
        for id in &proving.sites {
            let Some(peer) = self.peers.get_mut(id) else { return };
            peer.prove(now);
        }
        self.proving = Some(proving);
    }

    /// Reports whether all sites have answered that the proof of the file in force needs.
    pub fn is_proven(&self) -> bool {
        self.proving.is_some() && self.unproven().is_empty()
    }

    /// Returns the sites that have not answered since the file came into force.
    fn unproven(&self) -> Vec<u8> {
        let mut unproven = Vec::new();
        for id in self.proving.iter().flat_map(|proving| &proving.sites) {
            if self.peers.get(id).is_some_and(|peer| !peer.is_proven) {
                unproven.push(*id);
            }
        }
        unproven
    }

    /// Takes note that the file in force stays for good, and offers it on.
    pub fn settle(&mut self, now: Instant) {
        for id in self.proving.take().into_iter().flat_map(|proving| proving.sites) {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.failures = 0;
            }
        }
        self.is_on_trial = false;
        self.offer_all(now);
    }

    /// Takes note that the file in force is undone, and returns the sites that were still to answer. Refuses
    /// the file of a giver that has not answered.
    pub fn undone(&mut self, now: Instant) -> Vec<u8> {
        let unproven = self.unproven();
        let Some(proving) = self.proving.take() else { return unproven };
        if proving.is_of_own_key {
            return unproven;
        }
        for giver in &proving.sites {
            if let Some(peer) = self.peers.get_mut(giver) {
                peer.refuse(self.own.head.hash, REFUSED_FOR_GOOD, now);
            }
        }
        proving.sites
    }

    /// Goes back to the own file before the new key, and takes the file with the new key from no site.
    pub fn take_back(&mut self, before: OwnFile, now: Instant) {
        let given_up = self.own.head.hash;
        for peer in self.peers.values_mut() {
            peer.refuse(given_up, REFUSED_FOR_GOOD, now);
        }
        self.follow_file(before, now);
    }

    /// Gives up a proof by sites of which one is no longer linked.
    pub(super) fn forget_proof_without(&mut self, ids: &[u8]) {
        if self.proving.as_ref().is_some_and(|proving| !proving.sites.iter().all(|id| ids.contains(id))) {
            self.proving = None;
        }
    }

    /// Reports whether this site answers nobody.
    pub(super) fn is_silent(&self) -> bool {
        self.proving.as_ref().is_some_and(|proving| proving.is_of_own_key)
    }

    pub(super) fn is_proving(&self, site: u8) -> bool {
        self.proving.as_ref().is_some_and(|proving| proving.sites.contains(&site))
    }
}
