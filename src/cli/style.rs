//! Colour on a terminal. Pipes and terminals where `NO_COLOR` is set (no-color.org) get plain text.

use std::io::IsTerminal as _;

/// Style of a text stream: coloured or plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

impl Style {
    /// Style without colour.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { coloured: false };

    /// Returns the style for standard output.
    pub fn for_stdout() -> Self {
        Self { coloured: !is_refused() && std::io::stdout().is_terminal() }
    }

    /// Returns the style for standard error.
    pub fn for_stderr() -> Self {
        Self { coloured: !is_refused() && std::io::stderr().is_terminal() }
    }

    /// Reports whether this style has colour.
    pub fn is_coloured(self) -> bool {
        self.coloured
    }

    /// Marks a good state, in green.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Marks a state that needs attention, in red.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Marks a state that somebody should know, in yellow.
    pub fn notable(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Marks a heading or a name, in bold.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Marks a state of no importance, with faint text.
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
