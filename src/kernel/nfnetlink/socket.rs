//! The socket to netfilter, and the two ways to talk over it: a request with its answers, and a batch.

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;
use nix::libc::MSG_DONTWAIT;
use nix::sys::socket::{setsockopt, sockopt::SndBufForce};

use super::{Header, Message, Writer, messages};
use crate::kernel::netlink::{ROOM, next_length};

/// NFPROTO_UNSPEC
const ALL_FAMILIES: u8 = 0;

/// In bytes. The usual 208 KiB are enough for some two thousand networks in sets.
const SEND_BUFFER: usize = 4 * 1024 * 1024;

/// A socket to netfilter, in the network namespace of the thread that opened it.
pub(in crate::kernel) struct Nfnetlink {
    socket: Socket,
    family: u8,
    sequence: u32,
}

/// Why a batch was refused.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Refusal {
    /// Of the message that was refused; 0 if it was not one of them but all.
    pub(in crate::kernel) sequence: u32,
    pub(in crate::kernel) errno: Errno,
}

impl Refusal {
    fn of_all(errno: Errno) -> Self {
        Self { sequence: 0, errno }
    }
}

impl Nfnetlink {
    /// A socket for requests about one family, NFPROTO_*.
    pub(in crate::kernel) fn open(family: u8) -> Result<Self, Errno> {
        let socket = Socket::new(NETLINK_NETFILTER).map_err(errno)?;
        // Errors need not repeat the message that they are about: its sequence number says which it was.
        socket.set_cap_ack(true).map_err(errno)?;
        // Refused without CAP_NET_ADMIN in the first user namespace. The batches of a small network fit all the same.
        _ = setsockopt(&socket, SndBufForce, &SEND_BUFFER);
        Ok(Self { socket, family, sequence: 0 })
    }

    /// Sends one message and waits for all that the kernel answers to it.
    pub(in crate::kernel) fn request(
        &mut self,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer),
    ) -> Result<Vec<u8>, Errno> {
        self.request_about(self.family, kind, flags, body)
    }

    /// Sends a request about another family than this socket's.
    pub(in crate::kernel) fn request_about(
        &mut self,
        family: u8,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer),
    ) -> Result<Vec<u8>, Errno> {
        let mut answers = Vec::new();
        self.request_of(family, kind, flags, body, &mut |piece| answers.extend(piece))?;
        Ok(answers)
    }

    /// All objects of a kind, of all families and tables.
    pub(in crate::kernel) fn dump_all(&mut self, kind: u16) -> Result<Vec<u8>, Errno> {
        let mut answers = Vec::new();
        self.request_of(ALL_FAMILIES, kind, NLM_F_DUMP, |_| (), &mut |piece| answers.extend(piece))?;
        Ok(answers)
    }

    /// All objects of a kind, of this socket's family: `take` gets them piece by piece, as they come, since they may be many.
    pub(in crate::kernel) fn dump_in_pieces(
        &mut self,
        kind: u16,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Errno> {
        self.request_of(self.family, kind, NLM_F_DUMP, |_| (), take)
    }

    fn request_of(
        &mut self,
        family: u8,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer),
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let flags = NLM_F_REQUEST | flags;
        let header = Header { kind, flags, sequence: self.sequence, family, resource: 0 };
        let mut writer = Writer::default();
        writer.message(&header, body);
        self.send(&writer.finish())?;
        let mut piece = Vec::new();
        loop {
            piece.clear();
            self.receive(&mut piece, 0)?;
            take(&piece);
            let outcome = messages(&piece)
                .filter(|message| message.sequence == self.sequence)
                .find_map(Message::outcome);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    /// Sends a batch whose last message asks to be acknowledged; returns the first refusal, if there is one. Those behind
    /// it follow from it.
    pub(in crate::kernel) fn batch(&mut self, batch: &[u8]) -> Result<(), Refusal> {
        self.refusals(batch)?.first().map_or(Ok(()), |first| Err(*first))
    }

    /// Sends a batch whose last message asks to be acknowledged; returns all refusals, in order.
    pub(in crate::kernel) fn refusals(&mut self, batch: &[u8]) -> Result<Vec<Refusal>, Refusal> {
        self.send(batch).map_err(Refusal::of_all)?;
        // The kernel works on a batch within `send`, so that every answer waits here by now.
        let mut answers = Vec::new();
        loop {
            match self.receive(&mut answers, MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => break,
                // Of very many errors, the last ones were lost. The first one is what counts.
                Ok(()) | Err(Errno::ENOBUFS) => {}
                Err(errno) => return Err(Refusal::of_all(errno)),
            }
        }
        let outcomes: Vec<_> = messages(&answers)
            .filter_map(|message| {
                let outcome = message.outcome()?;
                Some(outcome.map_err(|errno| Refusal { sequence: message.sequence, errno }))
            })
            .collect();
        if outcomes.is_empty() {
            return Err(Refusal::of_all(Errno::EPROTO));
        }
        Ok(outcomes.into_iter().filter_map(Result::err).collect())
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.socket.send_to(bytes, &SocketAddr::new(0, 0), 0).map(drop).map_err(errno)
    }

    fn receive(&self, answers: &mut Vec<u8>, flags: i32) -> Result<(), Errno> {
        let length = next_length(&self.socket, flags).map_err(errno)?;
        answers.reserve(length.max(ROOM));
        self.socket.recv(answers, flags).map(drop).map_err(errno)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
