//! Numbers of linux/wireguard.h.

/// Commands (WG_CMD_*).
pub(super) mod command {
    pub(in crate::kernel::wireguard) const GET_DEVICE: u8 = 0;
    pub(in crate::kernel::wireguard) const SET_DEVICE: u8 = 1;
}

/// Attributes of an interface (WGDEVICE_A_*).
pub(super) mod device {
    pub(in crate::kernel::wireguard) const IFNAME: u16 = 2;
    pub(in crate::kernel::wireguard) const PRIVATE_KEY: u16 = 3;
    pub(in crate::kernel::wireguard) const LISTEN_PORT: u16 = 6;
    pub(in crate::kernel::wireguard) const FWMARK: u16 = 7;
    pub(in crate::kernel::wireguard) const PEERS: u16 = 8;
}

/// Attributes of a peer (WGPEER_A_*).
pub(super) mod peer {
    pub(in crate::kernel::wireguard) const PUBLIC_KEY: u16 = 1;
    pub(in crate::kernel::wireguard) const PRESHARED_KEY: u16 = 2;
    pub(in crate::kernel::wireguard) const FLAGS: u16 = 3;
    pub(in crate::kernel::wireguard) const ENDPOINT: u16 = 4;
    pub(in crate::kernel::wireguard) const PERSISTENT_KEEPALIVE_INTERVAL: u16 = 5;
    pub(in crate::kernel::wireguard) const LAST_HANDSHAKE_TIME: u16 = 6;
    pub(in crate::kernel::wireguard) const RX_BYTES: u16 = 7;
    pub(in crate::kernel::wireguard) const TX_BYTES: u16 = 8;
    pub(in crate::kernel::wireguard) const ALLOWEDIPS: u16 = 9;
}

/// Flags of a peer (WGPEER_F_*).
pub(super) mod flags {
    pub(in crate::kernel::wireguard) const REMOVE_ME: u32 = 1;
    pub(in crate::kernel::wireguard) const REPLACE_ALLOWEDIPS: u32 = 2;
    pub(in crate::kernel::wireguard) const UPDATE_ONLY: u32 = 4;
}

/// Attributes of an allowed network (WGALLOWEDIP_A_*).
pub(super) mod allowed_ip {
    pub(in crate::kernel::wireguard) const FAMILY: u16 = 1;
    pub(in crate::kernel::wireguard) const IPADDR: u16 = 2;
    pub(in crate::kernel::wireguard) const CIDR_MASK: u16 = 3;
}
