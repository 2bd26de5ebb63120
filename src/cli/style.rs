//! Colour on a terminal; none in pipes, and none with `NO_COLOR` (no-color.org). Times in words.

use std::io::IsTerminal as _;
use std::time::Duration;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

impl Style {
    /// No colour.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { coloured: false };

    /// As fits standard output.
    pub fn for_stdout() -> Self {
        Self { coloured: !is_refused() && std::io::stdout().is_terminal() }
    }

    /// As fits standard error.
    pub fn for_stderr() -> Self {
        Self { coloured: !is_refused() && std::io::stderr().is_terminal() }
    }

    /// Whether there is any colour.
    pub fn is_coloured(self) -> bool {
        self.coloured
    }

    /// Green: as it should be.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Red: needs attention.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Bold: headings and names.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Dim: what may be passed over.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn is_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Seconds and tenths, as in `1.3 s`. In whole numbers: printing floating-point ones takes eleven kilobytes of code.
pub fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_tenths_of_a_second() {
        assert_eq!(seconds(Duration::from_millis(61_050)), "61.0 s");
        assert_eq!(seconds(Duration::from_millis(999)), "0.9 s");
    }
}
