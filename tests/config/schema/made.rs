//! The schema: keys, types, ranges and words from the parser, descriptions from the documentation.

use std::sync::LazyLock;

use wg_portals::config::model::MOST_ADMINS;

use super::json::Json;
use super::parser::{self, Shape, Type};
use super::words::description;

const NAME: &str = "[a-z0-9-]{1,12}";
const NETWORK_NAME: &str = "[a-z0-9-]{1,16}";
const OCTET: &str = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
/// Group of an IPv6 address.
const GROUP: &str = "[0-9A-Fa-f]{1,4}";
const LENGTH: &str = "/0*(3[0-2]|[12]?[0-9])";
const LENGTH6: &str = "/0*(12[0-8]|1[01][0-9]|[1-9]?[0-9])";
const INTERFACE: &str = "[A-Za-z0-9._@+-]{1,15}";
const KEY: &str = "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=";
const PORT: &str = "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
/// Labels of a host name. The last one is not a number.
const LABEL: &str = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const LAST_LABEL: &str = "[0-9]*([A-Za-z]|[0-9]-+[A-Za-z0-9])([A-Za-z0-9-]*[A-Za-z0-9])?";
/// Text without control characters.
const PLAIN: &str = r"[^\u0000-\u001f\u007f-\u009f]";
/// Addresses that are not of a single host: unspecified and multicast ones.
const NO_HOST: &str = "^([0:.]+|2(2[4-9]|3[0-9])\\.[0-9.]+|[Ff]{2}[0-9A-Fa-f]{2}:.*)$";
/// Addresses that are not on the IPv4 internet, or not of a single host there.
const NO_INTERNET: &str = "^(10|127|169\\.254|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168|2(2[4-9]|3[0-9]))\\.|\
                           ^(0\\.0\\.0\\.0|255\\.255\\.255\\.255)$";
/// Labels that are longer than a name server allows.
const LONG_LABEL: &str = "[A-Za-z0-9-]{64}";
/// Words that are no hop of a chain.
const NO_HOP: &str = "^(direct|via) via | via (direct|via)( via |$)";
/// Interfaces that portals creates, or that have no devices.
const NO_ENTRANCES: [&str; 4] = [".", "..", "lo", "portals0"];
/// Ports of DNS and DHCP.
const ROUTERS_OWN: [u64; 5] = [53, 67, 68, 546, 547];
/// Entrances with a LAN of their own.
const WITH_LAN: [&str; 3] = ["interface", "vlan", "wifi"];

/// The whole schema.
pub(super) static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
    let file = [("$schema", "http://json-schema.org/draft-07/schema#"), ("title", "Network file of portals")];
    Json::object(file.map(|(key, text)| (key, text.into())))
        .with([("type", "object".into()), ("required", Json::texts(&["network", "site"]))])
        .with([("properties", properties("", "")), ("additionalProperties", Json::Flag(false))])
});

/// Returns the schemas of all keys of a section. `path` is the header of such a section.
fn properties(section: &str, path: &str) -> Json {
    let keys = parser::keys(path);
    Json::Object(keys.into_iter().map(|key| (key.clone(), property(section, path, &key))).collect())
}

fn property(section: &str, path: &str, key: &str) -> Json {
    let described = Json::object([("description", description(section, key).into())]);
    let (kind, shape) = parser::type_of(path, key);
    let one = match kind {
        Type::Table => table(section, path, key),
        Type::Number => number(path, key),
        Type::Flag if parser::is_always_true(path, key) => Json::object([("const", Json::Flag(true))]),
        Type::Flag => typed("boolean", []),
        Type::Text => match parser::choices(path, key) {
            Some(words) => Json::object([("enum", Json::texts(&words))]),
            None => text(section, key),
        },
    };
    let value = match shape {
        Shape::Single => one,
        Shape::List => list(path, key, one),
        Shape::SingleOrList => {
            let list = list(path, key, one.clone());
            Json::object([("anyOf", Json::List(vec![one, list]))])
        }
    };
    value.entries().iter().fold(described, |all, (key, value)| all.with([(key.as_str(), value.clone())]))
}

fn typed<const N: usize>(name: &str, more: [(&str, Json); N]) -> Json {
    Json::object([("type", name.into())]).with(more)
}

fn list(path: &str, key: &str, items: Json) -> Json {
    let mut list = typed("array", [("items", items), ("uniqueItems", Json::Flag(true))]);
    if !parser::takes(path, &format!("{key} = []")) {
        list = list.with([("minItems", Json::Number(1))]);
    }
    if key == "admins" {
        list = list.with([("maxItems", Json::Number(MOST_ADMINS as u64))]);
    }
    list
}

fn number(path: &str, key: &str) -> Json {
    let [first, last] = parser::range(path, key);
    if key == "channel" {
        let taken = (first..=last).filter(|number| parser::takes(path, &format!("{key} = {number}")));
        return Json::object([("enum", Json::List(taken.map(Json::Number).collect()))]);
    }
    let mut number = typed("integer", [("minimum", Json::Number(first)), ("maximum", Json::Number(last))]);
    if key == "helper_port" {
        let taken = Json::List(ROUTERS_OWN.map(Json::Number).into());
        number = number.with([("not", Json::object([("enum", taken)]))]);
    }
    if !parser::takes(path, &format!("{key} = \"auto\"")) {
        return number;
    }
    Json::object([("anyOf", Json::List(vec![number, Json::object([("const", "auto".into())])]))])
}

/// Returns the schema of a table with fixed keys, or of the tables with names inside it.
fn table(section: &str, path: &str, key: &str) -> Json {
    let own = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    // Any name will do.
    let name = match (section, key) {
        ("", "site") => Some("nyc"),
        ("", "phone") => Some("mike"),
        ("site", "portal") => Some("guest"),
        ("site", "exit") => Some("mullvad"),
        _ => None,
    };
    let inner = name.map_or(own.clone(), |name| format!("{own}.{name}"));
    let mut one = typed("object", []);
    let required = parser::required(&inner);
    if !required.is_empty() {
        one = one.with([("required", Json::texts(&required))]);
    }
    if key == "portal" {
        let one_of = parser::entrances();
        let one_of = one_of.iter().map(|key| Json::object([("required", Json::texts(&[key]))]));
        one = one.with([("oneOf", Json::List(one_of.collect()))]);
    }
    if let Some(dependencies) = dependencies(key) {
        one = one.with([("dependencies", dependencies)]);
    }
    one = one.with([("properties", properties(key, &inner)), ("additionalProperties", Json::Flag(false))]);
    if name.is_none() {
        return one;
    }
    let pattern = format!("^{NAME}$");
    let names = Json::Object(vec![(pattern, one)]);
    let mut all =
        typed("object", [("patternProperties", names), ("additionalProperties", Json::Flag(false))]);
    if matches!(key, "site" | "exit") {
        let direct = Json::object([("not", Json::object([("const", "direct".into())]))]);
        all = all.with([("propertyNames", direct)]);
    }
    all
}

/// Returns the conditions under which a table takes some of its keys, if there are any.
fn dependencies(section: &str) -> Option<Json> {
    let with = |keys: &[&str]| Json::object([("required", Json::texts(keys))]);
    let without = |key| Json::object([("not", with(&[key]))]);
    let any = |schemas: Vec<Json>| Json::object([("anyOf", Json::List(schemas))]);
    let value = |key, schema| Json::object([("properties", Json::object([(key, schema)]))]);
    let of_lan = || WITH_LAN.iter().map(|key| with(&[key])).collect::<Vec<_>>();
    // Without a LAN, these can be switched off only.
    let flag_of_lan = |key| {
        let mut schemas = of_lan();
        schemas.push(value(key, Json::object([("const", Json::Flag(false))])));
        any(schemas)
    };
    let no_resolver = Json::object([("maxItems", Json::Number(0))]);
    let mtu = Json::object([("type", "integer".into()), ("minimum", Json::Number(1280))]);
    Some(match section {
        "network" => Json::object([("subnet6", value("mtu", mtu))]),
        "site" => Json::object([
            ("helper_port", Json::texts(&["endpoint"])),
            ("relay", Json::texts(&["endpoint"])),
            ("dns", Json::texts(&["lan"])),
        ]),
        "portal" => Json::object([
            ("address", any(of_lan())),
            ("dhcp", flag_of_lan("dhcp")),
            ("page", flag_of_lan("page")),
            ("dns", any(vec![without("self"), value("dns", no_resolver)])),
            ("router", without("self")),
            ("inbound", without("self")),
            ("ntp", Json::texts(&["self"])),
        ]),
        _ => return None,
    })
}

/// Returns the schema of a text. The parser has functions for these texts, which no message shows.
fn text(section: &str, key: &str) -> Json {
    let (ipv4, ipv6) = (ipv4(), format!("({}|::{})", ipv6_from(GROUP), ipv6_tail()));
    let address = format!("({ipv4}|{ipv6})");
    let (network4, network6) = (format!("{ipv4}({LENGTH})?"), format!("{ipv6}({LENGTH6})?"));
    let network = format!("({network4}|{network6})");
    let pattern = match (section, key) {
        ("network", "name") => NETWORK_NAME.to_owned(),
        ("network", "subnet") => private("2[0-3]"),
        ("portal", "address") => private("2[0-9]|30"),
        ("network", "subnet6") => {
            format!("{}/0*([7-9]|[1-4][0-9]|5[0-5])", ipv6_from("[Ff][CcDd][0-9A-Fa-f]{2}"))
        }
        (_, "admins" | "public_key") => KEY.to_owned(),
        (_, "dns") => address,
        (_, "probe") => format!("({ipv4}|{})", ipv6_from("[23][0-9A-Fa-f]{3}")),
        (_, "endpoint") => format!("({address}|({LABEL}\\.)*{LAST_LABEL})"),
        (_, "exits" | "links" | "at") => NAME.to_owned(),
        (_, "exit") => format!("{NAME}( via {NAME})*"),
        (_, "lan") => {
            let under = |network| format!("{network}\\s+as\\s+{network}");
            format!("({network}|\\s*({}|{})\\s*)", under(&network4), under(&network6))
        }
        (_, "from" | "to" | "except") => network,
        (_, "mac") => "[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}".to_owned(),
        (_, "ports") => format!("(tcp|udp)/{PORT}(-{PORT})?"),
        (_, "uplink" | "interface" | "parent") => INTERFACE.to_owned(),
        (_, "hook" | "dyndns" | "config" | "passphrase_file" | "preshared_key_file") => format!("{PLAIN}+"),
        ("wifi", "ssid") => format!("{PLAIN}{{1,32}}"),
        ("wifi", "country") => "[A-Z]{2}".to_owned(),
        _ => panic!("which texts does `{key}` of [{section}] take?"),
    };
    let mut text = typed("string", [("pattern", format!("^{pattern}$").into())]);
    if key == "endpoint" {
        text = text.with([("maxLength", Json::Number(253))]);
    }
    match refused(key) {
        Some(refused) => text.with([("not", refused)]),
        None => text,
    }
}

/// Returns the schema of texts that a key does not take although they have the right form.
fn refused(key: &str) -> Option<Json> {
    let matching = |pattern: &str| Json::object([("pattern", pattern.into())]);
    let one_of = |words: &[&str]| Json::object([("enum", Json::texts(words))]);
    Some(match key {
        // The key of zeros belongs to no private key.
        "admins" | "public_key" => Json::object([("const", format!("{}=", "A".repeat(43)).into())]),
        "endpoint" => matching(&format!("{NO_HOST}|{LONG_LABEL}")),
        "probe" => matching(NO_INTERNET),
        "exits" | "links" | "at" => one_of(&["direct"]),
        "exit" => matching(NO_HOP),
        "uplink" => one_of(&[".", "..", "portals0"]),
        "interface" | "parent" => one_of(&NO_ENTRANCES),
        _ => return None,
    })
}

fn ipv4() -> String {
    format!("{OCTET}(\\.{OCTET}){{3}}")
}

/// Returns the pattern of IPv6 addresses with such a first group. How many groups `::` stands for is beyond a
/// pattern.
fn ipv6_from(first: &str) -> String {
    let (ipv4, tail) = (ipv4(), ipv6_tail());
    format!("{first}((:{GROUP}){{7}}|(:{GROUP}){{5}}:{ipv4}|(:{GROUP}){{0,6}}::{tail})")
}

/// Returns the pattern of the part behind `::`.
fn ipv6_tail() -> String {
    format!("({GROUP}(:{GROUP}){{0,6}}|({GROUP}:){{0,5}}{})?", ipv4())
}

/// Returns the pattern of private addresses (RFC 1918) with the length of a network: up to 19, or one of
/// `longer`.
fn private(longer: &str) -> String {
    format!(
        "(10(\\.{OCTET}){{3}}/0*([89]|1[0-9]|{longer})|172\\.(1[6-9]|2[0-9]|3[01])(\\.{OCTET}){{2}}\
         /0*(1[2-9]|{longer})|192\\.168(\\.{OCTET}){{2}}/0*(1[6-9]|{longer}))"
    )
}
