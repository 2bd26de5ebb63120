//! Netlink: requests to the kernel, many in one send, and what it answers.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;

use netlink_packet_core::{
    ErrorBuffer, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST,
    NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
};
use nix::errno::Errno;
use nix::libc;
use zeroize::{Zeroize as _, Zeroizing};

use super::attributes::{Attributes, text_before_zero};
use super::message::{Decode, Message};
use crate::base::error::{Context, Result};
pub use netlink_sys::protocols;

/// Bytes of one send. The kernel takes at most the socket's send buffer at once (`netlink_sendmsg`, by default 208 kB);
/// 64 kB leaves room on kernels that were told to be thrifty, and holds a thousand routes.
const CHUNK: usize = 64 << 10;

/// Bytes of one answer, as the kernel is told that there is room for; it makes the parts of a dump up to that long, and wipes so
/// much memory for each part, beside 320 bytes of its own (`netlink_dump`).
pub(super) const ROOM: usize = (8 << 10) - 320;

/// The same where objects are asked for one by one: each fits into the least that the kernel takes, a page as a rule.
const LITTLE_ROOM: usize = 3 << 10;

/// Bytes of answers that may wait: about a thousand errors. The kernel silently lowers it to net.core.rmem_max.
const WAITING: libc::c_int = 1 << 20;

/// How often a dump is begun anew because what it listed changed meanwhile.
const DUMP_ATTEMPTS: u32 = 16;

/// Bytes of `struct nlmsghdr` of linux/netlink.h: length, kind, flags, sequence number and port.
const HEADER: usize = 16;

/// Every message begins at a multiple of this (NLMSG_ALIGNTO).
const ALIGNMENT: usize = 4;

/// Attribute of an error that holds a sentence (NLMSGERR_ATTR_MSG).
const ERROR_TEXT: u16 = 1;

/// A netlink socket, in the network namespace of the thread that opened it.
pub struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
    answer: Vec<u8>,
    room: usize,
    /// Whether answers hold private keys: then they are wiped when dropped.
    secret: bool,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// The kernel did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its error number.
    pub errno: Errno,
    /// Its explanation, where it gives one (extended acknowledgements, Linux 4.12 and later).
    pub explanation: Option<String>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, explanation: None }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)).into()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.errno.desc())?;
        match &self.explanation {
            Some(explanation) => write!(f, " ({explanation})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.errno)
    }
}

/// A request; `flags` are those beyond NLM_F_REQUEST, such as NLM_F_CREATE.
pub fn request(message: Message, flags: u16) -> NetlinkMessage<Message> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    NetlinkMessage::new(header, message.into())
}

impl Socket {
    /// Opens a socket for one of [`protocols`].
    pub fn open(protocol: isize) -> Result<Self> {
        let inner = Self::open_quietly(protocol)
            .context(|| "cannot open a netlink socket to the kernel".to_owned())?;
        // What old kernels lack of these only makes errors terser and dumps longer: extended acknowledgements came with
        // Linux 4.12, short ones with 4.3, filtered dumps with 4.20.
        let _ = inner.set_ext_ack(true);
        let _ = inner.set_cap_ack(true);
        let _ = inner.set_netlink_get_strict_chk(true);
        let _ = inner.set_rx_buf_sz(WAITING);
        let secret = protocol == protocols::NETLINK_GENERIC;
        let room = if secret { LITTLE_ROOM } else { ROOM };
        Ok(Self { inner, sequence: 0, answer: Vec::new(), room, secret })
    }

    fn open_quietly(protocol: isize) -> io::Result<netlink_sys::Socket> {
        let mut inner = netlink_sys::Socket::new(protocol)?;
        inner.bind_auto()?;
        inner.connect(&netlink_sys::SocketAddr::new(0, 0))?;
        Ok(inner)
    }

    /// All objects of a kind, as one consistent list. Those that cannot be decoded are left out: they are of newer
    /// kernels or of drivers with their own idea of an attribute, and never ours.
    pub fn dump<T: Decode>(&mut self, request: Message) -> Result<Vec<T>, Refusal> {
        self.gather(request, |objects: &mut Vec<T>, payload| objects.extend(T::decode(payload)))
    }

    /// What all objects of a kind come to together, each taken in where it was received.
    pub fn gather<A: Default>(&mut self, request: Message, take: fn(&mut A, &[u8])) -> Result<A, Refusal> {
        let mut message = self::request(request, NLM_F_DUMP);
        for _ in 0..DUMP_ATTEMPTS {
            let mut gathered = A::default();
            let sequence = self.send(std::slice::from_mut(&mut message))?;
            if self.receive_dump(sequence, &mut |payload| take(&mut gathered, payload))? {
                return Ok(gathered);
            }
        }
        Err(Refusal {
            errno: Errno::EAGAIN,
            explanation: Some("it keeps changing while it is being read".to_owned()),
        })
    }

    /// The one answer to a question; `None` if it cannot be decoded.
    pub fn get<T: Decode>(&mut self, request: Message) -> Result<Option<T>, Refusal> {
        let sequence = self.send(&mut [self::request(request, 0)])?;
        loop {
            for (header, payload) in frames(self.receive(0)?) {
                if header.sequence_number != sequence {
                    continue;
                }
                if header.message_type == NLMSG_ERROR {
                    verdict(&header, payload)?;
                    return Err(Errno::ENODATA.into());
                }
                return Ok(T::decode(payload));
            }
        }
    }

    /// Carries out all requests in order, whether or not some of them fail; what became of each.
    ///
    /// They go out in as few sends as there are 64 kB in them: one, as a rule.
    pub fn batch(&mut self, mut requests: Vec<NetlinkMessage<Message>>) -> Vec<Result<(), Refusal>> {
        let mut results = Vec::with_capacity(requests.len());
        let mut rest = requests.as_mut_slice();
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at_mut(chunk_length(rest));
            results.extend(self.batch_chunk(chunk));
            rest = others;
        }
        results
    }

    fn batch_chunk(&mut self, chunk: &mut [NetlinkMessage<Message>]) -> Vec<Result<(), Refusal>> {
        let count = chunk.len();
        // Errors are reported for every request that fails; one acknowledgement at the end tells that all were looked at.
        if let Some(last) = chunk.last_mut() {
            last.header.flags |= NLM_F_ACK;
        }
        self.send(chunk)
            .and_then(|first| self.receive_verdicts(first, count))
            .unwrap_or_else(|refusal| vec![Err(refusal); count])
    }

    /// Numbers the messages and sends them; the number of the first.
    fn send(&mut self, messages: &mut [NetlinkMessage<Message>]) -> Result<u32, Refusal> {
        let first = self.sequence.wrapping_add(1);
        // Requests hold private keys: wiped when dropped.
        let mut bytes = Zeroizing::new(vec![0; messages.iter().map(padded_length).sum()]);
        let mut offset = 0;
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            message.header.sequence_number = self.sequence;
            message.finalize();
            message.serialize(&mut bytes[offset..offset + message.buffer_len()]);
            offset += padded_length(message);
        }
        self.inner.send(&bytes, 0)?;
        Ok(first)
    }

    /// What became of `count` requests, the first of which has the number `first`.
    fn receive_verdicts(&mut self, first: u32, count: usize) -> Result<Vec<Result<(), Refusal>>, Refusal> {
        let mut verdicts: Vec<Option<Result<(), Refusal>>> = vec![None; count];
        while verdicts.last().is_some_and(Option::is_none) {
            // The kernel works off a request while it is being sent, so all answers wait already.
            let answer = match self.receive(libc::MSG_DONTWAIT) {
                Ok(answer) => answer,
                Err(refusal) if refusal.errno == Errno::EAGAIN => break,
                Err(refusal) => return Err(refusal),
            };
            for (header, payload) in frames(answer) {
                let index = header.sequence_number.wrapping_sub(first) as usize;
                if header.message_type == NLMSG_ERROR && index < count {
                    verdicts[index] = Some(verdict(&header, payload));
                }
            }
        }
        // Without the last acknowledgement there were more errors than the socket holds, and the kernel dropped the
        // rest: what was answered is known, behind that nothing is.
        let known = verdicts.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let unknown = || Err(Errno::ENOBUFS.into());
        Ok(verdicts
            .into_iter()
            .enumerate()
            .map(|(index, verdict)| verdict.unwrap_or_else(|| if index < known { Ok(()) } else { unknown() }))
            .collect())
    }

    /// The rest of a dump; false if what it lists has changed meanwhile.
    fn receive_dump(&mut self, sequence: u32, take: &mut dyn FnMut(&[u8])) -> Result<bool, Refusal> {
        let mut consistent = true;
        loop {
            for (header, payload) in frames(self.receive(0)?) {
                if header.sequence_number != sequence {
                    continue;
                }
                consistent &= header.flags & NLM_F_DUMP_INTR == 0;
                match header.message_type {
                    // Its payload is an error number, like that of an error: a dump can fail half-way.
                    NLMSG_DONE | NLMSG_ERROR => return verdict(&header, payload).map(|()| consistent),
                    _ => take(payload),
                }
            }
        }
    }

    /// Receives what waits; with MSG_DONTWAIT it fails with EAGAIN if nothing does.
    fn receive(&mut self, flags: libc::c_int) -> Result<&[u8], Refusal> {
        self.answer.clear();
        let length = next_length(&self.inner, flags)?;
        if self.answer.capacity() < length {
            self.wipe();
            self.answer = Vec::with_capacity(length.max(self.room));
        }
        self.inner.recv(&mut self.answer, flags)?;
        Ok(&self.answer)
    }

    fn wipe(&mut self) {
        if self.secret {
            self.answer.zeroize();
        }
    }
}

/// Bytes of what is received next. Newer kernels make it longer than there was room for before (6.18 does), and an error repeats
/// the whole request where the kernel is too old to cut it short.
pub(super) fn next_length(socket: &netlink_sys::Socket, flags: libc::c_int) -> io::Result<usize> {
    loop {
        match socket.recv::<&mut [u8]>(&mut [].as_mut_slice(), flags | libc::MSG_PEEK | libc::MSG_TRUNC) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            length => return length,
        }
    }
}

/// How many of the messages go into one send: at least one.
fn chunk_length(messages: &[NetlinkMessage<Message>]) -> usize {
    let mut bytes = 0;
    let fitting = messages.iter().take_while(|message| {
        bytes += padded_length(message);
        bytes <= CHUNK
    });
    fitting.count().max(1)
}

fn padded_length(message: &NetlinkMessage<Message>) -> usize {
    message.buffer_len().next_multiple_of(ALIGNMENT)
}

/// The messages in an answer, up to the first that is cut short.
pub(crate) fn frames(mut rest: &[u8]) -> impl Iterator<Item = (NetlinkHeader, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
        let (front, payload) = rest.get(..length)?.split_first_chunk::<HEADER>()?;
        rest = rest.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        let [_, _, _, _, kind @ .., f0, f1, s0, s1, s2, s3, _, _, _, _] = *front;
        let mut header = NetlinkHeader::default();
        header.message_type = u16::from_ne_bytes(kind);
        header.flags = u16::from_ne_bytes([f0, f1]);
        header.sequence_number = u32::from_ne_bytes([s0, s1, s2, s3]);
        Some((header, payload))
    })
}

/// What an acknowledgement, an error or the end of a dump says.
pub(crate) fn verdict(header: &NetlinkHeader, payload: &[u8]) -> Result<(), Refusal> {
    let error = ErrorBuffer::new_checked(payload)
        .map_err(|error| Refusal { errno: Errno::EBADMSG, explanation: Some(error.to_string()) })?;
    match error.code() {
        None => Ok(()),
        Some(code) => Err(Refusal {
            errno: Errno::from_raw(code.get().saturating_abs()),
            explanation: explanation(header, error.payload()),
        }),
    }
}

/// The kernel's sentence behind the error number: attributes that follow the header of the failed request, and all of
/// that request where the answer is not capped.
fn explanation(header: &NetlinkHeader, payload: &[u8]) -> Option<String> {
    if header.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let attributes = match header.message_type {
        NLMSG_DONE => payload,
        _ if header.flags & NLM_F_CAPPED != 0 => payload.get(HEADER..)?,
        _ => {
            let request = NetlinkBuffer::new_checked(payload).ok()?;
            payload.get((request.length() as usize).next_multiple_of(ALIGNMENT)..)?
        }
    };
    Attributes::of(attributes).bytes(ERROR_TEXT).map(|value| text_before_zero(value).to_owned())
}
