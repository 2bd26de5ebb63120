//! Answers over TCP.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::*;

/// Returns an exchange over TCP whose question is sent, and the router's end of it: a pair of sockets,
/// because the machine may have no network. Such a pair is reset if an end is closed before it has read all.
fn exchange(now: Instant) -> (Exchange, UnixStream) {
    let (own, router) = UnixStream::pair().unwrap();
    own.set_nonblocking(true).unwrap();
    let mut exchange = Exchange {
        channel: Channel::Connection(OwnedFd::from(own).into(), None),
        question: b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        router: Ipv4Addr::LOCALHOST,
        next: now,
        wait: FIRST_CONNECT_WAIT,
        until: now + PAGE_WAIT,
    };
    exchange.send().unwrap();
    (exchange, router)
}

#[test]
fn an_answer_counts_even_if_the_router_resets_the_connection() {
    let now = Instant::now();
    let (mut exchange, mut router) = exchange(now);
    assert!(matches!(exchange.hear(now), Heard::Nothing));
    let answer = b"HTTP/1.1 200 OK\r\n\r\nwithout a length";
    router.write_all(answer).unwrap();
    drop(router);
    let Heard::Message(heard) = exchange.hear(now) else { panic!("nothing was heard") };
    assert_eq!(heard, answer);
}

#[test]
fn a_connection_that_is_reset_before_an_answer_is_silent() {
    let now = Instant::now();
    let (mut exchange, router) = exchange(now);
    drop(router);
    assert!(matches!(exchange.hear(now), Heard::Silence));
}
