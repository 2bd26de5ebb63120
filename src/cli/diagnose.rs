//! Command lines of the commands that show what there is, and what is wrong.

use std::path::PathBuf;

use super::fields::command;

command! {
    /// Find out what is wrong, and what to do: checks the network file, this machine and its links. Changes
    /// nothing, needs no agent, and checks without root as much as it can.
    pub struct DoctorCommand = "doctor",
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
