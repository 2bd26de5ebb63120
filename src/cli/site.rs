//! Command lines of `portals site`, `portals sign`, `portals push`, `portals pull` and
//! `portals rotate`.

use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

use crate::base::net::PublicKey;

/// Add, remove and list the sites of the network file. Comments and order of the file stay as they are.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "site")]
pub struct SiteCommand {
    /// action to take
    #[argh(subcommand)]
    pub command: SiteAction,
}

/// Command for a site.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum SiteAction {
    /// `portals site add`
    Add(SiteAdd),
    /// `portals site remove`
    Remove(SiteRemove),
    /// `portals site list`
    List(SiteList),
}

/// Add a site whose key exists already, for example on a box that cannot run `portals join`.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "add",
    example = "portals site add rome --key KEY --endpoint rome.example.net --exits nyc",
    note = "`portals invite` is easier: the new site brings its own key."
)]
pub struct SiteAdd {
    /// name of the site, up to 12 characters of a-z, 0-9 and -
    #[argh(positional)]
    pub name: String,

    /// public key of the site, as `portals init` prints it there
    #[argh(option)]
    pub key: PublicKey,

    /// number of the site, 1 to 250, never reused (default: the next free one)
    #[argh(option)]
    pub id: Option<u8>,

    /// host name or address, without a port, at which other sites reach it; leave it out behind NAT
    #[argh(option)]
    pub endpoint: Option<String>,

    /// sites that it uses as exits, with commas between them (default: none)
    #[argh(option, arg_name = "sites", default = "String::new()")]
    pub exits: String,

    /// sites that it is linked to for access to their computers, with commas between them (default: none)
    #[argh(option, arg_name = "sites", default = "String::new()")]
    pub links: String,

    /// network behind the site that linked sites may reach; may be given several times (default: none)
    #[argh(option, arg_name = "network")]
    pub lan: Vec<String>,
}

/// Remove a site, with its portals and its place in the lists of other sites. Portals and phones of other
/// sites that need it have to go first.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "remove")]
pub struct SiteRemove {
    /// name of the site
    #[argh(positional)]
    pub name: String,
}

/// List the sites of the network file.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "list")]
pub struct SiteList {}

/// Sign a network file that was edited, so that other sites take it. Works on a laptop, too, where the admin
/// key can be kept.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "sign",
    example = "portals sign network.toml --key /media/stick/admin.key",
    note = "The serial of the file goes up by one each time."
)]
pub struct SignCommand {
    /// file to sign (default: the network file)
    #[argh(positional)]
    pub file: Option<PathBuf>,

    /// file of the admin key (default: admin.key next to the network file)
    #[argh(option, arg_name = "file")]
    pub key: Option<PathBuf>,

    /// make a new admin key in the file of --key, which must not exist, and add it to the keys that may sign
    #[argh(switch)]
    pub create: bool,
}

/// Bring the network file to all sites: sign it if it was edited, use it here, and offer it to the linked
/// sites, which pass it on.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "push",
    error_code(
        1,
        "the file is in force here, and some sites do not have it yet: they get it when they are back"
    )
)]
pub struct PushCommand {
    /// replace a newer file that other sites have (default: refuse)
    #[argh(switch)]
    pub over: bool,
}

/// Give this site a new key. The linked sites take the network file with the new key first; then this site
/// changes over, and its links are interrupted for one handshake. If one of them does not answer, the old key
/// stays.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "rotate",
    note = "Needs the agent, the admin key, and a link that is up. Phones that dial this site need its new \
            public key, and tokens of `portals invite` that are still open are void.",
    error_code(1, "the site has its old key")
)]
pub struct RotateCommand {
    /// go ahead although a site that has no other link is down or has another file: carry the network file to
    /// that site
    #[argh(switch)]
    pub leave_behind: bool,
}

/// Drop the changes of the network file that were made here, and take the newest signed file of the linked
/// sites.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "pull")]
pub struct PullCommand {}
