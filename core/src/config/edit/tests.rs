use super::*;

const FILE: &str = r#"# Sites of the family

[network]
name   = "home"   # our name
subnet = "10.77.0.0/16"

# New York
[site.nyc]
id         = 1
exits      = ["paris", "oslo"]   # both

# the television
[site.nyc.portal.tv]
exit = "paris"
interface = "eth1"

# a loose comment

[site.paris]
id = 2
links = []
# the last of Paris

[phone.mike]
at = "nyc"
"#;

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// Lines that one text has and the other has not.
fn difference(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let without = |one: &str, other: &str| {
        let other = lines(other);
        lines(one).into_iter().filter(|line| !other.contains(line)).map(str::to_owned).collect()
    };
    (without(before, after), without(after, before))
}

#[test]
fn a_value_is_replaced_in_its_place() {
    let after = set(FILE, &["network"], "name", "\"house\"").unwrap();
    assert_eq!(after, FILE.replace("\"home\"", "\"house\""));
    let after = set(FILE, &["site", "nyc"], "exits", "[]").unwrap();
    assert_eq!(after, FILE.replace("[\"paris\", \"oslo\"]", "[]"));
}

#[test]
fn a_new_key_follows_the_last_one() {
    let after = set(FILE, &["network"], "serial", "7").unwrap();
    let last = "subnet = \"10.77.0.0/16\"\n";
    assert_eq!(after, FILE.replace(last, &format!("{last}serial = 7\n")));
    let after = set(FILE, &["site", "nyc"], "port", "51000").unwrap();
    assert_eq!(after, FILE.replace("# both\n", "# both\nport       = 51000\n"));
    assert_eq!(set("[network]", &["network"], "serial", "1").unwrap(), "[network]\nserial = 1\n");
    assert_eq!(set("[network]\r\n", &["network"], "serial", "1").unwrap(), "[network]\r\nserial = 1\r\n");
}

#[test]
fn lists_get_and_lose_items() {
    let exits = |list: &str| format!("[site.nyc]\nexits = {list}\n");
    for (without, with) in [
        ("[]", "[\"rome\"]"),
        ("[\"oslo\"]", "[\"oslo\", \"rome\"]"),
        ("[\"oslo\",]", "[\"oslo\", \"rome\",]"),
        ("[\n  \"oslo\", # far\n]", "[\n  \"oslo\", \"rome\", # far\n]"),
    ] {
        let (without, with) = (exits(without), exits(with));
        assert_eq!(add_to_list(&without, &["site", "nyc"], "exits", "rome").unwrap(), with);
        assert_eq!(add_to_list(&with, &["site", "nyc"], "exits", "rome").unwrap(), with);
        assert_eq!(remove_from_list(&without, &["site", "nyc"], "exits", "rome").unwrap(), without);
        let back = remove_from_list(&with, &["site", "nyc"], "exits", "rome").unwrap();
        let exits = |text: &str| {
            let root = read(text).unwrap();
            let list = walk(&root, &["site", "nyc", "exits"]).unwrap().get_ref().as_array().unwrap().clone();
            list.iter().map(|item| item.get_ref().as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(exits(&back), exits(&without), "{back}");
    }
    let first =
        remove_from_list(&exits("[\"paris\", \"oslo\"]"), &["site", "nyc"], "exits", "paris").unwrap();
    assert_eq!(first, exits("[\"oslo\"]"));
    let last = remove_from_list(&exits("[\"paris\", \"oslo\"]"), &["site", "nyc"], "exits", "oslo").unwrap();
    assert_eq!(last, exits("[\"paris\"]"));
    let new = add_to_list(FILE, &["phone", "mike"], "dns", "9.9.9.9").unwrap();
    assert_eq!(new, FILE.replace("at = \"nyc\"\n", "at = \"nyc\"\ndns = [\"9.9.9.9\"]\n"));
}

#[test]
fn sections_come_and_go() {
    let after = append(FILE, "[site.rome]\nid = 3\n");
    assert_eq!(after, format!("{FILE}\n[site.rome]\nid = 3\n"));
    assert_eq!(remove(&after, &["site", "rome"]).unwrap(), FILE);
    let (gone, new) = difference(FILE, &remove(FILE, &["site", "nyc"]).unwrap());
    assert_eq!(new, Vec::<String>::new());
    assert_eq!(
        gone,
        [
            "# New York",
            "[site.nyc]",
            "id         = 1",
            "exits      = [\"paris\", \"oslo\"]   # both",
            "# the television",
            "[site.nyc.portal.tv]",
            "exit = \"paris\"",
            "interface = \"eth1\""
        ]
    );
    let (gone, _) = difference(FILE, &remove(FILE, &["site", "paris"]).unwrap());
    assert_eq!(gone, ["[site.paris]", "id = 2", "links = []", "# the last of Paris"]);
    let (gone, _) = difference(FILE, &remove(FILE, &["site", "nyc", "portal", "tv"]).unwrap());
    assert_eq!(gone.len(), 4);
}

#[test]
fn a_change_drops_the_signature() {
    let signed = format!("{FILE}# signature: AAAA\n");
    assert_eq!(set(&signed, &["network"], "name", "\"home\"").unwrap(), FILE);
    assert_eq!(append(&signed, "[site.rome]\n"), append(FILE, "[site.rome]\n"));
    assert_eq!(add_to_list(&signed, &["site", "nyc"], "exits", "oslo").unwrap(), FILE);
}

#[test]
fn unusual_layouts_are_left_to_people() {
    for text in [
        "site = { nyc = { id = 1 } }\n",
        "[site]\nnyc = { id = 1 }\n",
        "[site]\nnyc.id = 1\n",
        "site.nyc.id = 1\n",
        "\n\n[site]\nnyc = 1\n",
    ] {
        let error = set(text, &["site", "nyc"], "port", "1").unwrap_err().to_string();
        assert!(error.starts_with("line ") && error.contains("by hand"), "{error}");
        assert!(
            remove(text, &["site", "nyc"]).is_err() && add_to_list(text, &["site", "nyc"], "a", "b").is_err()
        );
    }
    let error = set("[site.nyc.portal.tv]\n", &["site", "oslo"], "port", "1").unwrap_err().to_string();
    assert_eq!(error, "the network file has no [site.oslo]: add it first");
    assert!(set("[site", &["site"], "port", "1").unwrap_err().to_string().contains("portals plan"));
}

#[test]
fn quoted_names_are_names() {
    let text = "[site.\"nyc\"]\nid = 1\n";
    assert_eq!(set(text, &["site", "nyc"], "id", "2").unwrap(), "[site.\"nyc\"]\nid = 2\n");
}
