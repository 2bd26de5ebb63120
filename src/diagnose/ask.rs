//! Questions to the agent of a linked site, through the tunnel. Commands ask them.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};
use crate::base::moment::{after, has_come};
use crate::base::text::printable;
use crate::nat::packet::{Header, LONGEST_ECHO, LONGEST_TRACE, Message, Trace, TraceState, Traced};
use crate::nat::seal::PairKey;
use crate::site::{ExchangePeer, Site};
use crate::system::key_files::random;
use crate::system::resolver::socket_to;
use crate::system::wait::wait_for_input;

/// Time for an answer before the question is sent again.
const PATIENCE: Duration = Duration::from_millis(700);

/// Number of times that a question is sent.
const TRIES: u32 = 4;

/// Time between two looks at a trace that goes on.
const GLANCE: Duration = Duration::from_millis(200);

/// Time for a trace of the other site to begin to watch: that takes seconds on a small router.
const BEGINNING: Duration = Duration::from_secs(10);

/// Longest time of a trace at the other site, and more.
const LONGEST_TIME: Duration = Duration::from_secs(40);

/// Room for the longest answer.
const ROOM: usize = LONGEST_ECHO as usize;

/// Questions to the agent of one linked site.
pub struct Channel<'a> {
    own: u8,
    peer: &'a ExchangePeer,
    key: PairKey,
    socket: UdpSocket,
    /// Random bytes, with the number of the question at 2, and the number of packets so far at 4: together,
    /// they are another salt for each packet.
    salt: [u8; 16],
    questions: u16,
    sent: u32,
}

impl<'a> Channel<'a> {
    /// Opens a channel to the linked site that has this address in the tunnels; `None` if there is no such
    /// site, or no way to it.
    pub fn open(site: &'a Site, to: IpAddr) -> Option<Self> {
        let part = site.exchange.as_ref()?;
        let peer = part.peers.iter().find(|peer| peer.address == to)?;
        let key = PairKey::derive(&site.private_key, peer.key)?;
        let socket = socket_to(Some(site.address), SocketAddr::new(to, peer.port)).ok()?;
        Some(Self { own: part.id, peer, key, socket, salt: random(), questions: 0, sent: 0 })
    }

    /// Begins a new question: answers to packets that were sent before do not count any more.
    pub fn begin(&mut self) {
        self.questions += 1;
        self.salt[2..4].copy_from_slice(&self.questions.to_be_bytes());
    }

    /// Sends the question, in a packet of this length in bytes if it is an echo. Returns the number of the
    /// packet; `None` if it was not sent.
    pub fn send(&mut self, question: &Message, length: usize) -> Option<u16> {
        self.sent = self.sent.wrapping_add(1);
        self.salt[4..8].copy_from_slice(&self.sent.to_be_bytes());
        let mut packet = self.key.seal(self.own, self.peer.id, self.salt, question);
        packet.resize(packet.len().max(length), 0);
        self.socket.send(&packet).ok()?;
        Some(number(&self.salt))
    }

    /// Waits up to this time for an answer. Returns it with the number of the packet that it answers; `None`
    /// if none comes.
    pub fn hear(&self, until: Instant) -> Option<(Message, u16)> {
        let mut packet = [0; ROOM];
        loop {
            match self.socket.recv(&mut packet) {
                Ok(length) => {
                    let packet = &packet[..length];
                    let header = Header::decode(packet).filter(|header| header.from == self.peer.id);
                    let answer = header.and_then(|header| self.key.open(&header, packet));
                    if let Some(answer) = answer
                        && let Message::Echoed(asked) | Message::Traced(Traced { question: asked, .. }) =
                            &answer
                        && asked[..4] == self.salt[..4]
                    {
                        let number = number(asked);
                        return Some((answer, number));
                    }
                    // Packets without a meaning keep nobody waiting.
                    if has_come(until) {
                        return None;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if has_come(until) {
                        return None;
                    }
                    wait_for_input(&[self.socket.as_fd()], Some(until)).ok()?;
                }
                // An ICMP error says that nobody answers.
                Err(_) => return None,
            }
        }
    }

    /// Asks until an answer comes, but not for ever.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn ask(&mut self, question: &Message) -> Result<Message> {
        self.begin();
        for _ in 0..TRIES {
            let until = after(Instant::now(), PATIENCE);
            if self.send(question, 0).is_some()
                && let Some((answer, _)) = self.hear(until)
            {
                return Ok(answer);
            }
            sleep(until.saturating_duration_since(Instant::now()).min(GLANCE));
        }
        let words = "` does not answer this question: it does not run, or it is of an older version";
        Err(Error::failed(["the agent of `", &self.peer.name, words].concat()))
    }
}

/// Trace of a flow at a linked site.
pub struct FarTrace<'a> {
    channel: Channel<'a>,
    question: Trace,
    text: Vec<u8>,
}

impl<'a> FarTrace<'a> {
    /// Begins a trace at another site, and waits until it watches. A `to` without a port has port 0.
    ///
    /// # Errors
    /// If the site does not answer, or cannot trace the flow.
    pub fn begin(
        channel: Channel<'a>,
        from: IpAddr,
        to: SocketAddr,
        is_udp: bool,
        seconds: u8,
    ) -> Result<Self> {
        let [id @ .., _, _, _, _, _, _, _, _] = random();
        let question = Trace { id, from, to, is_udp, seconds, offset: 0 };
        let mut trace = Self { channel, question, text: Vec::new() };
        let until = after(Instant::now(), BEGINNING);
        // The first line comes when it watches.
        while !trace.step()? && trace.text.is_empty() && !has_come(until) {}
        Ok(trace)
    }

    /// Waits for the end of the trace, and returns its text, which is safe to print.
    ///
    /// # Errors
    /// If the site does not answer any more.
    pub fn finish(mut self) -> Result<String> {
        let until = after(Instant::now(), LONGEST_TIME);
        while !self.step()? && !has_come(until) {}
        Ok(printable(&String::from_utf8_lossy(&self.text)))
    }

    /// Fetches the next bytes of the text, and waits a moment if there are none. Reports whether the trace
    /// has ended, and all of its text is here.
    fn step(&mut self) -> Result<bool> {
        self.question.offset = u16::try_from(self.text.len()).unwrap_or(LONGEST_TRACE);
        let Message::Traced(traced) = self.channel.ask(&Message::Trace(self.question))? else {
            return Ok(true);
        };
        let refusal = match traced.state {
            TraceState::Runs | TraceState::Done => "",
            TraceState::Busy => "` traces another flow: try again in half a minute",
            TraceState::Foreign => "` traces only flows of devices of this site",
            TraceState::Failed => "` cannot start a trace; its log tells more",
        };
        if !refusal.is_empty() {
            return Err(Error::failed(["the agent of `", &self.channel.peer.name, refusal].concat()));
        }
        let has_more = !traced.bytes.is_empty() && self.text.len() < LONGEST_TRACE.into();
        if has_more {
            self.text.extend(traced.bytes);
        } else if traced.state == TraceState::Done {
            return Ok(true);
        } else {
            sleep(GLANCE);
        }
        Ok(false)
    }
}

/// Returns the last 16 bits of the number of packets in a salt, or in its beginning.
fn number(salt: &[u8]) -> u16 {
    u16::from_be_bytes([salt[6], salt[7]])
}
