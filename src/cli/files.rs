//! Command lines of `portals import` and `portals export`.

use std::path::PathBuf;

use super::fields::command;
use crate::base::net::Cidr;

command! {
    /// Convert a wg-quick file into a network file that makes this router do the same, or the files of
    /// several boxes into one network, with comments on everything that it leaves out.
    pub struct ImportCommand = "import",
        example "portals import /etc/wireguard/wg0.conf\n\
               portals import /etc/wireguard/wg0.conf --output /etc/portals/network.toml --keys\n\
               portals import nyc.conf paris.conf rome.conf --to mesh",
        note "With several files, each is a site with the name of its file, and the sites are numbered in \
            the order of the files. No command of a wg-quick file is run. Keys are written only to files, \
            and only with --keys or --to; existing files are never overwritten."
    {
        /// the wg-quick file, mode 600; or the files of several boxes, each named after its box
        pub files: Vec<PathBuf> = "<file...>";

        /// name of the network (default: home)
        pub network: Option<String> = "--network <network>";

        /// name of this site, up to 12 characters of a-z, 0-9 and - (default: this host's name); for a single
        /// file
        pub site: Option<String> = "--site <site>";

        /// number of this site, 1 to 250 (default: the number in the file's addresses, or 1); for a single
        /// file
        pub id: Option<u8> = "--id <id>";

        /// private IPv4 network for tunnels and portal LANs (default: a network that the files do not use)
        pub subnet: Option<Cidr> = "--subnet <subnet>";

        /// private IPv6 network for tunnels and portal LANs, which turns IPv6 on (default: on if the files
        /// have IPv6 that portals can carry)
        pub subnet6: Option<Cidr> = "--subnet6 <subnet6>";

        /// write the network file here instead of to standard output
        pub output: Option<PathBuf> = "--output <file>";

        /// put the wg-quick file and its private key next to the output, where the network file needs them,
        /// with mode 600; for a single file
        pub keys: bool = "--keys";

        /// with several files: write a folder with the network file and the private key for each box into
        /// this new folder
        pub to: Option<PathBuf> = "--to <folder>";
    }
}

command! {
    /// Print wg-quick files for a site that runs no portals.
    pub struct ExportCommand = "export",
        example "portals export oslo > to-nyc.conf\nportals export oslo --to /root/oslo",
        note "The private key is included only with --to, and only for the site of this machine. Files with \
            keys have mode 600; existing files of the same names are not replaced."
    {
        /// name of the site
        pub site: String = "<site>";

        /// write the files to this folder, one for each interface
        pub to: Option<PathBuf> = "--to <folder>";
    }
}
