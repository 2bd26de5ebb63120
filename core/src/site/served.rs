//! Services for devices besides their way out.

/// The way of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// As all else: by the exit.
    ByExit,
    /// By the uplink.
    ByUplink,
}

/// The services of a router for devices, besides passing on their packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// All that it serves.
    All,
    /// DHCP, DNS and ping.
    Basics,
}
