//! `portals interfaces` on interfaces of the kernel. Needs root, or `unshare -Urnm`.

mod namespace;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use namespace::{inside, ip};

/// Standard output and standard error of `portals interfaces`.
fn interfaces(file: &Path, option: &str) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portals"));
    command.arg("interfaces").args(option.split_whitespace()).arg("--config").arg(file);
    let output = command.output().unwrap();
    let words = |bytes| String::from_utf8(bytes).unwrap();
    let (said, complained) = (words(output.stdout), words(output.stderr));
    assert!(output.status.success(), "{complained}");
    (said, complained)
}

#[test]
fn each_interface_has_a_state_and_a_use() {
    inside(|| {
        let folder = std::env::temp_dir().join(format!("portals-interfaces-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let file = folder.join("network.toml");
        ip("link add br-lan type bridge");
        ip("link add eth1 type veth peer name eth2");
        ip("link add eth3 type veth peer name eth4");
        ip("link set eth2 master br-lan");
        ip("address add 192.168.1.1/24 dev eth4");
        ip("link set eth1 up");
        ip("link set eth2 up");
        ip("link set eth3 up");
        let (_, complained) = interfaces(&file, "");
        assert_eq!(complained, "", "no file is no fault");
        let mut init = Command::new(env!("CARGO_BIN_EXE_portals"));
        init.args(["init", "--site", "nyc", "--config"]).arg(&file);
        assert!(init.output().unwrap().status.success());
        let text = fs::read_to_string(&file).unwrap();
        let portal = "\n[site.nyc.portal.guest]\nexit = \"direct\"\ninterface = \"eth1\"\n";
        fs::write(&file, text + portal).unwrap();
        let expected = "  br-lan           off      bridge    free\n  \
                        eth1             up       virtual   portal guest\n  \
                        eth2             up       virtual   port of bridge br-lan\n  \
                        eth3             no link  virtual   free\n  \
                        eth4             off      virtual   LAN                       192.168.1.1/24\n";
        // The kernel takes a moment to tell the ends of a cable from each other.
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut seen = interfaces(&file, "");
        while seen.0 != expected && Instant::now() < deadline {
            sleep(Duration::from_millis(100));
            seen = interfaces(&file, "");
        }
        assert_eq!(seen, (expected.to_owned(), String::new()));
        let (json, _) = interfaces(&file, "--json");
        let guest = concat!(
            r#"{"name":"eth1","kind":"virtual","state":"up","addresses":[],"#,
            r#""use":"portal","portals":["guest"]}"#
        );
        assert!(json.contains(guest), "{json}");
        fs::remove_file(folder.join("private.key")).unwrap();
        let (said, complained) = interfaces(&file, "");
        assert!(said.contains("eth1             up       virtual   free\n"), "{said}");
        assert!(complained.contains("no portals are shown"), "{complained}");
        fs::remove_dir_all(folder).unwrap();
    });
}
