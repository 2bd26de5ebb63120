//! Command lines of `portals invite`, `portals invites`, `portals join` and `portals accept`.

use argh::{ArgsInfo, FromArgs};

use crate::base::net::{Cidr, IfName};

/// Make a token with which one new site can join the network, with one paste, and without copying keys or
/// files.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "invite",
    example = "portals invite paris\nportals invite oslo --exits nyc,paris --confirm",
    note = "The token goes to standard output, everything else to standard error. It is good for one site \
            and 24 hours: treat it as a password. The agent must run here, and admin.key must be next to the \
            network file. The other sites get the new file by themselves."
)]
pub struct InviteCommand {
    /// name of the new site, up to 12 characters of a-z, 0-9 and -
    #[argh(positional)]
    pub name: String,

    /// sites that the new site uses as exits, with commas between them, or `none` (default: this site)
    #[argh(option, arg_name = "sites")]
    pub exits: Option<String>,

    /// network behind the new site that other sites may reach; may be given several times (default: as the
    /// new site asks, if it is a private network)
    #[argh(option, arg_name = "network")]
    pub lan: Vec<Cidr>,

    /// interface of the new site that becomes a portal to its exits (default: as the new site asks)
    #[argh(option, arg_name = "interface")]
    pub portal: Option<IfName>,

    /// use the new site as an exit of this site, too
    #[argh(switch, long = "use")]
    pub use_it: bool,

    /// wait for the site that asks, show its key, and let it in only after a yes
    #[argh(switch)]
    pub confirm: bool,

    /// show the token without the QR code
    #[argh(switch)]
    pub no_qr: bool,
}

/// List the tokens of this site, and what became of them.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "invites",
    example = "portals invites\nportals invites --revoke paris",
    note = "Tokens themselves are shown only once, by `portals invite`."
)]
pub struct InvitesCommand {
    /// make the token for this site useless
    #[argh(option, arg_name = "name")]
    pub revoke: Option<String>,

    /// let the site join that waits for a yes with the token for this site
    #[argh(option, arg_name = "name")]
    pub allow: Option<String>,
}

/// Make this machine a site of a network, with a token from `portals invite`: creates this site's key, asks
/// the site that has invited, starts the agent as `portals install` does, and waits for the network file.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "join",
    example = "portals join p1.… --portal eth1\nssh nyc portals invite paris | portals join -",
    note = "A join that was cut short goes on when the command is run again. It ends after a minute without \
            an answer. With --config, or where the agent runs already, no agent is started."
)]
pub struct JoinCommand {
    /// token, or `-` to read it from standard input
    #[argh(positional)]
    pub token: String,

    /// name of this site (default: the name in the invitation)
    #[argh(option)]
    pub name: Option<String>,

    /// private network behind this site that other sites may reach; may be given up to three times
    #[argh(option, arg_name = "network")]
    pub lan: Vec<Cidr>,

    /// host name or address, without a port, at which other sites reach this one; leave it out behind NAT
    #[argh(option, arg_name = "host")]
    pub endpoint: Option<String>,

    /// interface that becomes a portal to the exits in the invitation (default: no portal)
    #[argh(option, arg_name = "interface")]
    pub portal: Option<IfName>,

    /// neither install nor start the agent
    #[argh(switch)]
    pub no_start: bool,
}

/// Let the site join whose `portals join` has printed an answer: for networks in which no site can
/// be dialled.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "accept", example = "portals accept a1.…")]
pub struct AcceptCommand {
    /// answer of the new site, or `-` to read it from standard input
    #[argh(positional)]
    pub answer: String,
}
