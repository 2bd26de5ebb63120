//! Largest packet that a link lets pass, by the answers to echoes of several sizes. A path that is narrower
//! than a tunnel's packets, and sends no ICMP error about it, lets small packets pass and swallows large
//! ones: transfers hang.

use crate::plan::LEAST;

/// Padding of WireGuard in bytes: it fills packets up to a multiple of this.
const STEP: u32 = 16;

/// Number of pairs in a row, a lost large echo and an answered small one, that prove that the large one does
/// not pass. Fewer may be chance.
const LOST: u32 = 4;

/// Number of pairs in a row without any answer that mean that the link is down.
const SILENT: u32 = 3;

/// Result of a measurement: the packets that a link lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MtuVerdict {
    /// Every packet that fits into the tunnel.
    Whole,
    /// Packets of up to this number of bytes.
    Narrow(u32),
    /// Unknown, because nothing answers.
    Silent,
}

/// Measurement of one link: a binary search for the largest packet that passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtuSearch {
    /// Size of the large echo now, in bytes.
    size: u32,
    /// Largest size known to pass, in bytes.
    passes: u32,
    /// Smallest size known not to pass, in bytes.
    fails: Option<u32>,
    /// Pairs in a row of which only the small echo was answered.
    lost: u32,
    /// Pairs in a row without an answer.
    silent: u32,
}

impl MtuSearch {
    /// Begins the measurement of a link whose tunnel has this MTU in bytes.
    pub fn new(most: u32) -> Self {
        Self { size: most, passes: LEAST, fails: None, lost: 0, silent: 0 }
    }

    /// Returns the size in bytes of the large echo to send next to the small one.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Takes the answers to a pair of echoes. Returns the verdict once no further pair is needed.
    pub fn heard(&mut self, small: bool, large: bool) -> Option<MtuVerdict> {
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
                return (self.silent >= SILENT).then_some(MtuVerdict::Silent);
            }
        }
        let Some(fails) = self.fails else { return Some(MtuVerdict::Whole) };
        // In the middle of the sizes that are left.
        self.size = (self.passes + (fails - self.passes) / 2) / STEP * STEP;
        (self.size <= self.passes).then_some(MtuVerdict::Narrow(self.passes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measures a path that lets packets of up to `path` bytes pass, WireGuard's overhead included. Returns
    /// the verdict and the number of pairs.
    fn measured(path: u32, most: u32) -> (MtuVerdict, u32) {
        let mut measurement = MtuSearch::new(most);
        for asked in 1.. {
            let outer = (measurement.size().next_multiple_of(STEP)).min(most) + 60;
            if let Some(verdict) = measurement.heard(true, outer <= path) {
                return (verdict, asked);
            }
        }
        unreachable!("there is a verdict in the end")
    }

    #[test]
    fn the_largest_size_that_passes_is_found() {
        assert_eq!(measured(1500, 1280), (MtuVerdict::Whole, 1));
        assert_eq!(measured(1340, 1280), (MtuVerdict::Whole, 1));
        for (path, most, passes) in
            [(1280, 1280, 1216), (1339, 1280, 1264), (1400, 1420, 1328), (700, 1280, 640)]
        {
            let (verdict, asked) = measured(path, most);
            assert_eq!(verdict, MtuVerdict::Narrow(passes), "{path}");
            assert!(asked < 40, "{asked} for {path}");
        }
        assert_eq!(measured(100, 1280).0, MtuVerdict::Narrow(LEAST), "smaller sizes are not tried");
    }

    #[test]
    fn chance_is_no_narrow_path() {
        let mut measurement = MtuSearch::new(1280);
        for _ in 1..LOST {
            assert_eq!(measurement.heard(true, false), None);
        }
        assert_eq!(measurement.heard(false, false), None);
        assert_eq!(measurement.heard(true, true), Some(MtuVerdict::Whole));
    }

    #[test]
    fn a_link_that_is_down_is_not_measured() {
        let mut measurement = MtuSearch::new(1280);
        assert_eq!([(); 3].map(|()| measurement.heard(false, false)), [None, None, Some(MtuVerdict::Silent)]);
    }
}
