//! The schema: keys, types, ranges and words from the parser, descriptions from the documentation.

use std::sync::LazyLock;

use wg_portals::config::model::MOST_ADMINS;

use super::json::Json;
use super::parser::{self, Shape, Type};
use super::words::description;

const NAME: &str = "[a-z0-9-]{1,12}";
const NETWORK_NAME: &str = "[a-z0-9-]{1,16}";
const OCTET: &str = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
const IPV6: &str = "[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*";
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
    let number = typed("integer", [("minimum", Json::Number(first)), ("maximum", Json::Number(last))]);
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

/// Returns the schema of a text. The parser has functions for these texts, which no message shows.
fn text(section: &str, key: &str) -> Json {
    let ipv4 = format!("{OCTET}(\\.{OCTET}){{3}}");
    let address = format!("({ipv4}|{IPV6})");
    let network = format!("({ipv4}({LENGTH})?|{IPV6}({LENGTH6})?)");
    let pattern = match (section, key) {
        ("network", "name") => NETWORK_NAME.to_owned(),
        ("network", "subnet") | ("portal", "address") => ipv4 + LENGTH,
        ("network", "subnet6") => format!("[Ff][CcDd]{IPV6}{LENGTH6}"),
        (_, "admins" | "public_key") => KEY.to_owned(),
        (_, "dns" | "probe") => address,
        (_, "endpoint") => format!("({address}|({LABEL}\\.)*{LAST_LABEL})"),
        (_, "exits" | "links" | "at") => NAME.to_owned(),
        (_, "exit") => format!("{NAME}( via {NAME})*"),
        (_, "lan") => format!("({network}|\\s*{network}\\s+as\\s+{network}\\s*)"),
        (_, "from" | "to" | "except") => network,
        (_, "mac") => "[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}".to_owned(),
        (_, "ports") => format!("(tcp|udp)/{PORT}(-{PORT})?"),
        (_, "uplink" | "interface" | "parent") => INTERFACE.to_owned(),
        (_, "hook" | "dyndns" | "config" | "passphrase_file" | "preshared_key_file") => format!("{PLAIN}+"),
        ("wifi", "ssid") => format!("{PLAIN}{{1,32}}"),
        ("wifi", "country") => "[A-Z]{2}".to_owned(),
        _ => panic!("which texts does `{key}` of [{section}] take?"),
    };
    typed("string", [("pattern", format!("^{pattern}$").into())])
}
