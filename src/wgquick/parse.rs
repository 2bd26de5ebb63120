//! From text to [`Config`], or to all its faults at once.
//!
//! Keys and parts are read in any case, lists in one line or several, as wg and wg-quick read them. Where those two take the
//! last of what is given twice, or wait until the tunnel is up to say what is wrong, it is a fault here.

use super::values::{self, Dns, Wrong};
use super::{Config, Endpoint, Interface, Parsed, Peer, Remark};
use crate::config::fault::{Fault, Findings, Lines, Span, not_utf8};
use crate::config::suggest::suggest;
use crate::net::{Cidr, PublicKey, Secret};

/// Keys of `[Interface]`.
const INTERFACE: &[&str] = &["PrivateKey", "Address", "DNS", "MTU", "ListenPort", "FwMark", "Table"];

/// Keys of `[Peer]`.
const PEER: &[&str] = &["PublicKey", "PresharedKey", "Endpoint", "AllowedIPs", "PersistentKeepalive"];

/// Lists, which may be continued in another line.
const LISTS: &[&str] = &["Address", "DNS", "AllowedIPs"];

/// Programs that wg-quick runs.
const COMMANDS: &[&str] = &["PreUp", "PostUp", "PreDown", "PostDown"];

/// What else may stand in `[Interface]` without meaning anything here: of wg-quick, and of the app for Android.
const OTHERS: &[&str] = &["SaveConfig", "ExcludedApplications", "IncludedApplications"];

/// Reads a file. The faults come in the order of the file, and are never none.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Vec<Fault>> {
    let text = str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    let mut reader = Reader {
        lines: Lines::of(text),
        part: Part::None,
        draft: Draft::default(),
        found: Findings::default(),
    };
    let mut start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    for line in text[start..].split_inclusive('\n') {
        let said = line.split('#').next().unwrap_or_default();
        reader.line(Piece { text: said, start }.trim());
        start += line.len();
    }
    reader.finish(text)
}

/// Stands in front of what some editors save.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A piece of the file, and where it begins.
#[derive(Clone, Copy)]
struct Piece<'t> {
    text: &'t str,
    start: usize,
}

impl<'t> Piece<'t> {
    fn span(self) -> Span {
        self.start..self.start + self.text.len()
    }

    fn trim(self) -> Self {
        let begun = self.text.trim_start();
        Self { text: begun.trim_end(), start: self.start + self.text.len() - begun.len() }
    }

    fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (text, behind) = self.text.split_once(separator)?;
        let start = self.start + text.len() + separator.len_utf8();
        Some((Self { text, ..self }.trim(), Self { text: behind, start }.trim()))
    }

    /// What stands between commas.
    fn items(self) -> impl Iterator<Item = Self> + use<'t> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let all = rest?;
            let (item, behind) =
                all.split_once(',').map_or((all, None), |(item, behind)| (item, Some(behind)));
            rest = behind;
            Some(item)
        })
    }
}

/// The part that a line is in.
enum Part {
    /// None yet.
    None,
    Interface,
    /// The last peer.
    Peer,
    /// One that there is not: its lines are passed by.
    Unknown,
}

#[derive(Default)]
struct Draft {
    interface: Interface,
    /// Where it begins, and its keys.
    header: Option<Span>,
    keys: Vec<&'static str>,
    peers: Vec<PeerDraft>,
    remarks: Vec<Remark>,
}

struct PeerDraft {
    header: Span,
    keys: Vec<&'static str>,
    public_key: Option<(PublicKey, Span)>,
    preshared_key: Option<Secret>,
    endpoint: Option<Endpoint>,
    allowed_ips: Vec<Cidr>,
    keepalive: u16,
}

struct Reader<'t> {
    lines: Lines<'t>,
    part: Part,
    draft: Draft,
    found: Findings,
}

impl Reader<'_> {
    /// One line, without its comment.
    fn line(&mut self, line: Piece) {
        if line.text.starts_with('[') {
            self.begin(line);
        } else if !line.text.is_empty() && !matches!(self.part, Part::Unknown) {
            match line.split_once('=') {
                Some((key, value)) => self.entry(key, value),
                None => self.found.add(
                    &line.span(),
                    "this line has no `=`",
                    "write `KEY = VALUE`, or `#` in front of a comment",
                ),
            }
        }
    }

    fn begin(&mut self, header: Piece) {
        self.part = match header.text {
            name if name.eq_ignore_ascii_case("[Interface]") => {
                self.draft.header.get_or_insert(header.span());
                Part::Interface
            }
            name if name.eq_ignore_ascii_case("[Peer]") => {
                self.draft.peers.push(PeerDraft::new(header.span()));
                Part::Peer
            }
            _ => {
                self.found.add(&header.span(), "there is no such part", "write `[Interface]` or `[Peer]`");
                Part::Unknown
            }
        };
    }

    fn entry(&mut self, key: Piece, value: Piece) {
        let Some(name) = self.known(key) else { return };
        let keys = match self.part {
            Part::Peer => &mut self.draft.peers.last_mut().expect("in a peer").keys,
            _ => &mut self.draft.keys,
        };
        if keys.contains(&name) && !LISTS.contains(&name) {
            self.found.add(&key.span(), format!("`{name}` is given twice"), "keep one of the two lines");
        }
        keys.push(name);
        if value.text.is_empty() {
            self.found.add(
                &key.span(),
                format!("`{name}` has no value"),
                "write one behind the `=`, or take the line out",
            );
        } else if matches!(self.part, Part::Interface) {
            self.of_interface(name, value);
        } else {
            self.of_peer(name, value);
        }
    }

    /// The name of a key of this part. One that means nothing here is remarked on, any other is a fault.
    fn known(&mut self, key: Piece) -> Option<&'static str> {
        let keys = match self.part {
            Part::Interface => INTERFACE,
            Part::Peer => PEER,
            Part::None | Part::Unknown => {
                self.found.add(
                    &key.span(),
                    "this stands in front of the first part",
                    "begin with `[Interface]`",
                );
                return None;
            }
        };
        let find =
            |keys: &[&'static str]| keys.iter().copied().find(|known| known.eq_ignore_ascii_case(key.text));
        let name = find(keys);
        if name.is_none() {
            match (&self.part, find(COMMANDS), find(OTHERS)) {
                (Part::Interface, Some(name), _) => {
                    self.remark(key, format!("`{name}` is left out: no program of this file is run"));
                }
                (Part::Interface, _, Some(name)) => {
                    self.remark(key, format!("`{name}` is left out: it means nothing here"));
                }
                _ => {
                    let help = suggest(key.text, keys.iter().copied());
                    self.found.add(&key.span(), "there is no such key here", help);
                }
            }
        }
        name
    }

    fn of_interface(&mut self, key: &'static str, value: Piece) {
        match key {
            "PrivateKey" => self.draft.interface.private_key = self.read(key, value, values::private_key),
            "Address" => {
                let addresses = self.list(key, value, values::address);
                self.draft.interface.addresses.extend(addresses);
            }
            "DNS" => {
                for entry in self.list(key, value, values::dns) {
                    match entry {
                        Dns::Server(address) => self.draft.interface.dns.push(address),
                        Dns::Search(domain) => self.draft.interface.search.push(domain),
                    }
                }
            }
            "MTU" => self.draft.interface.mtu = self.read(key, value, values::mtu),
            "ListenPort" => {
                self.draft.interface.listen_port = self.read(key, value, values::listen_port).flatten();
            }
            "FwMark" => self.draft.interface.fwmark = self.read(key, value, values::fwmark),
            _ => self.draft.interface.table = self.read(key, value, values::table).unwrap_or_default(),
        }
    }

    fn of_peer(&mut self, key: &'static str, value: Piece) {
        let mut peer = self.draft.peers.pop().expect("in a peer");
        match key {
            "PublicKey" => {
                peer.public_key = self.read(key, value, values::public_key).map(|key| (key, value.span()));
            }
            "PresharedKey" => peer.preshared_key = self.read(key, value, values::preshared_key).flatten(),
            "Endpoint" => peer.endpoint = self.read(key, value, values::endpoint),
            "AllowedIPs" => {
                for (network, had_host_bits) in self.list(key, value, values::allowed) {
                    if had_host_bits {
                        self.remark(
                            value,
                            format!("an address in `{key}` is longer than its network, {network}"),
                        );
                    }
                    peer.allowed_ips.push(network);
                }
            }
            _ => peer.keepalive = self.read(key, value, values::keepalive).unwrap_or_default(),
        }
        self.draft.peers.push(peer);
    }

    fn list<T>(&mut self, key: &str, value: Piece, read: fn(&str) -> Result<T, Wrong>) -> Vec<T> {
        value.items().filter_map(|item| self.read(key, item, read)).collect()
    }

    fn read<T>(&mut self, key: &str, value: Piece, read: fn(&str) -> Result<T, Wrong>) -> Option<T> {
        if value.text.is_empty() {
            self.found.add(&value.span(), format!("an entry of `{key}` is missing"), "take out the comma");
            return None;
        }
        match read(value.text) {
            Ok(read) => Some(read),
            Err(Wrong(message, help)) => {
                self.found.add(&value.span(), format!("`{key}` {message}"), help);
                None
            }
        }
    }

    fn remark(&mut self, at: Piece, message: String) {
        let line = self.lines.position(at.start).line;
        self.draft.remarks.push(Remark { line, message });
    }

    fn finish(mut self, text: &str) -> Result<Parsed, Vec<Fault>> {
        match &self.draft.header {
            None => self.found.add(
                &(0..0),
                "there is no `[Interface]`",
                "this is no file of wg-quick: take it as your provider hands it out",
            ),
            Some(header) if !self.draft.keys.contains(&"PrivateKey") => {
                self.found.add(
                    header,
                    "`[Interface]` has no `PrivateKey`",
                    "add `PrivateKey = …`, of this end",
                );
            }
            Some(_) => {}
        }
        let mut peers: Vec<Peer> = Vec::new();
        for draft in self.draft.peers {
            if !draft.keys.contains(&"PublicKey") {
                self.found.add(
                    &draft.header,
                    "this `[Peer]` has no `PublicKey`",
                    "add `PublicKey = …`, of the other end",
                );
            }
            let Some((public_key, span)) = draft.public_key else { continue };
            if peers.iter().any(|peer| peer.public_key == public_key) {
                self.found.add(
                    &span,
                    "this `PublicKey` is another peer's already",
                    "make one `[Peer]` of the two",
                );
            }
            let PeerDraft { preshared_key, endpoint, allowed_ips, keepalive, .. } = draft;
            peers.push(Peer { public_key, preshared_key, endpoint, allowed_ips, keepalive });
        }
        match self.found.faults(text) {
            faults if faults.is_empty() => Ok(Parsed {
                config: Config { interface: self.draft.interface, peers },
                remarks: self.draft.remarks,
            }),
            faults => Err(faults),
        }
    }
}

impl PeerDraft {
    fn new(header: Span) -> Self {
        Self {
            header,
            keys: Vec::new(),
            public_key: None,
            preshared_key: None,
            endpoint: None,
            allowed_ips: Vec::new(),
            keepalive: 0,
        }
    }
}
