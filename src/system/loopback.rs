//! Loopback, for tests.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::Once;

static IS_UP: Once = Once::new();

/// Brings loopback up, once: a new network namespace has it down.
pub(crate) fn bring_up() {
    IS_UP.call_once(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        if socket.send_to(b"", socket.local_addr().unwrap()).is_err() {
            assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        }
    });
}
