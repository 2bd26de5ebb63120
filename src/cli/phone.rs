//! `portals phone …`

use std::net::IpAddr;
use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

/// Devices with an ordinary WireGuard app, which dial a site and leave at its exits.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "phone")]
pub struct Phone {
    /// what to do
    #[argh(subcommand)]
    pub command: PhoneCommand,
}

/// What to do with a phone.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum PhoneCommand {
    /// `portals phone add`
    Add(PhoneAdd),
    /// `portals phone show`
    Show(PhoneShow),
}

/// Make a phone's key, write the phone into the network file, and show the file for its WireGuard app, as a QR code too.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "add",
    example = "portals phone add mike --exit paris",
    note = "The private key is in what is shown, and nowhere else unless --keep-key is given. Comments and order of the network file \
            stay as they are."
)]
pub struct PhoneAdd {
    /// name of the phone, up to 12 of a-z 0-9 -
    #[argh(positional)]
    pub name: String,

    /// the site it dials (default: this one)
    #[argh(option, arg_name = "site")]
    pub at: Option<String>,

    /// where its traffic leaves: an exit of that site (default: at the site itself)
    #[argh(option)]
    pub exit: Option<String>,

    /// resolver that it asks, through its exit; may be given several times (default: 9.9.9.9 and 149.112.112.112)
    #[argh(option, arg_name = "address")]
    pub dns: Vec<IpAddr>,

    /// number of the phone, 1 to 62, unique in the network (default: the lowest that is free)
    #[argh(option)]
    pub id: Option<u8>,

    /// keep its private key in phones/NAME.key beside the network file, so that `portals phone show` can show it again
    #[argh(switch)]
    pub keep_key: bool,

    /// write the QR code as an image to this file, too
    #[argh(option, arg_name = "file")]
    pub png: Option<PathBuf>,

    /// write the QR code as a drawing to this file, too
    #[argh(option, arg_name = "file")]
    pub svg: Option<PathBuf>,

    /// show the file without the QR code
    #[argh(switch)]
    pub no_qr: bool,
}

/// Show again the file for the app of a phone that was added with --keep-key.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "show", example = "portals phone show mike --no-qr > mike.conf")]
pub struct PhoneShow {
    /// name of the phone
    #[argh(positional)]
    pub name: String,

    /// write the QR code as an image to this file, too
    #[argh(option, arg_name = "file")]
    pub png: Option<PathBuf>,

    /// write the QR code as a drawing to this file, too
    #[argh(option, arg_name = "file")]
    pub svg: Option<PathBuf>,

    /// show the file without the QR code
    #[argh(switch)]
    pub no_qr: bool,
}
