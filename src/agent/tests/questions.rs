//! Questions of a command at the linked site paris.

use std::net::SocketAddr;

use super::*;
use crate::kernel::sockets::HelperPacket;
use crate::nat::packet::{Header, Message, PING};
use crate::nat::seal::PairKey;

/// Port of the command. Files are exchanged at port 52075.
const COMMAND: &str = "10.77.2.1:40000";

fn key(own: u8, other: u8) -> PairKey {
    PairKey::derive(&Secret::new([own; 32]), public_key(&Secret::new([other; 32]))).unwrap()
}

/// Starts an agent in a network without admin keys.
fn begin(name: &str) -> Stage {
    let stage = Stage::begin(name);
    let [nyc, paris] = [1, 2].map(|byte| public_key(&Secret::new([byte; 32])).to_string());
    stage
        .write(&NETWORK.replace("KEY", &nyc).replace("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", &paris));
    stage.ask(&ControlRequest::Reload).unwrap();
    stage
}

impl Stage {
    /// Sends a packet to the agent, and then an echo that it answers. Returns the answers to both.
    fn answers(&self, from: &str, to: &str, packet: Vec<u8>) -> Vec<HelperPacket> {
        let datagrams = self.machine.look().datagrams.clone();
        drop(datagrams.take_sent_by_helper());
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        datagrams.deliver_to_helper(HelperPacket { from, to, packet });
        let last = key(2, 1).seal(2, 1, [99; 16], &Message::Echo(0));
        let (from, to) = (COMMAND.parse().unwrap(), "10.77.1.1:52075".parse().unwrap());
        datagrams.deliver_to_helper(HelperPacket { from, to, packet: last });
        let mut sent = Vec::new();
        eventually("the last echo is answered", || {
            sent.extend(datagrams.take_sent_by_helper());
            sent.iter().any(|sent| opened(sent) == Some(Message::Echoed([99; 8])))
        });
        sent.retain(|sent| opened(sent) != Some(Message::Echoed([99; 8])));
        sent
    }
}

fn opened(HelperPacket { packet, .. }: &HelperPacket) -> Option<Message> {
    key(2, 1).open(&Header::decode(packet)?, packet)
}

#[test]
fn an_echo_is_answered_where_it_came_from() {
    let stage = begin("echo");
    let echo = |length| {
        let mut packet = key(2, 1).seal(2, 1, [5; 16], &Message::Echo(length));
        packet.resize(1200, 0);
        packet
    };
    for (asked, length) in [(0, PING), (700, 700), (u16::MAX, 1252)] {
        let sent = stage.answers(COMMAND, "10.77.1.1:52075", echo(asked));
        let [answer] = &sent[..] else { panic!("{sent:?}") };
        let addresses = ["10.77.1.1:52075", COMMAND].map(|text| text.parse::<SocketAddr>().unwrap());
        assert_eq!(([answer.from, answer.to], answer.packet.len()), (addresses, length));
        assert_eq!(opened(answer), Some(Message::Echoed([5; 8])));
    }
}

#[test]
fn questions_count_only_through_the_tunnel_of_their_site() {
    let stage = begin("questions");
    let echo = Message::Echo(80);
    let right = || key(2, 1).seal(2, 1, [5; 16], &echo);
    let at_nyc = "10.77.1.1:52075";
    for (what, from, to, packet) in [
        ("another source", "10.77.3.1:40000", at_nyc, right()),
        ("from outside", "203.0.113.2:40000", at_nyc, right()),
        ("to the uplink", COMMAND, "203.0.113.9:52075", right()),
        ("another pair", COMMAND, at_nyc, key(3, 1).seal(2, 1, [5; 16], &echo)),
        ("another sender", COMMAND, at_nyc, key(2, 1).seal(3, 1, [5; 16], &echo)),
        ("another receiver", COMMAND, at_nyc, key(2, 1).seal(2, 3, [5; 16], &echo)),
        ("cut off", COMMAND, at_nyc, right()[..PING - 1].to_vec()),
        ("too long", COMMAND, at_nyc, [right(), vec![0; 1253 - PING]].concat()),
        ("an answer", COMMAND, at_nyc, key(2, 1).seal(2, 1, [5; 16], &Message::Echoed([1; 8]))),
    ] {
        assert_eq!(stage.answers(from, to, packet), [], "{what}");
    }
}
