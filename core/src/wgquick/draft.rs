//! The part of a file that was read so far, and its meaning for the kernel.

use std::num::NonZeroU16;

use super::{DialledHost, InterfaceSection, Parsed, PeerSection, Remark, WgQuickFile};
use crate::base::keys;
use crate::base::net::{Cidr, PublicKey, Secret};
use crate::config::fault::{Findings, Lines, Span};

#[derive(Default)]
pub(super) struct WgQuickDraft {
    pub(super) interface: InterfaceSection,
    /// Place of the first `[Interface]`.
    pub(super) header: Option<Span>,
    /// Keys of `[Interface]` so far.
    pub(super) keys: Vec<&'static str>,
    pub(super) peers: Vec<PeerSectionDraft>,
    pub(super) remarks: Vec<Remark>,
}

pub(super) struct PeerSectionDraft {
    pub(super) header: Span,
    pub(super) keys: Vec<&'static str>,
    pub(super) public_key: Option<PublicKey>,
    /// Start of the public key in the file.
    pub(super) key_start: usize,
    pub(super) preshared_key: Option<Secret>,
    pub(super) endpoint: Option<DialledHost>,
    pub(super) allowed_ips: Vec<Cidr>,
    pub(super) keepalive: Option<NonZeroU16>,
}

impl WgQuickDraft {
    /// Returns the content of the file, with the remarks in the order of the file; records missing sections
    /// and keys.
    pub(super) fn finish(mut self, lines: &Lines, found: &mut Findings) -> Parsed {
        self.lacking(found);
        let own = self.interface.private_key.as_ref().map(keys::public_key);
        let mut peers: Vec<PeerSection> = Vec::new();
        for draft in std::mem::take(&mut self.peers) {
            let Some(public_key) = draft.public_key else { continue };
            let mut remark = |message: &str| {
                let line = lines.position(draft.key_start).line;
                let at = self.remarks.partition_point(|earlier| earlier.line <= line);
                self.remarks.insert(at, Remark { line, message: message.to_owned() });
            };
            if own == Some(public_key) {
                remark("this peer has the key of this end: it is left out, as in the kernel");
                continue;
            }
            let earlier = peers.iter().position(|peer| peer.public_key == public_key);
            if earlier.is_some() {
                remark(
                    "this peer appears again: these `AllowedIPs` replace the earlier ones, and settings \
                     that are missing here stay",
                );
            }
            // A network belongs to the last peer that lists it, so the merged peer goes to the end.
            let earlier = earlier.map(|index| peers.remove(index));
            peers.push(draft.finish(public_key, earlier));
        }
        Parsed { config: WgQuickFile { interface: self.interface, peers }, remarks: self.remarks }
    }

    fn lacking(&self, found: &mut Findings) {
        match &self.header {
            None => found.add(
                &(0..0),
                "there is no `[Interface]`",
                "this is not a wg-quick file: use the file exactly as your provider hands it out",
            ),
            Some(header) if !self.keys.contains(&"PrivateKey") => {
                let help = "add `PrivateKey = …`, the key of this end";
                found.add(header, "`[Interface]` has no `PrivateKey`", help);
            }
            Some(_) => {}
        }
        for peer in self.peers.iter().filter(|peer| !peer.keys.contains(&"PublicKey")) {
            found.add(
                &peer.header,
                "this `[Peer]` has no `PublicKey`",
                "add `PublicKey = …`, the key of the other end",
            );
        }
    }
}

impl PeerSectionDraft {
    pub(super) fn new(header: Span) -> Self {
        Self {
            header,
            keys: Vec::new(),
            public_key: None,
            key_start: 0,
            preshared_key: None,
            endpoint: None,
            allowed_ips: Vec::new(),
            keepalive: None,
        }
    }

    /// Returns the peer, completed with the settings of an earlier section for the same peer.
    fn finish(self, public_key: PublicKey, earlier: Option<PeerSection>) -> PeerSection {
        let says = |key| self.keys.contains(&key);
        let (psk, endpoint, keepalive) =
            (says("PresharedKey"), says("Endpoint"), says("PersistentKeepalive"));
        let new = PeerSection {
            public_key,
            preshared_key: self.preshared_key,
            endpoint: self.endpoint,
            allowed_ips: self.allowed_ips,
            keepalive: self.keepalive,
        };
        let Some(earlier) = earlier else { return new };
        PeerSection {
            preshared_key: if psk { new.preshared_key } else { earlier.preshared_key },
            endpoint: if endpoint { new.endpoint } else { earlier.endpoint },
            keepalive: if keepalive { new.keepalive } else { earlier.keepalive },
            ..new
        }
    }
}
