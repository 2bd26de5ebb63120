//! `portals import`, `portals export`

use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

use crate::base::net::Cidr;

/// Make a network file of a file of wg-quick, that has this router do the same; with comments on what is not.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "import",
    example = "portals import /etc/wireguard/wg0.conf\nportals import /etc/wireguard/wg0.conf --output /etc/portals/network.toml --keys",
    note = "No program of the file is run. Keys go into files alone, and with --keys only; nothing that exists is overwritten."
)]
pub struct Import {
    /// file of wg-quick, mode 600
    #[argh(positional)]
    pub file: PathBuf,

    /// name of the network (default: home)
    #[argh(option, default = "String::from(\"home\")")]
    pub network: String,

    /// name of this site, up to 12 of a-z 0-9 - (default: this host's name)
    #[argh(option)]
    pub site: Option<String>,

    /// number of this site, 1 to 250 (default: 1, or what addresses tell)
    #[argh(option)]
    pub id: Option<u8>,

    /// private IPv4 network for tunnels and portal LANs (default: one that the file does not use)
    #[argh(option)]
    pub subnet: Option<Cidr>,

    /// write it to this file, and not to standard output
    #[argh(option, arg_name = "file")]
    pub output: Option<PathBuf>,

    /// put the file of wg-quick and its private key beside the output, as the network file needs them, with mode 600
    #[argh(switch)]
    pub keys: bool,
}

/// Print files of wg-quick for a site that runs no portals.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "export",
    example = "portals export oslo > to-nyc.conf\nportals export oslo --to /root/oslo",
    note = "The private key is in them only with --to, and if it is this very site. Files with keys have mode 600; what is there already under their names is not replaced."
)]
pub struct Export {
    /// name of the site
    #[argh(positional)]
    pub site: String,

    /// write them to this folder, one for each interface
    #[argh(option, arg_name = "folder")]
    pub to: Option<PathBuf>,
}
