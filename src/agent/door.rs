//! Door of this site: its invitations, which survive a restart in a file next to the network file, and the
//! answers to requests that were pasted.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::source::{Source, Task, Turn};
use crate::base::error::Result;
use crate::base::moment::{after, doubled, earlier, is_due};
use crate::base::net::Family;
use crate::base::sorted::SortedMap;
use crate::config::model::{EndpointHost, Name};
use crate::join::WAIT_PORT;
use crate::join::invitations::{Invitations, LIFE};
use crate::join::packet::{JoinAnswer, JoinRequest, LENGTH};
use crate::kernel::Kernel;
use crate::kernel::sockets::HelperSocket;
use crate::system::disk::{self, cannot_write};
use crate::system::key_files;
use crate::system::logging as log;

/// Time between two writes of the time that is left to invitations.
const WRITE_PAUSE: Duration = Duration::from_hours(1);

/// Time between two attempts to admit the site of one invitation.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(5);

/// Longest time between two copies of an answer to a pasted request.
const DELIVERY_PAUSE: Duration = Duration::from_mins(1);

/// Invitations of this site.
#[derive(Debug)]
pub(super) struct Door {
    path: PathBuf,
    pub(super) invitations: Invitations,
    /// Time of the next write.
    due: Option<Instant>,
    /// Sites that could not be admitted, the time, and the answer that they got.
    failed: Vec<(Name, Instant, JoinAnswer)>,
    deliveries: Vec<Delivery>,
    /// Socket from which the answers to pasted requests leave.
    socket: Option<Box<dyn HelperSocket>>,
}

/// Answer to a request that was pasted.
#[derive(Debug)]
struct Delivery {
    request: [u8; LENGTH],
    answer: [u8; LENGTH],
    endpoint: Option<EndpointHost>,
    addresses: Vec<IpAddr>,
    /// Time until the copy after the next one.
    pause: Duration,
    next: Instant,
    end: Instant,
}

impl Door {
    /// Begins with the invitations that an earlier agent has left next to the network file.
    pub(super) fn open(file: &Path, now: Instant) -> Self {
        let path = file.with_added_extension("invites");
        let text = key_files::read_secret(&path).unwrap_or_else(|error| {
            log::warn!("{error}; no earlier invitation is good");
            None
        });
        let invitations = text.map(|text| Invitations::from_text(&text, now)).unwrap_or_default();
        let due = invitations.all().first().map(|_| after(now, WRITE_PAUSE));
        Self { path, invitations, due, failed: Vec::new(), deliveries: Vec::new(), socket: None }
    }

    /// Writes the file after a change.
    ///
    /// # Errors
    /// If it cannot be written: the change would not survive a restart.
    pub(super) fn keep(&mut self, now: Instant) -> Result<()> {
        self.invitations.forget(now);
        let text = self.invitations.to_text(now);
        self.due = (!text.is_empty()).then(|| after(now, WRITE_PAUSE));
        let done = match text.as_str() {
            "" => disk::remove(&self.path),
            text => disk::replace(&self.path, text.as_bytes(), 0o600),
        };
        done.map_err(|error| crate::base::error::Error::failed(cannot_write(&self.path)).because(error))
    }

    /// Writes the file, and logs a failure.
    pub(super) fn keep_or_log(&mut self, now: Instant) {
        if let Err(error) = self.keep(now) {
            log::error!("{error}");
        }
    }

    /// Returns the answer for a site that could not be admitted a moment ago.
    pub(super) fn failed_lately(&mut self, name: &str, now: Instant) -> Option<JoinAnswer> {
        self.failed.retain(|(_, at, _)| now.duration_since(*at) < ATTEMPT_PAUSE);
        self.failed.iter().find(|(failed, ..)| failed == name).map(|(.., answer)| answer.clone())
    }

    /// Takes note of a site that could not be admitted.
    pub(super) fn has_failed(&mut self, name: &str, answer: &JoinAnswer, now: Instant) {
        self.failed.push((name.to_owned(), now, answer.clone()));
    }

    /// Sends the answer to a pasted request again and again, until the site has heard it.
    pub(super) fn deliver(&mut self, request: [u8; LENGTH], answer: [u8; LENGTH], wishes: &JoinRequest) {
        let now = Instant::now();
        self.end_deliveries(&|delivery| delivery.request == request);
        self.deliveries.push(Delivery {
            request,
            answer,
            endpoint: wishes.endpoint.clone(),
            addresses: wishes.addresses.clone(),
            pause: Duration::from_secs(1),
            next: now,
            end: after(now, LIFE),
        });
    }

    /// Sends the answers that are due. `names` has the addresses of host names.
    pub(super) fn send(&mut self, kernel: &mut dyn Kernel, names: &SortedMap<String, IpAddr>, now: Instant) {
        if self.socket.is_none() {
            match kernel.helper_socket(0) {
                Ok(socket) => self.socket = Some(socket),
                Err(errno) => log::error!("cannot open a socket for new sites: {}", errno.desc()),
            }
        }
        for delivery in self.deliveries.iter_mut().filter(|delivery| is_due(Some(delivery.next), now)) {
            delivery.next = after(now, delivery.pause);
            delivery.pause = doubled(delivery.pause, Duration::ZERO, DELIVERY_PAUSE);
            let mut addresses = delivery.addresses.clone();
            match &delivery.endpoint {
                Some(EndpointHost::Address(address)) => addresses.push(*address),
                Some(EndpointHost::Name(name)) => addresses.extend(names.get(name)),
                None => {}
            }
            for address in addresses {
                let from = Family::of(address).everything().address();
                if let Some(socket) = &mut self.socket {
                    // An address without a route is like one that does not answer.
                    let to = SocketAddr::new(address, WAIT_PORT);
                    let _ = socket.send(SocketAddr::new(from, 0), to, &delivery.answer);
                }
            }
        }
    }

    fn end_deliveries(&mut self, is_over: &dyn Fn(&Delivery) -> bool) {
        self.deliveries.retain(|delivery| !is_over(delivery));
    }

    /// Ends the deliveries that have been heard: the site sends its request back. Only the site and this one
    /// have the request.
    fn hear(&mut self, now: Instant) {
        let heard = self.socket.as_mut().map(|socket| socket.receive()).unwrap_or_default();
        self.end_deliveries(&|delivery| {
            is_due(Some(delivery.end), now) || heard.iter().any(|heard| heard.packet == delivery.request)
        });
        if self.deliveries.is_empty() {
            self.socket = None;
        }
    }
}

impl Source for Door {
    fn descriptors<'a>(&'a self, all: &mut Vec<BorrowedFd<'a>>) {
        all.extend(self.socket.as_ref().map(|socket| socket.descriptor()));
    }

    fn deadline(&self) -> Option<Instant> {
        let mut next = self.due;
        for delivery in &self.deliveries {
            next = earlier(next, Some(delivery.next));
        }
        next
    }

    fn turn(&mut self, Turn { now, .. }: Turn) -> Result<Task> {
        self.hear(now);
        if is_due(self.due, now) {
            self.keep_or_log(now);
        }
        let is_due = self.deliveries.iter().any(|delivery| is_due(Some(delivery.next), now));
        Ok(if is_due { Task::Deliver } else { Task::Nothing })
    }
}
