//! The error type of the program: the action that failed, its object, and the cause.

use std::fmt;

/// Result of every function that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Kind of an error, which determines the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// An action failed: exit status 1.
    Failed,
    /// The network file or the command line is wrong: exit status 2.
    Wrong,
}

/// An error for a person: a sentence that names the object, and the underlying cause.
///
/// The size of a pointer lets functions return their results in a register: each of the hundreds of fallible
/// calls takes a few instructions less.
#[derive(Debug)]
pub struct Error(Box<Report>);

#[derive(Debug)]
struct Report {
    kind: ErrorKind,
    message: String,
    /// Words of the underlying cause; empty if there is none.
    cause: String,
    /// Place in a file, if the error is about one.
    place: Option<Box<Place>>,
    /// Errors of the same pass that follow this one: only in [`Errors`].
    others: Vec<Error>,
}

/// Place in a file, with the words on it: for programs. The error itself shows them to a person.
#[derive(Debug, Clone)]
pub struct Place {
    /// Path of the file.
    pub file: String,
    /// Number of the line, counted from 1.
    pub line: usize,
    /// Number of the character in the line, counted from 1; `None` = the whole line.
    pub column: Option<usize>,
    /// Description of the fault, without a full stop.
    pub message: String,
    /// Advice on what to write instead, without a full stop; empty if there is none.
    pub help: String,
}

impl Error {
    /// Returns the error of an action that failed.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Failed, message.to_string())
    }

    /// Returns the error for a fault in a file or on the command line, which a person must correct.
    pub fn wrong(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Wrong, message.to_string())
    }

    fn new(kind: ErrorKind, message: String) -> Self {
        Self(Box::new(Report { kind, message, cause: String::new(), place: None, others: Vec::new() }))
    }

    /// Adds the place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.0.place = Some(Box::new(place));
        self
    }

    /// Returns the place in a file, if the error is about one.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_deref()
    }

    /// Adds the underlying cause.
    #[must_use]
    pub fn because(self, cause: impl fmt::Display) -> Self {
        self.with_cause(&cause)
    }

    fn with_cause(mut self, cause: &dyn fmt::Display) -> Self {
        words(&cause.to_string()).clone_into(&mut self.0.cause);
        self
    }

    /// Returns the kind, which determines the exit status.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    /// Writes the sentence and all its causes on one line: `cannot add rule …: Operation not permitted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if self.0.cause.is_empty() {
            return Ok(());
        }
        f.write_str(": ")?;
        f.write_str(&self.0.cause)
    }
}

/// Returns a cause without the symbol and the number that some libraries add: in `EPERM: Operation not
/// permitted` and `Operation not permitted (os error 1)`, the words are enough for a person. In a program
/// without Debug formatting, the symbol is empty: `: Operation not permitted`.
fn words(cause: &str) -> &str {
    let cause = cause.split_once(" (os error").map_or(cause, |(words, _)| words);
    let is_symbol = |text: &str| {
        text.is_empty()
            || text.starts_with('E') && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    cause.split_once(": ").filter(|(symbol, _)| is_symbol(symbol)).map_or(cause, |(_, words)| words)
}

/// Several errors from one pass, to show all at once. Never empty.
///
/// The first error holds the others, so an [`Error`] becomes `Errors` without any code.
#[derive(Debug)]
pub struct Errors(Error);

impl Errors {
    /// Returns `Err` with all of `errors` if there are any, or else `value`.
    pub fn check<T>(errors: Vec<Error>, value: T) -> Result<T, Self> {
        if errors.is_empty() { Ok(value) } else { Err(Self::all(errors)) }
    }

    /// Returns all of `errors`, which must not be empty.
    pub fn all(mut errors: Vec<Error>) -> Self {
        let mut first = errors.remove(0);
        first.0.others = errors;
        Self(first)
    }

    /// Adds a sentence before the errors that names what they have in common.
    #[must_use]
    pub fn under(self, mut heading: Error) -> Self {
        heading.0.others = self.into_list();
        Self(heading)
    }

    /// Returns the errors in the order of discovery.
    pub fn iter(&self) -> std::vec::IntoIter<&Error> {
        let mut all = vec![&self.0];
        all.extend(&self.0.0.others);
        all.into_iter()
    }

    fn into_list(mut self) -> Vec<Error> {
        let mut all = std::mem::take(&mut self.0.0.others);
        all.insert(0, self.0);
        all
    }

    /// Returns `Failed` if any of the errors has this kind, or else `Wrong`.
    pub fn kind(&self) -> ErrorKind {
        if self.iter().all(|error| error.kind() == ErrorKind::Wrong) {
            ErrorKind::Wrong
        } else {
            ErrorKind::Failed
        }
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_list().into_iter()
    }
}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a Error;
    type IntoIter = std::vec::IntoIter<&'a Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// Adds a sentence about the failed action to an underlying error.
pub trait Context<T> {
    /// Turns an error into `Failed` with the sentence that `context` returns; calls `context` only on an
    /// error.
    fn context(self, context: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| under(context(), cause))
    }
}

/// Returns the error with its cause. Never inlined: the compiler makes one function per type of cause,
/// instead of a copy at each of the hundreds of fallible calls.
#[inline(never)]
fn under(message: String, cause: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Failed, message).because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_neither_a_symbol_nor_a_number() {
        for cause in
            ["EPERM: Not permitted", "Not permitted (os error 1)", ": Not permitted", "Not permitted"]
        {
            assert_eq!(Error::failed("cannot").because(cause).to_string(), "cannot: Not permitted");
        }
        assert_eq!(
            Error::failed("cannot").because("paris: no answer").to_string(),
            "cannot: paris: no answer"
        );
    }
}
