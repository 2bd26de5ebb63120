//! Mappings at routers that are played here, at addresses of the loopback interface. Their datagrams arrive
//! at once, so the tests choose the time.

mod changes;
mod upnp;

use std::net::UdpSocket;
use std::process::Command;

use super::*;
use crate::base::net::InterfaceAddress;
use crate::nat::mapping::{Nonce, PORT};
use crate::site::facts::Uplink;

const EXTERNAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// Router that speaks PCP, and the host behind it.
struct Home {
    router: Router,
    socket: UdpSocket,
    code: u8,
    external: Ipv4Addr,
    /// Set if the router does not answer.
    is_silent: bool,
    /// Requests so far: lifetimes, suggested ports and nonces.
    asked: Vec<(u32, u16, Nonce)>,
    folder: PathBuf,
    mapping: PortMapping,
    now: Instant,
}

fn router(number: u8) -> Router {
    // In the tests' own network namespace, the interface is down at first; elsewhere it is up already.
    let _ = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    let address = Ipv4Addr::new(127, 0, 53, number);
    Router { interface: "lo".parse().unwrap(), address, client: Ipv4Addr::LOCALHOST }
}

fn key() -> Secret {
    Secret::new([7; 32])
}

impl Home {
    /// Makes a home with a router at its own address, which wants these ports.
    fn new(number: u8, ports: &[u16]) -> Self {
        let router = router(number);
        let socket = UdpSocket::bind((router.address, PORT)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let folder = std::env::temp_dir().join(format!("portals-mappings-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        let mapping = PortMapping::open(&folder);
        let (asked, now) = (Vec::new(), Instant::now());
        let mut home = Self {
            router,
            socket,
            code: 0,
            external: EXTERNAL,
            is_silent: false,
            asked,
            folder,
            mapping,
            now,
        };
        home.follow(ports);
        home
    }

    fn follow(&mut self, ports: &[u16]) {
        self.mapping.follow(ports, Some(self.router.clone()), &key(), self.now);
        self.run();
    }

    /// Lets time pass, and all that is due happen.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.mapping.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.run();
        }
        self.now = end;
    }

    /// Exchanges questions and answers until there is no more news.
    fn run(&mut self) {
        loop {
            self.mapping.turn(self.now);
            if !self.answer() {
                return;
            }
        }
    }

    /// Answers one request in PCP; reports whether there was one.
    fn answer(&mut self) -> bool {
        let mut bytes = [0; 100];
        let Ok((length, client)) = self.socket.recv_from(&mut bytes) else { return false };
        if bytes[0] == 2 && length == 60 {
            let lifetime = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
            let suggested = u16::from_be_bytes([bytes[42], bytes[43]]);
            self.asked.push((lifetime, suggested, bytes[24..36].try_into().unwrap()));
            (bytes[1], bytes[3]) = (0x81, self.code);
            // Another port than the suggested one, at first.
            bytes[42] |= 0x80;
            bytes[56..60].copy_from_slice(&self.external.octets());
            if !self.is_silent {
                self.socket.send_to(&bytes[..60], client).unwrap();
            }
        }
        true
    }

    fn state(&self) -> String {
        let states: Vec<String> =
            self.mapping.states().map(|(port, state)| format!("{port} {state}")).collect();
        states.join("; ")
    }

    fn record(&self) -> String {
        std::fs::read_to_string(self.folder.join(RECORD)).unwrap_or_default()
    }

    fn lifetimes(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.asked).into_iter().map(|(lifetime, ..)| lifetime).collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_mapping_is_renewed_at_half_of_its_lifetime_and_not_before() {
    let mut home = Home::new(1, &[2000]);
    let external = SocketAddr::from((EXTERNAL, 34768));
    assert_eq!(home.mapping.external(2000), Some(external));
    assert!(home.mapping.take_change() && !home.mapping.take_change());
    assert_eq!(home.state(), "2000 mapped by PCP as 203.0.113.9:34768");
    assert_eq!(home.mapping.deadline(), Some(home.now + Duration::from_hours(1)));
    home.pass(Duration::from_hours(5));
    let nonce = mapping::nonce(&key(), 2000);
    let renewals = [(7200, 34768, nonce); 5];
    assert_eq!(home.asked, [&[(7200, 2000, nonce)][..], &renewals].concat());
    assert!(!home.mapping.take_change());
}

#[test]
fn a_later_process_renews_the_same_mapping() {
    let mut home = Home::new(2, &[2000]);
    home.mapping = PortMapping::open(&home.folder);
    assert_eq!(home.mapping.external(2000), None, "it is not sure yet");
    home.follow(&[2000]);
    assert_eq!(home.mapping.external(2000), Some((EXTERNAL, 34768).into()));
    let nonce = mapping::nonce(&key(), 2000);
    assert_eq!(home.asked, [(7200, 2000, nonce), (7200, 34768, nonce)]);
}

#[test]
fn unwanted_mappings_are_given_back() {
    let mut home = Home::new(3, &[2000, 2001]);
    assert_eq!(home.lifetimes(), [7200, 7200]);
    home.follow(&[2001]);
    assert_eq!(home.lifetimes(), [0]);
    assert_eq!((home.record().lines().count(), home.mapping.external(2000)), (2, None));
    // An earlier process has left a mapping that nothing wants any more.
    home.mapping = PortMapping::open(&home.folder);
    home.follow(&[]);
    assert_eq!(home.lifetimes(), [0]);
    assert_eq!((home.record().as_str(), home.mapping.deadline()), ("", None));
}

#[test]
fn a_mapping_that_was_granted_too_late_is_given_back() {
    let mut home = Home::new(4, &[]);
    home.mapping.follow(&[2000], Some(home.router.clone()), &key(), home.now);
    home.mapping.turn(home.now);
    home.follow(&[]);
    home.run();
    assert_eq!(home.lifetimes(), [7200, 0]);
    assert_eq!(home.mapping.deadline(), None);
}

#[test]
fn down_gives_back_all_mappings() {
    let mut home = Home::new(5, &[2000, 2001]);
    home.lifetimes();
    let folder = home.folder.clone();
    let giving = std::thread::spawn(move || give_back(&folder));
    while !giving.is_finished() {
        home.answer();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((home.lifetimes(), home.record()), (vec![0, 0], String::new()));
}

#[test]
fn a_router_with_a_private_address_is_behind_a_second_nat() {
    let mut home = Home::new(6, &[]);
    home.external = Ipv4Addr::new(100, 64, 1, 2);
    home.follow(&[2000, 2001]);
    assert_eq!(home.lifetimes(), [7200, 0], "the other port is not asked for");
    let words = "your router's own address 100.64.1.2 is private: it is behind a second NAT";
    assert_eq!(home.state(), format!("2000 {words}; 2001 {words}"));
    assert_eq!((home.mapping.external(2000), home.record().as_str()), (None, ""));
    home.pass(Duration::from_mins(59));
    assert_eq!(home.lifetimes(), []);
    home.external = EXTERNAL;
    home.pass(Duration::from_mins(1));
    assert_eq!(home.lifetimes(), [7200, 7200]);
}

#[test]
fn an_address_that_other_sites_do_not_see_is_behind_a_second_nat() {
    let mut home = Home::new(7, &[2000]);
    home.lifetimes();
    let doubt = |home: &mut Home, seen: &str| {
        home.mapping.doubt(seen.parse().unwrap(), home.now);
        home.run();
    };
    for right in ["203.0.113.9:1", "[::ffff:203.0.113.9]:1", "[2001:db8::1]:1", "192.168.1.2:1"] {
        doubt(&mut home, right);
    }
    assert_eq!(home.lifetimes(), []);
    doubt(&mut home, "203.0.113.7:1");
    assert_eq!(home.lifetimes(), [7200], "the router may have a new address");
    assert!(home.mapping.external(2000).is_some());
    doubt(&mut home, "203.0.113.7:1");
    assert_eq!(home.lifetimes(), [0]);
    assert_eq!(home.mapping.external(2000), None);
    assert!(home.state().ends_with("not 203.0.113.7, which other sites see: it is behind a second NAT"));
    home.pass(Duration::from_hours(23));
    assert_eq!(home.lifetimes(), []);
    home.mapping.follow(&[2000], None, &key(), home.now);
    home.follow(&[2000]);
    assert_eq!(home.lifetimes(), [7200], "the network has changed");
}

#[test]
fn a_mapping_outlives_a_router_that_is_silent_for_a_while() {
    let mut home = Home::new(8, &[2000]);
    home.is_silent = true;
    home.pass(Duration::from_mins(119));
    assert!(home.mapping.external(2000).is_some());
    assert!(home.lifetimes().len() > 8, "it is asked again");
    home.pass(Duration::from_mins(2));
    assert_eq!((home.mapping.external(2000), home.record().as_str()), (None, ""));
    assert_eq!(home.state(), "2000 the router answers neither PCP, NAT-PMP nor UPnP");
    home.lifetimes();
    home.pass(Duration::from_mins(58));
    assert_eq!(home.lifetimes(), []);
    home.is_silent = false;
    home.pass(Duration::from_mins(3));
    assert!(home.mapping.external(2000).is_some());
}

#[test]
fn a_refusal_is_told_and_the_router_asked_again_an_hour_later() {
    let mut home = Home::new(9, &[]);
    home.code = 2;
    home.follow(&[2000]);
    home.pass(Duration::from_mins(1));
    assert_eq!(home.state(), "2000 refused by the router (PCP error 2: it does not allow it)");
    home.lifetimes();
    home.pass(Duration::from_mins(58));
    assert_eq!(home.lifetimes(), []);
    home.code = 0;
    home.pass(Duration::from_mins(2));
    assert!(home.mapping.external(2000).is_some());
}

#[test]
fn another_router_has_no_mapping() {
    let mut home = Home::new(11, &[2000]);
    home.mapping.follow(&[2000], None, &key(), home.now);
    assert_eq!((home.mapping.external(2000), home.state()), (None, String::new()));
    home.pass(Duration::from_mins(1));
    home.follow(&[2000]);
    assert!(home.mapping.external(2000).is_some());
    let mut other = Home::new(12, &[]);
    other.mapping = PortMapping::open(&home.folder);
    other.follow(&[2001]);
    assert_eq!(other.lifetimes(), [7200], "nothing is given back to a router that does not have it");
}

#[test]
fn only_private_addresses_have_a_router_to_ask() {
    let behind = |gateway: Option<&str>, addresses: &[(&str, u8)]| {
        let address = |(text, length): &(&str, u8)| InterfaceAddress {
            address: text.parse().unwrap(),
            length: *length,
        };
        let uplink = Uplink {
            interface: "eth0".parse().unwrap(),
            gateway: gateway.map(|text| text.parse().unwrap()),
            addresses: addresses.iter().map(address).collect(),
        };
        Router::behind(&uplink).map(|router| (router.address.to_string(), router.client.to_string()))
    };
    let found = |router: &str, client: &str| Some((router.to_owned(), client.to_owned()));
    let home = [("192.168.1.2", 24), ("2001:db8::2", 64), ("203.0.113.2", 24)];
    assert_eq!(behind(Some("192.168.1.1"), &home), found("192.168.1.1", "192.168.1.2"));
    assert_eq!(behind(Some("100.64.0.1"), &[("100.64.0.9", 10)]), found("100.64.0.1", "100.64.0.9"));
    assert_eq!(behind(Some("203.0.113.1"), &home), None, "a public address");
    assert_eq!(behind(Some("10.0.0.1"), &home), None);
    assert_eq!(behind(Some("fe80::1"), &home), None);
    assert_eq!(behind(None, &home), None);
}
