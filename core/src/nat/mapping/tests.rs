//! Dialogues with routers that are played here, and words.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

const SUBJECT: Subject =
    Subject { router: ROUTER, client: Ipv4Addr::new(192, 168, 1, 2), port: 51821, nonce: [7; 12] };

const ANY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 51821);

const EXTERNAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// Page of a router with one service that maps ports.
const DESCRIPTION: &str = "HTTP/1.1 200 OK\r\n\r\n<service><serviceType>\
    urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl</controlURL></service>";

const SEARCH_ANSWER: &str = "HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1:5000/\r\n\
    ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";

/// Answers the request for a mapping in PCP with this result code.
fn pcp_answer(question: &Question, code: u8) -> Vec<u8> {
    let Question::Request(request) = question else { panic!("{question:?}") };
    let mut answer = request.clone();
    assert_eq!(answer[..2], [2, 1]);
    (answer[1], answer[3]) = (0x81, code);
    answer[56..60].copy_from_slice(&EXTERNAL.octets());
    answer
}

/// Plays a router with UPnP alone; `errors` are its answers to requests to map a port, 0 for success. Returns
/// the last progress, and the ports and lifetimes that were asked for.
fn upnp(dialogue: &mut Dialogue, errors: &[u16]) -> (Progress, Vec<(String, String)>) {
    let mut errors = errors.iter();
    let mut asked = Vec::new();
    let mut progress = Progress::Asks;
    while progress == Progress::Asks {
        let question = dialogue.question();
        let Question::Page(5000, request) = &question else {
            progress = match question {
                Question::Search(_) => dialogue.answer(SEARCH_ANSWER.as_bytes()),
                _ => dialogue.silence(),
            };
            continue;
        };
        let request = String::from_utf8_lossy(request);
        let element = |name: &str| {
            let (_, rest) = request.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        let answer = if request.starts_with("GET") {
            DESCRIPTION.to_owned()
        } else if request.contains("GetExternalIPAddress") {
            format!("HTTP/1.1 200 OK\r\n\r\n<NewExternalIPAddress>{EXTERNAL}</NewExternalIPAddress>")
        } else if request.contains("DeletePortMapping") {
            asked.push((element("NewExternalPort"), "deleted".to_owned()));
            "HTTP/1.1 200 OK\r\n\r\n".to_owned()
        } else {
            asked.push((element("NewExternalPort"), element("NewLeaseDuration")));
            match errors.next().unwrap() {
                0 => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
                code => format!("HTTP/1.1 500 E\r\n\r\n<errorCode>{code}</errorCode>"),
            }
        };
        progress = dialogue.answer(answer.as_bytes());
    }
    (progress, asked)
}

fn granted(protocol: Protocol, port: u16, lifetime: u32) -> Progress {
    Progress::Granted(Mapping { protocol, external: SocketAddrV4::new(EXTERNAL, port), lifetime })
}

fn lease(port: &str, lifetime: &str) -> (String, String) {
    (port.to_owned(), lifetime.to_owned())
}

#[test]
fn pcp_grants_and_takes_back() {
    let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Pcp);
    let answer = pcp_answer(&dialogue.question(), 0);
    assert_eq!(dialogue.answer(b"nonsense"), Progress::Foreign);
    let Progress::Granted(mapping) = dialogue.answer(&answer) else { panic!("{dialogue:?}") };
    assert_eq!(Progress::Granted(mapping), granted(Protocol::Pcp, 51821, 7200));
    let mut dialogue = Dialogue::give_back(SUBJECT, mapping);
    let Question::Request(request) = dialogue.question() else { panic!("{dialogue:?}") };
    assert_eq!((&request[4..8], &request[42..44]), (&[0; 4][..], &[0; 2][..]), "RFC 6887 § 15");
    let answer = pcp_answer(&dialogue.question(), 0);
    assert_eq!(dialogue.answer(&answer), Progress::Over);
}

#[test]
fn a_router_of_nat_pmp_says_so_and_is_asked_in_it() {
    let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Pcp);
    assert_eq!(dialogue.answer(&[0, 0x81, 0, 1, 0, 0, 0, 9]), Progress::Asks);
    assert_eq!(dialogue.question(), Question::Request(vec![0, 0]));
    assert_eq!(dialogue.answer(&[0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 9]), Progress::Asks);
    let answer = [0, 129, 0, 0, 0, 0, 0, 9, 0xca, 0x6d, 0xca, 0x6d, 0, 0, 0x0e, 0x10];
    assert_eq!(dialogue.answer(&answer), granted(Protocol::NatPmp, 51821, 3600));
    let Progress::Granted(mapping) = granted(Protocol::NatPmp, 51821, 3600) else { unreachable!() };
    let mut dialogue = Dialogue::give_back(SUBJECT, mapping);
    assert_eq!(
        dialogue.question(),
        Question::Request(vec![0, 1, 0, 0, 0xca, 0x6d, 0, 0, 0, 0, 0, 0]),
        "RFC 6886 § 3.4"
    );
    assert_eq!(dialogue.silence(), Progress::Over);
}

#[test]
fn upnp_comes_last() {
    let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Pcp);
    let (progress, asked) = upnp(&mut dialogue, &[0]);
    assert_eq!((progress, asked), (granted(Protocol::Upnp, 51821, 7200), vec![lease("51821", "7200")]));
    let Progress::Granted(mapping) = progress else { unreachable!() };
    let mut dialogue = Dialogue::give_back(SUBJECT, mapping);
    assert_eq!(upnp(&mut dialogue, &[]), (Progress::Over, vec![lease("51821", "deleted")]));
}

#[test]
fn a_mapping_is_given_back_at_the_service_that_has_it() {
    let description = DESCRIPTION.replace("/ctl", "/one") + &DESCRIPTION.replace("/ctl", "/two");
    let Progress::Granted(mapping) = granted(Protocol::Upnp, 51821, 7200) else { unreachable!() };
    let mut dialogue = Dialogue::give_back(SUBJECT, mapping);
    assert_eq!(dialogue.answer(SEARCH_ANSWER.as_bytes()), Progress::Asks);
    assert_eq!(dialogue.answer(description.as_bytes()), Progress::Asks);
    let mut asks = |path: &str, answer: &[u8]| {
        let Question::Page(_, request) = dialogue.question() else { panic!("{dialogue:?}") };
        assert!(request.starts_with(path.as_bytes()), "{path}");
        dialogue.answer(answer)
    };
    let unknown = b"HTTP/1.1 500 E\r\n\r\n<errorCode>714</errorCode>";
    assert_eq!(asks("POST /one ", unknown), Progress::Asks);
    assert_eq!(asks("POST /two ", unknown), Progress::Over);
}

#[test]
fn a_router_with_permanent_mappings_gives_such_a_one() {
    let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Upnp);
    let (progress, asked) = upnp(&mut dialogue, &[725, 0]);
    assert_eq!(progress, granted(Protocol::Upnp, 51821, 7200), "it is renewed all the same");
    assert_eq!(asked, [lease("51821", "7200"), lease("51821", "0")]);
    let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Upnp);
    assert_eq!(upnp(&mut dialogue, &[725, 725]).0, Progress::Over);
    assert_eq!(dialogue.refusal(), Some(Refusal { protocol: Protocol::Upnp, code: 725 }));
}

#[test]
fn other_ports_are_tried_where_another_device_has_the_port() {
    let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Upnp);
    let other = 49152 + 0x0707;
    let (progress, asked) = upnp(&mut dialogue, &[718, 0]);
    assert_eq!(progress, granted(Protocol::Upnp, other, 7200));
    assert_eq!(asked, [lease("51821", "7200"), lease(&other.to_string(), "7200")]);
    let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Upnp);
    assert_eq!(upnp(&mut dialogue, &[718; 4]).0, Progress::Over, "it gives up");
    assert_eq!(dialogue.refusal(), Some(Refusal { protocol: Protocol::Upnp, code: 718 }));
}

#[test]
fn the_first_refusal_is_told_and_the_next_protocols_are_asked() {
    let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Pcp);
    let answer = pcp_answer(&dialogue.question(), 2);
    assert_eq!(dialogue.answer(&answer), Progress::Asks);
    assert_eq!(dialogue.answer(&[0, 128, 0, 4, 0, 0, 0, 9]), Progress::Asks);
    assert!(matches!(dialogue.question(), Question::Search(_)));
    assert_eq!(dialogue.silence(), Progress::Over);
    assert_eq!(dialogue.refusal(), Some(Refusal { protocol: Protocol::Pcp, code: 2 }));
}

#[test]
fn a_refusal_for_lack_of_an_address_says_most() {
    let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Pcp);
    let answer = pcp_answer(&dialogue.question(), 8);
    assert_eq!(dialogue.answer(&answer), Progress::Asks);
    assert_eq!(dialogue.answer(&[0, 128, 0, 3, 0, 0, 0, 9]), Progress::Asks);
    assert_eq!(dialogue.silence(), Progress::Over);
    let refusal = dialogue.refusal().unwrap();
    assert_eq!(refusal.to_string(), "NAT-PMP error 3: it has no public address itself");
}

#[test]
fn a_mapping_that_leads_nowhere_is_a_refusal() {
    let no_address = "PCP error 0: it has no public address itself";
    let nothing = "PCP error 65535: it grants a mapping without a port or a lifetime";
    for (field, words) in [(4..8, nothing), (42..44, nothing), (56..60, no_address)] {
        let mut dialogue = Dialogue::ask(SUBJECT, ANY, Protocol::Pcp);
        let mut answer = pcp_answer(&dialogue.question(), 0);
        answer[field].fill(0);
        assert_eq!(dialogue.answer(&answer), Progress::Asks);
        assert_eq!(dialogue.refusal().unwrap().to_string(), words);
    }
}

/// Answer of a hostile router: a valid one in which some bytes are others, or any bytes.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let fault = b"HTTP/1.1 500 E\r\n\r\n<errorCode>718</errorCode>".to_vec();
    let valid = prop::sample::select(vec![
        [&[2, 0x81, 0, 0, 0, 0, 0x0e, 0x10][..], &[0; 16], &[7; 12], &[17, 0, 0, 0, 0xca, 0x6d]].concat(),
        vec![0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 9],
        vec![0, 129, 0, 0, 0, 0, 0, 9, 0xca, 0x6d, 0xca, 0x6d, 0, 0, 0x0e, 0x10],
        SEARCH_ANSWER.into(),
        DESCRIPTION.into(),
        b"HTTP/1.1 200 OK\r\n\r\n<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>".to_vec(),
        fault,
    ]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    let altered = (valid, changes).prop_map(|(mut bytes, changes)| {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![4 => altered, 1 => prop::collection::vec(any::<u8>(), 0..80)]
}

proptest! {
    #[test]
    fn every_dialogue_ends_in_spite_of_hostile_answers(
        answers in prop::collection::vec(hostile(), 0..60),
        gives_back: bool,
        first in prop::sample::select(Protocol::ALL.map(|(protocol, _)| protocol).to_vec()),
    ) {
        let mapping = Mapping { protocol: first, external: SocketAddrV4::new(EXTERNAL, 1), lifetime: 1 };
        let mut dialogue = if gives_back {
            Dialogue::give_back(SUBJECT, mapping)
        } else {
            Dialogue::ask(SUBJECT, ANY, first)
        };
        let mut answers = answers.into_iter();
        let mut asked = 0;
        loop {
            let is_page = matches!(dialogue.question(), Question::Page(..));
            let progress = match answers.next() {
                Some(bytes) => dialogue.answer(&bytes),
                None => dialogue.silence(),
            };
            match progress {
                Progress::Foreign => prop_assert!(!is_page),
                Progress::Asks => asked += 1,
                Progress::Granted(mapping) => {
                    let external = mapping.external;
                    prop_assert!(!gives_back && external.port() != 0 && !external.ip().is_unspecified());
                    break;
                }
                Progress::Over => break,
            }
            prop_assert!(asked < 20, "it asks on and on");
        }
    }
}

#[test]
fn private_addresses_are_those_behind_a_nat() {
    for (address, expected) in [
        ("10.0.0.1", true),
        ("172.31.255.255", true),
        ("172.32.0.1", false),
        ("192.168.1.2", true),
        ("100.63.255.255", false),
        ("100.64.0.0", true),
        ("100.127.255.255", true),
        ("100.128.0.0", false),
        ("203.0.113.9", false),
    ] {
        assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn each_port_and_key_has_its_nonce() {
    let [one, other] = [1, 2].map(|byte| Secret::new([byte; 32]));
    assert_eq!(nonce(&one, 51821), nonce(&one, 51821));
    assert_ne!(nonce(&one, 51821), nonce(&one, 51822));
    assert_ne!(nonce(&one, 51821), nonce(&other, 51821));
}

#[test]
fn words_name_the_protocol_and_the_reason() {
    let refused = |protocol, code| MappingState::Refused(Refusal { protocol, code }).to_string();
    assert_eq!(refused(Protocol::Pcp, 2), "refused by the router (PCP error 2: it does not allow it)");
    assert_eq!(
        refused(Protocol::Pcp, 12),
        "refused by the router (PCP error 12: another NAT is between this host and it)"
    );
    assert_eq!(refused(Protocol::Upnp, 799), "refused by the router (UPnP error 799)");
    let mapped = MappingState::Mapped(Protocol::NatPmp, "203.0.113.9:51821".parse().unwrap());
    assert_eq!(mapped.to_string(), "mapped by NAT-PMP as 203.0.113.9:51821");
    let own = "100.64.1.2".parse().unwrap();
    assert_eq!(
        MappingState::SecondNat(own, None).to_string(),
        "your router's own address 100.64.1.2 is private: it is behind a second NAT"
    );
    let seen = Some("203.0.113.7".parse().unwrap());
    assert_eq!(
        MappingState::SecondNat("198.51.100.2".parse().unwrap(), seen).to_string(),
        "your router's own address 198.51.100.2 is not 203.0.113.7, which other sites see: it is behind a \
         second NAT"
    );
    for (protocol, name) in Protocol::ALL {
        assert_eq!((name.parse(), protocol.to_string().as_str()), (Ok(protocol), name));
    }
}
