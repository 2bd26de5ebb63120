//! New key of this site. The linked sites get the network file with the new key first; then this site changes
//! over, and all of them have to answer through their tunnels. Only then the new key replaces the old one:
//!
//! | step | key of this site | key of this site at the others | after a kill |
//! |---|---|---|---|
//! | the file is offered | old | old, or new until they undo it | old |
//! | the file is in force here | new | new, until they undo it | old: the start undoes the file |
//! | all have answered, and the file is confirmed | new | new, until they undo it | new |
//! | this site answers | new | new, for good | new |

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::nat::StagedKey;
use super::take_file::Proof;
use super::{Agent, log_errors};
use crate::base::error::{Error, Errors, Result};
use crate::base::keys::public_key;
use crate::base::moment::after;
use crate::base::net::{PublicKey, Secret};
use crate::base::sorted::SortedSet;
use crate::config::edit;
use crate::config::model::Name;
use crate::control::SiteFile;
use crate::engine::load::Files;
use crate::engine::locked_file::{Signing, sealed};
use crate::engine::{admin_key, own_key};
use crate::exchange::Relation;
use crate::site;
use crate::system::key_files;
use crate::system::logging as log;

/// Longest wait for the linked sites to take the file with the new key. Their links are down from then on,
/// until this site changes over.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// Time for the linked sites to answer this site with its new key. With [`TAKEN_WITHIN`], it is shorter than
/// the time after which the linked sites undo the file: until then, they can follow a decision of this site.
const PROVEN_WITHIN: Duration = Duration::from_mins(1);

/// Reason to give up a new key.
const NOT_IN_FORCE: &str = "the network file with the new one could not be put in force";

/// Reason to give up a new key.
pub(super) const CHANGED: &str = "the network file was changed meanwhile";

impl Agent {
    /// Begins to give this site a new key. Returns its public half, and notes for the person who asks.
    pub(super) fn rotate(&mut self, leaves_behind: bool) -> Result<Vec<String>, Errors> {
        self.nothing_waits()?;
        let own = self.own_name()?;
        let mut answer = vec![String::new()];
        let sites = self.sites_for_key(&own, leaves_behind, &mut answer)?;
        self.note_tokens(&mut answer);
        let lock = self.lock_file_now()?;
        let text = self.text_on_disk();
        self.files.is_finished(&text)?;
        // The file of the next key may hold the only copy of the key in force.
        own_key::settle(&self.files.folder, self.files.public_key)?;
        let private = key_files::generate();
        let files = self.files_with_key(&own, &text, &private).inspect_err(|_| self.forget_unused_key())?;
        answer[0] = files.public_key.to_string();
        log::info!("this site is to have a new key: {}", files.public_key);
        let now = Instant::now();
        let until = after(now, TAKEN_WITHIN);
        let staged = StagedKey { files: Rc::new(files), sites, leaves_behind, lock, until };
        let exchange = &mut self.sources.helper_ports.exchange;
        exchange.is_rotating = true;
        if staged.sites.is_empty() {
            // No other site knows this one.
            self.bring_key(staged)?;
            self.confirm()?;
        } else {
            exchange.stage(staged, now);
        }
        Ok(answer)
    }

    /// Returns the ids of the sites that have to take the file with the new key first. Adds notes.
    fn sites_for_key(
        &mut self,
        own: &str,
        leaves_behind: bool,
        notes: &mut Vec<String>,
    ) -> Result<Vec<u8>, Errors> {
        let up = self.keys_that_are_up()?;
        let network = &self.files.network;
        let (mut ids, mut ready): (Vec<u8>, Vec<Name>) = (Vec::new(), Vec::new());
        for SiteFile { site, relation, .. } in self.sources.helper_ports.exchange.tell() {
            let Some(peer) = network.sites.get(&site) else { continue };
            if matches!(relation, Relation::Newer | Relation::Conflict) {
                return Err(Error::failed(format!(
                    "site {site} has another signed network file: take it with `portals pull`, or replace it \
                     with `portals push`, before this site gets a new key"
                ))
                .into());
            }
            if relation == Relation::Same && up.contains(&peer.public_key) {
                ids.push(peer.id);
                ready.push(site);
            }
        }
        let links = site::links_of(network, own);
        if ready.is_empty() && !links.is_empty() {
            return Err(Error::failed(
                "no linked site is up and has the same network file, so none can take the new key: try again \
                 when `portals status` shows a link that is up",
            )
            .into());
        }
        for (name, is_only_link) in links {
            if !is_only_link || ready.contains(name) {
                continue;
            }
            if !leaves_behind {
                return Err(Error::failed(format!(
                    "site {name} cannot take the new key now, and has no link to another site that could \
                     give it the key later: try again when {name} is up and has the same network file, or \
                     leave it behind with `portals rotate --leave-behind`, and carry the network file to it"
                ))
                .into());
            }
            notes.push(format!("carry the network file to site {name}: it has no other link"));
        }
        for (phone, _) in network.phones.iter().filter(|(_, phone)| phone.at == *own) {
            notes.push(format!("phone {phone} dials this site: give its app the new public key"));
        }
        Ok(ids)
    }

    /// Adds a note about each token that names the key of this site, and could still bring in a site.
    fn note_tokens(&self, notes: &mut Vec<String>) {
        let now = Instant::now();
        for invitation in self.sources.door.invitations.all().iter().filter(|known| known.is_good(now)) {
            let name = &invitation.terms.name;
            notes.push(format!(
                "the token for {name} is of no use with the new key: revoke it with `portals invites \
                 --revoke {name}`, and invite the site again"
            ));
        }
    }

    /// Returns the public keys of all peers whose session can be used.
    fn keys_that_are_up(&mut self) -> Result<SortedSet<PublicKey>> {
        let (now, mut up) = (SystemTime::now(), SortedSet::new());
        for (_, peers) in &self.kernel.own_peers(now)? {
            for (key, peer) in peers {
                if peer.alive(now) {
                    up.insert(*key);
                }
            }
        }
        Ok(up)
    }

    /// Keeps a new key beside the old one, and returns the network file with it.
    fn files_with_key(&self, own: &str, text: &str, private: &Secret) -> Result<Files, Errors> {
        let folder = &self.files.folder;
        let key = ["\"", &public_key(private).to_string(), "\""].concat();
        let text = edit::set(text, &["site", own], "public_key", &key)?;
        let admin = admin_key::load(folder)?;
        let (text, network, signing) = sealed(&self.file, &text, self.files.network.serial, admin.as_ref())?;
        if signing != Signing::Signed {
            return Err(Error::wrong(format!(
                "the admin key of the network is not in {}, so no site would take the new key: put the admin \
                 key there, run `portals rotate` again, and remove it when the new key is in force",
                folder.join(admin_key::ADMIN_KEY_FILE).display()
            ))
            .into());
        }
        own_key::keep_next(folder, private)?;
        Files::with_text(&self.file, text, network)
    }

    /// Takes the new key into force, if a linked site has taken the file with it.
    pub(super) fn change_key(&mut self) {
        let exchange = &mut self.sources.helper_ports.exchange;
        let Some(mut staged) = exchange.take_staged() else { return };
        let taken = exchange.with_same_file(&staged.sites);
        if taken.is_empty() {
            return self.give_up_key("no linked site has taken the network file");
        }
        if self.text_on_disk() != self.files.text {
            return self.give_up_key(CHANGED);
        }
        if staged.leaves_behind {
            staged.sites = taken;
        }
        log_errors(&self.bring_key(staged));
    }

    /// Puts the file with the new key in force, until the sites that have it answer.
    fn bring_key(&mut self, StagedKey { files, sites, lock, .. }: StagedKey) -> Result<(), Errors> {
        let before = Rc::clone(&self.files);
        let proof = Proof { sites: &sites, within: PROVEN_WITHIN };
        let result = self.put_in_force(files, &proof, lock, &before.text);
        let exchange = &mut self.sources.helper_ports.exchange;
        if result.is_ok() {
            if let Some(machine) = exchange.machine() {
                machine.prove_own_key(sites, Instant::now());
            }
        } else if exchange.is_rotating {
            self.give_up_key(NOT_IN_FORCE);
        } else {
            self.forget_unused_key();
        }
        result
    }

    /// Makes the new key the only one, once the network file with it is in force for good.
    pub(super) fn settle_key(&mut self) {
        if !self.files.has_next_key || !self.sources.confirmation.is_settled() {
            return;
        }
        let exchange = &mut self.sources.helper_ports.exchange;
        if exchange.is_staged() {
            // The new key came into force before. This one is yet to come.
            return;
        }
        exchange.is_rotating = false;
        if let Some(machine) = exchange.machine() {
            machine.settle(Instant::now());
        }
        match own_key::settle(&self.files.folder, self.files.public_key) {
            Ok(true) => log::info!("the new key of this site is in force: {}", self.files.public_key),
            Ok(false) => {}
            Err(error) => log::error!("{error}"),
        }
    }

    /// Gives up a new key that is not in force.
    pub(super) fn give_up_key(&mut self, reason: &str) {
        let before = Rc::clone(&self.files);
        self.sources.helper_ports.exchange.take_back(&before, Instant::now());
        self.forget_unused_key();
        self.sources.helper_ports.exchange.report(given_up(reason));
    }

    /// Gives up a new key that is in force and about to be undone. Returns the problem.
    pub(super) fn undo_key(&mut self, silent: &[u8], before: &Files) -> String {
        let exchange = &mut self.sources.helper_ports.exchange;
        let mut reason = String::new();
        for site in silent {
            reason.push_str(if reason.is_empty() { "" } else { ", " });
            reason.push_str(&exchange.name(*site));
        }
        reason.push_str(if silent.is_empty() {
            NOT_IN_FORCE
        } else {
            " did not answer this site with its new key"
        });
        exchange.take_back(before, Instant::now());
        self.forget_unused_key();
        given_up(&reason)
    }

    /// Removes a new key that no network file names.
    pub(super) fn forget_unused_key(&self) {
        if let Err(error) = own_key::forget_next(&self.files.folder, &self.file) {
            log::warn!("{error}");
        }
    }
}

fn given_up(reason: &str) -> String {
    format!("this site keeps its old key, because {reason}; `portals rotate` tries again")
}
