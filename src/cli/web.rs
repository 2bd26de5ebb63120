//! Command line of `portals web`.

use std::path::PathBuf;

use super::fields::command;

command! {
    /// Show a page about this router in the browser, with its links and portals, the map, the findings of
    /// `doctor`, and phones with their QR codes, until Ctrl-C. Only this machine reaches the page, at an
    /// address with a key that is made anew each time.
    pub struct WebCommand = "web",
        example "portals web",
        note "From another machine, forward the port by SSH: ssh -L 10077:127.0.0.1:10077 root@ROUTER. \
            The pages in the LANs of portals need no command: `page = true` in the network file turns them \
            on."
    {
        /// TCP port from 1024 on; 10077 by default
        pub port: Option<u16> = "--port <port>";

        /// show the pages that are listed in this folder, without privileges: the agent starts this for
        /// portals with `page = true`
        pub serve: Option<PathBuf> = "--serve <folder>";
    }
}
