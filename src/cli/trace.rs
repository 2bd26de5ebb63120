//! Command line of `portals trace`.

use super::fields::command;

command! {
    /// Follow one flow through this router: entrance, firewall, policy rules, reverse-path filter, tunnel,
    /// and the answer. Says where the flow stops, why, and the way out.
    pub struct TraceCommand = "trace",
        example "portals trace tv 1.1.1.1:443\nportals trace 192.168.1.50 example.net\n\
            portals trace self 9.9.9.9:53 --udp\nportals trace tv 1.1.1.1:443 --live\n\
            portals trace tv 1.1.1.1:443 --both",
        note "The kernel reports the steps of a packet that portals itself sends, as if it came from the \
            device; the device may get the answer. Everything that the trace sets up is gone when it ends, \
            even if it is killed.",
        status 1 "the flow stops at this router or at the other site, or no answer came"
    {
        /// sender: the name of a portal, the address of a device, or `self` for this router
        pub from: String = "<from>";

        /// destination: an address or a name, and a port of TCP if one is given; otherwise a ping
        pub to: String = "<to>";

        /// wait for a packet of the device, instead of sending one
        pub live: bool = "--live";

        /// seconds that --live waits; 60 by default
        pub wait: Option<u8> = "--wait <seconds>";

        /// show both sites of the tunnel: the agent of the other one watches the same packet
        pub both: bool = "--both";

        /// the port is one of UDP
        pub udp: bool = "--udp";
    }
}
