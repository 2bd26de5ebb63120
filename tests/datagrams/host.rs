//! Hosts without IPv6, and the addresses of a host.

use nix::errno::Errno;
use nix::libc;
use wg_portals::kernel::Kernel as _;
use wg_portals::kernel::linux::Linux;
use wg_portals::kernel::sockets::HelperPacket;
use wg_portals::state::WireGuardBackend;

use crate::namespace::ip;
use crate::tunnels::{MIDDLE, OTHERS, apply, site, steps};
use crate::world::{
    FAR, FAR_PORT, NEAR, PORT, SECOND, asked, at, between_two, descriptors, far_socket, packet, received,
};

#[test]
fn a_host_without_ipv6_works_with_ipv4_alone() {
    between_two(|| {
        let other = far_socket(FAR[0]);
        let mut kernel = Linux::open().unwrap();
        refuse_ipv6();
        let (mut sockets, mut helper) =
            (kernel.tunnel_packets().unwrap(), kernel.helper_socket(FAR_PORT).unwrap());
        assert_eq!(descriptors(&*sockets).len(), 1);
        sockets.send(PORT, at(FAR[0], FAR_PORT), 64, &packet("a question")).unwrap();
        assert_eq!(received(&other).0, packet("a question"));
        let refused = sockets.send(PORT, at(FAR[1], FAR_PORT), 64, &packet("a question"));
        assert_eq!(refused, Err(Errno::EAFNOSUPPORT));
        for address in [NEAR[0], SECOND[0]] {
            let (from, to) = (at(FAR[0], FAR_PORT), at(address, FAR_PORT));
            other.send_to(b"a question", to).unwrap();
            assert_eq!(asked(&mut *helper), [HelperPacket { from, to, packet: b"a question".to_vec() }]);
            helper.send(to, from, b"an answer").unwrap();
            assert_eq!(received(&other), (b"an answer".to_vec(), to));
        }
    });
}

/// Makes this thread's kernel one without IPv6: a filter for system calls (seccomp(2)) refuses its sockets.
fn refuse_ipv6() {
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let number = |number: libc::c_long| u32::try_from(number).unwrap();
    let refused = libc::SECCOMP_RET_ERRNO | libc::EAFNOSUPPORT.unsigned_abs();
    // `struct seccomp_data`: the number of the call at 0, the lower half of its first argument at 16.
    let mut filter = [
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 3, number(libc::SYS_socket)),
        instruction(0x20, 0, 0, 16),
        instruction(0x15, 0, 1, libc::AF_INET6.unsigned_abs()),
        instruction(0x06, 0, 0, refused),
        instruction(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 6, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel reads the program and its instructions, which live until the end of the calls.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    assert_eq!(result, 0, "{}", Errno::last());
}

#[test]
fn addresses_and_routes_of_the_uplink_count() {
    between_two(|| {
        let mut kernel = Linux::open().unwrap();
        ip("address add 192.168.1.7/24 dev wan");
        ip("address add 100.64.3.2/32 dev wan");
        ip("address add 10.3.2.1/32 dev wan");
        ip("address add fd00:1::7/64 dev wan nodad");
        ip("address add 2001:db8:7::7/64 dev wan nodad preferred_lft 0");
        ip("address add 2001:db8:8::7/64 dev wan");
        let links = kernel.links().unwrap();
        let (wan, lo) = ("wan".parse().unwrap(), "lo".parse().unwrap());
        let found = kernel.uplink_addresses(&[&wan, &lo], &links).unwrap();
        // No public IPv4 address, and none that is deprecated, is still checked, or is local to the site.
        assert_eq!(found.len(), 3, "{found:?}");
        assert!([NEAR[1], SECOND[1]].contains(&found[0].to_string().as_str()), "{found:?}");
        assert_eq!(
            found[1..].iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["192.168.1.7", "100.64.3.2"]
        );
        assert_eq!(kernel.uplink_addresses(&[], &links).unwrap(), [] as [std::net::IpAddr; 0]);

        let wanted = site(MIDDLE, &OTHERS, WireGuardBackend::BuiltIn);
        apply(&mut kernel, &steps(&wanted));
        let links = kernel.links().unwrap();
        let expected = [(FAR[0], true), (FAR[1], true), ("10.99.0.12", false), ("203.0.113.1", false)];
        for (address, is_outside) in expected.into_iter().chain([(NEAR[0], false), ("127.0.0.1", false)]) {
            assert_eq!(kernel.is_outside_tunnels(address.parse().unwrap(), &links), is_outside, "{address}");
        }
    });
}
