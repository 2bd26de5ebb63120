//! The size of packets that a link lets pass, by the answers to echoes of several sizes. A path that is
//! narrower than a tunnel's packets, and silent about it, lets small ones pass and swallows large ones:
//! transfers hang.

use crate::plan::LEAST;

/// WireGuard fills packets up to multiples of this.
const STEP: u32 = 16;

/// So many times in a row a large echo is lost, and a small one beside it is answered, where it does not fit;
/// fewer may be chance.
const LOST: u32 = 4;

/// So many times in a row nothing is answered where the link is down.
const SILENT: u32 = 3;

/// The packets that a link lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All that fits into the tunnel.
    Whole,
    /// Up to so many bytes.
    Narrow(u32),
    /// Nothing answers: nobody knows.
    Silent,
}

/// One of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measurement {
    /// Bytes that are asked now.
    size: u32,
    /// The most that is known to pass.
    passes: u32,
    /// The least that is known not to.
    fails: Option<u32>,
    lost: u32,
    silent: u32,
}

impl Measurement {
    /// The measurement of a link whose tunnel takes packets of so many bytes.
    pub(super) fn new(most: u32) -> Self {
        Self { size: most, passes: LEAST, fails: None, lost: 0, silent: 0 }
    }

    /// The bytes of the large echo that is to be sent now, beside a small one.
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// Takes the answers to both; returns the verdict, if there is nothing more to ask.
    pub(super) fn heard(&mut self, small: bool, large: bool) -> Option<Verdict> {
        match (small, large) {
            (_, true) => (self.passes, self.lost, self.silent) = (self.size, 0, 0),
            (true, false) => {
                self.lost += 1;
                self.silent = 0;
                if self.lost < LOST {
                    return None;
                }
                (self.fails, self.lost) = (Some(self.size), 0);
            }
            (false, false) => {
                self.silent += 1;
                return (self.silent >= SILENT).then_some(Verdict::Silent);
            }
        }
        let Some(fails) = self.fails else { return Some(Verdict::Whole) };
        // In the middle of what is left.
        self.size = u32::midpoint(self.passes, fails) / STEP * STEP;
        (self.size <= self.passes).then_some(Verdict::Narrow(self.passes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path with packets of up to so many bytes, WireGuard's own included, and how often was asked.
    fn measured(path: u32, most: u32) -> (Verdict, u32) {
        let mut measurement = Measurement::new(most);
        for asked in 1.. {
            let outer = (measurement.size().next_multiple_of(STEP)).min(most) + 60;
            if let Some(verdict) = measurement.heard(true, outer <= path) {
                return (verdict, asked);
            }
        }
        unreachable!("there is a verdict in the end")
    }

    #[test]
    fn what_passes_is_found() {
        assert_eq!(measured(1500, 1280), (Verdict::Whole, 1));
        assert_eq!(measured(1340, 1280), (Verdict::Whole, 1));
        for (path, most, passes) in
            [(1280, 1280, 1216), (1339, 1280, 1264), (1400, 1420, 1328), (700, 1280, 640)]
        {
            let (verdict, asked) = measured(path, most);
            assert_eq!(verdict, Verdict::Narrow(passes), "{path}");
            assert!(asked < 40, "{asked} for {path}");
        }
        assert_eq!(measured(100, 1280).0, Verdict::Narrow(LEAST), "less is not looked for");
    }

    #[test]
    fn chance_is_no_narrow_path() {
        let mut measurement = Measurement::new(1280);
        for _ in 1..LOST {
            assert_eq!(measurement.heard(true, false), None);
        }
        assert_eq!(measurement.heard(false, false), None);
        assert_eq!(measurement.heard(true, true), Some(Verdict::Whole));
    }

    #[test]
    fn a_link_that_is_down_is_not_measured() {
        let mut measurement = Measurement::new(1280);
        assert_eq!([(); 3].map(|()| measurement.heard(false, false)), [None, None, Some(Verdict::Silent)]);
    }
}
