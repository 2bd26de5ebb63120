//! Messages of the domain name system (RFC 1035 § 4): a question for addresses, and the addresses in the
//! reply. Anyone may forge a reply (docs/decisions/0014-dns-by-hand.md).

use std::net::IpAddr;

/// Size of the header before the questions, in bytes.
const HEADER: usize = 12;

/// Longest name on the wire, in bytes, and its longest label.
const LONGEST_NAME: usize = 255;
const LONGEST_LABEL: usize = 63;

/// Flags of an answer, and of the wish for recursion. The lower four bits are the response code.
const ANSWER: u16 = 0x8000;
const RECURSION: u16 = 0x0100;
const CODE: u16 = 0x000f;

/// Response code of a name that does not exist.
const NO_SUCH_NAME: u16 = 3;

/// Class of the internet, and the kind of an alias (CNAME).
const INTERNET: u16 = 1;
const ALIAS: u16 = 5;

/// Kind of addresses to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressKind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
}

impl AddressKind {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

/// Reply of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DnsReply {
    /// The addresses of the name; empty if it has none or does not exist.
    Addresses(Vec<IpAddr>),
    /// The server could not resolve the name; another server may.
    Failure,
}

/// A question to a server.
#[derive(Debug)]
pub(crate) struct DnsQuestion {
    message: Vec<u8>,
    kind: AddressKind,
}

impl DnsQuestion {
    /// Returns the question for a name; `None` if the name is not valid. A letter is a capital where
    /// `capitals` is true: a server repeats the name as it was asked, so a forger who cannot see the question
    /// must guess the case of each letter (draft-vixie-dnsext-dns0x20).
    pub(crate) fn new(
        id: u16,
        name: &str,
        kind: AddressKind,
        mut capitals: impl Iterator<Item = bool>,
    ) -> Option<Self> {
        let mut message = Vec::new();
        for field in [id, RECURSION, 1, 0, 0, 0] {
            message.extend(field.to_be_bytes());
        }
        for label in name.trim_end_matches('.').split('.') {
            let length = u8::try_from(label.len()).ok()?;
            if length == 0 || label.len() > LONGEST_LABEL {
                return None;
            }
            message.push(length);
            message.extend_from_slice(label.as_bytes());
        }
        message.push(0);
        if message.len() > HEADER + LONGEST_NAME {
            return None;
        }
        // The lengths of labels are smaller than all letters.
        for byte in &mut message[HEADER..] {
            *byte = byte.to_ascii_lowercase();
            if capitals.next() == Some(true) {
                byte.make_ascii_uppercase();
            }
        }
        for field in [kind.number(), INTERNET] {
            message.extend(field.to_be_bytes());
        }
        Some(Self { message, kind })
    }

    /// Returns the message for the server.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.message
    }

    /// Returns the reply in a message; `None` if the message does not answer this question. A truncated
    /// answer counts as far as it goes: one address is enough.
    pub(crate) fn reply(&self, message: &[u8]) -> Option<DnsReply> {
        let question = &self.message[HEADER..];
        let flags = number(message, 2)?;
        // The letters of the name, too, must be the same.
        let is_ours = message.get(..2)? == &self.message[..2]
            && flags & ANSWER != 0
            && number(message, 4)? == 1
            && message.get(HEADER..self.message.len())? == question;
        if !is_ours {
            return None;
        }
        Some(match flags & CODE {
            0 | NO_SUCH_NAME => {
                let records = records(message, self.message.len(), number(message, 6)?);
                let name = question[..question.len() - 4].to_ascii_lowercase();
                DnsReply::Addresses(addresses(&records, &real_name(&records, name), self.kind))
            }
            _ => DnsReply::Failure,
        })
    }
}

/// A name as on the wire, without pointers and in small letters: labels behind their lengths, up to the empty
/// label.
type WireName = Vec<u8>;

/// A record of the internet class.
struct Record<'a> {
    owner: WireName,
    kind: u16,
    data: &'a [u8],
    /// Name in the data of an alias.
    alias: Option<WireName>,
}

/// Returns the records that are whole, up to the first that is not.
fn records(message: &[u8], start: usize, count: u16) -> Vec<Record<'_>> {
    let (mut records, mut at) = (Vec::new(), start);
    for _ in 0..count {
        let Some((record, end)) = record(message, at) else { break };
        records.extend(record);
        at = end;
    }
    records
}

/// Reads the record at a place, and returns the place behind it.
fn record(message: &[u8], start: usize) -> Option<(Option<Record<'_>>, usize)> {
    let (owner, at) = name(message, start)?;
    let (kind, class) = (number(message, at)?, number(message, at + 2)?);
    let (data, length) = (at + 10, usize::from(number(message, at + 8)?));
    let end = data + length;
    let alias = if kind == ALIAS { name(message, data).filter(|(_, behind)| *behind == end) } else { None };
    let record = Record { owner, kind, data: message.get(data..end)?, alias: alias.map(|(name, _)| name) };
    Some((Some(record).filter(|_| class == INTERNET), end))
}

/// Returns the name at the end of the chain of aliases that begins with a name.
fn real_name(records: &[Record], mut name: WireName) -> WireName {
    // More steps than records would be a cycle.
    for _ in records {
        let is_next = |record: &&Record| record.alias.is_some() && record.owner == name;
        let Some(alias) = records.iter().find(is_next).and_then(|record| record.alias.clone()) else { break };
        name = alias;
    }
    name
}

fn addresses(records: &[Record], owner: &WireName, kind: AddressKind) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for record in records {
        if record.kind == kind.number() && record.owner == *owner {
            addresses.extend(match kind {
                AddressKind::A => <[u8; 4]>::try_from(record.data).ok().map(IpAddr::from),
                AddressKind::Aaaa => <[u8; 16]>::try_from(record.data).ok().map(IpAddr::from),
            });
        }
    }
    addresses
}

/// Returns the name at a place of a message, and the place behind it.
fn name(message: &[u8], start: usize) -> Option<(WireName, usize)> {
    let (mut name, mut at, mut end) = (WireName::new(), start, None);
    loop {
        match usize::from(*message.get(at)?) {
            0 => {
                name.push(0);
                return Some((name, end.unwrap_or(at + 1)));
            }
            length @ 1..=LONGEST_LABEL => {
                name.extend(message.get(at..=at + length)?.to_ascii_lowercase());
                if name.len() >= LONGEST_NAME {
                    return None;
                }
                at += 1 + length;
            }
            // The rest of the name is elsewhere (§ 4.1.4), always nearer to the front: no pointer is followed
            // for ever.
            0xc0.. => {
                end.get_or_insert(at + 2);
                at = Some(usize::from(number(message, at)? & 0x3fff)).filter(|target| *target < at)?;
            }
            _ => return None,
        }
    }
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::iter;

    use domain::base::Message;
    use domain::base::iana::{Class, Rtype};
    use proptest::prelude::*;

    use super::*;

    fn asked(id: u16, name: &str, kind: AddressKind) -> DnsQuestion {
        DnsQuestion::new(id, name, kind, iter::empty()).unwrap()
    }

    /// An answer to the question for `paris.example.net`: the question, then these records, each of an owner,
    /// a kind and data.
    fn answer(flags: u16, records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
        let mut message = asked(7, "paris.example.net", AddressKind::A).bytes().to_vec();
        message[2..4].copy_from_slice(&(ANSWER | flags).to_be_bytes());
        message[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
        for (owner, kind, data) in records {
            message.extend(*owner);
            for field in [*kind, INTERNET, 0, 60, u16::try_from(data.len()).unwrap()] {
                message.extend(field.to_be_bytes());
            }
            message.extend(*data);
        }
        message
    }

    fn read(message: &[u8]) -> Option<DnsReply> {
        asked(7, "Paris.Example.net", AddressKind::A).reply(message)
    }

    fn found(addresses: &[&str]) -> DnsReply {
        DnsReply::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }

    /// A pointer to the name in the question.
    const ASKED: &[u8] = &[0xc0, 12];

    #[test]
    fn addresses_of_the_name_are_taken() {
        let message =
            answer(0, &[(ASKED, 1, &[192, 0, 2, 1]), (ASKED, 28, &[0; 16]), (ASKED, 1, &[192, 0, 2, 2])]);
        assert_eq!(read(&message), Some(found(&["192.0.2.1", "192.0.2.2"])));
        let other = b"\x04oslo\x07example\x03net\x00";
        assert_eq!(read(&answer(0, &[(other, 1, &[192, 0, 2, 1])])), Some(found(&[])));
    }

    #[test]
    fn aliases_are_followed_in_any_order_and_cycles_end() {
        let (middle, last) = (b"\x01b\x00".as_slice(), b"\x01c\x00".as_slice());
        let chain = [(last, 1, [192, 0, 2, 1].as_slice()), (middle, ALIAS, last), (ASKED, ALIAS, middle)];
        assert_eq!(read(&answer(0, &chain)), Some(found(&["192.0.2.1"])));
        assert_eq!(read(&answer(0, &[(ASKED, ALIAS, middle), (middle, ALIAS, ASKED)])), Some(found(&[])));
    }

    #[test]
    fn other_answers_do_not_count() {
        let good = answer(0, &[(ASKED, 1, &[192, 0, 2, 1])]);
        assert_eq!(asked(8, "paris.example.net", AddressKind::A).reply(&good), None);
        assert_eq!(asked(7, "oslo.example.net", AddressKind::A).reply(&good), None);
        assert_eq!(asked(7, "paris.example.net", AddressKind::Aaaa).reply(&good), None);
        let mut question = good.clone();
        question[2] &= 0x7f;
        assert_eq!(read(&question), None);
    }

    #[test]
    fn capitals_must_come_back_unchanged() {
        let capitals = [true, true, false, true].into_iter();
        let question = DnsQuestion::new(7, "paris.example.net", AddressKind::A, capitals).unwrap();
        assert_eq!(question.bytes()[HEADER..HEADER + 6], *b"\x05PaRis");
        let mut message = answer(0, &[(b"\x05paRIS\x07example\x03NET\x00", 1, &[192, 0, 2, 1])]);
        assert_eq!(question.reply(&message), None);
        message[HEADER..question.bytes().len()].copy_from_slice(&question.bytes()[HEADER..]);
        assert_eq!(
            question.reply(&message),
            Some(found(&["192.0.2.1"])),
            "the capitals of records do not matter"
        );
    }

    #[test]
    fn a_name_that_does_not_exist_has_no_address_and_a_server_may_fail() {
        assert_eq!(read(&answer(NO_SUCH_NAME, &[])), Some(found(&[])));
        assert_eq!(read(&answer(2, &[])), Some(DnsReply::Failure));
        assert_eq!(read(&answer(5, &[])), Some(DnsReply::Failure));
    }

    #[test]
    fn whole_records_of_a_truncated_message_count() {
        let message = answer(0x0200, &[(ASKED, 1, &[192, 0, 2, 1]), (ASKED, 1, &[192, 0, 2, 2])]);
        assert_eq!(read(&message[..message.len() - 3]), Some(found(&["192.0.2.1"])));
    }

    #[test]
    fn invalid_pointers_make_no_name() {
        for owner in [[0xc0, 35].as_slice(), &[0xff, 0xff], &[0xc0], &[0x40, 1], &[1, b'a', 0xc0, 35]] {
            assert_eq!(read(&answer(0, &[(owner, 1, &[192, 0, 2, 1])])), Some(found(&[])), "{owner:?}");
        }
    }

    #[test]
    fn a_question_means_the_same_to_the_crate() {
        let question =
            DnsQuestion::new(7, "Paris.example.net.", AddressKind::Aaaa, iter::repeat(true)).unwrap();
        let message = Message::from_slice(question.bytes()).unwrap();
        assert_eq!((message.header().id(), message.header().rd(), message.header().qr()), (7, true, false));
        let asked = message.sole_question().unwrap();
        assert_eq!((asked.qtype(), asked.qclass()), (Rtype::AAAA, Class::IN));
        assert_eq!(asked.qname().to_string(), "PARIS.EXAMPLE.NET");
    }

    #[test]
    fn names_have_their_limits() {
        let long = ["a"; 127].join(".");
        let is_one = |name: &str| DnsQuestion::new(1, name, AddressKind::A, iter::repeat(true)).is_some();
        assert!(is_one(&long));
        for name in [&(long + ".a"), &"a".repeat(64), "a..b", ""] {
            assert!(!is_one(name), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2000, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn any_message_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes);
        }

        #[test]
        fn any_bytes_after_the_question_are_read_to_their_end(
            rest in prop::collection::vec(prop_oneof![Just(0xc0_u8), 0..64_u8, any::<u8>()], 0..600),
            count: u16,
        ) {
            let mut message = answer(0, &[]);
            message[6..8].copy_from_slice(&count.to_be_bytes());
            message.extend(rest);
            prop_assert!(read(&message).is_some());
        }
    }
}
