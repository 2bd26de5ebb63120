//! Writer of SVG drawings.

use crate::base::text::push_escaped;

/// Colours and strokes, in light and in dark.
const STYLE: &str = "<style>\
svg{--back:#f6f8fb;--card:#fff;--edge:#d5dce6;--ink:#16202e;--soft:#5d6b7e;--link:#d3dae4;--up:#2f9e5f;\
--relayed:#d08700;--down:#d43d3d}\
@media(prefers-color-scheme:dark){svg{--back:#0e141d;--card:#18212e;--edge:#2c394b;--ink:#e6ecf4;\
--soft:#9aa8bb;--link:#324156;--up:#46c07c;--relayed:#e2a53a;--down:#f06a6a}}\
text{font:13px system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;fill:var(--ink)}\
.back{fill:var(--back)}.card{fill:var(--card);stroke:var(--edge)}.own{stroke:var(--up);stroke-width:2}\
.title{font-size:19px;font-weight:600}.name{font-size:15px;font-weight:600}.bold{font-weight:600}\
.soft{fill:var(--soft);font-size:12px}.mid{text-anchor:middle}\
.mono{font:11.5px ui-monospace,\"DejaVu Sans Mono\",monospace}\
.link,.way{fill:none;stroke-linecap:round}.link{stroke:var(--link);stroke-width:7}.thin{stroke-width:2.5}\
.up{stroke:var(--up)}.relayed{stroke:var(--relayed);stroke-dasharray:14 9}\
.down{stroke:var(--down);stroke-dasharray:2 10}\
.way{stroke:var(--c);stroke-width:2.5}.fill{fill:var(--c)}.off{opacity:.35}\
.arrow{fill:none;stroke:var(--soft);stroke-width:1.5}.ink{fill:var(--soft)}\
.c0{--c:#3b82f6}.c1{--c:#e07b00}.c2{--c:#0f9f8f}.c3{--c:#d6409f}.c4{--c:#7c5cf0}.c5{--c:#5c9a12}\
.c6{--c:#0596c8}.c7{--c:#b0603a}</style>";

/// Number of the colours of the style: classes `c0`, `c1` and so on.
pub(super) const COLOURS: i32 = 8;

/// Drawing in the making.
pub(super) struct Svg(String);

impl Svg {
    /// Begins a drawing. Readers of the screen get its title and its description.
    pub(super) fn new([width, height]: [i32; 2], title: &str, description: &str) -> Self {
        let mut svg = Self(String::new());
        svg.put(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 # #\" width=\"#\" height=\"#\" \
             role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">~</title>\n\
             <desc id=\"desc\">~</desc>\n",
            &[width, height, width, height],
            &[title, description],
        );
        svg.0.push_str(STYLE);
        svg.put("\n<rect class=\"back\" width=\"#\" height=\"#\"/>\n", &[width, height], &[]);
        svg
    }

    /// Adds markup in which each `#` stands for the next number, and each `~` for the next text. Texts are
    /// escaped; their control characters, which XML forbids, become blanks.
    pub(super) fn put(&mut self, markup: &str, mut numbers: &[i32], mut texts: &[&str]) {
        for letter in markup.chars() {
            match (letter, numbers, texts) {
                ('#', [number, others @ ..], _) => {
                    self.0.push_str(&number.to_string());
                    numbers = others;
                }
                ('~', _, [text, others @ ..]) => {
                    push_escaped(&mut self.0, text);
                    texts = others;
                }
                _ => self.0.push(letter),
            }
        }
    }

    /// Adds a text with a class.
    pub(super) fn text(&mut self, class: &str, at: [i32; 2], words: &str) {
        self.put("<text class=\"~\" x=\"#\" y=\"#\">~</text>\n", &at, &[class, words]);
    }

    /// Adds a text, of which the beginning is bold.
    pub(super) fn bold(&mut self, at: [i32; 2], beginning: &str, others: &str) {
        self.put(
            "<text x=\"#\" y=\"#\"><tspan class=\"bold\">~</tspan> <tspan class=\"soft\">~</tspan></text>\n",
            &at,
            &[beginning, others],
        );
    }

    /// Returns the drawing.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let mut svg = Svg::new([1, 2], "<&>", "a \"b\"");
        svg.text("name", [3, -4], "</text>\u{1b}[2J");
        let drawing = svg.finish();
        assert!(drawing.contains(">&lt;&amp;&gt;</title>\n"), "{drawing}");
        assert!(drawing.contains(">a &quot;b&quot;</desc>\n"), "{drawing}");
        assert!(
            drawing.contains("<text class=\"name\" x=\"3\" y=\"-4\">&lt;/text&gt; [2J</text>\n"),
            "{drawing}"
        );
        assert!(drawing.starts_with("<svg ") && drawing.contains("viewBox=\"0 0 1 2\""), "{drawing}");
    }
}
