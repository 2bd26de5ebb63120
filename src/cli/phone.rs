//! Command lines of `portals phone`.

use std::net::IpAddr;
use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

/// Add, show, list and remove phones: devices with an ordinary WireGuard app, which dial a site and leave at
/// its exits.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "phone")]
pub struct PhoneCommand {
    /// action to take
    #[argh(subcommand)]
    pub command: PhoneAction,
}

/// Command for a phone.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
pub enum PhoneAction {
    /// `portals phone add`
    Add(PhoneAdd),
    /// `portals phone show`
    Show(PhoneShow),
    /// `portals phone list`
    List(PhoneList),
    /// `portals phone remove`
    Remove(PhoneRemove),
}

/// Create a phone's key, add the phone to the network file, and show the file for its WireGuard app, also as
/// a QR code.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "add",
    example = "portals phone add mike --exit paris",
    note = "The private key is shown once, and stored nowhere unless --keep-key is given. Comments and \
            order of the network file stay as they are."
)]
pub struct PhoneAdd {
    /// name of the phone, up to 12 characters of a-z, 0-9 and -
    #[argh(positional)]
    pub name: String,

    /// site that the phone dials (default: this site)
    #[argh(option, arg_name = "site")]
    pub at: Option<String>,

    /// exit of that site where the phone's traffic leaves (default: the site itself)
    #[argh(option)]
    pub exit: Option<String>,

    /// resolver that the phone asks, through its exit; may be given several times (default: 9.9.9.9 and
    /// 149.112.112.112)
    #[argh(option, arg_name = "address")]
    pub dns: Vec<IpAddr>,

    /// number of the phone, 1 to 62, unique in the network (default: the lowest free number)
    #[argh(option)]
    pub id: Option<u8>,

    /// keep the phone's private key in phones/NAME.key next to the network file, so that `portals phone show`
    /// can show it again
    #[argh(switch)]
    pub keep_key: bool,

    /// write the QR code to this file as well, as a PNG image
    #[argh(option, arg_name = "file")]
    pub png: Option<PathBuf>,

    /// write the QR code to this file as well, as an SVG drawing
    #[argh(option, arg_name = "file")]
    pub svg: Option<PathBuf>,

    /// show the file without the QR code
    #[argh(switch)]
    pub no_qr: bool,
}

/// Show the file for a phone's WireGuard app again, if the phone was added with --keep-key.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "show", example = "portals phone show mike --no-qr > mike.conf")]
pub struct PhoneShow {
    /// name of the phone
    #[argh(positional)]
    pub name: String,

    /// write the QR code to this file as well, as a PNG image
    #[argh(option, arg_name = "file")]
    pub png: Option<PathBuf>,

    /// write the QR code to this file as well, as an SVG drawing
    #[argh(option, arg_name = "file")]
    pub svg: Option<PathBuf>,

    /// show the file without the QR code
    #[argh(switch)]
    pub no_qr: bool,
}

/// List the phones of the network file.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "list")]
pub struct PhoneList {}

/// Remove a phone from the network file, and its kept key from this machine.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "remove")]
pub struct PhoneRemove {
    /// name of the phone
    #[argh(positional)]
    pub name: String,
}
