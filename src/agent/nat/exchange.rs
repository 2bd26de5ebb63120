//! Exchange of the network file with linked sites, through the tunnels, and their questions.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

use super::super::source::Task;
use super::answers::Answers;
use super::keys::{PairKeys, random};
use crate::base::moment::{earlier, is_due};
use crate::base::sorted::SortedMap;
use crate::control::SiteFile;
use crate::engine::load::Files;
use crate::engine::locked_file::LockedNetworkFile;
use crate::exchange::{Exchange, Outgoing, OwnFile, OwnStanding, Relation, WholeFile, own_standing, thanks};
use crate::kernel::sockets::HelperPacket;
use crate::nat::ip_of;
use crate::nat::packet::{Header, Kind};
use crate::site::{ExchangePart, Site};
use crate::system::logging as log;

/// Number of packets that thank for a file.
const THANKS: usize = 3;

/// Network file with a new key of this site. Linked sites get it before it comes into force here.
#[derive(Debug)]
pub(in crate::agent) struct StagedKey {
    /// Network file, and the new key.
    pub(in crate::agent) files: Rc<Files>,
    /// Sites that are to take the file first.
    pub(in crate::agent) sites: Vec<u8>,
    /// Set if this site does not wait for the answers of sites that have not taken the file.
    pub(in crate::agent) leaves_behind: bool,
    /// Keeps commands from changing the network file meanwhile.
    pub(in crate::agent) lock: LockedNetworkFile,
    /// Time at which the file comes into force here, even if not all have taken it.
    pub(in crate::agent) until: Instant,
}

/// Exchange of the network file.
#[derive(Debug, Default)]
pub(in crate::agent) struct FileExchange {
    /// Part of this site and its address in the tunnels; `None` if it has no linked site.
    part: Option<(ExchangePart, IpAddr)>,
    /// State machine; `None` if the network has no admin keys.
    machine: Option<Exchange>,
    keys: PairKeys,
    /// UDP ports from which linked sites were heard last, by id. The own file may name another port for a
    /// site that does not have this file yet.
    ports: SortedMap<u8, u16>,
    /// Text whose standing is known.
    text: String,
    /// Problem with the own file, or with the last file that was offered, in a sentence.
    problem: Option<String>,
    staged: Option<StagedKey>,
    pub(super) answers: Answers,
    /// Set while a new key of this site is not in force for good.
    pub(in crate::agent) is_rotating: bool,
}

impl FileExchange {
    /// Takes over the network file in force, whether it is undone unless it is confirmed, and the linked
    /// sites.
    pub(in crate::agent) fn follow(&mut self, files: &Files, is_on_trial: bool, site: &Site, now: Instant) {
        let Some(part) = &site.exchange else {
            *self = Self::default();
            return;
        };
        let is_known = self.is_staged() || self.machine.is_some() && self.text == files.text;
        if !is_known {
            match (self.own_file(files), &mut self.machine) {
                (Some(own), Some(machine)) => machine.follow_file(own, now),
                (own, machine) => *machine = own.map(Exchange::new),
            }
        }
        let (mut keys, mut ids) = (SortedMap::new(), Vec::new());
        for peer in &part.peers {
            keys.insert(peer.id, peer.key);
            ids.push(peer.id);
        }
        self.keys.follow(&site.private_key, &keys);
        if let Some(machine) = &mut self.machine {
            machine.follow_trial(is_on_trial, now);
            machine.follow_peers(&ids, now);
        }
        self.part = Some((part.clone(), site.address));
        self.answers.file.clone_from(&files.file);
    }

    /// Returns the own file for the state machine; `None` if its network has no admin keys.
    fn own_file(&mut self, files: &Files) -> Option<OwnFile> {
        self.problem = None;
        let standing = own_standing(&files.text, &files.network)?;
        self.text.clone_from(&files.text);
        if standing == OwnStanding::Edited {
            self.report(
                "the network file was changed here and is not signed: run `portals push` where the admin \
                 key is, or drop the changes with `portals pull`"
                    .to_owned(),
            );
        }
        Some(OwnFile::new(&files.text, files.network.serial, standing))
    }

    /// Offers a file with a new key of this site, which is not in force here yet.
    pub(in crate::agent) fn stage(&mut self, staged: StagedKey, now: Instant) {
        let own = self.own_file(&staged.files);
        if let (Some(machine), Some(own)) = (&mut self.machine, own) {
            machine.follow_file(own, now);
            self.staged = Some(staged);
        }
    }

    /// Reports whether a file with a new key of this site is not in force here yet.
    pub(in crate::agent) fn is_staged(&self) -> bool {
        self.staged.is_some()
    }

    /// Takes the file with the new key, if it is not in force here yet.
    pub(in crate::agent) fn take_staged(&mut self) -> Option<StagedKey> {
        self.staged.take()
    }

    /// Offers the file that was in force before the new key.
    pub(in crate::agent) fn take_back(&mut self, before: &Files, now: Instant) {
        (self.staged, self.is_rotating) = (None, false);
        let own = self.own_file(before);
        if let (Some(machine), Some(own)) = (&mut self.machine, own) {
            machine.take_back(own, now);
        }
    }

    /// Returns those of the sites that have the same file.
    pub(in crate::agent) fn with_same_file(&self, sites: &[u8]) -> Vec<u8> {
        let mut same = Vec::new();
        let Some(machine) = &self.machine else { return same };
        for (id, _, relation) in machine.tell() {
            if relation == Relation::Same && sites.contains(&id) {
                same.push(id);
            }
        }
        same
    }

    /// Returns the packets that tell the giver of a file that the file is about to come into force. After
    /// that, the giver may be out of reach, so there are several.
    pub(in crate::agent) fn thank(&self, file: &WholeFile) -> Vec<HelperPacket> {
        let mut packets = Vec::new();
        for _ in 0..THANKS {
            packets.push(Outgoing { to: file.giver, salt: random(), message: thanks(file) });
        }
        self.sealed(packets)
    }

    /// Returns the state machine, if this site exchanges files.
    pub(in crate::agent) fn machine(&mut self) -> Option<&mut Exchange> {
        self.machine.as_mut()
    }

    /// Takes note of a problem, and logs it once.
    pub(in crate::agent) fn report(&mut self, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            log::warn!("{problem}");
            self.problem = Some(problem);
        }
    }

    /// Returns the problem with the own file, or with the last file that was offered.
    pub(in crate::agent) fn problem(&self) -> Option<String> {
        self.problem.clone()
    }

    /// Returns the name of the linked site with this id.
    pub(in crate::agent) fn name(&self, id: u8) -> String {
        let (part, _) = self.part.as_ref().expect("it exchanges files");
        part.peers.iter().find(|peer| peer.id == id).map_or_else(String::new, |peer| peer.name.clone())
    }

    /// Returns the files of the linked sites.
    pub(in crate::agent) fn tell(&self) -> Vec<SiteFile> {
        let mut files = Vec::new();
        let Some(machine) = &self.machine else { return files };
        for (id, serial, relation) in machine.tell() {
            files.push(SiteFile { site: self.name(id), serial, relation });
        }
        files
    }

    /// Returns the UDP port of this site, if it has linked sites.
    pub(super) fn port(&self) -> Option<u16> {
        self.part.as_ref().map(|(part, _)| part.port)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let until = self.staged.as_ref().map(|staged| staged.until);
        let machine = self.machine.as_ref().and_then(Exchange::deadline);
        earlier(machine, earlier(until, self.answers.deadline()))
    }

    /// Takes a packet, if a linked site has sent it through its tunnel. Returns the packets to send.
    pub(super) fn receive(&mut self, heard: &HelperPacket, now: Instant) -> Vec<HelperPacket> {
        self.opened(heard, now).unwrap_or_default()
    }

    fn opened(&mut self, heard: &HelperPacket, now: Instant) -> Option<Vec<HelperPacket>> {
        let (part, own) = self.part.as_ref()?;
        let header = Header::decode(&heard.packet)?;
        let peer = part.peers.iter().find(|peer| peer.id == header.from)?;
        let is_question = matches!(header.kind, Kind::Echo | Kind::Trace);
        if !(is_question || matches!(header.kind, Kind::Offer | Kind::Fetch | Kind::Piece))
            || header.to != part.id
            || heard.to != SocketAddr::new(*own, part.port)
            || ip_of(&heard.from) != peer.address
        {
            return None;
        }
        let key = self.keys.of(peer.id)?;
        let message = key.open(&header, &heard.packet)?;
        if is_question {
            // A command asks, from a port of its own.
            let (answer, length) = self.answers.answer(peer, header.number(), &message, now)?;
            let mut packet = key.seal(part.id, peer.id, random(), &answer);
            packet.resize(packet.len().max(length), 0);
            return Some(vec![HelperPacket { from: heard.to, to: heard.from, packet }]);
        }
        self.ports.insert(peer.id, heard.from.port());
        let packets = self.machine.as_mut()?.receive(header.from, header.number(), message, now, &mut random);
        Some(self.sealed(packets))
    }

    /// Returns the packets that are due.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<HelperPacket> {
        self.answers.turn(now);
        let packets = self.machine.as_mut().map(|machine| machine.turn(now, &mut random));
        self.sealed(packets.unwrap_or_default())
    }

    /// Returns the work that only the agent can do.
    pub(super) fn task(&mut self, now: Instant) -> Option<Task> {
        if let Some(StagedKey { sites, until, .. }) = &self.staged
            && (is_due(Some(*until), now) || self.with_same_file(sites).len() == sites.len())
        {
            return Some(Task::ChangeKey);
        }
        let machine = self.machine.as_mut()?;
        if machine.is_proven() {
            return Some(Task::KeepFile);
        }
        machine.take_whole().map(Task::TakeFile)
    }

    fn sealed(&self, packets: Vec<Outgoing>) -> Vec<HelperPacket> {
        let mut sealed = Vec::new();
        let Some((part, own)) = &self.part else { return sealed };
        for Outgoing { to, salt, message } in packets {
            let peer = part.peers.iter().find(|peer| peer.id == to);
            if let (Some(peer), Some(key)) = (peer, self.keys.of(to)) {
                let last = self.ports.get(&to).copied();
                sealed.push(HelperPacket {
                    from: SocketAddr::new(*own, part.port),
                    to: SocketAddr::new(peer.address, last.unwrap_or(peer.port)),
                    packet: key.seal(part.id, to, salt, &message),
                });
            }
        }
        sealed
    }
}
