//! Judgement of a file from another site.

use std::fmt;

use super::OwnStanding;
use crate::base::net::PublicKey;
use crate::config::model::Network;
use crate::config::parse;
use crate::signed::{FileStanding, standing};

/// This site, which is to take a file.
#[derive(Debug)]
pub struct Taker<'a> {
    /// Network of its own file.
    pub network: &'a Network,
    /// Standing of its own file.
    pub standing: OwnStanding,
    /// Public key of the site.
    pub key: PublicKey,
    /// Set if it drops its own changes.
    pub is_pulling: bool,
}

/// Reason to refuse a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The own file was changed here.
    OwnEdited,
    /// No admin of the own file has signed it.
    NotSigned,
    /// It is not a network file.
    Broken(String),
    /// It is the file of another network.
    OtherNetwork,
    /// It has another serial than the offer.
    OtherSerial,
    /// It is not newer than the own file.
    NotNewer,
    /// It does not name this site.
    Removed(u64),
}

/// Returns the standing of a file with admins; `None` for a network without admins.
pub fn own_standing(text: &str, network: &Network) -> Option<OwnStanding> {
    match standing(text, &network.admins) {
        FileStanding::Unsigned => None,
        FileStanding::Signed(_) => Some(OwnStanding::Signed),
        FileStanding::Edited if network.serial == 0 => Some(OwnStanding::Provisional),
        FileStanding::Edited => Some(OwnStanding::Edited),
    }
}

/// Returns the network of a file that this site may take.
pub fn judge(taker: &Taker, text: &str, serial: u64) -> Result<Network, Refusal> {
    let own = taker.network;
    if taker.standing == OwnStanding::Edited && !taker.is_pulling {
        return Err(Refusal::OwnEdited);
    }
    if !matches!(standing(text, &own.admins), FileStanding::Signed(_)) {
        return Err(Refusal::NotSigned);
    }
    let network = parse(text).map_err(|faults| Refusal::Broken(faults[0].message.clone()))?;
    if network.name != own.name {
        return Err(Refusal::OtherNetwork);
    }
    if network.serial != serial {
        return Err(Refusal::OtherSerial);
    }
    if taker.standing != OwnStanding::Edited && network.serial <= own.serial {
        return Err(Refusal::NotNewer);
    }
    if !network.sites.values().any(|site| site.public_key == taker.key) {
        return Err(Refusal::Removed(network.serial));
    }
    Ok(network)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnEdited => "the network file was changed here",
            Self::NotSigned => "no admin of this network has signed it",
            Self::Broken(fault) => return write!(f, "it is not a network file: {fault}"),
            Self::OtherNetwork => "it belongs to another network",
            Self::OtherSerial => "its serial is not the one that was offered",
            Self::NotNewer => "it is not newer than the own one",
            Self::Removed(serial) => {
                return write!(f, "this site was removed from the network by serial {serial}");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::keys::public_key;
    use crate::base::net::Secret;
    use crate::signed::{admin_public, sign};

    fn seed(byte: u8) -> Secret {
        Secret::new([byte; 32])
    }

    fn site_key(byte: u8) -> PublicKey {
        public_key(&seed(byte))
    }

    /// Returns a file of a network with the admin 100, and one site.
    fn file(name: &str, serial: u64, site: u8) -> String {
        let (admin, key) = (admin_public(&seed(100)), site_key(site));
        format!(
            "[network]\nname = \"{name}\"\nsubnet = \"10.77.0.0/16\"\nserial = {serial}\nadmins = \
             [\"{admin}\"]\n[site.oslo]\nid = 1\npublic_key = \"{key}\"\n"
        )
    }

    fn judged(own: &str, is_pulling: bool, text: &str, serial: u64) -> Result<u64, Refusal> {
        let network = parse(own).unwrap();
        let standing = own_standing(own, &network).unwrap();
        let taker = Taker { network: &network, standing, key: site_key(1), is_pulling };
        judge(&taker, text, serial).map(|network| network.serial)
    }

    #[test]
    fn only_newer_files_of_an_admin_are_taken() {
        let signed = |name, serial, site| sign(&file(name, serial, site), &seed(100));
        let own = signed("home", 4, 1);
        let newer = signed("home", 5, 1);
        let foreign = sign(&file("home", 5, 1), &seed(101));
        let altered = newer.replace("oslo", "rome");
        let broken = sign(&format!("{}id = 2\n", file("home", 5, 1)), &seed(100));
        assert_eq!(judged(&own, false, &newer, 5), Ok(5));
        for (text, serial, refusal) in [
            (file("home", 5, 1), 5, Refusal::NotSigned),
            (foreign, 5, Refusal::NotSigned),
            (altered, 5, Refusal::NotSigned),
            (signed("work", 5, 1), 5, Refusal::OtherNetwork),
            (newer.clone(), 6, Refusal::OtherSerial),
            (signed("home", 4, 1), 4, Refusal::NotNewer),
            (signed("home", 3, 1), 3, Refusal::NotNewer),
            (signed("home", 5, 2), 5, Refusal::Removed(5)),
        ] {
            assert_eq!(judged(&own, false, &text, serial), Err(refusal));
        }
        assert!(matches!(judged(&own, false, &broken, 5), Err(Refusal::Broken(_))));
    }

    #[test]
    fn a_file_that_was_changed_here_is_kept_unless_it_is_dropped() {
        let signed = |serial| sign(&file("home", serial, 1), &seed(100));
        let edited = file("home", 9, 1);
        assert_eq!(judged(&edited, false, &signed(10), 10), Err(Refusal::OwnEdited));
        assert_eq!(judged(&edited, true, &signed(8), 8), Ok(8), "its serial means nothing");
        assert_eq!(judged(&file("home", 0, 1), false, &signed(1), 1), Ok(1), "it is provisional");
    }
}
