//! Netfilter's netlink: `struct nfgenmsg` of linux/netfilter/nfnetlink.h precedes the attributes.
//! Numbers are in the network's byte order.

use std::io;

use netlink_packet_core::NLM_F_DUMP;
use nix::errno::Errno;
use nix::libc::{self, c_int};

use super::attributes::{AttributeWriter, Attributes};
use super::constant::{of_8_bits, of_16_bits};
use super::message::Message;
use super::netlink::{self, ALIGNMENT, Frame, Refusal, Socket, protocols};
use crate::base::error::{Context as _, Result};

/// Bytes of `struct nfgenmsg`: family, version, and a resource in the network's byte order.
const HEADER: usize = 4;

/// The version of the protocol (NFNETLINK_V0 of linux/netfilter/nfnetlink.h).
const VERSION: u8 = 0;

/// Limit of one send in bytes. The usual 208 KiB are enough for some two thousand networks in sets.
const SEND_BUFFER: usize = 4 * 1024 * 1024;

const ALL_FAMILIES: u8 = of_8_bits(libc::NFPROTO_UNSPEC);

/// Number of a transaction's first message. A refusal of it concerns the whole transaction.
const BEGIN: usize = 0;

/// A socket to netfilter, in the network namespace of the thread that opened it.
pub(super) struct Nfnetlink {
    socket: Socket,
    family: u8,
}

impl Nfnetlink {
    /// Opens a socket for requests about a family of protocols (NFPROTO_*).
    pub(super) fn open(family: u8) -> Result<Self> {
        Self::try_open(family).context(netlink::unopened)
    }

    /// Opens a socket as [`Nfnetlink::open`] does; `None` if this kernel was built without netfilter's
    /// netlink.
    pub(super) fn find(family: u8) -> Result<Option<Self>> {
        match Self::try_open(family) {
            Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => Ok(None),
            socket => socket.context(netlink::unopened).map(Some),
        }
    }

    fn try_open(family: u8) -> io::Result<Self> {
        let socket = Socket::try_open(protocols::NETLINK_NETFILTER)?;
        // A transaction has to go out in one send. If the kernel refuses, the batches of a small network fit
        // all the same.
        socket.allow_long_sends(SEND_BUFFER);
        Ok(Self { socket, family })
    }

    /// Sends a request, and returns all answers of the kernel.
    pub(super) fn request(
        &mut self,
        kind: u16,
        flags: u16,
        body: &dyn Fn(&mut AttributeWriter),
    ) -> Result<Vec<u8>, Refusal> {
        self.request_about(self.family, kind, flags, body)
    }

    /// Sends a request about another family than the socket's, and returns all answers of the kernel.
    pub(super) fn request_about(
        &mut self,
        family: u8,
        kind: u16,
        flags: u16,
        body: &dyn Fn(&mut AttributeWriter),
    ) -> Result<Vec<u8>, Refusal> {
        let request = request(kind, flags, family, body);
        let mut answers = Vec::new();
        self.socket.exchange(&request, &mut |frame| {
            answers.extend_from_slice(frame.bytes);
            answers.resize(answers.len().next_multiple_of(ALIGNMENT), 0);
        })?;
        Ok(answers)
    }

    /// Returns all objects of a kind, of all families and tables.
    pub(super) fn dump_all(&mut self, kind: u16) -> Result<Vec<u8>, Refusal> {
        self.request_about(ALL_FAMILIES, kind, NLM_F_DUMP, &|_| ())
    }

    /// Hands all objects of a kind, of the socket's family, to `take` one by one, since they may be many.
    pub(super) fn dump_each(&mut self, kind: u16, take: &mut dyn FnMut(Frame)) -> Result<(), Refusal> {
        self.socket.exchange(&request(kind, NLM_F_DUMP, self.family, &|_| ()), take).map(drop)
    }

    /// Carries out requests that do not depend on each other. Returns the verdict on each request.
    pub(super) fn batch(&mut self, requests: Vec<Message>) -> Vec<Result<(), Refusal>> {
        self.socket.batch(requests)
    }

    /// Carries out a transaction whose last request asks for an acknowledgement. Returns the first refusal,
    /// if there is one, with the number of the request in the transaction: the later refusals follow from it.
    pub(super) fn transact(&mut self, transaction: &[Message]) -> Result<(), (usize, Refusal)> {
        let refusals = self.refusals(transaction).map_err(|refusal| (BEGIN, refusal))?;
        refusals.into_iter().next().map_or(Ok(()), Err)
    }

    /// Carries out a transaction whose last request asks for an acknowledgement. Returns all refusals in
    /// order, each with the number of the request in the transaction.
    pub(super) fn refusals(&mut self, transaction: &[Message]) -> Result<Vec<(usize, Refusal)>, Refusal> {
        let mut refusals = Vec::new();
        for (number, verdict) in self.socket.send_whole(transaction)?.into_iter().enumerate() {
            if let Err(refusal) = verdict {
                refusals.push((number, refusal));
            }
        }
        Ok(refusals)
    }
}

/// Returns a request about a family of protocols (NFPROTO_*), with the attributes that `body` writes.
pub(super) fn request(kind: u16, flags: u16, family: u8, body: &dyn Fn(&mut AttributeWriter)) -> Message {
    let mut writer = object(family);
    body(&mut writer);
    Message::raw(kind, writer.finish()).with_flags(flags)
}

/// Returns a writer of the attributes of an object of a family of protocols (NFPROTO_*).
pub(super) fn object(family: u8) -> AttributeWriter {
    AttributeWriter::behind(&[family, VERSION, 0, 0])
}

/// Returns the first message of a transaction of a subsystem (NFNL_SUBSYS_*).
pub(super) fn begin(subsystem: c_int) -> Message {
    bracket(libc::NFNL_MSG_BATCH_BEGIN, subsystem)
}

/// Returns the last message of a transaction of a subsystem (NFNL_SUBSYS_*).
pub(super) fn end(subsystem: c_int) -> Message {
    bracket(libc::NFNL_MSG_BATCH_END, subsystem)
}

/// The subsystem takes the place of the resource.
fn bracket(kind: c_int, subsystem: c_int) -> Message {
    let [high, low] = of_16_bits(subsystem).to_be_bytes();
    Message::raw(of_16_bits(kind), vec![ALL_FAMILIES, VERSION, high, low])
}

/// Returns the kind of a message: a subsystem (NFNL_SUBSYS_*) in the upper byte, and a message of that
/// subsystem in the lower.
pub(super) const fn kind(subsystem: c_int, message: c_int) -> u16 {
    of_16_bits(subsystem << 8 | message)
}

/// Reports whether a refusal means that the kernel lacks a subsystem: `nfnetlink_rcv_msg` in
/// net/netfilter/nfnetlink.c.
pub(super) fn is_unknown_subsystem(errno: Errno) -> bool {
    matches!(errno, Errno::EINVAL | Errno::EOPNOTSUPP)
}

/// Reports whether a message belongs to a subsystem (NFNL_SUBSYS_*).
pub(super) fn is_of(frame: &Frame, subsystem: c_int) -> bool {
    c_int::from(frame.kind >> 8) == subsystem
}

/// Returns the attributes of a message, read in place.
pub(super) fn attributes(payload: &[u8]) -> Attributes<'_> {
    Attributes::of(payload.get(HEADER..).unwrap_or_default())
}

/// Returns the family (NFPROTO_*) of the object that a message is about.
pub(super) fn family_of(payload: &[u8]) -> Option<u8> {
    payload.first().copied()
}

/// Returns the lower half of the number that the kernel gives to each state of its ruleset, at the time of
/// the answer.
pub(super) fn generation(payload: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*payload.get(2..)?.first_chunk()?))
}
