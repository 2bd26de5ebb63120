//! One error type: what was being done, to which object, and why it did not work.

use std::error::Error as StdError;
use std::fmt;

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the exit status tells a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was tried and did not work: status 1.
    Failed,
    /// The network file or the command line is wrong: status 2.
    Wrong,
}

/// An error for a person: a sentence that names the object, and the cause below it.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Something that was tried and did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, message: message.into(), source: None }
    }

    /// A fault in what the person wrote, in a file or on the command line.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self { kind: Kind::Wrong, message: message.into(), source: None }
    }

    /// The same error, with the cause that lies under it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the exit status shall be.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Error {
    /// The sentence and all its causes on one line: `cannot add rule …: Operation not permitted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.source.as_deref() {
            None => Ok(()),
            Some(source) => write!(f, ": {}", words(&source.to_string())),
        }
    }
}

/// A cause without the symbol that some crates print in front: `EPERM: Operation not permitted` has the words that
/// are enough for a person.
fn words(cause: &str) -> &str {
    let is_symbol = |text: &str| {
        text.starts_with('E') && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    cause.split_once(": ").filter(|(symbol, _)| is_symbol(symbol)).map_or(cause, |(_, words)| words)
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Several errors found in one pass, all to be shown at once. Never empty.
#[derive(Debug)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// `Err` with all of them if there are any, else `value`.
    pub fn check<T>(errors: Vec<Error>, value: T) -> Result<T, Self> {
        if errors.is_empty() { Ok(value) } else { Err(Self(errors)) }
    }

    /// All of `errors`, of which there is at least one.
    pub fn all(errors: Vec<Error>) -> Self {
        debug_assert!(!errors.is_empty(), "no errors are no `Errors`");
        Self(errors)
    }

    /// The same, behind a sentence that says what they have in common.
    #[must_use]
    pub fn under(mut self, heading: Error) -> Self {
        self.0.insert(0, heading);
        self
    }

    /// The errors, in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// `Failed` if any of them is, else `Wrong`.
    pub fn kind(&self) -> Kind {
        if self.0.iter().all(|error| error.kind == Kind::Wrong) { Kind::Wrong } else { Kind::Failed }
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a Error;
    type IntoIter = std::slice::Iter<'a, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// Adds what was being done to an error from below.
pub trait Context<T> {
    /// `Failed`, with the sentence that `doing` makes; it is made only if there is an error.
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| under(doing(), source))
    }
}

/// One function for a kind of cause, and not the same lines again at each of the hundreds of calls that can fail.
#[inline(never)]
fn under(message: String, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error { kind: Kind::Failed, message, source: Some(source.into()) }
}
