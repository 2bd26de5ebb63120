//! hostapd for the access points of a card. Each line of its file is a setting, `key=value` up to the end of
//! the line (`hostapd_config_read` in its hostapd/config_file.c). Nothing is quoted, so a value may have
//! every character but a line break.

use std::fmt::Write as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::{Program, Service, ServiceFile, folder};
use crate::config::model::Security;
use crate::site::access_point::{AccessPoint, Offer};
use crate::system::child::{NET_ADMIN, NET_RAW};
use crate::wifi::card::is_two_ghz;

/// Program that offers Wi-Fi. It configures the card, and takes part in handshakes on raw sockets.
pub(super) const PROGRAM: Program = Program {
    name: "hostapd",
    package: "hostapd",
    purpose: "Wi-Fi",
    capabilities: Some(&[NET_ADMIN, NET_RAW]),
    asks: false,
    stays: &[],
};

/// Name of its file in the folder of the service.
const FILE: &str = "hostapd.conf";

/// Returns the service of one card.
pub(super) fn service(access_point: &AccessPoint, run_folder: &Path) -> Service {
    let name = format!("hostapd-{}", access_point.interface);
    Service {
        program: &PROGRAM,
        arguments: vec![folder(run_folder, &name).join(FILE).into()],
        if_known: &[],
        files: vec![ServiceFile {
            name: FILE,
            content: configuration(access_point).as_bytes().to_vec().into(),
        }],
        interface: Some(access_point.interface.clone()),
        name,
    }
}

/// Returns the configuration of one card.
fn configuration(access_point: &AccessPoint) -> Zeroizing<String> {
    // Twice the room that the text takes: a string that grows leaves copies of the passphrases in memory.
    let mut text = Zeroizing::new(String::with_capacity(1024 * (1 + access_point.networks.len())));
    radio(&mut text, access_point);
    for (index, offer) in access_point.networks.iter().enumerate() {
        if index > 0 {
            let _ = write!(text, "\nbss={}\nbssid={}\n", offer.interface, offer.address);
        }
        network(&mut text, offer);
    }
    text
}

fn radio(text: &mut String, access_point: &AccessPoint) {
    let AccessPoint { interface, country, channel, .. } = access_point;
    let mode = if is_two_ghz(*channel) { 'g' } else { 'a' };
    let _ = write!(
        text,
        "interface={interface}\ndriver=nl80211\nlogger_syslog=0\ncountry_code={country}\nieee80211d=1\n\
         hw_mode={mode}\nchannel={channel}\n"
    );
    for (is_set, line) in [
        (access_point.watches_radar, "ieee80211h=1\n"),
        (access_point.n, "ieee80211n=1\n"),
        (access_point.ac, "ieee80211ac=1\n"),
    ] {
        if is_set {
            text.push_str(line);
        }
    }
}

fn network(text: &mut String, offer: &Offer) {
    // In hexadecimal, so that a name may have every byte.
    text.push_str("ssid2=");
    for byte in &offer.ssid {
        let _ = write!(text, "{byte:02x}");
    }
    let hidden = u8::from(offer.hidden);
    let _ = write!(
        text,
        "\nutf8_ssid=1\nignore_broadcast_ssid={hidden}\nwmm_enabled=1\nauth_algs=1\nwpa=2\n\
         rsn_pairwise=CCMP\n"
    );
    text.push_str(match offer.security {
        Security::Wpa2 => "wpa_key_mgmt=WPA-PSK\n",
        // Management frames are protected for clients that support this; WPA3 demands it.
        Security::Both => "wpa_key_mgmt=WPA-PSK SAE\nieee80211w=1\nsae_require_mfp=1\nsae_pwe=2\n",
        Security::Wpa3 => "wpa_key_mgmt=SAE\nieee80211w=2\nsae_pwe=2\n",
    });
    // `wpa_passphrase` works for WPA3 as well and, unlike `sae_password`, has no options after a `|`.
    let key = if offer.passphrase.is_key() { "wpa_psk" } else { "wpa_passphrase" };
    let _ = writeln!(text, "{key}={}", offer.passphrase.text());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::net::Mac;
    use crate::wifi::passphrase::Passphrase;

    fn offer(interface: &str, ssid: &[u8], passphrase: &str) -> Offer {
        Offer {
            interface: interface.parse().unwrap(),
            address: Mac([2, 0, 0, 0, 0, 1]),
            ssid: ssid.to_vec(),
            hidden: false,
            security: Security::Both,
            passphrase: Passphrase::of(passphrase).unwrap(),
        }
    }

    fn access_point(networks: Vec<Offer>) -> AccessPoint {
        let interface = "wlan0".parse().unwrap();
        let (country, channel) = ("US".to_owned(), 6);
        AccessPoint { interface, country, channel, watches_radar: false, n: true, ac: false, networks }
    }

    /// Reads a file as `hostapd_config_read` does: it skips empty lines and lines that begin with `#`; a key
    /// ends at the first `=`.
    fn read(text: &str) -> Vec<(&str, &str)> {
        let lines = text.split('\n').filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| line.split_once('=').expect("hostapd refuses a line without =")).collect()
    }

    fn values<'a>(settings: &[(&str, &'a str)], key: &str) -> Vec<&'a str> {
        settings.iter().filter(|(found, _)| *found == key).map(|(_, value)| *value).collect()
    }

    #[test]
    fn hostapd_reads_the_settings_of_all_networks() {
        let mut hidden = offer("ap-tv", b"TV", &"0f".repeat(32));
        (hidden.hidden, hidden.security) = (true, Security::Wpa2);
        let mut access_point = access_point(vec![offer("wlan0", "Café".as_bytes(), " #|=\"\\ x "), hidden]);
        (access_point.channel, access_point.ac, access_point.watches_radar) = (52, true, true);
        let key = "0f".repeat(32);
        let expected = format!(
            "interface=wlan0
driver=nl80211
logger_syslog=0
country_code=US
ieee80211d=1
hw_mode=a
channel=52
ieee80211h=1
ieee80211n=1
ieee80211ac=1
ssid2=436166c3a9
utf8_ssid=1
ignore_broadcast_ssid=0
wmm_enabled=1
auth_algs=1
wpa=2
rsn_pairwise=CCMP
wpa_key_mgmt=WPA-PSK SAE
ieee80211w=1
sae_require_mfp=1
sae_pwe=2
wpa_passphrase= #|=\"\\ x \n
bss=ap-tv
bssid=02:00:00:00:00:01
ssid2=5456
utf8_ssid=1
ignore_broadcast_ssid=1
wmm_enabled=1
auth_algs=1
wpa=2
rsn_pairwise=CCMP
wpa_key_mgmt=WPA-PSK
wpa_psk={key}
"
        );
        assert_eq!(configuration(&access_point).as_str(), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 256, failure_persistence: None, ..ProptestConfig::default()
        })]

        #[test]
        fn no_name_and_no_passphrase_becomes_another_setting(
            ssids in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=32), 1..4),
            passphrase in "[ -~]{8,63}",
        ) {
            let names = ["wlan0", "ap-a", "ap-b"];
            let named = names.iter().zip(&ssids);
            let networks: Vec<Offer> = named.map(|(name, ssid)| offer(name, ssid, &passphrase)).collect();
            let plain = names[..ssids.len()].iter().map(|name| offer(name, b"x", "12345678")).collect();
            let text = configuration(&access_point(networks));
            let plain = configuration(&access_point(plain));
            let (settings, expected) = (read(&text), read(&plain));
            prop_assert!(settings.iter().map(|(key, _)| key).eq(expected.iter().map(|(key, _)| key)));
            prop_assert_eq!(values(&settings, "wpa_passphrase"), vec![passphrase.as_str(); ssids.len()]);
            let byte = |hex: &str, at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let decode = |hex: &str| (0..hex.len()).step_by(2).map(|at| byte(hex, at)).collect::<Vec<_>>();
            prop_assert_eq!(values(&settings, "ssid2").into_iter().map(decode).collect::<Vec<_>>(), ssids);
        }
    }
}
