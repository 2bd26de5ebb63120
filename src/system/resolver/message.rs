//! Messages of the domain name system (RFC 1035 § 4): a question for addresses, and what is of use in the answer.

use std::net::IpAddr;

/// Bytes in front of the questions.
const HEADER: usize = 12;

/// Longest name, as it is on the wire.
const LONGEST_NAME: usize = 255;
const LONGEST_LABEL: usize = 63;

/// Flags: this is an answer; recursion is wanted. The lower four bits are the response code.
const ANSWER: u16 = 0x8000;
const RECURSION: u16 = 0x0100;
const CODE: u16 = 0x000f;
const NO_SUCH_NAME: u16 = 3;

const INTERNET: u16 = 1;
const ALIAS: u16 = 5;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// These addresses, perhaps none.
    Addresses(Vec<IpAddr>),
    /// It could not find out: another server may.
    Failure,
}

/// A name as it is on the wire, without pointers, in small letters: labels behind their lengths, up to the empty one.
type WireName = Vec<u8>;

/// A question that was sent.
#[derive(Debug)]
pub(crate) struct Question {
    message: Vec<u8>,
    kind: Kind,
}

impl Question {
    /// The question for a name; `None` if it cannot be one. A letter is a capital where `capitals` says so: a server repeats the name
    /// as it was asked, and who cannot see the question has to guess each of them (draft-vixie-dnsext-dns0x20).
    pub(crate) fn new(id: u16, name: &str, kind: Kind, capitals: impl Iterator<Item = bool>) -> Option<Self> {
        let mut message = Vec::with_capacity(HEADER + name.len() + 6);
        for field in [id, RECURSION, 1, 0, 0, 0] {
            message.extend(field.to_be_bytes());
        }
        message.extend(wire_name(name)?);
        // Lengths of labels are below all letters.
        for (byte, _) in message[HEADER..].iter_mut().zip(capitals).filter(|(_, is_capital)| *is_capital) {
            byte.make_ascii_uppercase();
        }
        message.extend(kind.number().to_be_bytes());
        message.extend(INTERNET.to_be_bytes());
        Some(Self { message, kind })
    }

    /// The message for the server.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.message
    }

    /// The reply that a message holds; `None` if it is not the answer to it. An answer that is cut short counts as far as it goes: one
    /// address is enough.
    pub(crate) fn reply(&self, message: &[u8]) -> Option<Reply> {
        let end = self.message.len();
        let is_ours = message.get(..2)? == &self.message[..2]
            && message.get(HEADER..end)? == &self.message[HEADER..]
            && number(message, 4)? == 1;
        let flags = number(message, 2).filter(|flags| is_ours && flags & ANSWER != 0)?;
        Some(match flags & CODE {
            0 | NO_SUCH_NAME => {
                let records = records(message, end, number(message, 6)?);
                let asked = read_name(message, HEADER)?.0;
                Reply::Addresses(addresses(&records, &real_name(&records, asked), self.kind))
            }
            _ => Reply::Failure,
        })
    }
}

struct Record<'a> {
    owner: WireName,
    kind: u16,
    data: &'a [u8],
    /// The name that the data is, if it is an alias.
    alias: Option<WireName>,
}

/// Those that are whole.
fn records(message: &[u8], mut at: usize, count: u16) -> Vec<Record<'_>> {
    let mut records = Vec::new();
    for _ in 0..count {
        let Some((record, end)) = record(message, at) else { break };
        records.push(record);
        at = end;
    }
    records
}

fn record(message: &[u8], at: usize) -> Option<(Record<'_>, usize)> {
    let (owner, at) = read_name(message, at)?;
    let [kind, class] = [at, at + 2].map(|at| number(message, at));
    let (start, length) = (at + 10, usize::from(number(message, at + 8)?));
    let data = message.get(start..start + length)?;
    // What is not of the internet is nothing.
    let kind = if class? == INTERNET { kind? } else { 0 };
    let alias = if kind == ALIAS { Some(read_name(message, start)?.0) } else { None };
    Some((Record { owner, kind, data, alias }, start + length))
}

/// The name at the end of the chain of aliases.
fn real_name(records: &[Record], mut name: WireName) -> WireName {
    // More steps than there are records would be a circle.
    for _ in records {
        let Some(alias) = records.iter().find(|record| record.owner == name && record.alias.is_some()) else {
            break;
        };
        name = alias.alias.clone().unwrap_or_default();
    }
    name
}

fn addresses(records: &[Record], owner: &[u8], kind: Kind) -> Vec<IpAddr> {
    let ours = records.iter().filter(|record| record.kind == kind.number() && record.owner == owner);
    ours.filter_map(|record| match kind {
        Kind::A => <[u8; 4]>::try_from(record.data).ok().map(IpAddr::from),
        Kind::Aaaa => <[u8; 16]>::try_from(record.data).ok().map(IpAddr::from),
    })
    .collect()
}

fn wire_name(name: &str) -> Option<WireName> {
    let mut wire = WireName::new();
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..=LONGEST_LABEL).contains(&usize::from(*length)))?;
        wire.push(length);
        wire.extend(label.as_bytes().to_ascii_lowercase());
    }
    wire.push(0);
    (wire.len() <= LONGEST_NAME).then_some(wire)
}

/// The name at a place of a message, and where what follows it begins.
fn read_name(message: &[u8], start: usize) -> Option<(WireName, usize)> {
    let mut name = WireName::new();
    let (mut at, mut end) = (start, None);
    loop {
        match usize::from(*message.get(at)?) {
            0 => {
                name.push(0);
                return Some((name, end.unwrap_or(at + 1)));
            }
            length @ 1..=LONGEST_LABEL => {
                name.extend(message.get(at..=at + length)?.to_ascii_lowercase());
                // Without this, pointers could be followed for ever.
                if name.len() >= LONGEST_NAME {
                    return None;
                }
                at += 1 + length;
            }
            // The rest of the name stands elsewhere (§ 4.1.4): always further to the front, so that each is followed once.
            0xc0.. => {
                end.get_or_insert(at + 2);
                let target = usize::from(number(message, at)? & 0x3fff);
                at = Some(target).filter(|target| *target < at)?;
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
    use proptest::prelude::*;

    use super::*;

    fn asked(id: u16, name: &str, kind: Kind) -> Question {
        Question::new(id, name, kind, std::iter::empty()).unwrap()
    }

    /// An answer to the question for `paris.example.net`: the question, then these records, each of an owner, a kind and data.
    fn answer(flags: u16, records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
        let mut message = asked(7, "paris.example.net", Kind::A).message;
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

    fn read(message: &[u8]) -> Option<Reply> {
        asked(7, "Paris.Example.net", Kind::A).reply(message)
    }

    fn found(addresses: &[&str]) -> Reply {
        Reply::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect())
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
    fn aliases_are_followed_in_any_order_and_circles_are_left() {
        let (middle, last) = (b"\x01b\x00".as_slice(), b"\x01c\x00".as_slice());
        let chain = [(last, 1, [192, 0, 2, 1].as_slice()), (middle, ALIAS, last), (ASKED, ALIAS, middle)];
        assert_eq!(read(&answer(0, &chain)), Some(found(&["192.0.2.1"])));
        assert_eq!(read(&answer(0, &[(ASKED, ALIAS, middle), (middle, ALIAS, ASKED)])), Some(found(&[])));
    }

    #[test]
    fn other_answers_do_not_count() {
        let good = answer(0, &[(ASKED, 1, &[192, 0, 2, 1])]);
        assert_eq!(asked(8, "paris.example.net", Kind::A).reply(&good), None);
        assert_eq!(asked(7, "oslo.example.net", Kind::A).reply(&good), None);
        assert_eq!(asked(7, "paris.example.net", Kind::Aaaa).reply(&good), None);
        let mut question = good.clone();
        question[2] &= 0x7f;
        assert_eq!(read(&question), None);
    }

    #[test]
    fn capitals_have_to_come_back_as_they_were() {
        let capitals = [true, true, false, true].into_iter();
        let question = Question::new(7, "paris.example.net", Kind::A, capitals).unwrap();
        assert_eq!(question.bytes()[HEADER..HEADER + 6], *b"\x05PaRis");
        let mut message = answer(0, &[(b"\x05paRIS\x07example\x03NET\x00", 1, &[192, 0, 2, 1])]);
        assert_eq!(question.reply(&message), None);
        message[HEADER..question.bytes().len()].copy_from_slice(&question.bytes()[HEADER..]);
        assert_eq!(
            question.reply(&message),
            Some(found(&["192.0.2.1"])),
            "those of records are as they like"
        );
    }

    #[test]
    fn a_name_that_does_not_exist_has_no_address_and_a_server_may_fail() {
        assert_eq!(read(&answer(NO_SUCH_NAME, &[])), Some(found(&[])));
        assert_eq!(read(&answer(2, &[])), Some(Reply::Failure));
        assert_eq!(read(&answer(5, &[])), Some(Reply::Failure));
    }

    #[test]
    fn what_is_there_of_a_message_cut_short_counts() {
        let message = answer(0x0200, &[(ASKED, 1, &[192, 0, 2, 1]), (ASKED, 1, &[192, 0, 2, 2])]);
        assert_eq!(read(&message[..message.len() - 3]), Some(found(&["192.0.2.1"])));
    }

    #[test]
    fn pointers_that_lead_nowhere_are_no_name() {
        for owner in [[0xc0, 35].as_slice(), &[0xff, 0xff], &[0xc0], &[0x40, 1], &[1, b'a', 0xc0, 35]] {
            assert_eq!(read(&answer(0, &[(owner, 1, &[192, 0, 2, 1])])), Some(found(&[])), "{owner:?}");
        }
    }

    #[test]
    fn names_have_their_limits() {
        let long = ["a"; 127].join(".");
        let is_one = |name: &str| Question::new(1, name, Kind::A, std::iter::repeat(true)).is_some();
        assert!(is_one(&long));
        for name in [&(long + ".a"), &"a".repeat(64), "a..b", ""] {
            assert!(!is_one(name), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_comes_is_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes);
        }

        #[test]
        fn whatever_follows_the_question_is_read_to_an_end(
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
