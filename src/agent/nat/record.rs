//! Record of the relayed links next to the network file, so that a relay that reboots goes on at once: the
//! sites at both ends may have nothing to send for a while, and do not notice the reboot.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base::moment::after;
use crate::nat::helper::{Pair, RelaySide, RelayedLink};
use crate::system::disk::{self, FileOrigin};
use crate::system::logging as log;

/// Shortest time between two writes: flash memory bears a small file a minute.
const PAUSE: Duration = Duration::from_mins(1);

/// Record of the relayed links: a line for each.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    written: String,
    wanted: String,
    /// Time from which on it may be written again.
    next: Instant,
}

impl Record {
    pub(super) fn next_to(file: &Path) -> Self {
        let path = file.with_added_extension("relays");
        let written = disk::text_or_empty(&path, FileOrigin::Ours);
        Self { path, wanted: written.clone(), written, next: Instant::now() }
    }

    /// Returns the links in the record. A line that cannot be parsed does not count.
    pub(super) fn links(&self) -> Vec<(Pair, RelayedLink)> {
        let mut links = Vec::new();
        for line in self.written.lines() {
            if let Some(link) = parse(line) {
                links.push(link);
            }
        }
        links
    }

    /// Takes over the links to record.
    pub(super) fn set(&mut self, links: &[(Pair, RelayedLink)]) {
        self.wanted.clear();
        for (Pair(one, other), RelayedLink { sides: [from, to] }) in links {
            let _ = write!(self.wanted, "{one} {other} {} {} ", from.source, from.local);
            let _ = writeln!(self.wanted, "{} {}", to.source, to.local);
        }
    }

    /// Returns the time at which the record is due to be written.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.wanted != self.written).then_some(self.next)
    }

    /// Writes the record, if it has changed; removes it if no link is left.
    pub(super) fn write(&mut self, now: Instant) {
        if self.wanted == self.written {
            return;
        }
        let done = match self.wanted.as_str() {
            "" => disk::remove(&self.path),
            text => disk::replace(&self.path, text.as_bytes(), 0o600),
        };
        if let Err(error) = done {
            log::warn!("{}: {error}", disk::cannot_write(&self.path));
        }
        // A failure is not tried again before the links change.
        self.written.clone_from(&self.wanted);
        self.next = after(now, PAUSE);
    }
}

fn parse(line: &str) -> Option<(Pair, RelayedLink)> {
    let mut words = line.split(' ');
    let pair = Pair(words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let mut end = || words.next()?.parse::<SocketAddr>().ok();
    let mut side = || Some(RelaySide { source: end()?, local: end()? });
    Some((pair, RelayedLink { sides: [side()?, side()?] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_as_written() {
        let file = std::env::temp_dir().join(format!("portals-relays-{}", std::process::id()));
        let side = |source: &str| RelaySide {
            source: source.parse().unwrap(),
            local: "192.0.2.5:52079".parse().unwrap(),
        };
        let links = [
            (Pair(1, 2), RelayedLink { sides: [side("203.0.113.1:1024"), side("203.0.113.2:1025")] }),
            (Pair(1, 3), RelayedLink { sides: [side("[2001:db8::1]:1024"), side("[2001:db8::2]:1")] }),
        ];
        let now = Instant::now();
        let mut record = Record::next_to(&file);
        assert_eq!(record.links(), []);
        record.set(&links);
        assert!(record.deadline().is_some_and(|due| due <= Instant::now()));
        record.write(now);
        assert_eq!(record.deadline(), None);
        assert_eq!(Record::next_to(&file).links(), links);
        record.set(&links[..1]);
        assert_eq!(record.deadline(), Some(now + PAUSE), "flash memory is spared");
        record.set(&[]);
        record.write(now);
        assert_eq!(Record::next_to(&file).links(), []);
        assert!(!file.with_added_extension("relays").exists());
    }

    #[test]
    fn lines_of_others_do_not_count() {
        let good = "1 2 203.0.113.1:1 192.0.2.5:2 203.0.113.2:3 192.0.2.5:4";
        assert!(parse(good).is_some());
        for end in 0..good.len() - 1 {
            assert!(parse(&good[..end]).is_none(), "{end}");
        }
    }
}
