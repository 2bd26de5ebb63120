//! What devices get besides their way out.

/// The way of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// As all else: by the exit.
    ByExit,
    /// By the uplink.
    ByUplink,
}

/// What a router does for devices, besides passing on what they send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// All that it serves.
    All,
    /// DHCP, DNS and ping.
    Basics,
}
