//! Messages on their way to the network. All messages of a turn leave by one call of the kernel, and those of
//! one length to one address as one large message, which the kernel splits (UDP_SEGMENT, Linux 4.18).

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use super::udp::{RUNS, Run, Sockets};

/// Room for the longest message in bytes: the largest packet, and the frame of WireGuard.
const LONGEST: usize = (1 << 16) + 64;

/// Most messages of a run. The first kernels with UDP_SEGMENT take 64 (UDP_MAX_SEGMENTS), but count the
/// headers as a part of them: with messages of 32 bytes, they count as two.
const MESSAGES: usize = 62;

/// Most bytes of a run: they must fit into a packet, with the headers of IPv6 and UDP.
const LONGEST_RUN: usize = 65_535 - 48;

/// Messages that have not been sent yet.
pub(super) struct Outbox {
    bytes: [u8; 2 * LONGEST],
    /// End of the messages.
    end: usize,
    runs: [Run; RUNS],
    number: usize,
}

impl Outbox {
    /// Returns empty room. All its bytes are zeros.
    #[allow(clippy::large_stack_arrays, reason = "the room is a static")]
    pub(super) const fn new() -> Self {
        let to = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        Self { bytes: [0; _], end: 0, runs: [Run { to, size: 0, start: 0, end: 0 }; RUNS], number: 0 }
    }

    /// Returns room for the next message.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Takes the message of that length in the room.
    pub(super) fn push(&mut self, length: usize, to: SocketAddr, sockets: &mut Sockets) {
        let start = self.end;
        self.end += length;
        match self.runs[..self.number].last_mut() {
            Some(run)
                if sockets.splits()
                    && run.to == to
                    && length <= run.size
                    && (run.end - run.start).is_multiple_of(run.size)
                    && (run.end - run.start) / run.size < MESSAGES
                    && self.end - run.start <= LONGEST_RUN =>
            {
                run.end = self.end;
            }
            _ => {
                self.runs[self.number] = Run { to, size: length, start, end: self.end };
                self.number += 1;
            }
        }
        if self.number == RUNS || self.end > LONGEST {
            self.flush(sockets);
        }
    }

    /// Takes a message from elsewhere.
    pub(super) fn copy(&mut self, message: &[u8], to: SocketAddr, sockets: &mut Sockets) {
        self.room()[..message.len()].copy_from_slice(message);
        self.push(message.len(), to, sockets);
    }

    /// Sends all messages.
    pub(super) fn flush(&mut self, sockets: &mut Sockets) {
        sockets.send(&self.runs[..self.number], &self.bytes);
        (self.end, self.number) = (0, 0);
    }
}
