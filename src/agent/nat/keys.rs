//! Keys of the pairs of this site and other sites.

use crate::base::net::{PublicKey, Secret};
use crate::base::sorted::SortedMap;
use crate::nat::seal::PairKey;
pub(in crate::agent) use crate::system::key_files::random;

/// Keys by the id of the other site. Each is derived once: that takes milliseconds on a small router.
#[derive(Debug, Default)]
pub(super) struct PairKeys {
    keys: SortedMap<u8, PairKey>,
    own: Option<Secret>,
}

impl PairKeys {
    /// Takes over the sites of a network file, with the key of this site.
    pub(super) fn follow(&mut self, own: &Secret, sites: &SortedMap<u8, PublicKey>) {
        if self.own.as_ref() != Some(own) {
            self.keys = SortedMap::new();
            self.own = Some(own.clone());
        }
        self.keys.retain(|id, known| sites.get(id) == Some(&known.other()));
        for (id, key) in sites {
            if !self.keys.contains_key(id)
                && let Some(derived) = PairKey::derive(own, *key)
            {
                self.keys.insert(*id, derived);
            }
        }
    }

    /// Returns the key of the pair of this site and another.
    pub(super) fn of(&self, site: u8) -> Option<&PairKey> {
        self.keys.get(&site)
    }

    /// Returns all keys.
    pub(super) fn all(&self) -> SortedMap<u8, PairKey> {
        self.keys.clone()
    }
}
