//! The tun device of a tunnel. A packet of TCP may come in as large as 64 kB, for us to split, and may go out
//! so, merged by us: one call of the kernel moves some fifty packets.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use super::split::{HEADER, Split};

/// A device.
pub(super) struct Device {
    /// File of the device, which never waits.
    pub(super) file: File,
    /// Set if `struct virtio_net_hdr` stands in front of each packet.
    pub(super) has_headers: bool,
}

impl Device {
    /// Reads a packet. Returns the packet, and the way to split it; `None` for a packet that makes no sense.
    ///
    /// # Errors
    /// EAGAIN if there is none.
    pub(super) fn read<'a>(&self, room: &'a mut [u8]) -> io::Result<Option<(Split, &'a mut [u8])>> {
        room[..HEADER].fill(0);
        let begin = if self.has_headers { 0 } else { HEADER };
        let end = begin + (&self.file).read(&mut room[begin..])?;
        let whole = room[..end].split_first_chunk_mut::<HEADER>();
        Ok(whole.and_then(|(header, packet)| Some((Split::new(*header, packet)?, packet))))
    }

    /// Writes a packet that stands behind room for a header, or loses the packet: the interface may be down
    /// (EIO), or the host may have no memory.
    pub(super) fn write(&self, header: [u8; HEADER], room: &mut [u8]) {
        room[..HEADER].copy_from_slice(&header);
        let begin = if self.has_headers { 0 } else { HEADER };
        let _ = (&self.file).write(&room[begin..]);
    }
}
