use proptest::prelude::*;

use super::*;

type Theirs<'a> = toml::de::DeValue<'a>;

/// Compares two values, and all inside them.
fn same(ours: &DeValue, theirs: &Theirs) -> bool {
    match (ours, theirs) {
        (DeValue::String(ours), Theirs::String(theirs)) => ours == theirs,
        (DeValue::Integer(ours), Theirs::Integer(theirs)) => {
            (ours.as_str(), ours.radix()) == (theirs.as_str(), theirs.radix())
                && ours.to_string() == theirs.to_string()
        }
        (DeValue::Float(ours), Theirs::Float(theirs)) => ours == theirs.as_str(),
        (DeValue::Boolean(ours), Theirs::Boolean(theirs)) => ours == theirs,
        (DeValue::Datetime(_), Theirs::Datetime(_)) => true,
        (DeValue::Array(ours), Theirs::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs.iter()).all(|(ours, theirs)| same_spanned(ours, theirs))
        }
        (DeValue::Table(ours), Theirs::Table(theirs)) => same_table(ours, theirs),
        _ => false,
    }
}

fn same_spanned(ours: &Spanned<DeValue>, theirs: &toml::Spanned<Theirs>) -> bool {
    ours.span() == theirs.span() && same(ours.get_ref(), theirs.get_ref())
}

fn same_table(ours: &DeTable, theirs: &toml::de::DeTable) -> bool {
    ours.iter().count() == theirs.len()
        && ours.into_iter().zip(theirs).all(|((our_key, our_value), (their_key, their_value))| {
            let key: &str = our_key.get_ref();
            (our_key.span(), our_key.get_ref()) == (their_key.span(), their_key.get_ref())
                && same_spanned(our_value, their_value)
                && ours.get_key_value(key).map(|(key, value)| (key.span(), value.span()))
                    == theirs.get_key_value(key).map(|(key, value)| (key.span(), value.span()))
        })
}

/// Checks that both crates read a text alike: the tree, and the places and words of all faults.
fn check(text: &str) {
    let ((ours, our_errors), (theirs, their_errors)) =
        (DeTable::parse_recoverable(text), toml::de::DeTable::parse_recoverable(text));
    assert!(same_table(ours.get_ref(), theirs.get_ref()), "{text}\n{ours:#?}\n{theirs:#?}");
    let words = |message: &str| message.split(", expected").next().unwrap_or_default().to_owned();
    let ours: Vec<_> = our_errors.iter().map(|error| (error.message().to_owned(), error.span())).collect();
    let theirs: Vec<_> = their_errors.iter().map(|error| (words(error.message()), error.span())).collect();
    assert_eq!(ours, theirs, "{text}");
    assert_eq!(DeTable::parse(text).is_err(), toml::de::DeTable::parse(text).is_err(), "{text}");
}

#[test]
fn tables_follow_the_rules_of_toml() {
    for text in [
        "",
        "a = 1\na = 2\n",
        "[a]\n[a]\n",
        "[a.b]\nc = 1\n[a]\nd = 2\n[a.b]\n",
        "a.b = 1\na.c = 2\n[a]\n",
        "[a]\nb.c = 1\n[a.b]\n[a.b.d]\n",
        "[a.b]\n[a]\nb.c = 1\n",
        "a = { b = 1, b = 2 }\n[a.c]\na.d = 1\n",
        "a = { b.c = 1, b.d = 2, b = 3, e = 1, e.f = 2 }\n",
        "a = { b = { c = 1 }, b.d = 2 }\n",
        "[[a]]\nb = 1\n[[a]]\n[a.c]\n[a]\n[[a.c]]\n",
        "a = [1]\n[[a]]\n[a.b]\na.c = 1\n",
        "a = 1\n[a.b]\n[a.b.c]\na.d = 2\n[[a]]\n[[a.e]]\n",
        "[a]\nb = \"x\"\nb.c = 1\n[a.b]\n",
        "n = [0x1f, 0o7, 0b1, +1_000, -3, 1.5, inf, true, 'x', \"\\u00e9\", '''y''']\n",
        "\"quoted key\".'other' = 1\n",
    ] {
        check(text);
    }
}

#[test]
fn a_date_is_not_read() {
    let kind = |value: &str| {
        let text = format!("a = {value}\n");
        let (table, errors) = DeTable::parse_recoverable(&text);
        let is_date = matches!(table.get_ref().get("a").unwrap().get_ref(), DeValue::Datetime(_));
        (is_date, errors.first().map(|error| error.message().to_owned()))
    };
    for date in ["2026-11-27", "2026-11-27T10:00:00Z", "2026-11-27 10:00:00"] {
        assert_eq!(kind(date), (true, None), "{date}");
    }
    for other in ["10:00:00", "1-2", "51820:51830", "2026-11-27x"] {
        assert_eq!(kind(other), (true, Some("invalid datetime".to_owned())), "{other}");
    }
}

#[test]
fn deep_texts_are_refused() {
    for text in ["[".repeat(500), format!("a = {}", "[".repeat(500)), format!("a = {}", "{ b = ".repeat(500))]
    {
        check(&text);
    }
    for number in [79, 80, 81, 82, 500] {
        let path = vec!["a"; number].join(".");
        for text in [format!("{path} = 1\n"), format!("[{path}]\n"), format!("b = {{ {path} = 1, c = 2 }}\n")]
        {
            check(&text);
        }
    }
}

/// A part of a text: any order of parts shows how faults are treated.
fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "c",
        ".",
        " ",
        " = ",
        "=",
        "\n",
        "\n",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ", ",
        "1",
        "0x1f",
        "1.5",
        "true",
        "yes",
        "\"x\"",
        "'y'",
        "\"\"\"",
        "'''",
        "\"",
        "'",
        "\\",
        "# z",
        "\r\n",
        "\t",
        "é",
        "a = 1\n",
        "[a]\n",
        "[a.b]\n",
        "[[a]]\n",
        "b = { c = 1 }\n",
        "c = [1, 2]\n",
        "a.b = 1\n",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_is_read_as_by_the_crate_toml(parts in prop::collection::vec(part(), 0..30)) {
        check(&parts.concat());
    }
}
