//! Wi-Fi cards that a network file names.

use std::fs;
use std::path::Path;

use crate::base::error::Result;
use crate::base::net::IfName;
use crate::base::sorted::SortedSet;
use crate::kernel::nl80211::Wireless;
use crate::site::access_point::Radios;
use crate::system::disk::kernel_text;

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
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let is_set = |path: &Path| kernel_text(path).is_ok_and(|text| text.trim() == "1");
    for entry in entries {
        let Ok(entry) = entry else { continue };
        if entry.file_name().as_encoded_bytes().starts_with(b"rfkill")
            && ["soft", "hard"].iter().any(|name| is_set(&entry.path().join(name)))
        {
            return true;
        }
    }
    false
}
