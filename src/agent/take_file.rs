//! Files of linked sites: judged, put in force, and undone unless the giver answers through its tunnel.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Agent, log_all};
use crate::base::error::{Error, Errors, Result};
use crate::engine::apply::OnFailure;
use crate::engine::load::Files;
use crate::engine::locked_file::LockedNetworkFile;
use crate::exchange::{OwnStanding, Taker, WholeFile, judge, own_standing};
use crate::kernel::sockets::HelperPacket;
use crate::system::disk::{self, FileOrigin};
use crate::system::logging as log;

/// Time for the giver of a file to answer through its tunnel.
const PROVEN_WITHIN: Duration = Duration::from_mins(2);

/// Proof of a file: answers of linked sites through their tunnels.
pub(super) struct Proof<'a> {
    /// Ids of the sites that have to answer.
    pub(super) sites: &'a [u8],
    /// Time for their answers.
    pub(super) within: Duration,
}

/// Reason why a file is not in force.
enum NotTaken {
    /// It is never to be taken from this site.
    Refused(String),
    /// It can be taken later.
    Later,
}

impl Agent {
    /// Puts a file of a linked site in force, if it may be.
    pub(super) fn take_file(&mut self, file: &WholeFile) {
        let name = self.sources.helper_ports.exchange.name(file.giver);
        let outcome = self.try_to_take(file);
        let (exchange, now) = (&mut self.sources.helper_ports.exchange, Instant::now());
        let Some(machine) = exchange.machine() else { return };
        let serial = file.head.serial;
        match outcome {
            Ok(()) => {
                machine.prove(file.giver, now);
                log::info!("took the network file with serial {serial} from {name}");
            }
            Err(NotTaken::Later) => machine.postpone(file.giver, now),
            Err(NotTaken::Refused(reason)) => {
                machine.refuse(file.giver, file.head.hash, now);
                exchange.report(format!(
                    "the network file with serial {serial} from {name} is not taken: {reason}"
                ));
            }
        }
    }

    /// Keeps the file in force for good: its giver has answered.
    pub(super) fn keep_file(&mut self) {
        if self.sources.confirmation.deadline().is_some()
            && let Err(errors) = self.confirm()
        {
            log_all(&errors);
            if self.sources.helper_ports.exchange.is_rotating {
                // The other sites must not count on a key that this one would not have after a restart.
                return self.undo_change();
            }
        }
        if let Some(machine) = self.sources.helper_ports.exchange.machine() {
            machine.settle(Instant::now());
        }
    }

    /// Takes note that the file in force is about to be undone, so that `before` comes into force again.
    /// Returns the problem, if a site was still to answer.
    pub(super) fn give_up_file(&mut self, before: &Files) -> Option<String> {
        let exchange = &mut self.sources.helper_ports.exchange;
        let silent = exchange.machine()?.undone(Instant::now());
        if exchange.is_rotating {
            return Some(self.undo_key(&silent, before));
        }
        let name = exchange.name(*silent.first()?);
        let serial = self.files.network.serial;
        Some(format!(
            "the network file with serial {serial} from {name} was undone: {name} did not answer through its \
             tunnel any more"
        ))
    }

    /// Drops changes of the network file that are not in force. Changes that are in force stay until a linked
    /// site gives a signed file.
    pub(super) fn drop_changes(&mut self) -> Result<(), Errors> {
        let Files { text, network, .. } = &*self.files;
        let on_disk = self.text_on_disk();
        if on_disk != *text && own_standing(text, network) == Some(OwnStanding::Signed) {
            self.lock_file_now()?.finish(&on_disk, text)?;
        }
        Ok(())
    }

    /// Locks the network file. Does not wait: the lock may be that of a new key, which this agent holds.
    pub(super) fn lock_file_now(&self) -> Result<LockedNetworkFile> {
        LockedNetworkFile::begin_now(&self.file)?.ok_or_else(|| {
            Error::failed("the network file is being changed: try again when that change is done")
        })
    }

    /// Returns the text of the network file on disk, empty if it cannot be read.
    pub(super) fn text_on_disk(&self) -> String {
        disk::text_or_empty(&self.file, FileOrigin::Ours)
    }

    fn try_to_take(&mut self, file: &WholeFile) -> Result<(), NotTaken> {
        if self.nothing_waits().is_err() {
            return Err(NotTaken::Later);
        }
        let is_pulling =
            self.sources.helper_ports.exchange.machine().is_some_and(|machine| machine.is_pulling());
        let refused = |errors: Errors| NotTaken::Refused(errors.to_string());
        let lock = LockedNetworkFile::begin_now(&self.file).map_err(|error| refused(error.into()))?;
        let lock = lock.ok_or(NotTaken::Later)?;
        let on_disk = self.text_on_disk();
        if on_disk != self.files.text && !is_pulling {
            self.sources.helper_ports.exchange.report(
                "the network file was changed here and is not in force: apply it, or drop the changes with \
                 `portals pull`"
                    .to_owned(),
            );
            return Err(NotTaken::Later);
        }
        let standing = own_standing(&self.files.text, &self.files.network).unwrap_or(OwnStanding::Edited);
        let key = self.files.public_key;
        let taker = Taker { network: &self.files.network, standing, key, is_pulling };
        let network = judge(&taker, &file.text, file.head.serial)
            .map_err(|reason| NotTaken::Refused(reason.to_string()))?;
        let files = Files::with_text(&self.file, file.text.clone(), Box::new(network)).map_err(refused)?;
        for HelperPacket { from, to, packet } in self.sources.helper_ports.exchange.thank(file) {
            self.sources.helper_ports.send(from, to, &packet);
        }
        let proof = Proof { sites: &[file.giver], within: PROVEN_WITHIN };
        self.put_in_force(Rc::new(files), &proof, lock, &on_disk).map_err(refused)
    }

    /// Puts the file in force until the sites of its proof have answered. `before` is the text on disk.
    pub(super) fn put_in_force(
        &mut self,
        files: Rc<Files>,
        proof: &Proof,
        lock: LockedNetworkFile,
        before: &str,
    ) -> Result<(), Errors> {
        self.sources.tables.begin(&mut *self.kernel)?;
        let site = self.view(&files)?;
        let has_link = |id: &u8| site.exchange.iter().flat_map(|part| &part.peers).any(|peer| peer.id == *id);
        if !proof.sites.iter().all(has_link) {
            return Err(Error::wrong("with it, the site that gives it has no link to this one").into());
        }
        self.sources.confirmation.begin(&self.files, &files.text, Some(proof.within))?;
        let result = lock.finish(before, &files.text).map_err(Errors::from).and_then(|()| {
            self.go_by(files)?;
            self.apply(site, "the network file has changed", OnFailure::Undo)
        });
        if let Err(errors) = result {
            self.undo_change();
            return Err(errors);
        }
        self.or_retry(result).map(drop)
    }
}
