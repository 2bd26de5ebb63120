//! The part of the site at the other end of the tunnel: its agent watches the packet that this site sends.

use std::net::SocketAddr;

use super::conclude::{Conclusion, LastWords};
use super::evidence::Evidence;
use super::faults::{Ending, FAULTS};
use super::watch::WAITING;
use crate::base::error::{Error, Result};
use crate::diagnose::ask::{Channel, FarTrace};
use crate::kernel::inject::UDP;
use crate::site::Site;

/// Seconds that the other site has for its trace: the probes take five, and small routers need ten to begin.
const WATCHING: u8 = 25;

/// Trace at the other site, or the reason why there is none.
pub(super) struct Far<'a> {
    /// Name of the other site; empty if the flow goes into no tunnel to one.
    name: String,
    trace: Result<FarTrace<'a>>,
}

impl<'a> Far<'a> {
    /// Begins the trace at the other site, if the flow comes there. The connection of a packet before tells
    /// its addresses in the tunnel.
    pub(super) fn begin(site: &'a Site, evidence: &Evidence) -> Self {
        let Some(tunnel) = &evidence.tunnel else {
            let trace = Err(Error::failed("not asked: the packet goes into no tunnel to another site"));
            return Self { name: String::new(), trace };
        };
        Self { name: tunnel.peer.to_owned(), trace: begin(site, evidence, tunnel.peer) }
    }

    /// Waits for the end of the trace. Adds the part of the other site to the picture, and lets the
    /// conclusion say at which site the flow stops.
    pub(super) fn finish(self, text: &mut String, conclusion: &mut Conclusion, own: &str, out: &str) {
        let peer = self.name.as_str();
        let place = if peer.is_empty() { "the other site" } else { peer };
        let answer = self.trace.and_then(FarTrace::finish).and_then(|text| {
            let watches = text.starts_with(WAITING);
            if watches { Ok(text) } else { Err(Error::failed(text.trim_end().to_owned())) }
        });
        let part = match &answer {
            Ok(answer) => Part::read(answer),
            Err(_) => Part::default(),
        };
        let refusal = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let lines = match &answer {
            Err(_) => refusal.as_str(),
            Ok(_) if part.lines.is_empty() => "no packet of the flow came in",
            Ok(_) => part.lines,
        };
        for words in ["\nat ", place, ":\n", lines, "\n"] {
            text.push_str(words);
        }
        let words = &mut conclusion.words;
        if conclusion.ending == Ending::NoAnswer && answer.is_ok() {
            *words = part.words(own, peer, out);
        } else if conclusion.ending == Ending::Works && answer.is_ok() {
            "It works at both sites: an answer came back.".clone_into(&mut words.sentence);
        } else if !words.is_good && answer.is_ok() {
            words.sentence = at(own, &words.sentence);
        }
    }
}

fn begin<'a>(site: &'a Site, evidence: &Evidence, peer: &str) -> Result<FarTrace<'a>> {
    let flow = &evidence.flow;
    let Some(connection) = &evidence.connection else {
        return Err(Error::failed("not asked: the packet does not leave this site"));
    };
    let peers = site.exchange.iter().flat_map(|part| &part.peers);
    let known = peers.into_iter().find(|known| known.name.as_str() == peer);
    let channel = known.and_then(|known| Channel::open(site, known.address));
    let channel = channel.ok_or_else(|| Error::failed("not asked: no agent of portals is there"))?;
    let to = SocketAddr::new(connection.answering, flow.port.unwrap_or_default());
    FarTrace::begin(channel, connection.answered, to, flow.protocol == UDP, WATCHING)
}

/// Part of the other site: its picture, and the words under it; all empty if no packet came in.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part<'a> {
    lines: &'a str,
    sentence: &'a str,
    way_out: &'a str,
}

impl<'a> Part<'a> {
    /// Reads the output of a trace: a line that tells that packets are watched, the picture, an empty line,
    /// and the words.
    fn read(text: &'a str) -> Self {
        let (_, rest) = text.split_once('\n').unwrap_or_default();
        let rest = rest.trim_end();
        // Not `rsplit_once`: a search from behind takes half a kilobyte.
        let end = rest.match_indices("\n\n").last().map_or(rest.len(), |(at, _)| at);
        let (lines, words) = rest.split_at(end);
        let words = words.trim_start();
        let (sentence, way_out) = words.split_once("\n→ ").unwrap_or((words, ""));
        Self { lines, sentence, way_out }
    }

    /// Returns the words under both pictures, if this site got no answer.
    fn words(&self, own: &str, peer: &str, out: &str) -> LastWords {
        let (good, _) = FAULTS[Ending::Works as usize].words.split_once(':').unwrap_or_default();
        let (none, _) = FAULTS[Ending::NotSeen as usize].words.split_once('{').unwrap_or_default();
        let (sentence, way_out) = if self.sentence.is_empty() || self.sentence.starts_with(none) {
            let sentence = [
                "It stops between the sites: the packet left by ",
                out,
                ", and did not come in at ",
                peer,
                ".",
            ];
            (sentence.concat(), "Run `portals doctor` at both sites.")
        } else if self.sentence.starts_with(good) {
            let sentence =
                ["The answer stops between the sites: it left ", peer, ", and did not come in at ", own];
            ([&sentence.concat(), "."].concat(), "Run `portals doctor` at both sites.")
        } else {
            (at(peer, self.sentence), self.way_out)
        };
        LastWords { sentence, way_out: way_out.to_owned(), is_good: false }
    }
}

/// Returns a sentence with the site that it is about.
fn at(site: &str, sentence: &str) -> String {
    let mut words = ["At ", site, ": "].concat();
    let (first, rest) = sentence.split_at(sentence.chars().next().map_or(0, char::len_utf8));
    words.push_str(&first.to_ascii_lowercase());
    words.push_str(rest);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "waiting for a packet of the flow, up to 15 s\n\
                        10.77.1.1 on to-nyc → 1.1.1.1 icmp\nseen: a packet of the device\n\n  ✓ entrance     \
                        to-nyc\n\nIt stops at x.\n→ Look there.\n";

    fn words(text: &str) -> (String, String) {
        let words = Part::read(text).words("nyc", "paris", "to-paris");
        assert!(!words.is_good);
        (words.sentence, words.way_out)
    }

    #[test]
    fn the_text_of_another_site_has_a_picture_and_words() {
        let part = Part::read(TEXT);
        assert!(part.lines.starts_with("10.77.1.1 on to-nyc") && part.lines.ends_with("entrance     to-nyc"));
        assert_eq!((part.sentence, part.way_out), ("It stops at x.", "Look there."));
        let without = TEXT.replace("→ Look there.\n", "");
        assert_eq!((Part::read(&without).sentence, Part::read(&without).way_out), ("It stops at x.", ""));
        for text in ["", "\n", "waiting for a packet of the flow", "waiting for a packet of the flow\n"] {
            assert_eq!(Part::read(text), Part::default(), "{text}");
        }
    }

    #[test]
    fn the_last_sentence_names_the_site() {
        assert_eq!(words(TEXT), ("At paris: it stops at x.".to_owned(), "Look there.".to_owned()));
        let good = TEXT.replace("It stops at x.\n→ Look there.", "It works: the packet left by uplink.");
        assert!(words(&good).0.starts_with("The answer stops between the sites: it left paris,"));
        let (sentence, way_out) = words("waiting\n");
        assert!(
            sentence.starts_with("It stops between the sites: the packet left by to-paris, and"),
            "{sentence}"
        );
        assert!(!way_out.is_empty());
        let unseen = TEXT.replace("It stops at x.", "No packet from 10.77.1.1 to 1.1.1.1 came in meanwhile.");
        assert_eq!(words(&unseen).0, sentence);
        let hostile = TEXT.replace("It stops", "Ä");
        assert_eq!(words(&hostile).0, "At paris: Ä at x.");
        for end in (0..TEXT.len()).filter(|end| TEXT.is_char_boundary(*end)) {
            words(&TEXT[..end]);
        }
    }
}
