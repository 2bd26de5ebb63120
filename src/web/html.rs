//! Writer of HTML. Markup is constant; texts are escaped.

use crate::base::text::push_escaped;

/// Beginning of each page. The title follows, and the folder of the style.
const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"light dark\"><title>~</title>\
    <link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"~style.css\"></head><body><main>\n";

/// Page in the making.
#[derive(Debug)]
pub struct Html(String);

impl Html {
    /// Begins a page with a title. `folder` is the path of the folder with the style, with a slash at its
    /// end.
    pub fn new(title: &str, folder: &str) -> Self {
        let mut page = Self(String::new());
        page.put(HEAD, &[title, folder]);
        page
    }

    /// Adds markup in which each `~` stands for the next text. Texts are escaped for elements and for values
    /// of attributes in double quotes; control characters become blanks.
    pub fn put(&mut self, markup: &'static str, texts: &[&str]) {
        let mut parts = markup.split('~');
        self.0.push_str(parts.next().unwrap_or_default());
        for (part, text) in parts.zip(texts) {
            push_escaped(&mut self.0, text);
            self.0.push_str(part);
        }
    }

    /// Adds a drawing that this program has made.
    pub fn drawing(&mut self, svg: &str) {
        self.0.push_str(svg);
    }

    /// Returns the page.
    pub fn finish(mut self) -> String {
        self.0.push_str("</main></body></html>\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_wherever_they_stand() {
        let evil = "\"><script>alert('1')</script>&\u{1b}\0";
        let mut page = Html::new(evil, "/");
        page.put("<p class=\"~\">~</p>", &[evil, evil]);
        let page = page.finish();
        let safe = "&quot;&gt;&lt;script&gt;alert('1')&lt;/script&gt;&amp;  ";
        assert!(page.contains(&["<title>", safe, "</title>"].concat()), "{page}");
        assert!(page.contains(&["<p class=\"", safe, "\">", safe, "</p>"].concat()), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn each_text_has_its_place() {
        let mut page = Html(String::new());
        page.put("~ and ~.", &["one", "another"]);
        page.put("none", &[]);
        assert_eq!(page.0, "one and another.none");
    }
}
