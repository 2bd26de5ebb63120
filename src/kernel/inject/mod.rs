//! Packets that this host seems to receive from a device, and packets of this host itself.
//!
//! A packet that a process writes to a tap device comes in on that device. A filter of traffic control there
//! hands the packet to another interface, as if it had come in on that one (`TCA_INGRESS_REDIR` of
//! net/sched/act_mirred.c), with the interface's own address check, hooks and rules. The tap device, and the
//! filter on it, vanish with the process.

mod packet;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use nix::errno::Errno;
use nix::libc;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, socket,
};
use nix::unistd::write;

use super::attributes::AttributeWriter;
use super::message::Message;
use super::netlink::{Refusal, Socket};
use super::rtnetlink::Request;
use super::tun;
use crate::base::net::{Family, IfName, Mac};
pub use packet::{ICMP, ICMPV6, Probe, TCP, UDP};

/// Name of the tap device.
const NAME: &str = "portals-trace";

/// Hardware address of the tap device: packets to other addresses would not be for this host.
const HERE: Mac = Mac([2, b'p', b'o', b'r', b't', b's']);

/// TCA_KIND and TCA_OPTIONS.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;

/// Place of packets that come in: TC_H_INGRESS, and the handle of its discipline.
const INGRESS: u32 = 0xffff_fff1;
const INGRESS_HANDLE: u32 = 0xffff_0000;

/// Way by which probes go out.
#[derive(Debug)]
pub struct Injector {
    file: OwnedFd,
    is_tap: bool,
}

impl Injector {
    /// Returns the way for packets that seem to come in on the interface with this number.
    ///
    /// # Errors
    /// If this kernel lacks tap devices, or a part of traffic control; EBUSY if another process has the
    /// device.
    pub fn at(route: &mut Socket, interface: u32) -> Result<Self, Refusal> {
        let name: IfName = NAME.parse().expect("a name");
        let file = tun::create_tap(&name)?;
        let index = if_nametoindex(NAME)?;
        let up = Request::link_up(NAME, true).with_bytes(libc::IFLA_ADDRESS, &HERE.0);
        let all_protocols = u32::from(0x0003_u16.to_be());
        let mut requests = vec![up.message(libc::RTM_NEWLINK)];
        let place = [index, INGRESS_HANDLE, INGRESS, 0];
        requests.push(control(libc::RTM_NEWQDISC, place, "ingress", &|_| ()));
        let place = [index, 0, INGRESS_HANDLE, 1 << 16 | all_protocols];
        let filter = |writer: &mut AttributeWriter| encode_filter(writer, interface);
        requests.push(control(libc::RTM_NEWTFILTER, place, "u32", &filter));
        for verdict in route.batch(requests) {
            verdict?;
        }
        Ok(Self { file, is_tap: true })
    }

    /// Returns the way for packets that this host itself sends.
    pub fn from_here(family: Family) -> Result<Self, Errno> {
        let domain = match family {
            Family::V4 => AddressFamily::Inet,
            Family::V6 => AddressFamily::Inet6,
        };
        let file = socket(domain, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)?;
        Ok(Self { file, is_tap: false })
    }

    /// Sends a probe, which seems to come from the device with this hardware address.
    pub fn send(&self, probe: &Probe, device: Mac) -> Result<(), Errno> {
        let packet = probe.packet();
        if !self.is_tap {
            let to: SockaddrStorage = SocketAddr::new(probe.to, 0).into();
            return sendto(self.file.as_raw_fd(), &packet, &to, MsgFlags::empty()).map(drop);
        }
        let kind: u16 = match probe.to {
            IpAddr::V4(_) => 0x0800,
            IpAddr::V6(_) => 0x86dd,
        };
        let frame = [&HERE.0[..], &device.0, &kind.to_be_bytes(), &packet].concat();
        write(&self.file, &frame).map(drop)
    }
}

/// Returns a request of traffic control: `struct tcmsg` of linux/rtnetlink.h, whose numbers are the
/// interface, the handle, the parent and more.
fn control(
    request: u16,
    [index, handle, parent, info]: [u32; 4],
    kind: &str,
    options: &dyn Fn(&mut AttributeWriter),
) -> Message {
    let header = [0, index, handle, parent, info].map(u32::to_ne_bytes);
    let mut writer = AttributeWriter::behind(header.as_flattened());
    writer.text(KIND, kind);
    options(&mut writer);
    Message::raw(request, writer.finish()).with_flags(NLM_F_CREATE | NLM_F_EXCL)
}

/// Encodes a filter that takes every packet, and hands it to an interface. Routers that shape traffic have
/// the filter `u32` and the action `mirred`.
fn encode_filter(writer: &mut AttributeWriter, interface: u32) {
    /// TCA_U32_SEL and TCA_U32_ACT; TCA_MIRRED_PARMS.
    const SELECTOR: u16 = 5;
    const ACTIONS: u16 = 7;
    const PARAMETERS: u16 = 2;
    /// TC_ACT_STOLEN and TCA_INGRESS_REDIR.
    const STOLEN: u32 = 4;
    const TO_INGRESS: u32 = 3;
    // `struct tc_u32_sel` with TC_U32_TERMINAL, and one key that every packet has.
    let mut selector = [0; 16 + 16];
    (selector[0], selector[2]) = (1, 1);
    // `struct tc_mirred`: index, capabilities, action, two counts, kind, interface.
    let hand_over = [0, 0, STOLEN, 0, 0, TO_INGRESS, interface].map(u32::to_ne_bytes);
    writer.nest(OPTIONS, |writer| {
        writer.bytes(SELECTOR, &selector);
        writer.nest(ACTIONS, |writer| {
            writer.nest(1, |writer| {
                writer.text(KIND, "mirred");
                writer.nest(OPTIONS, |writer| writer.bytes(PARAMETERS, hand_over.as_flattened()));
            });
        });
    });
}
