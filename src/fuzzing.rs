//! Entry points for `fuzz/`: every decoder of bytes that come from other programs. They exist only if a
//! fuzzer builds this crate.
//!
//! Each function must accept any bytes. If the decoded value can be encoded, decoding the result must give
//! the same value.

mod edits;
mod exchange;
mod join;
mod nat;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::SystemTime;

use crate::base::net::{Cidr, Family, PublicKey};
use crate::base::sorted::SortedMap;
use crate::config;
use crate::control::{AgentStatus, ChangeReport, ControlRequest, PageRequest, PageStatus, request};
use crate::engine::journal::Claims;
use crate::firewall::edit::edits;
use crate::firewall::xtables::{counters, dump::Dump};
use crate::interop::import::{self, Wishes};
use crate::kernel::address::AddressEntry;
use crate::kernel::generic::PlainMessage;
use crate::kernel::host_rule::HostRule;
use crate::kernel::iptables::entries;
use crate::kernel::link::HostLink;
use crate::kernel::message::Decode as _;
use crate::kernel::neighbour::Neighbour;
use crate::kernel::netlink::{frames, in_one_piece, verdict};
use crate::kernel::nftables::{foreign, ports, snapshot, trace, transaction};
use crate::kernel::nl80211::decode as wireless;
use crate::kernel::route::{HostRoute, RouteAnswer};
use crate::kernel::wireguard::{Reading, decode as wireguard};
use crate::kernel::{builtin, conntrack};
use crate::nat::mapping;
use crate::services::leases;
use crate::state::Rule;
use crate::system::resolver::{files, message};
use crate::web::request::{self as web_request, Received};
use crate::wgquick;
use crate::wifi::card::Card;

/// Answers of name servers.
pub fn names(bytes: &[u8]) {
    for kind in [message::AddressKind::A, message::AddressKind::Aaaa] {
        let question = message::DnsQuestion::new(7, "paris.example.net", kind, std::iter::empty());
        let _ = question.expect("a name").reply(bytes);
    }
}

/// Answers of home routers about port mappings: the first byte tells the protocol and whether a mapping is
/// given back; the answers after it end at bytes 0x1e, and an empty one is silence.
pub fn port_mapping(bytes: &[u8]) {
    let Some((first, answers)) = bytes.split_first() else { return };
    let protocols = [mapping::Protocol::Pcp, mapping::Protocol::NatPmp, mapping::Protocol::Upnp];
    let protocol = protocols[usize::from(*first) % protocols.len()];
    let [router, client] = [1, 2].map(|host| Ipv4Addr::new(192, 168, 1, host));
    let subject = mapping::Subject { router, client, port: 51821, nonce: *b"nonce nonce " };
    let external = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 9), 51821);
    let mut dialogue = if *first < 128 {
        mapping::Dialogue::ask(subject, external, protocol)
    } else {
        mapping::Dialogue::give_back(subject, mapping::Mapping { protocol, external, lifetime: 7200 })
    };
    let mut answers = answers.split(|byte| *byte == b'\x1e');
    let mut asked = 0;
    while asked < 20 {
        let _ = (dialogue.question(), mapping::is_complete(answers.clone().next().unwrap_or_default()));
        let progress = match answers.next() {
            Some(answer) if !answer.is_empty() => dialogue.answer(answer),
            _ => dialogue.silence(),
        };
        match progress {
            mapping::Progress::Granted(granted) => {
                return assert!(!dialogue.gives_back() && granted.external.port() != 0);
            }
            mapping::Progress::Over => return,
            mapping::Progress::Foreign => {}
            mapping::Progress::Asks => asked += 1,
        }
    }
    panic!("the dialogue does not end");
}

/// `resolv.conf` and `hosts`.
pub fn resolver_files(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut settings = files::Settings::parse(&text, &|name| (name == "eth0").then_some(7));
    settings.add_those_behind(&text);
    assert!(settings.candidates("paris").contains(&"paris".to_owned()));
    let _ = files::in_hosts(&text, "paris");
}

/// Messages of rtnetlink and of connection tracking, and refusals.
pub fn netlink(bytes: &[u8]) {
    let names = SortedMap::from([(1, "lo".parse().expect("a name"))]);
    let filter = conntrack::ConnectionFilter {
        by_source: [Cidr::host(Ipv4Addr::LOCALHOST.into())].into(),
        by_mark: [crate::state::TUNNELED].into(),
        spared: [Ipv4Addr::BROADCAST.into()].into(),
        by_path: [((Ipv4Addr::LOCALHOST, 1).into(), 2)].into(),
        by_lack: conntrack::LackingTranslations {
            destinations: [Cidr::host(Ipv4Addr::LOCALHOST.into())].into(),
            ..conntrack::LackingTranslations::default()
        },
    };
    for frame in frames(bytes) {
        let payload = frame.payload;
        let _ = HostRoute::decode(payload).and_then(|route| route.ours(&names));
        let _ = HostLink::decode(payload).and_then(|link| link.ours());
        let _ = (AddressEntry::decode(payload), Rule::decode(payload), Neighbour::decode(payload));
        let _ = (verdict(&frame), conntrack::deletion(&filter, &frame).is_some());
        let _ = (conntrack::connection(&frame), RouteAnswer::decode(payload));
        if let Some(rule) = HostRule::decode(payload) {
            let _ = rule.words();
        }
    }
}

/// Answers of the kernel's WireGuard, and of a WireGuard outside the kernel at its socket, and packets that
/// the built-in one splits.
pub fn wireguard(bytes: &[u8]) {
    let mut reading = Reading::default();
    for frame in frames(bytes) {
        wireguard::take_device(&mut reading, frame.payload);
    }
    let now = SystemTime::now();
    let alive = reading.peers.values().filter(|peer| peer.alive(now)).count();
    assert!(alive <= reading.tunnel.peers.len());
    let _ = builtin::settings::parse(bytes, now);
    if let Some((header, packet)) = bytes.split_first_chunk() {
        split(*header, packet.to_vec());
    }
}

/// Packets of a tun device, behind `struct virtio_net_hdr`.
fn split(header: [u8; builtin::split::HEADER], mut packet: Vec<u8>) {
    let Some(mut split) = builtin::split::Split::new(header, &mut packet) else { return };
    let whole = packet.len();
    while let Some(piece) = split.next(&mut packet) {
        assert!(piece.len() <= whole, "a packet is longer than its whole");
    }
}

/// Answers of the kernel about Wi-Fi cards.
pub fn nl80211(bytes: &[u8]) {
    let mut card = Card::default();
    for part in frames(bytes).filter_map(|frame| PlainMessage::decode(frame.payload)) {
        wireless::take_card(&mut card, &part);
        wireless::take_domain(&mut card, &part);
        let _ = (wireless::interface(&part), wireless::station(&part));
    }
}

/// Listings of nftables: our table, and the chains of other programs.
pub fn nftables(bytes: &[u8]) {
    if let Some(firewall) = snapshot::decode(bytes) {
        let again = in_one_piece(transaction::encode(&edits(None, Some(&firewall))).messages(), 1);
        assert_eq!(snapshot::decode(&again), Some(firewall));
    }
    let _ = (foreign::read(bytes), ports::decode(bytes));
    for frame in frames(bytes) {
        if let Some(event) = trace::decode(&frame, bytes) {
            assert_eq!(event.place()[2], event.chain);
        }
    }
}

/// Output of `iptables-save`, and entries of the kernel.
pub fn iptables(bytes: &[u8]) {
    for family in [Family::V4, Family::V6] {
        assert_ne!(entries::of_entries(family, bytes, 1), entries::of_entries(family, bytes, 2));
    }
    let text = String::from_utf8_lossy(bytes);
    let dump = Dump::read(&text);
    let _ = counters::met("", &text, ("filter", "FORWARD"), 1);
    for family in [Family::V4, Family::V6] {
        let _ = dump.ours(family);
    }
    let _ = (dump.is_used_by_others(), dump.refuses("INPUT"), dump.refuses("FORWARD"));
}

/// Requests to the agent, and its answers.
pub fn control(bytes: &[u8]) {
    if let Some(asked) = ControlRequest::decode(bytes) {
        assert_eq!(ControlRequest::decode(&asked.encode()), Some(asked));
    }
    if let Some(asked) = PageRequest::decode(bytes) {
        assert_eq!(PageRequest::decode(&asked.encode()), Some(asked));
    }
    if let Ok(fields) = request::decode_answer(bytes) {
        if let Ok(shown) = PageStatus::from_fields(fields.clone()) {
            assert_eq!(PageStatus::from_fields(shown.to_fields()).ok(), Some(shown));
        }
        if let Ok(told) = AgentStatus::from_fields(&fields) {
            let again = AgentStatus::from_fields(&told.to_fields());
            assert_eq!(again.ok(), AgentStatus::from_fields(&fields).ok());
        }
        let _ = ChangeReport::from_fields(fields);
    }
}

/// Requests of browsers, whole and in parts: a request that is whole says the same whatever comes behind it,
/// and none of its parts breaks an answer.
pub fn web(bytes: &[u8]) {
    for length in [bytes.len() / 2, bytes.len()] {
        let Received::Whole(request) = web_request::parse(&bytes[..length]) else { continue };
        assert!(request.path.starts_with('/') && request.path.bytes().all(|byte| byte.is_ascii_graphic()));
        let longer = [&bytes[..length], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(web_request::parse(&longer), Received::Whole(request));
    }
    if let Received::Whole(request) = web_request::parse(bytes) {
        for name in ["exit", "token", "portal"] {
            let value = request.field(name).unwrap_or_default();
            assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -".contains(&byte)));
        }
    }
}

/// Files of wg-quick.
pub fn wgquick(bytes: &[u8]) {
    match wgquick::parse(bytes) {
        Ok(parsed) => {
            let again = wgquick::parse(parsed.config.to_text().as_bytes()).expect("a file that was read");
            assert_eq!(again.config, parsed.config);
            let wishes = Wishes {
                network: "home",
                site: "nyc",
                id: None,
                subnet: None,
                subnet6: None,
                public_key: PublicKey([7; 32]),
                exit: "paris",
            };
            let _ = import::network_file(&parsed, &wishes);
        }
        Err(faults) => render(&faults),
    }
}

/// Network files.
pub fn network_file(bytes: &[u8]) {
    if let Err(faults) = config::parse(&String::from_utf8_lossy(bytes)) {
        render(&faults);
    }
}

/// Lease files of dnsmasq.
pub fn lease_file(bytes: &[u8]) {
    let now = SystemTime::UNIX_EPOCH;
    for lease in String::from_utf8_lossy(bytes).lines().filter_map(|line| leases::parse(line, now)) {
        assert!(lease.name.is_none_or(|name| !name.contains(char::is_control)));
    }
}

/// Files of the journal.
pub fn journal(bytes: &[u8]) {
    let (claims, _) = Claims::parse(bytes);
    assert_eq!(Claims::parse(claims.to_text().as_bytes()), (claims, None));
}

/// Packets between sites behind NAT and helpers.
pub fn links(bytes: &[u8]) {
    nat::play(bytes);
}

/// Tokens of invitations, pasted requests, and the file of invitations.
pub fn join_texts(bytes: &[u8]) {
    join::texts(bytes);
}

/// Packets of new sites and of sites that invite.
pub fn join_packets(bytes: &[u8]) {
    join::packets(bytes);
}

/// Packets by which sites exchange their network file.
pub fn exchange(bytes: &[u8]) {
    exchange::play(bytes);
}

/// Edits of network files, and their signatures.
pub fn file_edits(bytes: &[u8]) {
    edits::play(bytes);
}

fn render(faults: &[config::Fault]) {
    assert!(!faults.is_empty(), "a refusal without a reason");
    for fault in faults {
        let _ = fault.render(Path::new("network.toml"));
    }
}
