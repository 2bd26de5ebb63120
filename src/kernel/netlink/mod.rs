//! Netlink sockets: requests to the kernel, many in one send, and the kernel's answers.
//!
//! One transport serves all protocols: rtnetlink (`link`, `address`, `route`, `rule`, `neighbour`), generic
//! netlink (`generic`) and nfnetlink (`nfnetlink`).

mod frame;
mod listener;
mod refusal;
#[cfg(test)]
mod tests;

use std::io;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_ERROR};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{setsockopt, sockopt::SndBufForce};
use zeroize::{Zeroize as _, Zeroizing};

use super::message::{Decode, Message};
use crate::base::error::{Context, Result};
pub(crate) use frame::{Frame, frames};
pub(super) use listener::{Listener, Received};
pub use netlink_sys::protocols;
pub use refusal::Refusal;
pub(crate) use refusal::verdict;

/// Bytes of one send. The kernel takes at most the socket's send buffer at once (`netlink_sendmsg`, by
/// default 208 kB). 64 kB leave room on kernels with small limits, and hold a thousand routes.
const CHUNK: usize = 64 << 10;

/// Bytes that this process offers for one answer. The kernel makes the parts of a dump up to this long, and
/// wipes this much memory for each part, in addition to its own 320 bytes (`netlink_dump`).
const ROOM: usize = (8 << 10) - 320;

/// Bytes for one answer where objects are requested one by one. Each object fits into the smallest buffer
/// that the kernel uses, usually a page.
const LITTLE_ROOM: usize = 3 << 10;

/// Bytes of answers that may wait: about a thousand errors. The kernel silently lowers the value to
/// net.core.rmem_max.
const WAITING: libc::c_int = 1 << 20;

/// Number of times that a dump is started before it fails because the listed objects keep changing.
const DUMP_ATTEMPTS: u32 = 16;

/// Multiple of bytes at which every message begins (NLMSG_ALIGNTO).
pub(super) const ALIGNMENT: usize = 4;

/// A netlink socket, in the network namespace of the thread that opened it.
///
/// The socket is connected to the kernel: the kernel refuses messages that other processes send to it.
pub struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
    answer: Vec<u8>,
    room: usize,
    /// Answers hold private keys, and are wiped when dropped.
    secret: bool,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Returns the words about a socket that could not be opened.
pub(super) fn unopened() -> String {
    "cannot open a netlink socket to the kernel".to_owned()
}

impl Socket {
    /// Opens a socket for one of [`protocols`].
    pub fn open(protocol: isize) -> Result<Self> {
        Self::try_open(protocol).context(unopened)
    }

    /// Opens a socket as [`Socket::open`] does. The error EPROTONOSUPPORT means that the kernel lacks the
    /// protocol.
    pub(super) fn try_open(protocol: isize) -> io::Result<Self> {
        let mut inner = netlink_sys::Socket::new(protocol)?;
        inner.bind_auto()?;
        inner.connect(&netlink_sys::SocketAddr::new(0, 0))?;
        // Old kernels lack some of these options. Without them, errors are terser and dumps longer. Extended
        // acknowledgements came with Linux 4.12, short ones with 4.3, filtered dumps with 4.20.
        let _ = inner.set_ext_ack(true);
        let _ = inner.set_cap_ack(true);
        let _ = inner.set_netlink_get_strict_chk(true);
        let _ = inner.set_rx_buf_sz(WAITING);
        let secret = protocol == protocols::NETLINK_GENERIC;
        let room = if secret { LITTLE_ROOM } else { ROOM };
        Ok(Self { inner, sequence: 0, answer: Vec::new(), room, secret })
    }

    /// Allows sends of up to this many bytes. The kernel refuses without CAP_NET_ADMIN in the first user
    /// namespace; then the usual limit stays.
    pub(super) fn allow_long_sends(&self, bytes: usize) {
        let _ = setsockopt(&self.inner, SndBufForce, &bytes);
    }

    /// Lists all objects of a kind, as one consistent list.
    ///
    /// The list leaves out objects that cannot be decoded: they belong to newer kernels, or to drivers that
    /// use an attribute differently, and are never ours.
    pub fn dump<T: Decode>(&mut self, request: Message) -> Result<Vec<T>, Refusal> {
        let mut objects = Vec::new();
        self.gather(request, &mut |payload| match payload {
            Some(payload) => {
                if let Some(object) = T::decode(payload) {
                    objects.push(object);
                }
            }
            None => objects.clear(),
        })?;
        Ok(objects)
    }

    /// Hands all objects of a kind to `take` one by one, straight from the receive buffer. `None` means that
    /// the list begins anew.
    pub fn gather(&mut self, request: Message, take: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), Refusal> {
        let request = request.with_flags(NLM_F_DUMP);
        for _ in 0..DUMP_ATTEMPTS {
            take(None);
            let flags = self.exchange(&request, &mut |frame| take(Some(frame.payload)))?;
            if flags & NLM_F_DUMP_INTR == 0 {
                return Ok(());
            }
        }
        Err(list_keeps_changing())
    }

    /// Returns the only answer to a question; `None` if the answer cannot be decoded.
    pub fn get<T: Decode>(&mut self, request: Message) -> Result<Option<T>, Refusal> {
        let mut answer = None;
        self.ask(request, &mut |payload| answer = T::decode(payload))?;
        Ok(answer)
    }

    /// Hands the only answer to a question to `take`.
    fn ask(&mut self, request: Message, take: &mut dyn FnMut(&[u8])) -> Result<(), Refusal> {
        let sequence = self.send(&[request])?;
        loop {
            for frame in frames(self.receive(0)?) {
                if frame.sequence != sequence {
                    continue;
                }
                if frame.is_end() {
                    verdict(&frame)?;
                    return Err(Errno::ENODATA.into());
                }
                take(frame.payload);
                return Ok(());
            }
        }
    }

    /// Sends a request, and hands each answer to `take` until the kernel ends the dump or acknowledges the
    /// request. Returns all flags (`NLM_F_*`) that the answers had.
    pub(super) fn exchange(
        &mut self,
        request: &Message,
        take: &mut dyn FnMut(Frame),
    ) -> Result<u16, Refusal> {
        let sequence = self.send(std::slice::from_ref(request))?;
        let mut flags = 0;
        loop {
            for frame in frames(self.receive(0)?).filter(|frame| frame.sequence == sequence) {
                flags |= frame.flags;
                // The end of a dump holds an error number, like an error: a dump can fail half-way.
                if frame.is_end() {
                    return verdict(&frame).map(|()| flags);
                }
                take(frame);
            }
        }
    }

    /// Carries out all requests in order, even if some of them fail. Returns the verdict on each request.
    ///
    /// The requests go out in as few sends of 64 kB as possible: usually one.
    pub fn batch(&mut self, mut requests: Vec<Message>) -> Vec<Result<(), Refusal>> {
        let mut verdicts = Vec::with_capacity(requests.len());
        let mut rest = requests.as_mut_slice();
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at_mut(chunk_length(rest));
            // The kernel reports an error for every request that fails. One acknowledgement at the end shows
            // that it looked at all requests.
            if let Some(last) = chunk.last_mut() {
                last.add_flags(NLM_F_ACK);
            }
            match self.send_whole(chunk) {
                Ok(mut some) => verdicts.append(&mut some),
                Err(refusal) => verdicts.resize_with(verdicts.len() + chunk.len(), || Err(refusal.clone())),
            }
            rest = others;
        }
        verdicts
    }

    /// Carries out requests in one send, however long it is. Returns the verdict on each request up to the
    /// last one that asks for an acknowledgement.
    ///
    /// # Errors
    /// If the requests could not be sent, or if the kernel answered none of them.
    pub(super) fn send_whole(&mut self, requests: &[Message]) -> Result<Vec<Result<(), Refusal>>, Refusal> {
        let judged = requests.iter().rposition(Message::wants_acknowledgement).map_or(0, |last| last + 1);
        let first = self.send(requests)?;
        self.receive_verdicts(first, judged)
    }

    /// Numbers the requests and sends them. Returns the number of the first.
    fn send(&mut self, requests: &[Message]) -> Result<u32, Refusal> {
        let first = self.sequence.wrapping_add(1);
        for _ in requests {
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.inner.send(&in_one_piece(requests, first), 0)?;
        Ok(first)
    }

    /// Receives the verdicts on `count` requests, the first of which has the number `first`.
    fn receive_verdicts(&mut self, first: u32, count: usize) -> Result<Vec<Result<(), Refusal>>, Refusal> {
        // A request without an answer succeeded if a later one was answered.
        let mut verdicts = Vec::new();
        verdicts.resize_with(count, || Ok(()));
        let mut judged = 0;
        while judged < count {
            // The kernel carries out a request while it is being sent, so all answers are waiting already.
            let answer = match self.receive(libc::MSG_DONTWAIT) {
                Ok(answer) => answer,
                Err(refusal) if refusal.errno == Errno::EAGAIN => break,
                // The kernel says once that answers were lost. Those that came before are still waiting.
                Err(refusal) if refusal.errno == Errno::ENOBUFS => continue,
                Err(refusal) => return Err(refusal),
            };
            for frame in frames(answer) {
                let index = frame.sequence.wrapping_sub(first) as usize;
                if frame.kind == NLMSG_ERROR && index < count {
                    verdicts[index] = verdict(&frame);
                    judged = judged.max(index + 1);
                }
            }
        }
        if judged == 0 {
            return Err(Errno::ENOBUFS.into());
        }
        // If the last acknowledgement is missing, there were more errors than the socket holds, and the
        // kernel dropped the rest. Then nothing is known about the requests behind the last answer.
        for lost in &mut verdicts[judged..] {
            *lost = Err(Errno::ENOBUFS.into());
        }
        Ok(verdicts)
    }

    /// Receives a waiting answer; with MSG_DONTWAIT it fails with EAGAIN if there is none.
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

fn list_keeps_changing() -> Refusal {
    let explanation = Some("the list keeps changing while it is being read".to_owned());
    Refusal { errno: Errno::EAGAIN, explanation }
}

/// Returns the length of the next answer in bytes.
///
/// Newer kernels make an answer longer than the room that they had before (6.18 does), and an error repeats
/// the whole request where the kernel is too old to cut it short.
fn next_length(socket: &netlink_sys::Socket, flags: libc::c_int) -> io::Result<usize> {
    loop {
        match socket.recv::<&mut [u8]>(&mut [].as_mut_slice(), flags | libc::MSG_PEEK | libc::MSG_TRUNC) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            length => return length,
        }
    }
}

/// Returns the number of messages that go into one send: at least one.
fn chunk_length(messages: &[Message]) -> usize {
    let mut bytes = 0;
    let fitting = messages.iter().take_while(|message| {
        bytes += message.length().next_multiple_of(ALIGNMENT);
        bytes <= CHUNK
    });
    fitting.count().max(1)
}

/// Writes requests one behind the other, numbered from `first`. They may hold private keys: the bytes never
/// move while they are written, and are wiped when dropped.
pub(crate) fn in_one_piece(requests: &[Message], first: u32) -> Zeroizing<Vec<u8>> {
    let lengths = requests.iter().map(|request| request.length().next_multiple_of(ALIGNMENT));
    let mut bytes = Zeroizing::new(Vec::with_capacity(lengths.sum()));
    let mut sequence = first;
    for request in requests {
        request.write(sequence, &mut bytes);
        let padded = bytes.len().next_multiple_of(ALIGNMENT);
        bytes.resize(padded, 0);
        sequence = sequence.wrapping_add(1);
    }
    bytes
}
