//! Pages of the documentation: their blocks of code, and the code in their sentences.

use std::fs;
use std::path::Path;

/// Folders with pages, below the root of the repository.
const FOLDERS: [&str; 3] = ["docs", "docs/platforms", "docs/recipes"];

/// Page of the documentation.
pub(crate) struct Page {
    /// Path below the root of the repository.
    pub(crate) name: String,
    text: String,
}

/// Block of code in a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Number of the first line after the fence.
    pub(crate) line: usize,
    /// Language after the fence; may be empty.
    pub(crate) language: String,
    /// Lines, without the indentation of the fence.
    pub(crate) lines: Vec<String>,
}

impl Page {
    /// Reads a page.
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: name.to_owned(), text }
    }

    /// Returns the blocks of code.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<(usize, Block)> = None;
        for (at, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, None) => {}
                (None, Some(language)) => {
                    let indentation = line.len() - line.trim_start().len();
                    let language = language.trim().to_owned();
                    open = Some((indentation, Block { line: at + 2, language, lines: Vec::new() }));
                }
                (Some((indentation, block)), None) => {
                    block.lines.push(line.get(*indentation..).unwrap_or_default().to_owned());
                }
                (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            }
        }
        assert!(open.is_none(), "{}: a block without an end", self.name);
        blocks
    }

    /// Returns the code in sentences and tables, with the number of the line where it begins.
    pub(crate) fn spans(&self) -> Vec<(usize, String)> {
        let (mut spans, mut open, mut is_block) = (Vec::new(), None, false);
        for (at, line) in self.text.lines().enumerate() {
            let is_fence = line.trim_start().starts_with("```");
            is_block ^= is_fence;
            // Code ends with its paragraph, or with its row of a table, at the latest.
            if is_fence || line.is_empty() || line.starts_with(['|', '#']) {
                open = None;
            }
            if is_block || is_fence {
                continue;
            }
            for (index, part) in line.trim().split('`').enumerate() {
                if index > 0 {
                    match open.take() {
                        Some(span) => spans.push(span),
                        None => open = Some((at + 1, String::new())),
                    }
                }
                if let Some((_, text)) = &mut open {
                    let is_broken = index == 0 && !text.is_empty();
                    *text += if is_broken { " " } else { "" };
                    *text += part;
                }
            }
        }
        spans
    }
}

impl Block {
    /// Returns the command lines, in order: all lines of a block of shell, and those behind a prompt in other
    /// blocks. A line that goes on in the next one is joined with it; comments of a whole line are left out.
    pub(crate) fn commands(&self) -> Vec<String> {
        let lines: Vec<&str> = if self.is_shell() {
            self.lines.iter().map(String::as_str).collect()
        } else {
            self.lines.iter().filter_map(|line| line.strip_prefix("$ ")).collect()
        };
        let joined = lines.join("\n").replace("\\\n", " ");
        let is_command = |line: &&str| !line.is_empty() && !line.starts_with('#');
        joined.lines().map(str::trim).filter(is_command).map(str::to_owned).collect()
    }

    fn is_shell(&self) -> bool {
        ["sh", "bash", "console"].contains(&self.language.as_str()) && !self.has_prompt()
    }

    fn has_prompt(&self) -> bool {
        self.lines.iter().any(|line| line.starts_with("$ "))
    }
}

/// Reads all pages.
pub(crate) fn pages() -> Vec<Page> {
    let mut names = vec!["README.md".to_owned()];
    for folder in FOLDERS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                names.push(format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap()));
            }
        }
    }
    names.sort();
    names.iter().map(|name| Page::read(name)).collect()
}

#[test]
fn blocks_and_code_are_found() {
    let text = "Run `portals\nplan`, or `sudo\n`.\n\n\
                \x20  ```sh\n   ls \\\n     -l # list\n   # a comment\n   ```\n\
                | `a` | `b |\n```\n$ ls\nfile\n```\nand `c d`\n";
    let page = Page { name: String::new(), text: text.to_owned() };
    let blocks = page.blocks();
    assert_eq!(blocks.iter().map(|block| block.line).collect::<Vec<_>>(), [6, 12]);
    assert_eq!(blocks[0].commands(), ["ls    -l # list"]);
    assert_eq!(blocks[1].commands(), ["ls"]);
    let spans = [(1, "portals plan"), (2, "sudo "), (10, "a"), (15, "c d")];
    assert_eq!(page.spans(), spans.map(|(line, text)| (line, text.to_owned())));
}
