//! Knowledge about a linked site.

use std::time::{Duration, Instant};

use crate::base::moment::{after, is_due};
use crate::nat::packet::{FileHead, Number, Offer};
use crate::signed::FileHash;

/// Time from the first offer to the second. It doubles with each offer.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Longest time between two offers to a site that has another file.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Longest time between two offers to a silent site: it gets the file soon after it is back.
const LONGEST_SILENT_WAIT: Duration = Duration::from_secs(30);

/// Offers without an answer after which a site is silent.
const SILENT: u8 = 3;

/// Time for which a refused file is not fetched again.
pub(super) const REFUSED: Duration = Duration::from_hours(1);

/// Time for which a file that cut a link is not fetched again: for good, as far as this process is concerned.
pub(super) const REFUSED_FOR_GOOD: Duration = Duration::from_hours(10 * 365 * 24);

/// Number of refused files that are remembered.
const MOST_REFUSED: usize = 8;

/// Pause of downloads after the first that failed. It doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Failures after which the pause grows no longer.
const MOST_FAILURES: u32 = 9;

/// Knowledge about a linked site.
#[derive(Debug)]
pub(super) struct PeerState {
    /// Last version that it has offered, and whether that is signed.
    pub(super) heard: Option<(FileHead, bool)>,
    /// Time of the next offer; none once it has the same file.
    pub(super) next: Option<Instant>,
    wait: Duration,
    /// Number of the last offer to it.
    asked: Option<Number>,
    /// Number of offers in a row that it has not answered.
    silences: u8,
    /// Set if it has answered since the file came into force here that its answer proves.
    pub(super) is_proven: bool,
    /// Number of its last offer that asks and has no answer yet.
    pub(super) unanswered: Option<Number>,
    /// Number of downloads that have failed in a row.
    pub(super) failures: u32,
    /// End of the pause of downloads.
    paused_until: Option<Instant>,
    /// Refused files, each with the end of the refusal.
    refused: Vec<(FileHash, Instant)>,
}

impl PeerState {
    /// Begins with an offer that is due now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: None,
            next: Some(now),
            wait: FIRST_WAIT,
            asked: None,
            silences: 0,
            is_proven: false,
            unanswered: None,
            failures: 0,
            paused_until: None,
            refused: Vec::new(),
        }
    }

    /// Offers anew, at once.
    pub(super) fn restart(&mut self, now: Instant) {
        (self.next, self.wait) = (Some(now), FIRST_WAIT);
    }

    /// Wants an answer to an offer from now on.
    pub(super) fn prove(&mut self, now: Instant) {
        (self.is_proven, self.asked) = (false, None);
        self.restart(now);
    }

    /// Takes note of an offer to it.
    pub(super) fn has_asked(&mut self, number: Number, now: Instant) {
        self.asked = Some(number);
        self.next = Some(after(now, self.wait));
        let longest = if self.silences == 0 { LONGEST_WAIT } else { LONGEST_SILENT_WAIT };
        self.wait = (self.wait * 2).min(longest);
        self.silences = self.silences.saturating_add(1);
    }

    /// Reports whether it has not answered for a while.
    pub(super) fn is_silent(&self) -> bool {
        self.silences >= SILENT
    }

    /// Takes note of its offer.
    pub(super) fn hear(&mut self, offer: &Offer) {
        if self.asked == Some(offer.answers) {
            self.is_proven = true;
        }
        self.silences = 0;
        if self.heard.is_none_or(|(head, _)| head.hash != offer.head.hash) {
            self.wait = FIRST_WAIT;
        }
        self.heard = Some((offer.head, offer.is_signed));
    }

    /// Offers again after a while, if no offer is planned.
    pub(super) fn ask_later(&mut self, now: Instant) {
        self.next = self.next.or(Some(after(now, self.wait)));
    }

    /// Refuses a file for this time.
    pub(super) fn refuse(&mut self, hash: FileHash, time: Duration, now: Instant) {
        self.refused.retain(|(known, until)| *known != hash && !is_due(Some(*until), now));
        if self.refused.len() == MOST_REFUSED {
            self.refused.remove(0);
        }
        self.refused.push((hash, after(now, time)));
    }

    /// Takes note that a download has failed.
    pub(super) fn fail(&mut self, now: Instant) {
        self.pause(after(now, FIRST_PAUSE * 2_u32.pow(self.failures)), now);
        self.failures = (self.failures + 1).min(MOST_FAILURES);
    }

    /// Fetches nothing from it until then. Afterwards, it has to offer again.
    pub(super) fn pause(&mut self, until: Instant, now: Instant) {
        (self.paused_until, self.heard) = (Some(until), None);
        self.restart(after(now, FIRST_WAIT));
    }

    /// Forgets what was refused, and what has failed.
    pub(super) fn forgive(&mut self) {
        self.refused.clear();
        (self.failures, self.paused_until) = (0, None);
    }

    /// Reports whether a file is fetched from it.
    pub(super) fn may_give(&self, hash: FileHash, now: Instant) -> bool {
        self.paused_until.is_none_or(|until| until <= now)
            && !self.refused.iter().any(|(refused, until)| *refused == hash && !is_due(Some(*until), now))
    }
}
