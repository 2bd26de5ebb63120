//! Admission of new sites: requests that come with an invitation, and requests of this machine about
//! invitations. Only a site that has the admin key of the network admits others.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::confirm::Confirmation;
use super::nat::random;
use super::{Agent, log_all, log_errors};
use crate::base::error::{Error, Errors, Result};
use crate::base::keys::public_key;
use crate::base::net::PublicKey;
use crate::config::model::{Name, question_port};
use crate::config::{self, edit};
use crate::control::{InvitationStatus, Stage};
use crate::engine::load::Files;
use crate::engine::locked_file::{self, LockedNetworkFile};
use crate::engine::{admin_key, network_file};
use crate::join::entry::{self, SiteEntry};
use crate::join::invitations::{
    Applicant, Heard, Invitation, InvitationState, MOST_INVITATIONS, Terms, Verdict,
};
use crate::join::packet::{JoinAnswer, JoinKeys, JoinRequest};
use crate::join::paste;
use crate::join::token::{Door, InviteSecret, Token};
use crate::kernel::sockets::HelperPacket;
use crate::signed::{self, FileStanding};
use crate::site;
use crate::system::key_files;
use crate::system::logging as log;

/// Reason for a site whose admission has failed at this site: its log has the errors.
const SEE_LOG: &str = "the site that invites cannot add it at present; its log tells why";

impl Agent {
    /// Makes an invitation, and returns its token.
    pub(super) fn invite(&mut self, terms: Terms) -> Result<Vec<String>, Errors> {
        self.admin_key()?;
        self.try_terms(&terms)?;
        let own = self.own_name()?;
        let site = &self.files.network.sites[&own];
        let door = site.endpoint.clone().map(|host| Door {
            host,
            // Without this port, the site has its second port alone.
            port: question_port(site.port, site.providers.len()).or(site.helper_port).unwrap_or_default(),
        });
        let door = door.filter(|door| door.port != 0);
        let (secret, now) = (InviteSecret::new(random()), Instant::now());
        let token = Token { secret: secret.clone(), inviter: self.files.public_key, door };
        let known = &mut self.sources.door;
        if known.invitations.of(&terms.name).is_some_and(|known| known.is_good(now)) {
            let name = &terms.name;
            return Err(Error::wrong(format!(
                "there is a token for {name} already: use it, or revoke it with `portals invites --revoke \
                 {name}`"
            ))
            .into());
        }
        let name = terms.name.clone();
        if !known.invitations.add(secret, terms, now) {
            return Err(Error::failed(format!(
                "there are {MOST_INVITATIONS} invitations already: revoke one with `portals invites \
                 --revoke NAME`"
            ))
            .into());
        }
        if let Err(error) = known.keep(now) {
            known.invitations.withdraw();
            return Err(error.into());
        }
        log::info!("invited {name}: the token is good for one site and 24 hours");
        let host = token.door.as_ref().map(|door| format!("{} {}", door.host, door.port));
        Ok(vec![token.to_text().to_string(), own, host.unwrap_or_default()])
    }

    /// Returns the state of each invitation.
    pub(super) fn invitations(&self) -> Vec<InvitationStatus> {
        let now = Instant::now();
        self.sources.door.invitations.all().iter().map(|invitation| status(invitation, now)).collect()
    }

    /// Makes a token useless.
    pub(super) fn revoke(&mut self, name: &str) -> Result<Vec<String>, Errors> {
        let (invitation, now) = self.invitation(name)?;
        if let InvitationState::Used(key) = invitation.state {
            return Err(Error::wrong(format!(
                "the token for {name} was used by the site with the key {key}: `portals site remove` removes \
                 a site"
            ))
            .into());
        }
        invitation.state = InvitationState::Revoked;
        self.sources.door.keep(now)?;
        log::info!("revoked the token for {name}");
        Ok(Vec::new())
    }

    /// Admits the site that waits for a yes.
    pub(super) fn allow(&mut self, name: &str) -> Result<Vec<String>, Errors> {
        let (invitation, now) = self.invitation(name)?;
        let InvitationState::Waits(applicant) = invitation.state.clone() else {
            return Err(Error::wrong(format!("no site waits for a yes with the token for {name}")).into());
        };
        let terms = invitation.terms.clone();
        let joined = self.admit(&terms, &applicant)?;
        self.has_joined(name, &joined, applicant.key, now);
        Ok(vec![joined])
    }

    /// Admits the site whose request a person has pasted, and sends it the answer.
    pub(super) fn accept(&mut self, pasted: &str) -> Result<Vec<String>, Errors> {
        let packet =
            paste::from_text(pasted).map_err(|fault| Error::wrong(format!("the pasted text {fault}")))?;
        let now = Instant::now();
        let heard = self.hear(&packet, None, now).ok_or_else(|| {
            Error::wrong(
                "this answer is not for a token of this site: it was made with a token of another site, or \
                 with a token that is forgotten two days after it was made",
            )
        })?;
        let name = &heard.name;
        let terms = match &heard.verdict {
            Verdict::Admit(terms) => Some(terms.clone()),
            // The person who pastes the answer says yes.
            Verdict::Answer(JoinAnswer::Waits) => Some(self.invitation(name)?.0.terms.clone()),
            Verdict::Admitted => None,
            Verdict::Answer(answer) => {
                let reason = match answer {
                    JoinAnswer::Used => "was used by another site",
                    JoinAnswer::Revoked => "was revoked",
                    _ => "is older than 24 hours",
                };
                return Err(Error::wrong(format!(
                    "the token for {name} {reason}: invite the site again with `portals invite {name}`"
                ))
                .into());
            }
        };
        let joined = match terms {
            Some(terms) => self.admit(&terms, &heard.applicant)?,
            None => name.clone(),
        };
        self.has_joined(name, &joined, heard.applicant.key, now);
        let answer = heard.seal(random(), &self.joined(heard.applicant.key));
        self.sources.door.deliver(heard.packet, answer, &heard.applicant.request);
        Ok(vec![joined])
    }

    /// Reacts to packets that may be requests of new sites.
    pub(super) fn hear_requests(&mut self, packets: &[HelperPacket]) {
        for HelperPacket { from, to, packet } in packets {
            let now = Instant::now();
            let Some(heard) = self.hear(packet, Some(*from), now) else { continue };
            let answer = self.decide(&heard, now);
            self.sources.helper_ports.send(*to, *from, &heard.seal(random(), &answer));
        }
    }

    /// Sends the answers to pasted requests that are due.
    pub(super) fn deliver(&mut self) {
        let names = self.sources.addresses();
        self.sources.door.send(&mut *self.kernel, &names, Instant::now());
    }

    fn hear(&mut self, packet: &[u8], from: Option<SocketAddr>, now: Instant) -> Option<Heard> {
        let own = &self.files.private_key;
        let mut derive = |secret: &InviteSecret, other| JoinKeys::derive(secret, own, other);
        self.sources.door.invitations.hear(packet, from, now, &mut derive)
    }

    /// Carries out the decision about a request, and returns the answer.
    fn decide(&mut self, heard: &Heard, now: Instant) -> JoinAnswer {
        let (name, key) = (&heard.name, heard.applicant.key);
        let terms = match &heard.verdict {
            Verdict::Answer(answer) => {
                if heard.begins_to_wait {
                    log::info!("a site waits for a yes with the token for {name}: portals invites");
                }
                return answer.clone();
            }
            Verdict::Admitted => return self.joined(key),
            Verdict::Admit(terms) => terms,
        };
        if let Some(known) = self.site_with(key) {
            self.has_joined(name, &known, key, now);
            return self.joined(key);
        }
        if let Some(answer) = self.sources.door.failed_lately(name, now) {
            return answer;
        }
        let entry = self.own_name().and_then(|own| {
            let entry = SiteEntry::new(&self.files.network, &own, terms, &heard.applicant);
            entry.map_err(|reason| Error::failed(reason).into())
        });
        let (errors, reason) = match entry {
            Ok(entry) => match self.add_site(&entry, terms.inviter_uses) {
                Ok(()) => {
                    self.has_joined(name, &entry.name, key, now);
                    return self.joined(key);
                }
                Err(errors) => (errors, SEE_LOG.to_owned()),
            },
            Err(errors) => {
                let reason = errors.to_string();
                (errors, reason)
            }
        };
        log::error!("a site cannot join with the token for {name}; its key is {key}:");
        log_all(&errors);
        let answer = JoinAnswer::Refused(reason);
        self.sources.door.has_failed(name, &answer, now);
        answer
    }

    /// Adds a site on the terms of its invitation. Returns its name.
    fn admit(&mut self, terms: &Terms, applicant: &Applicant) -> Result<Name, Errors> {
        if let Some(known) = self.site_with(applicant.key) {
            return Ok(known);
        }
        let own = self.own_name()?;
        let entry = SiteEntry::new(&self.files.network, &own, terms, applicant).map_err(Error::failed)?;
        self.add_site(&entry, terms.inviter_uses)?;
        Ok(entry.name)
    }

    /// Returns the site with this key: a power cut may have come between its entry in the network file and
    /// the end of its token.
    fn site_with(&self, key: PublicKey) -> Option<Name> {
        site::own_name(&self.files.network, key).ok().cloned()
    }

    /// Adds a site to the network file, and puts the file in force for good. If that fails, the file is as
    /// before.
    fn add_site(&mut self, entry: &SiteEntry, inviter_uses: bool) -> Result<(), Errors> {
        self.admin_key()?;
        self.nothing_waits()?;
        let (own, file, before) = (self.own_name()?, self.file.clone(), Rc::clone(&self.files));
        locked_file::change(&file, 0, &mut |text, _| {
            before.is_finished(text)?;
            let mut text = edit::append(text, &entry.to_text());
            if inviter_uses {
                text = edit::add_to_list(&text, &["site", &own], "exits", &entry.name)?;
            }
            Ok(text)
        })?;
        let result = self.reload(Confirmation::NotNeeded);
        let Err(errors) = result else { return Ok(()) };
        log_errors(&self.put_back(&before));
        Err(errors)
    }

    /// Checks that no change of the network file waits for its end.
    pub(super) fn nothing_waits(&self) -> Result<()> {
        if self.sources.confirmation.deadline().is_none() && !self.sources.helper_ports.exchange.is_rotating {
            return Ok(());
        }
        Err(Error::failed(
            "a change of the network file waits to be confirmed: confirm it, or wait for its end",
        ))
    }

    /// Puts a former version of the network file back.
    fn put_back(&mut self, before: &Files) -> Result<(), Errors> {
        let locked = LockedNetworkFile::begin(&self.file)?;
        let (text, _) = network_file::load(&self.file)?;
        locked.finish(&text, &before.text)?;
        self.reload(Confirmation::NotNeeded).map(drop)
    }

    /// Checks the terms of an invitation against the network file.
    fn try_terms(&self, terms: &Terms) -> Result<(), Errors> {
        let own = self.own_name()?;
        let request =
            JoinRequest { endpoint: config::endpoint_host("new.example"), ..JoinRequest::default() };
        let key = public_key(&key_files::generate());
        let applicant = Applicant { key, request, from: None };
        let network = &self.files.network;
        let entry = SiteEntry::new(network, &own, terms, &applicant).map_err(Error::wrong)?;
        let text = edit::append(&self.files.text, &entry.to_text());
        let heading = "with this site, the network file would be wrong:";
        config::check(&self.file, &text).map_err(|faults| faults.under(Error::wrong(heading)))?;
        Ok(())
    }

    /// Checks that this site has the admin key of the network.
    fn admin_key(&self) -> Result<()> {
        let network = &self.files.network;
        if network.admins.is_empty() {
            return Err(Error::wrong(
                "the network has no admin key, without which no site can join by a token: make one with \
                 `portals sign --create`",
            ));
        }
        let key = admin_key::load(&self.files.folder)?;
        if key.is_some_and(|key| network.admins.contains(&signed::admin_public(&key))) {
            return Ok(());
        }
        Err(Error::wrong(format!(
            "the admin key of the network is not in {}: invite at the site that has it, or put it there \
             until the new site has joined",
            self.files.folder.join(admin_key::ADMIN_KEY_FILE).display()
        )))
    }

    /// Returns the answer for a site that has joined, as the network file is now.
    fn joined(&self, key: PublicKey) -> JoinAnswer {
        let Files { network, text, network_secret, .. } = &*self.files;
        let admin = match signed::standing(text, &network.admins) {
            FileStanding::Signed(admin) => Some(admin),
            _ => network.admins.first().copied(),
        };
        let answer = self
            .own_name()
            .ok()
            .zip(admin)
            .and_then(|(own, admin)| entry::joined(network, &own, key, (admin, network_secret.as_ref())));
        // Its entry is gone since.
        answer.unwrap_or(JoinAnswer::Revoked)
    }

    /// Takes note of a site that has joined.
    fn has_joined(&mut self, invited: &str, name: &str, key: PublicKey, now: Instant) {
        log::info!("site {name} has joined; its key is {key}");
        if let Some(invitation) = self.sources.door.invitations.of(invited) {
            invitation.state = InvitationState::Used(key);
        }
        self.sources.door.keep_or_log(now);
    }

    pub(super) fn own_name(&self) -> Result<Name, Errors> {
        Ok(site::own_name(&self.files.network, self.files.public_key)?.clone())
    }

    fn invitation(&mut self, name: &str) -> Result<(&mut Invitation, Instant)> {
        let invitation = self.sources.door.invitations.of(name);
        let invitation = invitation.ok_or_else(|| {
            Error::wrong(format!("there is no token for {name}: `portals invites` lists all tokens"))
        })?;
        Ok((invitation, Instant::now()))
    }
}

fn status(invitation: &Invitation, now: Instant) -> InvitationStatus {
    let (stage, details) = match &invitation.state {
        InvitationState::Used(key) => (Stage::Used, format!("key {key}")),
        InvitationState::Revoked => (Stage::Revoked, String::new()),
        _ if !invitation.is_good(now) => (Stage::Expired, String::new()),
        InvitationState::Open => (Stage::Open, String::new()),
        InvitationState::Waits(applicant) => (Stage::Waits, wishes(applicant)),
    };
    let (name, left) = (invitation.terms.name.clone(), invitation.left(now).as_secs());
    InvitationStatus { name, stage, left, details }
}

/// Returns everything about a site that asks, in words.
fn wishes(Applicant { key, request, from }: &Applicant) -> String {
    let mut words = format!("key {key}");
    if let Some(from) = from {
        let _ = write!(words, ", from {from}");
    }
    if let Some(name) = &request.name {
        let _ = write!(words, ", wants the name {name}");
    }
    if let Some(endpoint) = &request.endpoint {
        let _ = write!(words, ", endpoint {endpoint}");
    }
    for network in &request.lan {
        let _ = write!(words, ", lan {network}");
    }
    if let Some(portal) = &request.portal {
        let _ = write!(words, ", portal {portal}");
    }
    words
}
