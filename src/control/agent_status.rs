//! The agent's answer about the state that only it knows, as fields of text.

use super::broken_off;
use super::link_path::{LinkPath, LinkPathStatus, PathKind};
use crate::base::error::Result;
use crate::base::net::{IfName, PublicKey};
use crate::config::model::Name;
use crate::exchange::Relation;

/// Largest number of sentences about one link.
const MOST_DETAILS: usize = 16;

/// Largest length of a sentence in characters. Some of its words may come from a router.
const LONGEST_SENTENCE: usize = 300;

/// State that only the agent knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AgentStatus {
    /// Seconds left to confirm the network file in force; none = it is in force for good.
    pub unconfirmed: Option<u64>,
    /// Portals with several exits.
    pub portals: Vec<TimedState>,
    /// Exits in a list of several.
    pub exits: Vec<TimedState>,
    /// Faults of the clock, of links and of services: a line for each.
    pub failures: Vec<String>,
    /// Links for which other sites can be asked.
    pub links: Vec<LinkPathStatus>,
    /// Help for other sites; none = this site is no helper.
    pub helper: Option<HelperStatus>,
    /// Network files of the linked sites; empty if this site exchanges none.
    pub files: Vec<SiteFile>,
    /// Problem with the own network file, or with one that was offered, in a sentence.
    pub file_problem: Option<String>,
    /// Set while a new key of this site is not in force for good.
    pub is_rotating: bool,
    /// Sessions with the other ends of tunnels that have been heard.
    pub sessions: Vec<SessionStatus>,
    /// Last repair of rules that keep portals closed: seconds since then, and the repaired things.
    pub put_back: Option<(u64, String)>,
}

/// Session with the other end of a tunnel.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// Interface of the tunnel.
    pub interface: IfName,
    /// Public key of the other end.
    pub key: PublicKey,
    /// Seconds since something came from it; none = nothing has come yet.
    pub seen: Option<u64>,
    /// Seconds for which it has not answered; none = it answers, or has nothing to answer.
    pub unanswered: Option<u64>,
}

/// Network file of a linked site.
#[derive(Debug, PartialEq, Eq)]
pub struct SiteFile {
    /// Name of the site.
    pub site: Name,
    /// Serial of its file; none = it has not told yet.
    pub serial: Option<u64>,
    /// Its file, compared with the own one.
    pub relation: Relation,
}

impl SiteFile {
    /// Reports whether the site is known to have another file than this one.
    pub fn is_other(&self) -> bool {
        !matches!(self.relation, Relation::Same | Relation::Unknown)
    }
}

/// Reason for an exit that a person has chosen.
pub const BY_HAND: &str = "chosen by hand";

/// State of a portal or an exit, and its age.
#[derive(Debug, PartialEq, Eq)]
pub struct TimedState {
    /// Name of the portal or exit.
    pub name: Name,
    /// Seconds since the last change.
    pub since: u64,
    /// Reason for the exit of a portal; `up`, `down` or `unproven` for an exit.
    pub words: String,
}

/// Help of this site for others.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HelperStatus {
    /// Number of questions answered since the agent began.
    pub questions: u64,
    /// Links that this site relays: the names of their ends.
    pub relayed: Vec<[Name; 2]>,
}

impl AgentStatus {
    /// Returns the path of the link to a site on an interface, if other sites can be asked for one.
    pub fn link(&self, peer: &str, interface: &IfName) -> Option<&LinkPathStatus> {
        self.links.iter().find(|link| link.peer == peer && link.interface == *interface)
    }

    /// Returns the fields of an answer: four for each portal, exit, deadline and failure, and for each line
    /// about a link.
    pub fn to_fields(&self) -> Vec<String> {
        let mut fields = Vec::new();
        let all = &mut fields;
        for (what, states) in [("portal", &self.portals), ("exit", &self.exits)] {
            for known in states {
                tell(all, what, &known.name, known.since, &known.words);
            }
        }
        if let Some(left) = self.unconfirmed {
            tell(all, "unconfirmed", "", left, "");
        }
        for words in &self.failures {
            tell(all, "failure", "", 0, words);
        }
        for link in &self.links {
            tell_of_link(all, link);
        }
        if let Some(helper) = &self.helper {
            tell(all, "helper", "", helper.questions, "");
            for [one, other] in &helper.relayed {
                tell(all, "relays", one, 0, other);
            }
        }
        for file in &self.files {
            tell(all, "file", &file.site, file.serial.unwrap_or_default(), file.relation.as_str());
        }
        if let Some(words) = &self.file_problem {
            tell(all, "file-problem", "", 0, &harmless(words));
        }
        if self.is_rotating {
            tell(all, "rotating", "", 0, "");
        }
        for SessionStatus { interface, key, seen, unanswered } in &self.sessions {
            tell(all, "session", &key.to_string(), 0, interface.as_str());
            for (what, since) in [("seen", seen), ("unanswered", unanswered)] {
                if let Some(since) = since {
                    tell(all, what, "", *since, "");
                }
            }
        }
        if let Some((since, words)) = &self.put_back {
            tell(all, "put-back", "", *since, &harmless(words));
        }
        fields
    }

    /// Parses the fields of an answer.
    pub fn from_fields(fields: &[String]) -> Result<Self> {
        let mut agent_status = Self::default();
        for four in fields.chunks(4) {
            let [what, name, since, words] = four else { return Err(broken_off()) };
            let since = since.parse().map_err(|_| broken_off())?;
            agent_status.take(what, name, since, words).ok_or_else(broken_off)?;
        }
        Ok(agent_status)
    }

    /// Takes four fields; `None` if they have no meaning after the fields before.
    fn take(&mut self, what: &str, name: &Name, since: u64, words: &str) -> Option<()> {
        match what {
            "portal" | "exit" => {
                let states = if what == "exit" { &mut self.exits } else { &mut self.portals };
                states.push(TimedState { name: name.clone(), since, words: words.to_owned() });
            }
            "unconfirmed" => self.unconfirmed = Some(since),
            "failure" => self.failures.push(words.to_owned()),
            "link" => self.links.push(LinkPathStatus {
                peer: name.clone(),
                interface: words.parse().ok()?,
                path: None,
                tried: Vec::new(),
                port_mapping: String::new(),
            }),
            "tried" => {
                let tried = &mut self.links.last_mut()?.tried;
                (tried.len() < MOST_DETAILS).then(|| tried.push(harmless(words)))?;
            }
            "mapping" => self.links.last_mut()?.port_mapping = harmless(words),
            "file" => {
                let relation = Relation::ALL.into_iter().find(|relation| relation.as_str() == words)?;
                let serial = (relation != Relation::Unknown).then_some(since);
                self.files.push(SiteFile { site: name.clone(), serial, relation });
            }
            "file-problem" => self.file_problem = Some(harmless(words)),
            "rotating" => self.is_rotating = true,
            "put-back" => self.put_back = Some((since, harmless(words))),
            "session" => self.sessions.push(SessionStatus {
                interface: words.parse().ok()?,
                key: name.parse().ok()?,
                seen: None,
                unanswered: None,
            }),
            "seen" => self.sessions.last_mut()?.seen = Some(since),
            "unanswered" => self.sessions.last_mut()?.unanswered = Some(since),
            "helper" => self.helper = Some(HelperStatus { questions: since, relayed: Vec::new() }),
            "relays" => self.helper.as_mut()?.relayed.push([name.clone(), words.to_owned()]),
            _ => {
                let kind = PathKind::ALL.into_iter().find(|kind| kind.as_str() == what)?;
                self.links.last_mut()?.path = Some(LinkPath { kind, by: name.clone() });
            }
        }
        Some(())
    }
}

/// Appends an entry of an answer: four fields.
fn tell(fields: &mut Vec<String>, what: &str, name: &str, since: u64, words: &str) {
    fields.extend([what.to_owned(), name.to_owned(), since.to_string(), words.to_owned()]);
}

fn tell_of_link(all: &mut Vec<String>, link: &LinkPathStatus) {
    tell(all, "link", &link.peer, 0, link.interface.as_str());
    if let Some(path) = &link.path {
        tell(all, path.kind.as_str(), &path.by, 0, "");
    }
    for sentence in link.tried.iter().take(MOST_DETAILS) {
        tell(all, "tried", "", 0, &harmless(sentence));
    }
    tell(all, "mapping", "", 0, &harmless(&link.port_mapping));
}

/// Returns a sentence without control characters and of bounded length.
fn harmless(sentence: &str) -> String {
    let printable = sentence.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(LONGEST_SENTENCE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::request::{decode_answer, encode_answer};

    fn known(name: &str, words: &str) -> TimedState {
        TimedState { name: name.to_owned(), since: 3, words: words.to_owned() }
    }

    fn link(path: Option<LinkPath>, tried: &[&str]) -> LinkPathStatus {
        LinkPathStatus {
            peer: "mike".to_owned(),
            interface: "to-mike".parse().unwrap(),
            path,
            tried: tried.iter().map(|sentence| (*sentence).to_owned()).collect(),
            port_mapping: String::new(),
        }
    }

    fn path(kind: PathKind, by: &str) -> LinkPath {
        LinkPath { kind, by: by.to_owned() }
    }

    fn file(relation: Relation) -> SiteFile {
        let serial = (relation != Relation::Unknown).then_some(4711);
        SiteFile { site: "mike".to_owned(), serial, relation }
    }

    fn session((seen, unanswered): (Option<u64>, Option<u64>)) -> SessionStatus {
        let interface = "to-mike".parse().unwrap();
        SessionStatus { interface, key: PublicKey([7; 32]), seen, unanswered }
    }

    fn full() -> AgentStatus {
        let all = PathKind::ALL.map(|kind| link(Some(path(kind, "oslo")), &[]));
        let down = link(None, &["oslo does not answer", "forward UDP 51822"]);
        let port_mapping = "UPnP maps UDP 51822".to_owned();
        AgentStatus {
            unconfirmed: Some(7),
            portals: vec![known("guest", "why"), known("tv", "why")],
            exits: vec![known("paris", "")],
            failures: vec!["dnsmasq does not run".to_owned()],
            links: all.into_iter().chain([LinkPathStatus { port_mapping, ..down }]).collect(),
            helper: Some(HelperStatus {
                questions: 4711,
                relayed: vec![["mike".to_owned(), "sara".to_owned()]],
            }),
            files: Relation::ALL.map(file).into(),
            file_problem: Some("the network file was changed here".to_owned()),
            is_rotating: true,
            sessions: [(None, None), (Some(5), Some(17))].map(session).into(),
            put_back: Some((90, "3 policy rules that another program had removed".to_owned())),
        }
    }

    fn parsed(fields: &[&str]) -> Result<AgentStatus> {
        AgentStatus::from_fields(&fields.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_decoded_answer_is_the_encoded_one() {
        let portal = || AgentStatus { portals: vec![known("guest", "why")], ..AgentStatus::default() };
        let helper = || AgentStatus {
            helper: Some(HelperStatus::default()),
            links: Vec::new(),
            ..AgentStatus::default()
        };
        for all in [full, portal, helper, AgentStatus::default] {
            let fields = decode_answer(encode_answer(&Ok(all().to_fields())).as_bytes()).unwrap();
            assert_eq!(AgentStatus::from_fields(&fields).unwrap(), all());
        }
    }

    #[test]
    fn fields_without_meaning_are_refused() {
        for wrong in [
            &["portal", "guest", "3"][..],
            &["portal", "guest", "soon", ""],
            &["dog", "rex", "3", ""],
            &["link", "mike", "0", "no interface/name"],
            &["tried", "", "0", "no link before"],
            &["mapping", "", "0", "no link before"],
            &["relayed", "oslo", "0", ""],
            &["relays", "mike", "0", "sara"],
            &["file", "mike", "0", "better"],
            &["session", "no key", "0", "to-mike"],
            &["seen", "", "3", "no session before"],
            &["unanswered", "", "3", "no session before"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        let mut fields = vec!["link", "mike", "0", "to-mike"];
        for _ in 0..MOST_DETAILS {
            fields.extend(["tried", "", "0", "a way"]);
        }
        assert_eq!(parsed(&fields).unwrap().links[0].tried.len(), MOST_DETAILS);
        fields.extend(["tried", "", "0", "one more"]);
        assert!(parsed(&fields).is_err());
    }

    #[test]
    fn words_of_routers_do_no_harm() {
        let long = "ä".repeat(1000);
        let told = AgentStatus { links: vec![link(None, &["a\0b\x1b[2J", &long])], ..AgentStatus::default() };
        let told = AgentStatus::from_fields(&told.to_fields()).unwrap();
        assert_eq!(told.links[0].tried, ["a b [2J".to_owned(), "ä".repeat(LONGEST_SENTENCE)]);
        let heard = parsed(&["link", "mike", "0", "to-mike", "mapping", "", "0", "\x1b[2J"]).unwrap();
        assert_eq!(heard.links[0].port_mapping, " [2J");
    }
}
