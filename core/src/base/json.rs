//! A writer for JSON. A text in JSON is a text in TOML, too.

use std::fmt::{self, Write as _};

/// A text or a list, as JSON and TOML write it.
#[derive(Debug)]
pub enum Json {
    /// A text, not escaped yet: writing escapes it.
    Text(String),
    /// An array.
    List(Vec<Json>),
}

impl Json {
    /// Returns a text as a JSON value.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write_text(f, text),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
        }
    }
}

fn write_text(to: &mut dyn fmt::Write, text: &str) -> fmt::Result {
    to.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => to.write_str("\\\"")?,
            '\\' => to.write_str("\\\\")?,
            c if c.is_ascii_control() => write!(to, "\\u{:04x}", u32::from(c))?,
            c => to.write_char(c)?,
        }
    }
    to.write_str("\"")
}

/// A JSON document in the making: it grows by one value at a time, without a tree in memory.
///
/// A value inside an object has a name; a value inside a list has an empty one.
#[derive(Debug, Default)]
pub struct JsonText(String);

impl JsonText {
    /// Begins an object (`{`) or a list (`[`).
    pub fn begin(&mut self, name: &str, bracket: char) {
        self.name(name);
        self.0.push(bracket);
    }

    /// Ends an object (`}`) or a list (`]`).
    pub fn end(&mut self, bracket: char) {
        self.0.push(bracket);
    }

    /// Adds a number, a truth value or null.
    pub fn put(&mut self, name: &str, value: &dyn fmt::Display) {
        self.name(name);
        let _ = write!(self.0, "{value}");
    }

    /// Adds a number, or null.
    pub fn put_or_null(&mut self, name: &str, value: Option<u64>) {
        match value {
            Some(value) => self.put(name, &value),
            None => self.put(name, &"null"),
        }
    }

    /// Adds a text.
    pub fn text(&mut self, name: &str, value: &dyn fmt::Display) {
        self.name(name);
        let _ = write_text(&mut self.0, &value.to_string());
    }

    /// Adds a text, or null.
    pub fn text_or_null(&mut self, name: &str, value: Option<&dyn fmt::Display>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.put(name, &"null"),
        }
    }

    /// Adds a list of texts.
    pub fn texts(&mut self, name: &str, values: &[String]) {
        self.begin(name, '[');
        for value in values {
            self.text("", value);
        }
        self.end(']');
    }

    /// Returns the document.
    pub fn finish(self) -> String {
        self.0
    }

    /// Writes the comma after an earlier value, and the name.
    fn name(&mut self, name: &str) {
        if !self.0.is_empty() && !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
        if !name.is_empty() {
            for part in ["\"", name, "\":"] {
                self.0.push_str(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_separated() {
        let mut json = JsonText::default();
        json.begin("", '{');
        json.begin("empty", '[');
        json.end(']');
        json.texts("texts", &["a".to_owned(), "{\n".to_owned()]);
        json.begin("lists", '[');
        for number in [None, Some(1)] {
            json.begin("", '{');
            json.put_or_null("number", number);
            json.text_or_null("text", None);
            json.end('}');
        }
        json.end(']');
        json.put("is", &true);
        json.text("end", &'[');
        json.put("one", &-1);
        json.end('}');
        let expected = concat!(
            r#"{"empty":[],"texts":["a","{\u000a"],"lists":[{"number":null,"text":null},"#,
            r#"{"number":1,"text":null}],"is":true,"end":"[","one":-1}"#
        );
        assert_eq!(json.finish(), expected);
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(Json::text("a \"b\" \\ \n ö").to_string(), "\"a \\\"b\\\" \\\\ \\u000a ö\"");
        assert_eq!(Json::text("\x7f").to_string(), "\"\\u007f\"", "TOML, too, wants it escaped");
    }
}
