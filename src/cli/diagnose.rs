//! Command lines of the commands that show what there is, and what is wrong.

use std::path::PathBuf;

use super::fields::command;

command! {
    /// Find out what is wrong, and what to do: checks the network file, this machine and its links. Changes
    /// nothing, needs no agent, and checks without root as much as it can.
    pub struct DoctorCommand = "doctor",
        note "Each line begins with a sign: ✓ is as it must be, ! is a fact to know and no fault, ✗ is a \
            fault, and - was not checked. A line with → is the way out.",
        status 1 "something is wrong"
    {
        /// print the findings as JSON
        pub json: bool = "--json";

        /// check this network file only, for example on a laptop
        pub file: Option<PathBuf> = "--file <file>";
    }
}

command! {
    /// Check a network file without a key and without root: on a laptop, too.
    pub struct CheckCommand = "check",
        example "portals check network.toml",
        status 2 "the file is wrong"
    {
        /// print the result as JSON
        pub json: bool = "--json";

        /// file to check (default: the network file)
        pub file: Option<PathBuf> = "<file>";
    }
}

command! {
    /// Show the interfaces of this machine: state, kind, use and addresses, and what Wi-Fi cards can do.
    pub struct InterfacesCommand = "interfaces" {
        /// print the interfaces as JSON
        pub json: bool = "--json";
    }
}

command! {
    /// Draw the network: sites, links, and portals with their ways. Where an agent runs, also the state of
    /// this site's links and portals.
    pub struct MapCommand = "map",
        example "portals map\nportals map --svg network.svg\nportals map --packet-path guest"
    {
        /// draw this network file, and not the state of this site
        pub file: Option<PathBuf> = "--file <file>";

        /// write an SVG drawing to this file instead of text to standard output
        pub svg: Option<PathBuf> = "--svg <file>";

        /// draw the way of a packet through the kernel instead, from this portal, PORTAL or SITE/PORTAL, to
        /// its exit, with the rules that it meets
        pub packet_path: Option<String> = "--packet-path <portal>";
    }
}

command! {
    /// Test what a device behind a portal gets: its way, delay and loss to the exit, packet size, speed,
    /// public address, DNS and IPv6.
    pub struct TestCommand = "test",
        example "portals test guest",
        status 1 "a test found a fault"
    {
        /// name of the portal
        pub portal: String = "<portal>";

        /// cut the link to the exit for a moment, and test that nothing leaves here meanwhile
        pub cut: bool = "--cut";

        /// print the results as JSON
        pub json: bool = "--json";
    }
}
