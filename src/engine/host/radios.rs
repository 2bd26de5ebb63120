//! Wi-Fi cards that a network file names.

use std::path::Path;

use crate::base::error::Result;
use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::kernel::nl80211::Wireless;
use crate::site::access_point::Radios;
use crate::system::disk::{self, kernel_text};

/// Files from which the kernel knows the rules of countries, in all places where it looks for them (`fw_path`
/// in drivers/base/firmware_loader/main.c).
const RULES: [&str; 6] = [
    "/lib/firmware/regulatory.db",
    "/lib/firmware/regulatory.db.xz",
    "/lib/firmware/regulatory.db.zst",
    "/lib/firmware/updates/regulatory.db",
    "/lib/firmware/updates/regulatory.db.xz",
    "/lib/firmware/updates/regulatory.db.zst",
];

/// Reads the cards among `interfaces`. Asks the kernel nothing if there are no interfaces.
pub(super) fn read(interfaces: &SortedSet<IfName>) -> Result<Radios> {
    if interfaces.is_empty() {
        return Ok(Radios::default());
    }
    let mut radios = Radios::default();
    if let Some(mut wireless) = Wireless::find()? {
        radios.cards = wireless.cards(interfaces.iter())?;
    }
    for (interface, card) in radios.cards.iter_mut() {
        card.is_switched_off = is_switched_off(interface);
    }
    radios.knows_countries = RULES.iter().any(|path| Path::new(path).exists());
    Ok(radios)
}

/// Reports whether a card is switched off, by the files that Documentation/ABI/stable/sysfs-class-rfkill
/// describes. A card whose files cannot be read counts as switched on.
fn is_switched_off(interface: &IfName) -> bool {
    let folder = format!("/sys/class/net/{interface}/phy80211");
    let is_set = |path: &Path| kernel_text(path).is_ok_and(|text| text.trim() == "1");
    for entry in disk::entries(folder.as_ref()).unwrap_or_default() {
        if entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"rfkill"))
            && (is_set(&entry.join("soft")) || is_set(&entry.join("hard")))
        {
            return true;
        }
    }
    false
}
