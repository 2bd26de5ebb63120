//! The keys that a file may have, and the programs that read them.

/// Keys of `[Interface]` that wg reads; wg ignores white space inside them.
pub(super) const INTERFACE: &[&str] = &["PrivateKey", "ListenPort", "FwMark"];

/// Keys of `[Interface]` that wg-quick reads.
pub(super) const QUICK: &[&str] = &["Address", "DNS", "MTU", "Table"];

/// Keys of `[Peer]`.
pub(super) const PEER: &[&str] =
    &["PublicKey", "PresharedKey", "Endpoint", "AllowedIPs", "PersistentKeepalive"];

/// Keys of lists, which may continue in another line with the same key.
pub(super) const LISTS: &[&str] = &["Address", "DNS", "AllowedIPs"];

/// Keys that may have an empty value, which means the same as no such line.
pub(super) const MAY_BE_EMPTY: &[&str] = QUICK;

/// Keys of commands that wg-quick runs.
pub(super) const COMMANDS: &[&str] = &["PreUp", "PostUp", "PreDown", "PostDown"];

/// Key that makes wg-quick rewrite the file when the tunnel goes down.
pub(super) const SAVE: &str = "SaveConfig";

/// Keys of the Android app, which have no meaning here.
pub(super) const APPS: &[&str] = &["ExcludedApplications", "IncludedApplications"];

/// Keys of `[Interface]` in files of AmneziaWG, whose packets are not WireGuard's.
const AMNEZIA: &[&str] = &[
    "Jc", "Jmin", "Jmax", "S1", "S2", "S3", "S4", "H1", "H2", "H3", "H4", "I1", "I2", "I3", "I4", "I5", "J1",
    "J2", "J3", "Itime",
];

/// A protocol derived from WireGuard that portals does not speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireGuardDerivative {
    /// AmneziaWG, which hides its protocol from observers of its packets.
    Amnezia,
    /// Cloudflare WARP, which puts three bytes of its own into each packet.
    Warp,
}

impl WireGuardDerivative {
    /// Returns the protocol that this key belongs to.
    pub(super) fn of(key: &str) -> Option<Self> {
        if key.eq_ignore_ascii_case("Reserved") {
            Some(Self::Warp)
        } else {
            find(AMNEZIA, key).map(|_| Self::Amnezia)
        }
    }

    /// Returns the name of the protocol for a message.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Amnezia => "AmneziaWG",
            Self::Warp => "the apps of Cloudflare WARP",
        }
    }
}

/// Returns the known key that `key` matches in any case.
pub(super) fn find(keys: &[&'static str], key: &str) -> Option<&'static str> {
    keys.iter().copied().find(|known| known.eq_ignore_ascii_case(key))
}
