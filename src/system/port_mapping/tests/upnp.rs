//! Routers that speak UPnP alone, or no longer speak it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

use nix::sys::socket::{SockaddrIn, getsockname};

use super::*;
use crate::nat::mapping::{Refusal, SEARCH_PORT};

/// Plays a router with UPnP alone, whose answer to each request over TCP is this, until the state of a
/// mapping is known.
fn upnp(number: u8, location: &str, page: &[u8]) -> MappingState {
    let mut home = Home::new(number, &[]);
    home.is_silent = true;
    let search = UdpSocket::bind((home.router.address, SEARCH_PORT)).unwrap();
    search.set_nonblocking(true).unwrap();
    let listener = TcpListener::bind((home.router.address, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let location = location.replace("HERE", &format!("{}:{port}", home.router.address));
    let found = format!(
        "HTTP/1.1 200 OK\r\nLOCATION: http://{location}/\r\n\
         ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
    );
    home.follow(&[2000]);
    let mut connections = Vec::new();
    loop {
        let (_, state) = home.mapping.states().next().unwrap();
        if state != MappingState::Asked {
            return state;
        }
        home.pass(Duration::from_millis(20));
        let mut bytes = [0; 4096];
        if let Ok((_, client)) = search.recv_from(&mut bytes) {
            search.send_to(found.as_bytes(), client).unwrap();
        }
        if let Ok((mut connection, _)) = listener.accept() {
            let length = connection.read(&mut bytes).unwrap();
            let is_expected = bytes.starts_with(b"GET / HTTP/1.0\r\n") || bytes.starts_with(b"POST /ctl ");
            assert!(is_expected, "{:?}", &bytes[..length]);
            connection.set_nonblocking(true).unwrap();
            // The client need not read all of it.
            let _ = connection.write_all(page);
            connections.push(connection);
        }
    }
}

#[test]
fn hostile_routers_of_upnp_come_to_nothing() {
    let service = "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
                   <controlURL>http://127.0.53.99/ctl</controlURL></service>";
    let elsewhere = format!("HTTP/1.1 200 OK\r\n\r\n{service}");
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'<'; 200_000]].concat();
    assert_eq!(upnp(20, "127.0.53.99", b""), MappingState::NoAnswer, "the description is elsewhere");
    assert_eq!(upnp(21, "127.0.53.21:9", b""), MappingState::NoAnswer, "nothing listens there");
    assert_eq!(upnp(22, "HERE", b""), MappingState::NoAnswer, "no byte comes");
    assert_eq!(upnp(23, "HERE", &endless), MappingState::NoAnswer, "no end comes");
    assert_eq!(upnp(24, "HERE", elsewhere.as_bytes()), MappingState::NoAnswer, "the service is elsewhere");
    let refusal = Refusal { protocol: Protocol::Upnp, code: 0 };
    let here = elsewhere.replace("http://127.0.53.99", "");
    assert_eq!(upnp(25, "HERE", here.as_bytes()), MappingState::Refused(refusal));
}

#[test]
fn a_router_whose_upnp_was_turned_off_is_asked_in_the_other_protocols() {
    let mut home = Home::new(26, &[]);
    home.mapping.protocol = Protocol::Upnp;
    home.follow(&[2000]);
    home.pass(Duration::from_mins(1));
    assert_eq!((home.lifetimes(), home.mapping.external(2000)), (vec![], None));
    home.pass(Duration::from_hours(1));
    assert_eq!(home.state(), "2000 mapped by PCP as 203.0.113.9:34768");
}

#[test]
fn foreign_packets_do_not_prolong_the_search() {
    use std::os::fd::AsRawFd as _;

    let mut home = Home::new(27, &[]);
    home.mapping.protocol = Protocol::Upnp;
    home.follow(&[2000]);
    let searching = home.mapping.descriptor().unwrap().as_raw_fd();
    let place: SockaddrIn = getsockname(searching).unwrap();
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..MESSAGES_PER_TURN {
        stranger.send_to(b"HTTP/1.1 200 OK", (place.ip(), place.port())).unwrap();
    }
    home.mapping.turn(home.now + Duration::from_secs(10));
    assert_eq!(home.state(), "2000 the router answers neither PCP, NAT-PMP nor UPnP");
}
