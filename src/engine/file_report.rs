//! Report of `portals status` about the network file on disk.

use crate::base::net::PublicKey;
use crate::config::model::Network;
use crate::signed::{FileStanding, standing, was_signed};

/// Network file on disk, in a network with admin keys.
#[derive(Debug)]
pub struct FileReport {
    /// Serial of the file.
    pub serial: u64,
    /// Signature of the file.
    pub signature: FileSignature,
}

/// Signature of the network file.
#[derive(Debug, PartialEq, Eq)]
pub enum FileSignature {
    /// The admin key with this public half has signed the file.
    By(PublicKey),
    /// The file was changed after it was signed.
    Outdated,
    /// The file has no signature.
    Missing,
    /// The file was made when this site joined, and waits for the first signed file.
    Awaited,
}

impl FileReport {
    /// Returns the report about a file; `None` if its network has no admin keys.
    pub fn of(text: &str, network: &Network) -> Option<Self> {
        let signature = match standing(text, &network.admins) {
            FileStanding::Unsigned => return None,
            FileStanding::Signed(admin) => FileSignature::By(admin),
            FileStanding::Edited if network.serial == 0 => FileSignature::Awaited,
            FileStanding::Edited if was_signed(text) => FileSignature::Outdated,
            FileStanding::Edited => FileSignature::Missing,
        };
        Some(Self { serial: network.serial, signature })
    }
}

impl FileSignature {
    /// Returns the word in `portals status --json`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::By(_) => "signed",
            Self::Outdated => "edited",
            Self::Missing => "unsigned",
            Self::Awaited => "provisional",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::public_key;
    use crate::base::net::Secret;
    use crate::config::parse;
    use crate::signed::{admin_public, sign};

    #[test]
    fn a_signature_is_told_from_an_outdated_one() {
        let seed = Secret::new([100; 32]);
        let (admin, key) = (admin_public(&seed), public_key(&Secret::new([1; 32])));
        let file = |serial: u64, admins: &str| {
            format!(
                "[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\nserial = {serial}\nadmins = \
                 [{admins}]\n[site.nyc]\nid = 1\npublic_key = \"{key}\"\n"
            )
        };
        let text = file(7, &format!("\"{admin}\""));
        let signed = sign(&text, &seed);
        let foreign = sign(&text, &Secret::new([101; 32]));
        let of = |text: &str| FileReport::of(text, &parse(text).unwrap());
        for (text, signature) in [
            (&signed, FileSignature::By(admin)),
            (&signed.replace("id = 1", "id = 2"), FileSignature::Outdated),
            (
                &(signed.clone() + "[site.nyc.portal.tv]\ninterface = \"eth1\"\nexit = \"direct\"\n"),
                FileSignature::Outdated,
            ),
            (&foreign, FileSignature::Outdated),
            (&format!("# signature: see the end\n{text}"), FileSignature::Missing),
            (&text, FileSignature::Missing),
            (&text.replace("serial = 7", "serial = 0"), FileSignature::Awaited),
        ] {
            let report = of(text).unwrap();
            assert_eq!(report.signature, signature, "{text}");
            assert_eq!(report.serial, if signature == FileSignature::Awaited { 0 } else { 7 });
        }
        assert!(of(&file(7, "")).is_none(), "nobody signs the files of this network");
    }
}
