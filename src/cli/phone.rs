//! Command lines of `portals phone`.

use std::net::IpAddr;
use std::path::PathBuf;

use super::fields::{command, commands};

commands! {
    /// Add, show, list and remove phones: devices with an ordinary WireGuard app, which dial a site and leave
    /// at its exits.
    pub enum PhoneAction = "phone" {
        "Commands":
        /// `portals phone add`
        Add(PhoneAdd),
        /// `portals phone show`
        Show(PhoneShow),
        /// `portals phone list`
        List(PhoneList),
        /// `portals phone remove`
        Remove(PhoneRemove),
    }
}

command! {
    /// Create a phone's key, add the phone to the network file, and show the file for its WireGuard app, also
    /// as a QR code.
    pub struct PhoneAdd = "add",
        example "portals phone add mike --exit paris",
        note "The private key is shown once, and stored nowhere unless --keep-key is given. Comments and \
            order of the network file stay as they are."
    {
        /// name of the phone, up to 12 characters of a-z, 0-9 and -
        pub name: String = "<name>";

        /// site that the phone dials (default: this site)
        pub at: Option<String> = "--at <site>";

        /// exit of that site where the phone's traffic leaves (default: the site itself)
        pub exit: Option<String> = "--exit <exit>";

        /// resolver that the phone asks, through its exit; may be given several times (default: 9.9.9.9 and
        /// 149.112.112.112)
        pub dns: Vec<IpAddr> = "--dns <address...>";

        /// number of the phone, 1 to 62, unique in the network (default: the lowest free number)
        pub id: Option<u8> = "--id <id>";

        /// keep the phone's private key in phones/NAME.key next to the network file, so that `portals phone
        /// show` can show it again
        pub keep_key: bool = "--keep-key";

        /// write the QR code to this file as well, as a PNG image
        pub png: Option<PathBuf> = "--png <file>";

        /// write the QR code to this file as well, as an SVG drawing
        pub svg: Option<PathBuf> = "--svg <file>";

        /// show the file without the QR code
        pub no_qr: bool = "--no-qr";

        /// write the file to this new file, mode 600, and print neither the file nor its QR code
        pub output: Option<PathBuf> = "--output <file>";
    }
}

command! {
    /// Show the file for a phone's WireGuard app again, if the phone was added with --keep-key.
    pub struct PhoneShow = "show",
        example "portals phone show mike --output mike.conf"
    {
        /// name of the phone
        pub name: String = "<name>";

        /// write the QR code to this file as well, as a PNG image
        pub png: Option<PathBuf> = "--png <file>";

        /// write the QR code to this file as well, as an SVG drawing
        pub svg: Option<PathBuf> = "--svg <file>";

        /// show the file without the QR code
        pub no_qr: bool = "--no-qr";

        /// write the file to this new file, mode 600, and print neither the file nor its QR code
        pub output: Option<PathBuf> = "--output <file>";
    }
}

command! {
    /// List the phones of the network file.
    pub struct PhoneList = "list" {}
}

command! {
    /// Remove a phone from the network file, and its kept key from this machine.
    pub struct PhoneRemove = "remove" {
        /// name of the phone
        pub name: String = "<name>";
    }
}
