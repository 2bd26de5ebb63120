//! The keys that a file may have, and who reads them.

/// Keys of `[Interface]` that wg reads; white space inside does not count there.
pub(super) const INTERFACE: &[&str] = &["PrivateKey", "ListenPort", "FwMark"];

/// Keys of `[Interface]` that wg-quick reads.
pub(super) const QUICK: &[&str] = &["Address", "DNS", "MTU", "Table"];

/// Keys of `[Peer]`.
pub(super) const PEER: &[&str] =
    &["PublicKey", "PresharedKey", "Endpoint", "AllowedIPs", "PersistentKeepalive"];

/// Lists, which may be continued in another line.
pub(super) const LISTS: &[&str] = &["Address", "DNS", "AllowedIPs"];

/// Keys that may be there without a value, which means what leaving them out does.
pub(super) const MAY_BE_EMPTY: &[&str] = QUICK;

/// Programs that wg-quick runs.
pub(super) const COMMANDS: &[&str] = &["PreUp", "PostUp", "PreDown", "PostDown"];

/// Whether wg-quick writes the file anew when the tunnel goes down.
pub(super) const SAVE: &str = "SaveConfig";

/// What means nothing here, of the app for Android.
pub(super) const APPS: &[&str] = &["ExcludedApplications", "IncludedApplications"];

/// Keys of `[Interface]` in files of AmneziaWG, whose packets are no WireGuard.
const AMNEZIA: &[&str] = &[
    "Jc", "Jmin", "Jmax", "S1", "S2", "S3", "S4", "H1", "H2", "H3", "H4", "I1", "I2", "I3", "I4", "I5", "J1",
    "J2", "J3", "Itime",
];

/// A protocol that is WireGuard with something more, which this program does not speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// It hides what it is from those who look at packets.
    Amnezia,
    /// It has three bytes of its own in each packet.
    Warp,
}

impl Foreign {
    /// Whose key this is.
    pub(super) fn of(key: &str) -> Option<Self> {
        if key.eq_ignore_ascii_case("Reserved") {
            Some(Self::Warp)
        } else {
            find(AMNEZIA, key).map(|_| Self::Amnezia)
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Amnezia => "AmneziaWG",
            Self::Warp => "the apps of Cloudflare WARP",
        }
    }
}

/// The key as it is written here, in whatever case it is there.
pub(super) fn find(keys: &[&'static str], key: &str) -> Option<&'static str> {
    keys.iter().copied().find(|known| known.eq_ignore_ascii_case(key))
}
