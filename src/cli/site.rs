//! Command lines of `portals site`, `portals sign`, `portals push`, `portals pull` and
//! `portals rotate`.

use std::path::PathBuf;

use super::fields::{command, commands};
use crate::base::net::PublicKey;

commands! {
    /// Add, remove and list the sites of the network file. Comments and order of the file stay as they are.
    pub enum SiteAction = "site" {
        "Commands":
        /// `portals site add`
        Add(SiteAdd),
        /// `portals site remove`
        Remove(SiteRemove),
        /// `portals site list`
        List(SiteList),
    }
}

command! {
    /// Add a site whose key exists already, for example on a box that cannot run `portals join`.
    pub struct SiteAdd = "add",
        example "portals site add rome --key KEY --endpoint rome.example.net --exits nyc",
        note "`portals invite` is easier: the new site brings its own key."
    {
        /// name of the site, up to 12 characters of a-z, 0-9 and -
        pub name: String = "<name>";

        /// public key of the site, as `portals init` prints it there
        pub key: PublicKey = "--key <key>";

        /// number of the site, 1 to 250, never reused (default: the next free one)
        pub id: Option<u8> = "--id <id>";

        /// host name or address, without a port, at which other sites reach it; leave it out behind NAT
        pub endpoint: Option<String> = "--endpoint <endpoint>";

        /// sites that it uses as exits, with commas between them (default: none)
        pub exits: Option<String> = "--exits <sites>";

        /// sites that it is linked to for access to their computers, with commas between them (default: none)
        pub links: Option<String> = "--links <sites>";

        /// network behind the site that linked sites may reach; may be given several times (default: none)
        pub lan: Vec<String> = "--lan <network...>";
    }
}

command! {
    /// Remove a site, with its portals and its place in the lists of other sites. Portals and phones of other
    /// sites that need it have to go first.
    pub struct SiteRemove = "remove" {
        /// name of the site
        pub name: String = "<name>";
    }
}

command! {
    /// List the sites of the network file.
    pub struct SiteList = "list" {}
}

command! {
    /// Sign a network file that was edited, so that other sites take it. Works on a laptop, too, where the
    /// admin key can be kept.
    pub struct SignCommand = "sign",
        example "portals sign network.toml --key /media/stick/admin.key",
        note "The serial of the file goes up by one each time."
    {
        /// file to sign (default: the network file)
        pub file: Option<PathBuf> = "<file>";

        /// file of the admin key (default: admin.key next to the network file)
        pub key: Option<PathBuf> = "--key <file>";

        /// make a new admin key in the file of --key, which must not exist, and add it to the keys that may
        /// sign
        pub create: bool = "--create";
    }
}

command! {
    /// Bring the network file to all sites: sign it if it was edited, use it here, and offer it to the linked
    /// sites, which pass it on.
    pub struct PushCommand = "push",
        status 1 "the file is in force here; some sites do not have it yet, and get it when they are back"
    {
        /// replace a newer file that other sites have (default: refuse)
        pub over: bool = "--over";
    }
}

command! {
    /// Give this site a new key. The linked sites take the network file with the new key first; then this
    /// site changes over, and its links are interrupted for one handshake. If one of them does not answer,
    /// the old key stays.
    pub struct RotateCommand = "rotate",
        note "Needs the agent, the admin key, and a link that is up. Phones that dial this site need its new \
            public key, and tokens of `portals invite` that are still open are void.",
        status 1 "the site has its old key"
    {
        /// go ahead although a site that has no other link is down or has another file: carry the network
        /// file to that site
        pub leave_behind: bool = "--leave-behind";
    }
}

command! {
    /// Drop the changes of the network file that were made here, and take the newest signed file of the
    /// linked sites.
    pub struct PullCommand = "pull" {}
}
