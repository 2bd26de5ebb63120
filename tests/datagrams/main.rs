//! Packets of links and of helpers, between two network namespaces. Needs root, or `unshare -Urnm`.

mod host;
#[path = "../namespace/mod.rs"]
mod namespace;
#[path = "../support/tunnels.rs"]
mod tunnels;
mod world;

use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::time::{Duration, SystemTime};

use namespace::ip;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recv, recvfrom, setsockopt,
    socket, sockopt,
};
use tunnels::{MIDDLE, OTHERS, apply, interface, site, steps};
use wg_portals::kernel::Kernel as _;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::sockets::{HelperPacket, TunnelPacket};
use wg_portals::nat::packet::MAGIC;
use wg_portals::state::WireGuardBackend;
use world::{
    FAR, FAR_PORT, NEAR, PORT, SECOND, SOON, asked, at, between_two, descriptors, far, far_socket, has_input,
    heard, packet, received, tunnel_packets, within,
};

#[test]
fn packets_of_links_pass_next_to_the_socket_that_has_their_port() {
    between_two(|| {
        // WireGuard of the kernel has a socket for each family, too.
        let owners = NEAR.map(|near| UdpSocket::bind(at(near, PORT)).unwrap());
        let mut sockets = tunnel_packets();
        for ((near, there), owner) in NEAR.into_iter().zip(FAR).zip(owners) {
            owner.set_read_timeout(Some(SOON)).unwrap();
            let other = far_socket(there);
            for content in ["an even number ", "an odd number "] {
                sockets.send(PORT, at(there, FAR_PORT), 64, &packet(content)).unwrap();
                assert_eq!(received(&other), (packet(content), at(near, PORT)), "from the tunnel's port");
            }

            other.send_to(b"a packet of WireGuard", at(near, PORT)).unwrap();
            assert_eq!(received(&owner).0, b"a packet of WireGuard");
            assert!(!has_input(&descriptors(&*sockets), 0), "it costs no wake-up");

            other.send_to(&packet("an answer"), at(near, PORT)).unwrap();
            let expected =
                TunnelPacket { port: PORT, from: at(there, FAR_PORT), packet: packet("an answer") };
            assert_eq!(heard(&mut *sockets), [expected]);
            assert_eq!(received(&owner).0, packet("an answer"), "the owner gets all packets");
            assert_eq!(sockets.receive(), []);
        }
    });
}

#[test]
fn the_built_in_wireguard_ignores_packets_of_links() {
    between_two(|| {
        let mut kernel = Linux::open().unwrap();
        let wanted = site(MIDDLE, &OTHERS, WireGuardBackend::BuiltIn);
        apply(&mut kernel, &steps(&wanted));
        let mut sockets = tunnel_packets();
        for (near, there) in NEAR.into_iter().zip(FAR) {
            let other = far_socket(there);
            sockets.send(PORT, at(there, FAR_PORT), 64, &packet("a question")).unwrap();
            assert_eq!(received(&other), (packet("a question"), at(near, PORT)));
            // The lengths of all kinds of packets.
            for length in [24, 80, 152] {
                let mut sent = packet("an answer");
                sent.resize(length, 7);
                other.send_to(&sent, at(near, PORT)).unwrap();
                assert_eq!(heard(&mut *sockets)[0].packet, sent);
            }
            other.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            assert!(other.recv(&mut [0; 2000]).is_err(), "WireGuard answers nothing");
        }
        let link = &wanted.links[&interface(MIDDLE)];
        let reading = kernel.read_tunnel(&interface(MIDDLE), link, SystemTime::now()).unwrap();
        assert!(reading.peers.values().all(|peer| peer.received == 0), "{reading:?}");
        assert_eq!(reading.tunnel.peers.len(), OTHERS.len());
    });
}

#[test]
fn packets_have_the_wanted_number_of_hops_and_a_right_checksum() {
    between_two(|| {
        let listener = |family| {
            let flags = SockFlag::SOCK_CLOEXEC;
            let listener = far(|| socket(family, SockType::Raw, flags, SockProtocol::Udp).unwrap());
            setsockopt(&listener, sockopt::ReceiveTimeout, &nix::sys::time::TimeVal::new(2, 0)).unwrap();
            listener
        };
        let mut sockets = tunnel_packets();
        let mut buffer = [0; 2000];
        let v4 = listener(AddressFamily::Inet);
        for hops in [3, 64] {
            sockets.send(PORT, at(FAR[0], FAR_PORT), hops, &packet("odd")).unwrap();
            let length = recv(v4.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap();
            let (header, datagram) = buffer[..length].split_at(20);
            assert_eq!(header[8], hops);
            // Both addresses, the protocol, and the length, as in RFC 768. The sum of everything is 0.
            let pseudo = [&header[12..20], &[0, 17, 0, 15]].concat();
            assert_eq!(sum(&[&pseudo, datagram]), 0xffff);
            assert_ne!(datagram[6..8], [0, 0], "0 would mean that there is no checksum");
        }
        let v6 = listener(AddressFamily::Inet6);
        sockets.send(PORT, at(FAR[1], FAR_PORT), 3, &packet("odd")).unwrap();
        let (length, from) = recvfrom::<SockaddrStorage>(v6.as_raw_fd(), &mut buffer).unwrap();
        let from = from.unwrap().as_sockaddr_in6().unwrap().ip();
        assert_eq!(from, NEAR[1].parse::<std::net::Ipv6Addr>().unwrap());
        let to: std::net::Ipv6Addr = FAR[1].parse().unwrap();
        let pseudo = [&from.octets()[..], &to.octets(), &[0, 0, 0, 15, 0, 0, 0, 17]].concat();
        assert_eq!(sum(&[&pseudo, &buffer[..length]]), 0xffff);
    });
}

/// Returns the ones' complement sum of all 16-bit words.
fn sum(parts: &[&[u8]]) -> u32 {
    let mut bytes = parts.concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let sum: u32 = bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    (sum & 0xffff) + (sum >> 16)
}

#[test]
fn few_hops_are_used_up_by_routers() {
    between_two(|| {
        ip("netns add behind");
        for namespace in ["far", "behind"] {
            // A router finds its neighbours only after its link-local address is checked.
            within(namespace, || std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap());
        }
        ip("-n far link add lan type veth peer name lan netns behind");
        for (namespace, last) in [("far", 1), ("behind", 2)] {
            ip(&format!("-n {namespace} address add 198.51.100.{last}/24 dev lan"));
            ip(&format!("-n {namespace} address add 2001:db8:1::{last}/64 dev lan nodad"));
            ip(&format!("-n {namespace} link set lan up"));
        }
        ip("-n behind route add default via 198.51.100.1");
        ip("-n behind -6 route add default via 2001:db8:1::1");
        ip(&format!("route add default via {}", FAR[0]));
        ip(&format!("-6 route add default via {}", FAR[1]));
        far(|| {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        });
        let mut sockets = tunnel_packets();
        for there in ["198.51.100.2", "2001:db8:1::2"] {
            let other = within("behind", || UdpSocket::bind(at(there, FAR_PORT)).unwrap());
            other.set_read_timeout(Some(SOON)).unwrap();
            for hops in [1, 2] {
                sockets.send(PORT, at(there, FAR_PORT), hops, &packet(&format!("{hops} hops"))).unwrap();
            }
            assert_eq!(received(&other).0, packet("2 hops"), "the first packet ended at the router");
        }
    });
}

#[test]
fn answers_pass_a_firewall_that_drops_unknown_packets() {
    between_two(|| {
        let rules = "add table inet t; \
                     add chain inet t input { type filter hook input priority 0; policy drop; }; \
                     add rule inet t input ct state established accept; \
                     add rule inet t input icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept";
        let status = Command::new("nft").arg(rules).status().expect("this test needs `nft`");
        assert!(status.success());
        let mut sockets = tunnel_packets();
        for (near, there) in NEAR.into_iter().zip(FAR) {
            let other = far_socket(there);
            other.send_to(&packet("too early"), at(near, PORT)).unwrap();
            sockets.send(PORT, at(there, FAR_PORT), 64, &packet("a question")).unwrap();
            received(&other);
            let stranger = far(|| UdpSocket::bind(at(there, 4000)).unwrap());
            stranger.send_to(&packet("of a stranger"), at(near, PORT)).unwrap();
            other.send_to(&packet("an answer"), at(near, PORT)).unwrap();
            let heard = heard(&mut *sockets);
            assert_eq!(heard.iter().map(|heard| &heard.packet).collect::<Vec<_>>(), [&packet("an answer")]);
        }
    });
}

#[test]
fn a_helper_answers_from_the_address_that_was_asked() {
    between_two(|| {
        let mut kernel = Linux::open().unwrap();
        let mut helper = kernel.helper_socket(FAR_PORT).unwrap();
        assert_eq!(kernel.helper_socket(FAR_PORT).unwrap_err(), Errno::EADDRINUSE);
        for (there, addresses) in [(FAR[0], [NEAR[0], SECOND[0]]), (FAR[1], [NEAR[1], SECOND[1]])] {
            let other = far_socket(there);
            for address in addresses {
                other.send_to(b"a question", at(address, FAR_PORT)).unwrap();
                let (from, to) = (at(there, FAR_PORT), at(address, FAR_PORT));
                let packet = b"a question".to_vec();
                assert_eq!(asked(&mut *helper), [HelperPacket { from, to, packet }]);
                helper.send(to, from, b"an answer").unwrap();
                assert_eq!(received(&other), (b"an answer".to_vec(), to));
            }
            let foreign = helper.send(at(there, FAR_PORT), at(there, FAR_PORT), b"from a foreign address");
            assert!(foreign.is_err());
            // A packet of WireGuard is longer than all of ours; the helper needs to know that it came.
            other.send_to(&[4; 1400], at(addresses[0], FAR_PORT)).unwrap();
            assert!(asked(&mut *helper)[0].packet.starts_with(&[4; 200]));
        }
        assert_eq!(helper.receive(), []);
    });
}

#[test]
fn packets_leave_through_the_uplink_as_those_of_tunnels_do() {
    between_two(|| {
        for family in ["-4", "-6"] {
            ip(&format!("{family} rule add fwmark 0x10000000/0x10000000 lookup 100"));
        }
        // Only marked packets have a way there.
        far(|| {
            ip("address add 198.51.100.7/32 dev lo");
            ip("address add 2001:db8:1::7/128 dev lo nodad");
        });
        ip("route add 198.51.100.7/32 via 192.0.2.12 src 192.0.2.9 table 100");
        ip("-6 route add 2001:db8:1::7/128 via 2001:db8::12 src 2001:db8::8001 table 100");
        let mut kernel = Linux::open().unwrap();
        let (mut sockets, mut helper) = (kernel.tunnel_packets().unwrap(), kernel.helper_socket(53).unwrap());
        let links = kernel.links().unwrap();
        for ((there, own), unmarked) in ["198.51.100.7", "2001:db8:1::7"].into_iter().zip(SECOND).zip(NEAR) {
            let socket = UdpSocket::bind(at(unmarked, 0)).unwrap();
            assert!(socket.send_to(b"", at(there, FAR_PORT)).is_err(), "nothing else goes there");
            let other = far_socket(there);
            sockets.send(PORT, at(there, FAR_PORT), 64, &packet("a question")).unwrap();
            assert_eq!(received(&other), (packet("a question"), at(own, PORT)));
            helper.send(at(own, 53), at(there, FAR_PORT), b"an answer").unwrap();
            assert_eq!(received(&other), (b"an answer".to_vec(), at(own, 53)));
            assert!(kernel.is_outside_tunnels(there.parse().unwrap(), &links), "the mark decides");
        }
    });
}

#[test]
fn a_flood_is_taken_in_parts() {
    between_two(|| {
        let mut kernel = Linux::open().unwrap();
        let (mut sockets, mut helper) =
            (kernel.tunnel_packets().unwrap(), kernel.helper_socket(FAR_PORT).unwrap());
        let other = far_socket(FAR[0]);
        for _ in 0..100 {
            other.send_to(&packet(""), at(NEAR[0], FAR_PORT)).unwrap();
        }
        assert!(heard(&mut *sockets).len() < 100);
        assert!(asked(&mut *helper).len() < 100);
        // The rest waits, up to the size of the buffer.
        assert!(!sockets.receive().is_empty() && !helper.receive().is_empty());
        for _ in 0..10_000 {
            other.send_to(&[MAGIC[0]; 1400], at(NEAR[0], FAR_PORT)).unwrap();
        }
        let mut taken = 0;
        while has_input(&[helper.descriptor()], 0) {
            taken += helper.receive().len();
        }
        assert!((1..200).contains(&taken), "{taken} packets waited");
        assert!(!has_input(&descriptors(&*sockets), 0));
    });
}
