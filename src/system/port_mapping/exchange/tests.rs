//! Answers over TCP.

use std::net::TcpListener;

use nix::libc::linger;

use super::*;

#[test]
fn an_answer_counts_even_if_the_router_resets_the_connection() {
    let router = Router {
        interface: "lo".parse().unwrap(),
        address: Ipv4Addr::LOCALHOST,
        client: Ipv4Addr::LOCALHOST,
    };
    let listener = TcpListener::bind((router.address, 0)).unwrap();
    let question = Question::Page(listener.local_addr().unwrap().port(), b"GET / HTTP/1.0\r\n\r\n".to_vec());
    let now = Instant::now();
    let mut exchange = Exchange::begin(question, &router, now).unwrap();
    let (mut connection, _) = listener.accept().unwrap();
    assert!(matches!(exchange.hear(now + FIRST_CONNECT_WAIT), Heard::Nothing));
    let _ = connection.read(&mut [0; 100]).unwrap();
    let answer = b"HTTP/1.1 200 OK\r\n\r\nwithout a length";
    connection.write_all(answer).unwrap();
    setsockopt(&connection, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 }).unwrap();
    drop(connection);
    let Heard::Message(heard) = exchange.hear(now + FIRST_CONNECT_WAIT) else { panic!("nothing was heard") };
    assert_eq!(heard, answer);
}
