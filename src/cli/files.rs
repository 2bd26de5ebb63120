//! Command lines of `portals import` and `portals export`.

use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

use crate::base::net::Cidr;

/// Convert a wg-quick file into a network file that makes this router do the same, or the files of several
/// boxes into one network, with comments on everything that it leaves out.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "import",
    example = "portals import /etc/wireguard/wg0.conf\n\
               portals import /etc/wireguard/wg0.conf --output /etc/portals/network.toml --keys\n\
               portals import nyc.conf paris.conf rome.conf --to mesh",
    note = "With several files, each is a site with the name of its file, and the sites are numbered in the \
            order of the files. No command of a wg-quick file is run. Keys are written only to files, and \
            only with --keys or --to; existing files are never overwritten."
)]
pub struct ImportCommand {
    /// the wg-quick file, mode 600; or the files of several boxes, each named after its box
    #[argh(positional, arg_name = "file")]
    pub files: Vec<PathBuf>,

    /// name of the network (default: home)
    #[argh(option, default = "String::from(\"home\")")]
    pub network: String,

    /// name of this site, up to 12 characters of a-z, 0-9 and - (default: this host's name); for a single
    /// file
    #[argh(option)]
    pub site: Option<String>,

    /// number of this site, 1 to 250 (default: the number in the file's addresses, or 1); for a single file
    #[argh(option)]
    pub id: Option<u8>,

    /// private IPv4 network for tunnels and portal LANs (default: a network that the files do not use)
    #[argh(option)]
    pub subnet: Option<Cidr>,

    /// private IPv6 network for tunnels and portal LANs, which turns IPv6 on (default: on if the files have
    /// IPv6 that portals can carry)
    #[argh(option)]
    pub subnet6: Option<Cidr>,

    /// write the network file here instead of to standard output
    #[argh(option, arg_name = "file")]
    pub output: Option<PathBuf>,

    /// put the wg-quick file and its private key next to the output, where the network file needs them, with
    /// mode 600; for a single file
    #[argh(switch)]
    pub keys: bool,

    /// with several files: write a folder with the network file and the private key for each box into this
    /// new folder
    #[argh(option, arg_name = "folder")]
    pub to: Option<PathBuf>,
}

/// Print wg-quick files for a site that runs no portals.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "export",
    example = "portals export oslo > to-nyc.conf\nportals export oslo --to /root/oslo",
    note = "The private key is included only with --to, and only for the site of this machine. Files with \
            keys have mode 600; existing files of the same names are not replaced."
)]
pub struct ExportCommand {
    /// name of the site
    #[argh(positional)]
    pub site: String,

    /// write the files to this folder, one for each interface
    #[argh(option, arg_name = "folder")]
    pub to: Option<PathBuf>,
}
