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

/// Items of the list `exits` of New York.
fn items(text: &str) -> Vec<String> {
    let root = DeTable::parse(text).unwrap().into_inner();
    let list = entry(&root, &["site", "nyc"], "exits").unwrap().get_ref().as_array().unwrap();
    list.iter().map(|item| item.get_ref().as_str().unwrap().to_owned()).collect()
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
        assert_eq!(items(&back), items(&without), "{back}");
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
fn items_are_escaped() {
    let item = "a \"b\" \\ \n\r\u{7f}\t";
    for text in ["[site.nyc]\n", "[site.nyc]\nexits = []\n", "[site.nyc]\nexits = [\"x\"]\n"] {
        let with = add_to_list(text, &["site", "nyc"], "exits", item).unwrap();
        assert!(items(&with).contains(&item.to_owned()), "{with}");
        assert_eq!(add_to_list(&with, &["site", "nyc"], "exits", item).unwrap(), with);
        assert!(
            !items(&remove_from_list(&with, &["site", "nyc"], "exits", item).unwrap())
                .contains(&item.to_owned())
        );
    }
}

#[test]
fn comments_in_lists_stay_where_they_are() {
    for (with, without) in [
        ("[\n  # far\n  \"oslo\", # north\n  \"rome\", # south\n]", "[\n  # far\n  \"rome\", # south\n]"),
        ("[\n  \"rome\", # south, sun,\n  \"oslo\" # north\n]", "[\n  \"rome\" # south, sun,\n]"),
        ("[\n  \"rome\", # south\n  \"oslo\", # north\n]", "[\n  \"rome\", # south\n]"),
        ("[\n  \"rome\"\n  # north\n  , \"oslo\"\n]", "[\n  \"rome\"\n  # north\n]"),
        ("[\n  \"oslo\" # north\n  , \"rome\" # south\n]", "[\n   \"rome\" # south\n]"),
        ("[ \"oslo\", # north\n  \"rome\" ]", "[ # north\n  \"rome\" ]"),
        ("[ \"rome\", # south\n  \"oslo\" ]", "[ \"rome\" # south\n   ]"),
        ("[\n  \"rome\", \"oslo\", # both\n]", "[\n  \"rome\", # both\n]"),
        ("[\n  \"oslo\", \"rome\", # both\n]", "[\n  \"rome\", # both\n]"),
        ("[\n  \"oslo\" # alone\n]", "[\n]"),
        ("[\"oslo\", # alone\n]", "[# alone\n]"),
        ("[\"a,#\", \"oslo\", 'b,#']", "[\"a,#\", 'b,#']"),
        ("[\"oslo\" , \"rome\"]", "[\"rome\"]"),
    ] {
        let [with, without] = [with, without].map(|list| format!("[site.nyc]\nexits = {list}\n"));
        let after = remove_from_list(&with, &["site", "nyc"], "exits", "oslo").unwrap();
        assert_eq!(after, without, "{with}");
    }
}

#[test]
fn lists_in_any_table_change() {
    for text in [
        "site.nyc.exits = [\"oslo\"]\n",
        "[site]\nnyc.exits = [\"oslo\"]\n",
        "[site]\nnyc = { exits = [\"oslo\"] }\n",
    ] {
        let after = remove_from_list(text, &["site", "nyc"], "exits", "oslo").unwrap();
        assert_eq!(after, text.replace("\"oslo\"", ""));
        assert_eq!(add_to_list(&after, &["site", "nyc"], "exits", "oslo").unwrap(), text);
    }
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
fn dotted_keys_go_with_their_table() {
    for (with, without) in [
        (
            "[site.nyc]\nid = 1\n[site.paris]\nid = 2\nportal.tv.exit = \"nyc\"\n[phone.mike]\nid = 1\n",
            "[site.nyc]\nid = 1\n[phone.mike]\nid = 1\n",
        ),
        (
            "site.nyc.id = 1\n# Paris\nsite.paris.id = 2\nsite.\"paris\".exits = [\n\"nyc\", # near\n]\n\n\
             [network]\n",
            "site.nyc.id = 1\n\n[network]\n",
        ),
        (
            "[site]\nparis.id = 2\nnyc.id = 1\nparis.port = 1 # odd\n\n[network]\n",
            "[site]\nnyc.id = 1\n\n[network]\n",
        ),
        (
            "[site.paris.portal.tv]\nexit = \"nyc\"\n# all sites\n[site]\nparis.id = 2\nnyc.id = 1\n",
            "# all sites\n[site]\nnyc.id = 1\n",
        ),
        ("[site]\nparis = { id = 2 }\nnyc = { id = 1 }\n", "[site]\nnyc = { id = 1 }\n"),
        ("[site.paris.portal]\ntv.exit = \"nyc\"\n[site.paris]\nid = 2\n[network]\n", "[network]\n"),
    ] {
        assert_eq!(remove(with, &["site", "paris"]).unwrap(), without, "{with}");
    }
}

#[test]
fn a_comment_above_a_header_belongs_to_it() {
    let text = "# Sites\n\n# New York\n[site.nyc]\nid = 1\n# Paris\n[site.paris]\nid = 2\n\
                # Oslo\n# in the north\n[site.oslo]\nid = 3\n\n# loose\n";
    let without = |name| remove(text, &["site", name]).unwrap();
    assert_eq!(without("nyc"), text.replace("# New York\n[site.nyc]\nid = 1\n", ""));
    assert_eq!(without("paris"), text.replace("# Paris\n[site.paris]\nid = 2\n", ""));
    assert_eq!(without("oslo"), text.replace("# Oslo\n# in the north\n[site.oslo]\nid = 3\n", ""));
}

#[test]
fn a_text_with_hashes_is_kept_whole() {
    let text = "[network]\nname = \"\"\"\n# inside\"\"\"\n[site.nyc]\nid = 1\n";
    assert!(remove(text, &["site", "nyc"]).is_err());
}

#[test]
fn the_line_ends_of_a_file_stay() {
    type Change<'c> = &'c dyn Fn(&str) -> Result<String>;
    let with_returns = |text: &str| text.replace('\n', "\r\n");
    let file = FILE.replace("[\"paris\", \"oslo\"]", "[\n  \"paris\",\n  \"oslo\" # far\n]");
    let changes: [Change; 8] = [
        &|text| set(text, &["network"], "serial", "7"),
        &|text| set(text, &["network"], "name", "\"house\""),
        &|text| add_to_list(text, &["phone", "mike"], "dns", "9.9.9.9"),
        &|text| add_to_list(text, &["site", "nyc"], "exits", "rome"),
        &|text| remove_from_list(text, &["site", "nyc"], "exits", "oslo"),
        &|text| remove(text, &["site", "nyc"]),
        &|text| remove(text, &["phone", "mike"]),
        &|text| Ok(append(text, "[site.rome]\nid = 3\n\n[phone.kim]\nid = 2\n")),
    ];
    for (number, change) in changes.iter().enumerate() {
        let after = change(&with_returns(&file)).unwrap();
        assert_eq!(after, with_returns(&change(&file).unwrap()), "{number}");
    }
    let cut = with_returns(FILE.trim_end());
    assert_eq!(set(&cut, &["phone", "mike"], "id", "1").unwrap(), format!("{cut}\r\nid = 1\r\n"));
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
        "site = { nyc.id = 1 }\n",
        "[site]\nnyc = { id = 1 }\n",
        "[site]\nnyc.id = 1\n",
        "site.nyc.id = 1\n",
        "\n\n[site]\nnyc = 1\n",
        "[[site.nyc]]\nid = 1\n",
    ] {
        let is_unusual = |result: Result<String>| {
            let error = result.unwrap_err().to_string();
            error.starts_with("line ") && error.contains("by hand")
        };
        assert!(is_unusual(set(text, &["site", "nyc"], "port", "1")), "{text}");
        assert!(is_unusual(add_to_list(text, &["site", "nyc"], "a", "b")), "{text}");
        if text.contains("site = {") || text.contains("[[") {
            assert!(is_unusual(remove(text, &["site", "nyc"])), "{text}");
        }
    }
    let text = "[site.nyc]\nportal.tv.exit = \"a\"\n[site.nyc.exit.oslo]\n";
    assert!(set(text, &["site", "nyc"], "portal", "1").is_err() && set(text, &["site"], "nyc", "1").is_err());
    assert!(add_to_list(text, &["site", "nyc"], "portal", "1").is_err());
    let error = set("[site.nyc.portal.tv]\n", &["site", "oslo"], "port", "1").unwrap_err().to_string();
    assert_eq!(error, "the network file has no [site.oslo]: add it first");
    assert!(set("[site", &["site"], "port", "1").unwrap_err().to_string().contains("portals plan"));
}

#[test]
fn quoted_names_are_names() {
    let text = "[site.\"nyc\"]\nid = 1\n";
    assert_eq!(set(text, &["site", "nyc"], "id", "2").unwrap(), "[site.\"nyc\"]\nid = 2\n");
}
