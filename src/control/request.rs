//! Requests to the agent and its answers, as fields of text.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::{Answer, broken_off};
use crate::base::error::{Error, ErrorKind, Errors, Result};
use crate::config::model::{Name, confirmation_time};
use crate::join::invitations::Terms;

/// Last field of every answer. An answer without it was cut short.
const END: &str = "\0end";

/// Second field of a request for a new key that leaves sites behind.
const LEAVE_BEHIND: &[u8] = b"leave-behind";

/// Request to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRequest {
    /// Read this network file again, and make the host match it. With a time, undo the change unless it is
    /// confirmed within the time.
    Apply {
        /// Network file: the agent must use the same file.
        file: PathBuf,
        /// Time for the confirmation, in whole seconds.
        confirm: Option<Duration>,
    },
    /// Keep the change that waits to be confirmed.
    Confirm,
    /// Read the agent's network file again, as at SIGHUP.
    Reload,
    /// Offer the network file to the linked sites at once, and ask for theirs.
    Offer,
    /// Drop the changes of the network file that no admin has signed, for the newest file of a linked site.
    Pull,
    /// Give this site a new key.
    Rotate {
        /// Set if sites that cannot take the key now, and get it from no other site, are left behind.
        leaves_behind: bool,
    },
    /// Report the state that only the agent knows.
    Status,
    /// Move a portal to another exit of its list.
    Exit {
        /// Name of the portal.
        portal: Name,
        /// Name of the exit; none = the agent chooses.
        exit: Option<Name>,
    },
    /// Make an invitation on these terms. The answer is its token.
    Invite(Terms),
    /// List the invitations.
    Invitations,
    /// Make the token for a site of this name useless.
    Revoke(Name),
    /// Let the site join that waits for a yes, with the token for a site of this name.
    Allow(Name),
    /// Let the site join that has made this text.
    Accept(String),
}

/// Outcome of a request that changes the host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChangeReport {
    /// Number of changes.
    pub changes: usize,
    /// Notes for the person who asked.
    pub notes: Vec<String>,
}

impl ControlRequest {
    /// Encodes the request in the bytes on the socket.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.word().as_bytes().to_vec();
        let mut add = |field: &[u8]| {
            bytes.push(0);
            bytes.extend_from_slice(field);
        };
        match self {
            Self::Apply { file, confirm } => {
                if let Some(time) = confirm {
                    add(time.as_secs().to_string().as_bytes());
                }
                add(file.as_os_str().as_bytes());
            }
            Self::Rotate { leaves_behind: true } => add(LEAVE_BEHIND),
            Self::Exit { portal, exit } => {
                add(portal.as_bytes());
                if let Some(exit) = exit {
                    add(exit.as_bytes());
                }
            }
            Self::Invite(terms) => add(terms.to_text().as_bytes()),
            Self::Revoke(text) | Self::Allow(text) | Self::Accept(text) => add(text.as_bytes()),
            _ => {}
        }
        bytes
    }

    /// Returns the first field.
    fn word(&self) -> &'static str {
        match self {
            Self::Apply { confirm: None, .. } => "apply",
            Self::Apply { confirm: Some(_), .. } => "try",
            Self::Confirm => "confirm",
            Self::Reload => "reload",
            Self::Offer => "offer",
            Self::Pull => "pull",
            Self::Rotate { .. } => "rotate",
            Self::Status => "status",
            Self::Exit { .. } => "exit",
            Self::Invite(_) => "invite",
            Self::Invitations => "invitations",
            Self::Revoke(_) => "revoke",
            Self::Allow(_) => "allow",
            Self::Accept(_) => "accept",
        }
    }

    /// Decodes the bytes from the socket; `None` if they are not a request.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.split(|byte| *byte == 0);
        // Text, because the compiler compares constant bytes one by one: four kilobytes for these words.
        let word = str::from_utf8(fields.next()?).ok()?;
        let fields: Vec<&[u8]> = fields.collect();
        let text = |field: &[u8]| Some(str::from_utf8(field).ok()?.to_owned());
        let file = |field| PathBuf::from(OsStr::from_bytes(field));
        let done = match *fields.as_slice() {
            [] => match word {
                "confirm" => Self::Confirm,
                "reload" => Self::Reload,
                "offer" => Self::Offer,
                "pull" => Self::Pull,
                "rotate" => Self::Rotate { leaves_behind: false },
                "status" => Self::Status,
                "invitations" => Self::Invitations,
                _ => return None,
            },
            [path] if word == "apply" => Self::Apply { file: file(path), confirm: None },
            [field] => {
                let text = text(field)?;
                match word {
                    "rotate" if field == LEAVE_BEHIND => Self::Rotate { leaves_behind: true },
                    "exit" => Self::Exit { portal: text, exit: None },
                    "invite" => Self::Invite(Terms::from_text(&text)?),
                    "revoke" => Self::Revoke(text),
                    "allow" => Self::Allow(text),
                    "accept" => Self::Accept(text),
                    _ => return None,
                }
            }
            [seconds, path] if word == "try" => {
                let confirm = Some(confirmation_time(text(seconds)?.parse().ok()?)?);
                Self::Apply { file: file(path), confirm }
            }
            [portal, exit] if word == "exit" => Self::Exit { portal: text(portal)?, exit: Some(text(exit)?) },
            _ => return None,
        };
        Some(done)
    }
}

impl ChangeReport {
    /// Returns the fields of an answer.
    pub fn into_fields(self) -> Vec<String> {
        let mut fields = self.notes;
        fields.insert(0, self.changes.to_string());
        fields
    }

    /// Parses the fields of an answer.
    pub fn from_fields(fields: Vec<String>) -> Result<Self> {
        let mut fields = fields.into_iter();
        let changes = fields.next().and_then(|number| number.parse().ok()).ok_or_else(broken_off)?;
        Ok(Self { changes, notes: fields.collect() })
    }
}

/// Encodes an answer in the bytes on the socket.
pub(crate) fn encode_answer(answer: &Answer) -> String {
    let fields = match answer {
        Ok(fields) => {
            let mut all = vec!["done"];
            all.extend(fields.iter().map(String::as_str));
            all.join("\0")
        }
        Err(errors) => {
            let errors = errors.iter().map(|error| {
                let word = match error.kind() {
                    ErrorKind::Wrong => "wrong",
                    ErrorKind::Failed => "failed",
                };
                format!("{word}\0{error}")
            });
            errors.collect::<Vec<_>>().join("\0")
        }
    };
    fields + END
}

/// Decodes the bytes from the socket.
pub(crate) fn decode_answer(answer: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(answer);
    let fields: Vec<&str> = text.strip_suffix(END).ok_or_else(broken_off)?.split('\0').collect();
    if let ["done", fields @ ..] = fields.as_slice() {
        return Ok(fields.iter().map(|field| (*field).to_owned()).collect());
    }
    let error = |pair: &[&str]| match *pair {
        ["wrong", text] => Error::wrong(text),
        ["failed", text] => Error::failed(text),
        _ => broken_off(),
    };
    Err(Errors::all(fields.chunks(2).map(error).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_question_is_the_encoded_one() {
        let file = || PathBuf::from(OsStr::from_bytes(b"/etc/a file that is no UTF-8: \xff"));
        for request in [
            ControlRequest::Apply { file: file(), confirm: None },
            ControlRequest::Apply { file: file(), confirm: Some(Duration::from_mins(1)) },
            ControlRequest::Confirm,
            ControlRequest::Reload,
            ControlRequest::Offer,
            ControlRequest::Pull,
            ControlRequest::Rotate { leaves_behind: false },
            ControlRequest::Rotate { leaves_behind: true },
            ControlRequest::Status,
            ControlRequest::Exit { portal: "guest".to_owned(), exit: None },
            ControlRequest::Exit { portal: "guest".to_owned(), exit: Some("oslo".to_owned()) },
            ControlRequest::Invite(Terms::from_text("paris nyc,oslo 192.168.5.0/24 eth1 3").unwrap()),
            ControlRequest::Invitations,
            ControlRequest::Revoke("paris".to_owned()),
            ControlRequest::Allow("paris".to_owned()),
            ControlRequest::Accept("a1.AAAA".to_owned()),
        ] {
            assert_eq!(ControlRequest::decode(&request.encode()), Some(request));
        }
    }

    #[test]
    fn bytes_that_are_no_question_are_refused() {
        for words in [
            "",
            "\0",
            "dance",
            "apply",
            "apply\0a\0b",
            "try\0soon\0a",
            "try\0-1\0a",
            "try\x000\0a",
            "try\x0086401\0a",
            "try\x0018446744073709551615\0a",
            "status\0",
            "rotate\0",
            "exit",
            "exit\0a\0b\0c",
            "invite",
            "invite\0paris",
            "invite\0PARIS - - - 0",
            "revoke",
        ] {
            assert_eq!(ControlRequest::decode(words.as_bytes()), None, "{words:?}");
        }
        assert_eq!(ControlRequest::decode(b"exit\0\xff"), None);
    }

    #[test]
    fn a_decoded_answer_is_the_encoded_one() {
        let done = || ChangeReport { changes: 3, notes: vec!["one".to_owned(), "two\nlines".to_owned()] };
        assert_eq!(ChangeReport::from_fields(done().into_fields()).unwrap(), done());
    }

    #[test]
    fn an_answer_that_is_cut_short_is_an_error() {
        for answer in ["", "done\0", "done\x003", "wrong\0a", "wrong\0end"] {
            let errors = decode_answer(answer.as_bytes()).unwrap_err();
            assert!(errors.to_string().starts_with("the agent broke off its answer"), "{answer:?}: {errors}");
        }
        let fields = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert!(
            ChangeReport::from_fields(fields(&["three"])).is_err()
                && ChangeReport::from_fields(Vec::new()).is_err()
        );
    }
}
