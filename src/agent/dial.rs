//! Another address for the other end of a tunnel.

use std::net::SocketAddr;

use crate::base::error::Result;
use crate::base::net::{IfName, PublicKey};
use crate::kernel::Kernel;
use crate::state::Tunnel;

/// Has a tunnel with these settings dial a peer at an address. `is_alive` tells whether the peer has a
/// session, which survives.
pub(super) fn dial(
    kernel: &mut dyn Kernel,
    interface: &IfName,
    mut from: Tunnel,
    key: PublicKey,
    (address, is_alive): (SocketAddr, bool),
) -> Result<()> {
    let mut to = from.clone();
    let Some(peer) = to.peers.get_mut(&key) else { return Ok(()) };
    peer.endpoint = Some(address);
    if !is_alive {
        // WireGuard begins a handshake with a peer that it knows once in 5 s at most (REKEY_TIMEOUT in
        // WireGuard's paper, § 6.1), and with a new peer at once.
        let mut without = from.clone();
        without.peers.remove(&key);
        kernel.change_tunnel(interface, &from, &without)?;
        from = without;
    }
    kernel.change_tunnel(interface, &from, &to)
}
