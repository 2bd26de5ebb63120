//! Parser: from text to [`WgQuickFile`](super::WgQuickFile), or to all its faults at once.
//!
//! The reader follows wg and wg-quick: keys and sections in any case, lists in one line or several, the last
//! value of a repeated key. A remark tells the person about odd lines. A value that cannot work is a fault
//! here; wg and wg-quick report such a value only once the tunnel is up, or never.

use super::draft::{PeerSectionDraft, WgQuickDraft};
use super::entries::{Parts, Read, reader};
use super::known::{
    APPS, COMMANDS, INTERFACE, LISTS, MAY_BE_EMPTY, PEER, QUICK, SAVE, WireGuardDerivative, find,
};
use super::piece::Piece;
use super::{Parsed, Remark};
use crate::config::fault::{Fault, Findings, Lines, Span, not_utf8};
use crate::config::suggest::suggest;

/// Reads a file. The error holds at least one fault; the faults are in the order of the file.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Vec<Fault>> {
    let text = str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    if is_of_openvpn(text) {
        let mut found = Findings::default();
        let help = "portals speaks WireGuard: ask the provider for a WireGuard file";
        found.add(&(0..text.lines().next().unwrap_or_default().len()), "this is a file of OpenVPN", help);
        return Err(found.faults(text));
    }
    let mut reader = Reader {
        lines: Lines::of(text),
        part: SectionKind::None,
        draft: WgQuickDraft::default(),
        found: Findings::default(),
        foreign: Vec::new(),
    };
    let mut start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    for line in text[start..].split_inclusive('\n') {
        let said = line.split('#').next().unwrap_or_default();
        reader.line(Piece { text: said, start }.trim());
        start += line.len();
    }
    reader.other_protocols();
    let Reader { lines, draft, mut found, .. } = reader;
    let parsed = draft.finish(&lines, &mut found);
    match found.faults(text) {
        faults if faults.is_empty() => Ok(parsed),
        faults => Err(faults),
    }
}

/// Reports whether the text is a file of OpenVPN (openvpn(8)): it has a server or a role, and no sections.
fn is_of_openvpn(text: &str) -> bool {
    let mut is_found = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            return false;
        }
        is_found |= line == "client" || line.starts_with("remote ");
    }
    is_found
}

/// First character of files that some editors save.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The section that a line is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SectionKind {
    /// Start of the file, before the first section.
    None,
    /// `[Interface]`, as both wg and wg-quick read it.
    Interface,
    /// `[Interface]` with white space inside the brackets, which only wg reads.
    Spaced,
    /// The last `[Peer]`.
    Peer,
    /// An unknown section: the reader skips its lines.
    Unknown,
}

struct Reader<'t> {
    lines: Lines<'t>,
    part: SectionKind,
    draft: WgQuickDraft,
    found: Findings,
    /// Keys of other protocols, as the file writes them, with their places.
    foreign: Vec<(WireGuardDerivative, String, Span)>,
}

impl Reader<'_> {
    /// Reads one line, which comes without its comment.
    fn line(&mut self, line: Piece) {
        if line.text.starts_with('[') {
            self.begin(line);
        } else if !line.text.is_empty() && self.part != SectionKind::Unknown {
            match line.split_once('=') {
                Some((key, value)) => self.entry(key, value),
                None => self.found.add(
                    &line.span(),
                    "this line has no `=`",
                    "write `KEY = VALUE`, or put `#` before a comment",
                ),
            }
        }
    }

    fn begin(&mut self, header: Piece) {
        let name = header.compact();
        let is_spaced = *name != *header.text;
        self.part = if name.eq_ignore_ascii_case("[Interface]") {
            self.draft.header.get_or_insert(header.span());
            if is_spaced { SectionKind::Spaced } else { SectionKind::Interface }
        } else if name.eq_ignore_ascii_case("[Peer]") {
            self.draft.peers.push(PeerSectionDraft::new(header.span()));
            SectionKind::Peer
        } else {
            self.found.add(&header.span(), "there is no such section", "write `[Interface]` or `[Peer]`");
            SectionKind::Unknown
        };
        if is_spaced && self.part != SectionKind::Unknown {
            self.remark(header, "the spaces inside this header are ignored".to_owned());
        }
    }

    fn entry(&mut self, key: Piece, value: Piece) {
        let Some(name) = self.known(key, value) else { return };
        let keys = match self.part {
            SectionKind::Peer => {
                let peer = self.draft.peers.last_mut().expect("in a peer");
                if name == "PublicKey" {
                    peer.key_start = value.start;
                }
                &mut peer.keys
            }
            _ => &mut self.draft.keys,
        };
        let is_again = keys.contains(&name) && !LISTS.contains(&name);
        keys.push(name);
        if is_again {
            self.remark(key, format!("`{name}` appears again: this value replaces the earlier one"));
        }
        if value.text.is_empty() && !MAY_BE_EMPTY.contains(&name) {
            self.found.add(
                &key.span(),
                format_args!("`{name}` has no value"),
                "write a value after the `=`, or remove the line",
            );
        } else {
            self.values(name, value);
        }
    }

    /// Returns the name of a key of this section. A key without a meaning here gets a remark; an unknown key
    /// is a fault.
    fn known(&mut self, key: Piece, value: Piece) -> Option<&'static str> {
        let of_wg = match self.part {
            SectionKind::Interface | SectionKind::Spaced => INTERFACE,
            SectionKind::Peer => PEER,
            SectionKind::None | SectionKind::Unknown => {
                let help = "begin the file with `[Interface]`";
                self.found.add(&key.span(), "this line comes before the first section", help);
                return None;
            }
        };
        let compact = key.compact();
        if let Some(name) = find(of_wg, &compact) {
            if *compact != *key.text {
                self.remark(key, format!("the spaces inside the name of `{name}` are ignored"));
            }
            return Some(name);
        }
        if self.part != SectionKind::Interface {
            self.unknown(key, of_wg);
            return None;
        }
        let name = find(QUICK, key.text);
        if name.is_none() && !self.left_out(key, value) {
            self.unknown(key, &[INTERFACE, QUICK].concat());
        }
        name
    }

    /// Reports whether the key belongs to `[Interface]` but has no meaning here; adds a remark if so.
    fn left_out(&mut self, key: Piece, value: Piece) -> bool {
        let why = if let Some(name) = find(COMMANDS, key.text) {
            format!("`{name}` is left out: portals runs no commands from this file")
        } else if key.text.eq_ignore_ascii_case(SAVE) {
            if find(&["true", "false"], value.text).is_none() {
                let help = "write `true` or `false`, or remove the line";
                self.found.add(&key.span(), format_args!("`{SAVE}` is neither true nor false"), help);
            }
            format!("`{SAVE}` is left out: it has no meaning here")
        } else if let Some(name) = find(APPS, key.text) {
            format!("`{name}` is left out: it has no meaning here")
        } else {
            return false;
        };
        self.remark(key, why);
        true
    }

    fn unknown(&mut self, key: Piece, keys: &[&'static str]) {
        match WireGuardDerivative::of(key.text) {
            Some(foreign) => self.foreign.push((foreign, key.text.to_owned(), key.span())),
            None if self.part == SectionKind::Spaced && find(QUICK, key.text).is_some() => self.found.add(
                &key.span(),
                "wg-quick does not read this key under a header with spaces",
                "write the header as `[Interface]`",
            ),
            None => {
                let help = suggest(key.text, keys);
                self.found.add(&key.span(), "there is no such key in this section", help);
            }
        }
    }

    /// Records one fault for each protocol that is not plain WireGuard.
    fn other_protocols(&mut self) {
        for foreign in [WireGuardDerivative::Amnezia, WireGuardDerivative::Warp] {
            let mut keys = self.foreign.iter().filter(|(of, ..)| *of == foreign);
            let Some((_, first, span)) = keys.next() else { continue };
            let names: String = keys.flat_map(|(_, key, _)| [", `", key, "`"]).collect();
            self.found.add(
                span,
                format_args!("`{first}`{names}: this is the protocol of {}, not WireGuard", foreign.name()),
                "ask your provider for a WireGuard file; if the other end speaks WireGuard too, remove these \
                 lines",
            );
        }
    }

    /// Reads the values of a known key into the draft.
    fn values(&mut self, key: &str, value: Piece) {
        let (parts, read) = reader(key);
        match parts {
            Parts::Whole => self.value(key, value, value.text, read),
            Parts::Compact => self.value(key, value, &value.compact(), read),
            Parts::Words => {
                for word in value.words() {
                    self.value(key, word, word.text, read);
                }
            }
            Parts::Items => {
                for item in value.items() {
                    if item.text.is_empty() {
                        let message = format_args!("`{key}` has an empty entry");
                        self.found.add(&item.span(), message, "remove the comma");
                    } else {
                        self.value(key, item, &item.compact(), read);
                    }
                }
            }
        }
    }

    /// Reads a value: `text`, which is the text of the file or that text without the white space inside.
    fn value(&mut self, key: &str, value: Piece, text: &str, read: Read) {
        match read(&mut self.draft, text) {
            Ok(remark) => {
                if *text != *value.text {
                    self.remark(value, format!("the spaces inside `{key}` are ignored"));
                }
                if let Some(remark) = remark {
                    self.remark(value, remark);
                }
            }
            Err(words) => {
                // The message shows the text of the file: the place of a secret is recognised by that text.
                let message = words.message().replace(text, value.text);
                self.found.add(&value.span(), format_args!("`{key}` {message}"), words.help());
            }
        }
    }

    fn remark(&mut self, at: Piece, message: String) {
        let line = self.lines.position(at.start).line;
        self.draft.remarks.push(Remark { line, message });
    }
}
