//! Command line of `portals init`.

use argh::{ArgsInfo, FromArgs};

use crate::base::net::{Cidr, IfName};

/// Create this site's key, an admin key, and a first network file that the admin key signs. On a terminal and
/// without options, `init` asks.
#[derive(FromArgs, ArgsInfo, Debug, Default)]
#[argh(
    subcommand,
    name = "init",
    example = "portals init --site nyc --endpoint nyc.example.net --portal eth1",
    note = "An existing network file or key is never overwritten. If the network file exists, only a missing \
            private key is created."
)]
pub struct InitCommand {
    /// name of the network, up to 16 characters of a-z, 0-9 and - (default: home)
    #[argh(option)]
    pub network: Option<String>,

    /// name of this site, up to 12 characters of a-z, 0-9 and - (default: this host's name)
    #[argh(option)]
    pub site: Option<String>,

    /// number of this site, 1 to 250, unique in the network (default: 1)
    #[argh(option)]
    pub id: Option<u8>,

    /// private IPv4 network for tunnels and portal LANs (default: 10.77.0.0/16)
    #[argh(option)]
    pub subnet: Option<Cidr>,

    /// host name or address, without a port, at which other sites reach this one; leave it out behind NAT
    #[argh(option)]
    pub endpoint: Option<String>,

    /// interface that is to become a portal; the file gets the portal as a comment, because this network has
    /// no exit yet
    #[argh(option, arg_name = "interface")]
    pub portal: Option<IfName>,
}

impl InitCommand {
    /// Returns the options that were given.
    pub fn given(&self) -> Vec<&'static str> {
        let mut given = Vec::new();
        for (name, is_given) in [
            ("--network", self.network.is_some()),
            ("--site", self.site.is_some()),
            ("--id", self.id.is_some()),
            ("--subnet", self.subnet.is_some()),
            ("--endpoint", self.endpoint.is_some()),
            ("--portal", self.portal.is_some()),
        ] {
            if is_given {
                given.push(name);
            }
        }
        given
    }
}
