//! Command line of `portals init`.

use super::fields::command;
use crate::base::net::{Cidr, IfName};

command! {
    /// Create this site's key, an admin key, and a first network file that the admin key signs. On a terminal
    /// and without options, `init` asks.
    pub struct InitCommand = "init",
        example "portals init --site nyc --endpoint nyc.example.net --portal eth1",
        note "An existing network file or key is never overwritten. If the network file exists, only a \
            missing private key is created."
    {
        /// name of the network, up to 16 characters of a-z, 0-9 and - (default: home)
        pub network: Option<String> = "--network <network>";

        /// name of this site, up to 12 characters of a-z, 0-9 and - (default: this host's name)
        pub site: Option<String> = "--site <site>";

        /// number of this site, 1 to 250, unique in the network (default: 1)
        pub id: Option<u8> = "--id <id>";

        /// private IPv4 network for tunnels and portal LANs (default: 10.77.0.0/16)
        pub subnet: Option<Cidr> = "--subnet <subnet>";

        /// host name or address, without a port, at which other sites reach this one; leave it out behind NAT
        pub endpoint: Option<String> = "--endpoint <endpoint>";

        /// interface that is to become a portal; the file gets the portal as a comment, because this network
        /// has no exit yet
        pub portal: Option<IfName> = "--portal <interface>";
    }
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
