//! Man page portals.toml(5), made of the Markdown that docs/configuration.md uses. Any other Markdown is a
//! panic.

use std::fmt::Write as _;
use std::mem::take;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::roff::{bold, escaped, without_requests};

/// Returns the whole page, in the macros of man(7).
pub(crate) fn man_page(markdown: &str) -> String {
    let mut page = Page::default();
    writeln!(
        page.done,
        ".TH PORTALS.TOML 5 \"\" \"portals {}\" \"File formats\"\n.nh\n\
         .SH NAME\nportals.toml \\- network.toml, the network file of portals\n\
         .SH SYNOPSIS\n/etc/portals/network.toml",
        env!("CARGO_PKG_VERSION")
    )
    .unwrap();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        page.take(event);
    }
    page.done.push_str(
        ".SH SEE ALSO\n.BR portals (8)\n.PP\n\
         Names in parentheses that end in .md, and portals.schema.json, are in the folder docs of the \
         sources.\n",
    );
    page.done
}

#[derive(Default)]
struct Page {
    /// Lines of the blocks that have ended.
    done: String,
    /// Text of the present block.
    text: String,
    /// Set while the present block is a heading.
    is_heading: bool,
    /// Set if the last line of `done` is a heading, which is a paragraph's beginning as well.
    follows_heading: bool,
    /// Target of the present link.
    target: String,
    /// Cells of the present row of a table.
    cells: Vec<String>,
    /// Heads of the columns of the present table.
    heads: Vec<String>,
}

impl Page {
    fn take(&mut self, event: Event) {
        match event {
            Event::Start(tag) => self.begin(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.is_heading => self.text.push_str(&escaped(&text.to_uppercase())),
            Event::Text(text) => self.text.push_str(&escaped(&text)),
            Event::Code(code) if self.is_heading => self.text.push_str(&escaped(&code)),
            Event::Code(code) => self.text.push_str(&bold(&code)),
            Event::SoftBreak => self.text.push('\n'),
            other => panic!("the man page has no form for {other:?}"),
        }
    }

    fn begin(&mut self, tag: Tag) {
        match tag {
            Tag::Heading { .. } => self.is_heading = true,
            Tag::Emphasis => self.text.push_str("\\fI"),
            Tag::Link { dest_url, .. } => self.target = dest_url.into_string(),
            Tag::Item => assert!(self.text.is_empty(), "a list in a list"),
            Tag::Paragraph
            | Tag::List(None)
            | Tag::CodeBlock(_)
            | Tag::Table(_)
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell => {}
            other => panic!("the man page has no form for {other:?}"),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.end_heading(level),
            TagEnd::Paragraph => self.end_paragraph(""),
            TagEnd::Item => self.end_block(".IP \\(bu 2\n"),
            TagEnd::CodeBlock => {
                self.end_paragraph(".RS 4\n.EX\n");
                self.done.push_str(".EE\n.RE\n");
            }
            TagEnd::Emphasis => self.text.push_str("\\fR"),
            TagEnd::Link => self.end_link(),
            TagEnd::TableCell => self.cells.push(take(&mut self.text)),
            TagEnd::TableHead => self.heads = take(&mut self.cells),
            TagEnd::TableRow => self.end_row(),
            _ => {}
        }
    }

    fn end_paragraph(&mut self, request: &str) {
        let begin = if self.follows_heading { "" } else { ".PP\n" };
        self.end_block(&format!("{begin}{request}"));
    }

    fn end_block(&mut self, request: &str) {
        let text = without_requests(&take(&mut self.text));
        assert!(!text.is_empty(), "an item of paragraphs, or an empty block");
        writeln!(self.done, "{request}{text}").unwrap();
        self.follows_heading = false;
    }

    /// The title of the Markdown page says nothing that the section NAME does not say.
    fn end_heading(&mut self, level: HeadingLevel) {
        if level == HeadingLevel::H1 {
            "DESCRIPTION".clone_into(&mut self.text);
        } else {
            assert_eq!(level, HeadingLevel::H2, "a heading below a section");
        }
        self.is_heading = false;
        self.end_block(".SH ");
        self.follows_heading = true;
    }

    /// Writes the name of another page after the text that leads to it, unless the text is that name.
    fn end_link(&mut self) {
        let target = take(&mut self.target);
        let page = escaped(target.split('#').next().unwrap_or_default());
        if !page.is_empty() && !self.text.ends_with(&page) {
            write!(self.text, " ({page})").unwrap();
        }
    }

    /// Writes a row as an item: its first cell, and a sentence for each other cell.
    fn end_row(&mut self) {
        let cells = take(&mut self.cells);
        let mut sentences = Vec::new();
        for (head, cell) in self.heads.iter().zip(&cells).skip(1) {
            match head.as_str() {
                _ if cell.is_empty() => {}
                "meaning" | "content" => sentences.push(sentence(cell)),
                "default" if cell == "required" => sentences.push(sentence(cell)),
                head => sentences.push(sentence(&format!("{head}: {cell}"))),
            }
        }
        self.text = format!("{}\n{}", cells[0], sentences.join("\n"));
        self.end_block(".TP\n");
    }
}

/// Returns the text with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("{}{}.", first.to_ascii_uppercase(), rest)
}
