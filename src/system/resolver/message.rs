//! Messages of the domain name system (RFC 1035 § 4): a question for addresses, and the addresses in the
//! reply.
//!
//! The `domain` crate reads and writes the messages (docs/decisions/0002-dns-messages.md).

use std::net::IpAddr;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::name::ToName as _;
use domain::base::{Message, MessageBuilder, Name, ParsedName, ParsedRecord};
use domain::rdata::{A, Aaaa, Cname};

/// Size of the header before the questions, in bytes.
const HEADER: usize = 12;

/// Kind of addresses to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressKind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses (RFC 3596).
    Aaaa,
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
    message: Message<Vec<u8>>,
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
        capitals: impl Iterator<Item = bool>,
    ) -> Option<Self> {
        let name: Name<Vec<u8>> = name.trim_end_matches('.').to_ascii_lowercase().parse().ok()?;
        let kind_of_record = match kind {
            AddressKind::A => Rtype::A,
            AddressKind::Aaaa => Rtype::AAAA,
        };
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(id);
        builder.header_mut().set_rd(true);
        let mut builder = builder.question();
        builder.push((&name, kind_of_record, Class::IN)).ok()?;
        let mut message = builder.finish();
        let letters = &mut message[HEADER..HEADER + name.len()];
        // The lengths of labels are smaller than all letters.
        for (byte, _) in letters.iter_mut().zip(capitals).filter(|(_, is_capital)| *is_capital) {
            byte.make_ascii_uppercase();
        }
        Some(Self { message: Message::from_octets(message).ok()?, kind }).filter(|_| !name.is_root())
    }

    /// Returns the message for the server.
    pub(super) fn bytes(&self) -> &[u8] {
        self.message.as_slice()
    }

    /// Returns the reply in a message; `None` if the message does not answer this question. A truncated
    /// answer counts as far as it goes: one address is enough.
    pub(crate) fn reply(&self, message: &[u8]) -> Option<DnsReply> {
        let question = self.bytes();
        // `is_answer` ignores the case of letters, which must be the same here.
        let has_our_capitals = message.get(HEADER..question.len())? == &question[HEADER..];
        let message = Message::from_slice(message).ok()?;
        if !message.is_answer(&self.message) || !has_our_capitals {
            return None;
        }
        Some(match message.header().rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN => DnsReply::Addresses(addresses(message, self.kind)),
            _ => DnsReply::Failure,
        })
    }
}

/// Returns the addresses at the end of the chain of aliases that begins with the name in the question.
fn addresses(message: &Message<[u8]>, kind: AddressKind) -> Vec<IpAddr> {
    let (Some(owner), Ok(answers)) = (real_name(message), message.answer()) else { return Vec::new() };
    let mut addresses = Vec::new();
    for record in answers.flatten() {
        if record.class() == Class::IN && record.owner().name_eq(&owner) {
            addresses.extend(address(&record, kind));
        }
    }
    addresses
}

/// Returns the address in a record; `None` if the record holds no address of that kind.
fn address(record: &ParsedRecord<[u8]>, kind: AddressKind) -> Option<IpAddr> {
    match kind {
        AddressKind::A => Some(record.to_record::<A>().ok()??.data().addr().into()),
        AddressKind::Aaaa => Some(record.to_record::<Aaaa>().ok()??.data().addr().into()),
    }
}

/// Returns the name at the end of the chain of aliases. `Message::canonical_name` would also follow aliases
/// of other classes than the internet's.
fn real_name(message: &Message<[u8]>) -> Option<ParsedName<&[u8]>> {
    let mut name = message.first_question()?.into_qname();
    let aliases: Vec<_> = message.answer().ok()?.limit_to_in::<Cname<_>>().flatten().collect();
    // More steps than aliases would be a cycle.
    for _ in &aliases {
        let Some(alias) = aliases.iter().find(|record| record.owner().name_eq(&name)) else { break };
        name = *alias.data().cname();
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Flag of an answer, in the second word of the header.
    const ANSWER: u16 = 0x8000;
    /// Response code of a name that does not exist.
    const NO_SUCH_NAME: u16 = 3;
    const INTERNET: u16 = 1;
    const ALIAS: u16 = 5;

    fn asked(id: u16, name: &str, kind: AddressKind) -> DnsQuestion {
        DnsQuestion::new(id, name, kind, std::iter::empty()).unwrap()
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
    fn names_have_their_limits() {
        let long = ["a"; 127].join(".");
        let is_one =
            |name: &str| DnsQuestion::new(1, name, AddressKind::A, std::iter::repeat(true)).is_some();
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
