//! Questions that a command at one site asks the agent of a linked site, through the tunnel, and the answers.

use std::net::{IpAddr, SocketAddr};

use super::fields::{Reader, put_address};
use super::{HEADER, LONGEST, Number, TAG, flag};

/// Length of the longest packet of an echo in bytes: with the headers of IPv4 and UDP, it is as long as the
/// smallest MTU of IPv6, which each tunnel has room for.
pub const LONGEST_ECHO: u16 = 1252;

/// Length of the fields before the text of a trace.
const PLACE: usize = 11;

/// Length of the longest text of a trace in bytes.
pub const LONGEST_TRACE: u16 = 16 << 10;

const IS_UDP: u8 = 1;

/// Flow that a site is to watch for, and the part of the picture that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// Random number of the trace: the other site begins it once.
    pub id: Number,
    /// Sender of the flow.
    pub from: IpAddr,
    /// Destination of the flow; a port of 0 stands for a ping.
    pub to: SocketAddr,
    /// Set if the port is one of UDP.
    pub is_udp: bool,
    /// Number of seconds to watch for a packet.
    pub seconds: u8,
    /// Number of bytes of the text before those that are asked for.
    pub offset: u16,
}

/// State of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceState {
    /// Trace that goes on. Once there is text, it watches.
    Runs,
    /// Trace that has ended, and whose text is complete.
    Done,
    /// Refusal, because another trace goes on.
    Busy,
    /// Refusal, because the sender of the flow is not at the site that asks.
    Foreign,
    /// Refusal, because the program cannot be started.
    Failed,
}

/// Answer to the question for a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// Number of the question.
    pub question: Number,
    /// State of the trace.
    pub state: TraceState,
    /// Length of the text so far.
    pub length: u16,
    /// Bytes of the text, from the offset that was asked for.
    pub bytes: Vec<u8>,
}

impl Trace {
    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        body.extend(self.id);
        put_address(body, Some(SocketAddr::new(self.from, 0)));
        put_address(body, Some(self.to));
        body.extend([flag(self.is_udp, IS_UDP), self.seconds]);
        body.extend(self.offset.to_be_bytes());
    }

    pub(super) fn decode(body: &mut Reader) -> Option<Self> {
        let (id, from, to) = (body.take()?, body.address()?.ip(), body.address()?);
        let [flags, seconds] = body.take()?;
        Some(Self { id, from, to, is_udp: flags & IS_UDP != 0, seconds, offset: body.number()? })
    }
}

impl TraceState {
    const ALL: [Self; 5] = [Self::Runs, Self::Done, Self::Busy, Self::Foreign, Self::Failed];
}

impl Traced {
    /// Largest number of bytes of the text in one answer.
    pub const MOST: usize = LONGEST - HEADER - PLACE - TAG;

    /// Returns the length of the body in bytes.
    pub(super) fn length(&self) -> usize {
        PLACE + self.bytes.len()
    }

    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        body.extend(self.question);
        body.push(self.state as u8);
        body.extend(self.length.to_be_bytes());
        body.extend(&self.bytes);
    }

    pub(super) fn decode(mut body: Reader) -> Option<Self> {
        let question = body.take()?;
        let [state] = body.take()?;
        let state = *TraceState::ALL.get(usize::from(state))?;
        let length = body.number()?;
        (body.0.len() <= Self::MOST).then(|| Self { question, state, length, bytes: body.0.to_vec() })
    }
}
