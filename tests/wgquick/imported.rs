//! Network files of `portals import` and wg-quick files of `portals export`: each is made from the other.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use wg_portals::base::keys;
use wg_portals::base::net::Secret;
use wg_portals::base::sorted::SortedMap;
use wg_portals::config;
use wg_portals::interop::export;
use wg_portals::interop::import::{Wishes, exit_name, network_file};
use wg_portals::wgquick::{Parsed, parse};

fn read(text: &str) -> Parsed {
    parse(text.as_bytes()).unwrap_or_else(|faults| panic!("{text}\n{faults:?}"))
}

fn imported(parsed: &Parsed, exit: &str) -> String {
    let key = parsed.config.interface.private_key.as_ref().unwrap();
    let wishes = Wishes {
        network: "home",
        site: "nyc",
        id: None,
        subnet: None,
        subnet6: None,
        public_key: keys::public_key(key),
        exit,
    };
    network_file(parsed, &wishes).unwrap()
}

/// Files in `import/` give the network files next to them. `UPDATE_GOLDEN=1` writes the current ones.
#[test]
fn every_file_is_imported_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wgquick/import");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        cases += 1;
        let exit = exit_name(&path.file_stem().unwrap().to_string_lossy(), "nyc");
        let text = imported(&read(&fs::read_to_string(&path).unwrap()), &exit);
        config::parse(&text).unwrap_or_else(|faults| panic!("{text}\n{faults:?}"));
        let expected = path.with_extension("toml");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &text).unwrap();
        }
        assert_eq!(fs::read_to_string(&expected).unwrap_or_default(), text, "{}", path.display());
        assert!(
            !text.contains("8Gp4NTUJAq3H2DgkpQT2HxJvkEN0OmEX0ApKNKpqkX4="),
            "no key is in a network file"
        );
    }
    assert!(cases >= 4);
}

#[test]
fn a_file_without_peers_is_refused() {
    let parsed = read("[Interface]\nPrivateKey = 8Gp4NTUJAq3H2DgkpQT2HxJvkEN0OmEX0ApKNKpqkX4=\n");
    let public_key = keys::public_key(&Secret::new([1; 32]));
    let wishes = Wishes {
        network: "home",
        site: "nyc",
        id: None,
        subnet: None,
        subnet6: None,
        public_key,
        exit: "wg0",
    };
    assert_eq!(
        network_file(&parsed, &wishes).unwrap_err().to_string(),
        "the file has no `[Peer]`, so it links to nothing: get a complete file from the other end"
    );
}

/// Independently of the golden files: a table that every packet looks up is equivalent to no table.
#[test]
fn a_table_that_every_packet_looks_up_takes_in_the_router() {
    let file = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wgquick/import/main-table.conf"),
    )
    .unwrap();
    for (table, enters) in [
        ("main", true),
        ("254", true),
        ("0xfe", true),
        ("0", true),
        ("local", true),
        ("auto", true),
        ("off", false),
        ("1234", false),
        ("vpn", false),
        ("253", false),
    ] {
        let text = imported(&read(&file.replace("Table = main", &format!("Table = {table}"))), "old");
        let portals = config::parse(&text).unwrap().sites["nyc"].portals.len();
        assert_eq!(portals == 1, enters, "{table}: {text}");
    }
}

#[test]
fn a_file_that_dials_without_ipv4_of_its_own_is_refused() {
    let mut parsed = dialling("0.0.0.0/0");
    parsed.config.interface.addresses = vec!["fd00::2/128".parse().unwrap()];
    let public_key = keys::public_key(&Secret::new([1; 32]));
    let wishes = Wishes {
        network: "home",
        site: "nyc",
        id: None,
        subnet: None,
        subnet6: None,
        public_key,
        exit: "wg0",
    };
    let refusal = network_file(&parsed, &wishes).unwrap_err().to_string();
    assert!(refusal.contains("no IPv4 `Address`"), "{refusal}");
}

/// A file that dials a peer with these allowed IPs.
fn dialling(allowed_ips: &str) -> Parsed {
    let key = "8Gp4NTUJAq3H2DgkpQT2HxJvkEN0OmEX0ApKNKpqkX4=";
    read(&format!(
        "[Interface]\nPrivateKey = {key}\nAddress = 10.2.0.2/32\n[Peer]\n\
         PublicKey = Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI=\n\
         AllowedIPs = {allowed_ips}\nEndpoint = 192.0.2.5:51820\n"
    ))
}

#[test]
fn two_halves_are_everything() {
    let text = imported(&dialling("0.0.0.0/1, 128.0.0.0/1"), "old");
    assert!(config::parse(&text).unwrap().sites["nyc"].portals[0].to.is_empty(), "{text}");
}

#[test]
fn ipv6_that_leaves_in_the_clear_is_told_of() {
    let warns = |allowed_ips| imported(&dialling(allowed_ips), "old").contains("LEAVES IN THE CLEAR");
    assert!(warns("10.9.0.0/16, 2001:db8::/32") && !warns("0.0.0.0/0, ::/0") && !warns("10.9.0.0/16"));
}

#[test]
fn ipv6_outside_of_the_files_networks_is_told_of() {
    let tells = |allowed_ips: &str| {
        let mut parsed = dialling(allowed_ips);
        parsed.config.interface.addresses.push("fd00::2/128".parse().unwrap());
        let text = imported(&parsed, "old");
        assert!(text.contains("\nsubnet6 = \"fd") && config::parse(&text).is_ok(), "{text}");
        text.contains("a portal for all destinations blocks it")
    };
    assert!(tells("0.0.0.0/0, 2001:db8::/32"));
    assert!(!tells("0.0.0.0/0, ::/0") && !tells("0.0.0.0/0, ::/1, 8000::/1"));
    assert!(!tells("10.9.0.0/16, 2001:db8::/32"));
}

#[test]
fn a_wish_turns_ipv6_on() {
    let parsed = dialling("0.0.0.0/0");
    let public_key = keys::public_key(&Secret::new([1; 32]));
    let subnet6 = Some("fd77:1:2::/48".parse().unwrap());
    let wishes =
        Wishes { network: "home", site: "nyc", id: None, subnet: None, subnet6, public_key, exit: "old" };
    let text = network_file(&parsed, &wishes).unwrap();
    let expected = "[network]\nname    = \"home\"\nsubnet  = \"10.77.0.0/16\"\nsubnet6 = \"fd77:1:2::/48\"\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_file_that_sends_no_ipv4_is_refused() {
    let public_key = keys::public_key(&Secret::new([1; 32]));
    let wishes = Wishes {
        network: "home",
        site: "nyc",
        id: None,
        subnet: None,
        subnet6: None,
        public_key,
        exit: "wg0",
    };
    let refusal = network_file(&dialling("::/0"), &wishes).unwrap_err().to_string();
    assert!(refusal.contains("no IPv4"), "{refusal}");
}

#[test]
fn an_import_that_cannot_be_written_leaves_no_key() {
    let folder = env::temp_dir().join(format!("portals-import-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (file, output) = (folder.join("wg0.conf"), folder.join("network.toml"));
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wgquick/import/everything.conf"), &file)
        .unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let import = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portals"));
        command.arg("import").arg(&file).args(["--site", "nyc", "--keys", "--output"]).arg(&output);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    fs::write(&output, "mine").unwrap();
    let refusal = import();
    let key_is_there = folder.join("private.key").exists();
    fs::remove_file(&output).unwrap();
    let done = import();
    fs::remove_dir_all(&folder).unwrap();
    assert!(refusal.0 == Some(2) && refusal.1.contains("exists") && !key_is_there, "{refusal:?}");
    assert_eq!(done, (Some(0), String::new()));
}

/// Pre-shared keys of a server's peers reach the files of phones, and phones that are shown have them. The
/// folder of the output is made for its owner alone.
#[test]
fn pre_shared_keys_of_peers_go_into_separate_files() {
    let folder = env::temp_dir().join(format!("portals-import-server-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (file, output) = (folder.join("wg0.conf"), folder.join("new/network.toml"));
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wgquick/import/server.conf"), &file).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let portals = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portals"));
        let output = command.args(arguments).current_dir(&folder).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let import = ["import", "wg0.conf", "--site", "nyc", "--keys", "--output", "new/network.toml"];
    let (status, _, words) = portals(&import);
    assert_eq!(status, Some(0), "{words}");
    assert!(words.contains("warning: wg0.conf: other users can read the keys in this file"), "{words}");
    let secret = folder.join("new/peer-1.psk");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&secret), mode(&folder.join("new"))), (0o600, 0o700));
    let key = "8Gp4NTUJAq3H2DgkpQT2HxJvkEN0OmEX0ApKNKpqkX4=";
    assert_eq!(fs::read_to_string(&secret).unwrap().trim(), key);
    assert!(!fs::read_to_string(&output).unwrap().contains(key));
    let (status, _, words) = portals(&["--config", "new/network.toml", "export", "nyc", "--to", "out"]);
    assert_eq!(status, Some(0), "{words}");
    let exported = fs::read_to_string(folder.join("out/portals0.conf")).unwrap();
    assert!(exported.contains(&format!("PresharedKey = {key}")), "{exported}");
    fs::remove_file(&secret).unwrap();
    let (_, _, words) = portals(&["--config", "new/network.toml", "export", "nyc", "--to", "out"]);
    fs::remove_dir_all(&folder).unwrap();
    assert!(words.contains("put the pre-shared key of phone `peer-1` there, with mode 600"), "{words}");
}

#[test]
fn keys_without_an_output_are_refused_before_any_reading() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portals"));
    let output = command.args(["import", "no-such.conf", "--keys"]).output().unwrap();
    let refusal = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && refusal.contains("--output FILE"), "{refusal}");
}

#[test]
fn exits_are_named_after_files() {
    let names = ["wg0", "Mullvad_CH.5", "direct", "été", "a-very-long-name", "NYC"];
    let expected = ["wg0", "mullvad-ch-5", "vpn", "t", "a-very-long-", "vpn"];
    assert_eq!(names.map(|stem| exit_name(stem, "nyc")), expected);
    assert_eq!(exit_name("direct", "vpn"), "provider");
}

/// Every exported file of a network is read back unchanged, and imported: into an exit if the box dials, into
/// phones if peers dial the box.
#[test]
fn exported_files_are_imported() {
    let key = |id: u8| Secret::new([id; 32]);
    let public = |id: u8| keys::public_key(&key(id));
    let text = format!(
        "[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\n\n\
         [site.nyc]\nid = 1\npublic_key = \"{}\"\nendpoint = \"nyc.example.net\"\nexits = [\"oslo\"]\n\n\
         [site.paris]\nid = 2\npublic_key = \"{}\"\nendpoint = \"2001:db8::9\"\nlinks = [\"oslo\"]\n\
         lan = [\"192.168.7.0/24\"]\n\n\
         [site.oslo]\nid = 3\npublic_key = \"{}\"\nexits = [\"nyc\"]\n\n\
         [site.rome]\nid = 4\npublic_key = \"{}\"\n\n\
         [phone.mike]\nid = 1\nat = \"rome\"\npublic_key = \"{}\"\n",
        public(1),
        public(2),
        public(3),
        public(4),
        public(5)
    );
    let network = config::parse(&text).unwrap_or_else(|faults| panic!("{faults:?}"));
    let files = |site: &str, id: u8, secret: Option<Secret>| {
        let files = export::files(&network, site, Some(&key(id)), secret.as_ref(), &SortedMap::new());
        let texts = files.iter().map(|file| (file.interface.to_string(), file.to_text()));
        texts.map(|(name, text)| (name, read(&text), text.to_string())).collect::<Vec<_>>()
    };
    let [(shared, links, links_text), (exit, way, way_text)] = &files("oslo", 3, None)[..] else {
        panic!("two")
    };
    assert_eq!((shared.as_str(), exit.as_str()), ("portals0", "to-nyc"));
    let allowed: Vec<String> = way.config.peers[0].allowed_ips.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["0.0.0.0/0", "::/0"], "no IPv6 leaves in the clear");
    assert_eq!(way.config.interface.listen_port, Some(51821));
    assert_eq!(way.config.peers[0].endpoint.as_ref().unwrap().to_string(), "nyc.example.net:51823");
    assert_eq!(links.config.peers[0].endpoint.as_ref().unwrap().to_string(), "[2001:db8::9]:51820");
    assert!(way_text.contains("# PostUp = iptables -t nat -A POSTROUTING -s 10.77.1.0/24 "), "{way_text}");
    assert!(!links_text.contains("PostUp"), "{links_text}");
    // The settings in comments are right, too.
    assert!(read(&way_text.replace("# PostUp", "PostUp")).remarks.len() == 2);

    let network_of = |parsed: &Parsed| config::parse(&imported(parsed, "old")).unwrap();
    let router = &network_of(way).sites["nyc"].portals[0];
    assert!(router.to.is_empty());
    let router = &network_of(links).sites["nyc"].portals[0];
    let to: Vec<String> = router.to.iter().map(ToString::to_string).collect();
    assert_eq!(to, ["10.77.2.0/24", "192.168.7.0/24"]);
    let hub = network_of(&files("rome", 4, None)[0].1);
    assert_eq!((hub.subnet, hub.sites["nyc"].id), (network.subnet, 4));
    assert_eq!((hub.phones["peer-1"].id, hub.phones["peer-1"].public_key), (1, public(5)));

    let psk = files("oslo", 3, Some(key(9)))[1].1.config.peers[0].preshared_key.clone();
    assert!(psk == Some(keys::preshared_key(&key(9), public(3), public(1))));
}

/// Files of a network with IPv6 carry IPv6, too.
#[test]
fn exported_files_have_ipv6() {
    let public = |id: u8| keys::public_key(&Secret::new([id; 32]));
    let text = format!(
        "[network]\nname = \"home\"\nsubnet = \"10.77.0.0/16\"\nsubnet6 = \"fd77:1:2::/48\"\n\n\
         [site.nyc]\nid = 1\npublic_key = \"{}\"\nendpoint = \"192.0.2.1\"\nexits = [\"oslo\"]\n\n\
         [site.oslo]\nid = 3\npublic_key = \"{}\"\nexits = [\"nyc\"]\n\n\
         [phone.mike]\nid = 1\nat = \"nyc\"\npublic_key = \"{}\"\n",
        public(1),
        public(3),
        public(5)
    );
    let network = config::parse(&text).unwrap_or_else(|faults| panic!("{faults:?}"));
    let [phones, way] = &export::files(&network, "nyc", None, None, &SortedMap::new())[..] else {
        panic!("two")
    };
    let (text, phones) = (way.to_text(), phones.to_text());
    for line in [
        "\nAddress = 10.77.1.1/32, fd77:1:2:100::1/128\n",
        "\nAllowedIPs = 0.0.0.0/0, ::/0\n",
        "\n# PostUp = sysctl -q -w net.ipv6.conf.all.forwarding=1\n",
        "\n# PostUp = iptables -t nat -A POSTROUTING -s 10.77.3.0/24 ! -d 10.77.0.0/16 ! -o %i \
         -j MASQUERADE\n",
        "\n# PostUp = ip6tables -t nat -A POSTROUTING -s fd77:1:2:300::/56 ! -d fd77:1:2::/48 ! -o %i \
         -j MASQUERADE\n",
    ] {
        assert!(text.contains(line), "{line}{}", text.as_str());
    }
    assert!(!text.contains("IPv6 ends there"), "{}", text.as_str());
    assert!(phones.contains("\nAllowedIPs = 10.77.1.2/32, fd77:1:2:100::2/128\n"), "{}", phones.as_str());
    let hub = network_of(&phones.replace("<the private key goes here>", KEY));
    assert_eq!((hub.subnet6.unwrap().network, hub.sites["nyc"].id), (network.subnet6.unwrap().network, 1));
    assert_eq!(hub.phones["peer-1"].public_key, public(5));
}

const KEY: &str = "8Gp4NTUJAq3H2DgkpQT2HxJvkEN0OmEX0ApKNKpqkX4=";

/// Network that is imported from the text of a wg-quick file.
fn network_of(text: &str) -> config::model::Network {
    config::parse(&imported(&read(text), "old")).unwrap()
}
