//! Command lines of `portals invite`, `portals invites`, `portals join` and `portals accept`.

use super::fields::command;
use crate::base::net::{Cidr, IfName};

command! {
    /// Make a token with which one new site can join the network, with one paste, and without copying keys or
    /// files.
    pub struct InviteCommand = "invite",
        example "portals invite paris\nportals invite oslo --exits nyc,paris --confirm",
        note "The token goes to standard output, everything else to standard error. It is good for one site \
            and 24 hours: treat it as a password. The agent must run here, and admin.key must be next to the \
            network file. The other sites get the new file by themselves."
    {
        /// name of the new site, up to 12 characters of a-z, 0-9 and -
        pub name: String = "<name>";

        /// sites that the new site uses as exits, with commas between them, or `none` (default: this site)
        pub exits: Option<String> = "--exits <sites>";

        /// network behind the new site that other sites may reach; may be given several times (default: as
        /// the new site asks, if it is a private network)
        pub lan: Vec<Cidr> = "--lan <network...>";

        /// interface of the new site that becomes a portal to its exits (default: as the new site asks)
        pub portal: Option<IfName> = "--portal <interface>";

        /// use the new site as an exit of this site, too
        pub use_it: bool = "--use";

        /// wait for the site that asks, show its key, and let it in only after a yes
        pub confirm: bool = "--confirm";

        /// show the token without the QR code
        pub no_qr: bool = "--no-qr";
    }
}

command! {
    /// List the tokens of this site, and what became of them.
    pub struct InvitesCommand = "invites",
        example "portals invites\nportals invites --revoke paris",
        note "Tokens themselves are shown only once, by `portals invite`."
    {
        /// make the token for this site useless
        pub revoke: Option<String> = "--revoke <name>";

        /// let the site join that waits for a yes with the token for this site
        pub allow: Option<String> = "--allow <name>";
    }
}

command! {
    /// Make this machine a site of a network, with a token from `portals invite`: creates this site's key,
    /// asks the site that has invited, starts the agent as `portals install` does, and waits for the network
    /// file.
    pub struct JoinCommand = "join",
        example "portals join p1.… --portal eth1\nssh nyc portals invite paris | portals join -",
        note "A join that was cut short goes on when the command is run again. It ends after a minute \
            without an answer. With --config, or where the agent runs already, no agent is started."
    {
        /// token, or `-` to read it from standard input
        pub token: String = "<token>";

        /// name of this site (default: the name in the invitation)
        pub name: Option<String> = "--name <name>";

        /// private network behind this site that other sites may reach; may be given up to three times
        pub lan: Vec<Cidr> = "--lan <network...>";

        /// host name or address, without a port, at which other sites reach this one; leave it out behind NAT
        pub endpoint: Option<String> = "--endpoint <host>";

        /// interface that becomes a portal to the exits in the invitation (default: no portal)
        pub portal: Option<IfName> = "--portal <interface>";

        /// neither install nor start the agent
        pub no_start: bool = "--no-start";
    }
}

command! {
    /// Let the site join whose `portals join` has printed an answer: for networks in which no site can
    /// be dialled.
    pub struct AcceptCommand = "accept",
        example "portals accept a1.…"
    {
        /// answer of the new site, or `-` to read it from standard input
        pub answer: String = "<answer>";
    }
}
