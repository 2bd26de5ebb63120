//! Requests of the processes that show pages to browsers, and the answers. Such a process has no privileges,
//! and a channel of its own, on which these requests are the only ones.

use super::{TimedState, broken_off};
use crate::base::error::Result;
use crate::config::model::Name;
use crate::site::Portal;

/// Field of a portal that takes some destinations or ports only.
const PART: &str = "part";

/// Request for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageRequest {
    /// Take note that browsers find the pages from now on.
    Opened {
        /// Error (errno) that has left the process without a filter of system calls; 0 = it has one.
        errno: i32,
    },
    /// Report the state of a portal.
    Portal(Name),
    /// Move a portal to another exit of its list.
    Choose {
        /// Name of the portal.
        portal: Name,
        /// Name of the exit; none = the agent chooses.
        exit: Option<Name>,
    },
    /// Make a part of the page of this router. The answer is the part's media type and its text.
    Local(String),
}

/// State of a portal, as its page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageStatus {
    /// Name of the exit in use; `nowhere` if there is none.
    pub exit: String,
    /// State of the portal, as in `portals status --json`.
    pub state: String,
    /// Seconds since the last choice of an exit; zero without a reason.
    pub since: u64,
    /// Reason of the last choice; empty if there is only one exit, or if the agent is not asked.
    pub why: String,
    /// Obstacle that blocks the portal; may be empty.
    pub obstacle: String,
    /// Set if the portal takes some destinations or ports only.
    pub is_part: bool,
    /// Exits in the order of preference, each with its state; the state may be empty.
    pub exits: Vec<(Name, String)>,
}

impl PageRequest {
    /// Encodes the request in the bytes of a message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let number;
        let fields = match self {
            Self::Opened { errno } => {
                number = errno.to_string();
                vec!["opened", &*number]
            }
            Self::Portal(portal) => vec!["portal", portal],
            Self::Choose { portal, exit: None } => vec!["choose", portal],
            Self::Choose { portal, exit: Some(exit) } => vec!["choose", portal, exit],
            Self::Local(part) => vec!["local", part],
        };
        fields.join("\0").into_bytes()
    }

    /// Decodes the bytes of a message; `None` if they are not a request for a page.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let fields: Vec<&str> = str::from_utf8(bytes).ok()?.split('\0').collect();
        Some(match *fields.as_slice() {
            ["opened", errno] => Self::Opened { errno: errno.parse().ok()? },
            ["portal", portal] => Self::Portal(portal.to_owned()),
            ["choose", portal] => Self::Choose { portal: portal.to_owned(), exit: None },
            ["choose", portal, exit] => {
                Self::Choose { portal: portal.to_owned(), exit: Some(exit.to_owned()) }
            }
            ["local", part] => Self::Local(part.to_owned()),
            _ => return None,
        })
    }
}

impl PageStatus {
    /// Returns the status of a portal in this state, which uses an exit; without the agent's view of it.
    pub fn of(portal: &Portal, exit: &str, state: &str) -> Self {
        Self {
            exit: exit.to_owned(),
            state: state.to_owned(),
            since: 0,
            why: String::new(),
            obstacle: portal.obstacle.as_ref().map_or_else(String::new, ToString::to_string),
            is_part: !portal.takes_all(),
            exits: portal.exits.iter().map(|exit| (exit.to_string(), String::new())).collect(),
        }
    }

    /// Takes in the agent's view of portals and of exits.
    pub fn learn(&mut self, portal: &str, portals: &[TimedState], exits: &[TimedState]) {
        if let Some(known) = portals.iter().find(|known| known.name == portal) {
            (self.since, self.why) = (known.since, known.words.clone());
        }
        for (exit, state) in &mut self.exits {
            if let Some(known) = exits.iter().find(|known| known.name == *exit) {
                state.clone_from(&known.words);
            }
        }
    }

    /// Returns the fields of an answer.
    pub fn to_fields(&self) -> Vec<String> {
        let since = self.since.to_string();
        let part = if self.is_part { PART } else { "" };
        let mut fields = vec![&*self.exit, &self.state, &since, &self.why, &self.obstacle, part];
        for (name, state) in &self.exits {
            fields.extend([&**name, state]);
        }
        fields.into_iter().map(str::to_owned).collect()
    }

    /// Parses the fields of an answer.
    pub fn from_fields(fields: Vec<String>) -> Result<Self> {
        let mut fields = fields.into_iter();
        let mut next = || fields.next().ok_or_else(broken_off);
        let (exit, state, since, why, obstacle) = (next()?, next()?, next()?, next()?, next()?);
        let is_part = next()? == PART;
        let since = since.parse().map_err(|_| broken_off())?;
        let mut exits = Vec::new();
        while let Some(name) = fields.next() {
            exits.push((name, fields.next().ok_or_else(broken_off)?));
        }
        Ok(Self { exit, state, since, why, obstacle, is_part, exits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ControlRequest;

    #[test]
    fn a_decoded_request_is_the_encoded_one() {
        for request in [
            PageRequest::Opened { errno: 38 },
            PageRequest::Portal("guest".to_owned()),
            PageRequest::Choose { portal: "guest".to_owned(), exit: None },
            PageRequest::Choose { portal: "guest".to_owned(), exit: Some("oslo via paris".to_owned()) },
            PageRequest::Local("phone/mike".to_owned()),
        ] {
            assert_eq!(PageRequest::decode(&request.encode()), Some(request));
        }
    }

    #[test]
    fn a_page_asks_for_nothing_else() {
        for words in [
            &b""[..],
            b"opened",
            b"opened\0guest",
            b"portal",
            b"portal\0guest\0paris",
            b"choose\0a\0b\0c",
            b"local",
            b"status",
            b"reload",
            b"apply\0/etc/portals/network.toml",
            b"exit\0guest\0paris",
            b"invite\0paris",
            b"rotate\0leave-behind",
            b"portal\0\xff",
        ] {
            assert_eq!(PageRequest::decode(words), None, "{words:?}");
        }
        let asked = PageRequest::Portal("guest".to_owned()).encode();
        assert_eq!(ControlRequest::decode(&asked), None, "the socket of root has other requests");
    }

    #[test]
    fn a_decoded_status_is_the_encoded_one() {
        let exits = vec![("paris".to_owned(), "up".to_owned()), ("direct".to_owned(), String::new())];
        let text = |text: &str| text.to_owned();
        let status = PageStatus {
            exit: text("paris"),
            state: text("open"),
            since: 7,
            why: text("it is the first exit that is up"),
            obstacle: String::new(),
            is_part: true,
            exits,
        };
        assert_eq!(PageStatus::from_fields(status.to_fields()).unwrap(), status);
        for fields in [&["paris", "open", "7", ""][..], &["paris", "open", "soon", "", ""]] {
            let fields = fields.iter().map(|field| (*field).to_owned()).collect();
            assert!(PageStatus::from_fields(fields).is_err());
        }
    }
}
