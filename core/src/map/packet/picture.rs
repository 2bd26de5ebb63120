//! Way of a packet as an SVG drawing, in the colours of the tables.

use super::PacketPath;
use super::text::{text, wrapped};
use crate::map::svg::Svg;

/// Edges of the boxes, and of the column of the hooks.
const LEFT: i32 = 176;
const RIGHT: i32 = 964;
const MARGIN: i32 = 36;

/// Height of the heading, of a box without rules, and of a line.
const HEADING: i32 = 76;
const BOX: i32 = 34;
const LINE: i32 = 17;

/// Space between two boxes.
const GAP: i32 = 18;

/// Longest line in characters.
const WIDTH: usize = 104;

/// Returns the drawing: boxes from top to bottom, those of one hook beside a bracket with its name.
pub fn picture(path: &PacketPath) -> String {
    let mut boxes = Vec::new();
    let mut end = HEADING;
    for stage in &path.stages {
        let lines = wrapped(&stage.lines, WIDTH - 4);
        let mut height = BOX;
        if !lines.is_empty() {
            height += LINE * i32::try_from(lines.len()).unwrap_or(0) + 8;
        }
        boxes.push((stage, lines, end, height));
        end += height + GAP;
    }
    let mut svg = Svg::new([RIGHT + MARGIN, end - GAP + MARGIN], &path.title, &text(path));
    svg.text("title", [MARGIN, 44], &path.title);
    for (at, (stage, lines, top, height)) in boxes.iter().enumerate() {
        let (top, height, middle) = (*top, *height, i32::midpoint(LEFT, RIGHT));
        if at > 0 {
            svg.put(
                "<path class=\"arrow\" d=\"M# #V#\"/>\n<path class=\"ink\" d=\"M# #l-5 -8h10Z\"/>\n",
                &[middle, top - GAP, top - 7, middle, top],
                &[],
            );
        }
        svg.put(
            "<rect class=\"card\" x=\"#\" y=\"#\" width=\"#\" height=\"#\" rx=\"8\"/>\n\
             <rect class=\"fill c#\" x=\"#\" y=\"#\" width=\"6\" height=\"#\" rx=\"3\"/>\n",
            &[LEFT, top, RIGHT - LEFT, height, stage.kind.1, LEFT + 6, top + 7, height - 14],
            &[],
        );
        let (name, place) = match stage.kind.0 {
            "" => (&*stage.place, ""),
            name => (name, &*stage.place),
        };
        svg.bold([LEFT + 24, top + 22], name, place);
        for (number, line) in (0..).zip(lines) {
            svg.text("mono", [LEFT + 24, top + 41 + LINE * number], &line.replace("  ", "\u{a0}\u{a0}"));
        }
        if at == 0 || boxes[at - 1].0.hook != stage.hook {
            let mut end = top + height;
            for (_, _, top, height) in boxes[at..].iter().take_while(|(other, ..)| other.hook == stage.hook) {
                end = top + height;
            }
            svg.put(
                "<path class=\"arrow\" d=\"M# #H#V#H#\"/>\n",
                &[LEFT - 12, top + 6, LEFT - 20, end - 6, LEFT - 12],
                &[],
            );
            svg.text("name", [MARGIN, top + 22], stage.hook);
        }
    }
    svg.finish()
}
