//! Map as an SVG drawing: the sites on an ellipse, links as bands, and the ways of portals as arrows.

mod curve;

use super::cut;
use super::model::{Map, Row, hops};
use super::svg::{COLOURS, Svg};
use crate::base::text::push_all;
use curve::{Card, Curve, Point};

/// Width of a card.
const WIDTH: i32 = 264;

/// Height of a card without rows, of a row with ways, and of a row without.
const HEAD: i32 = 58;
const ROW: i32 = 40;
const SHORT_ROW: i32 = 24;

/// Space below the last row of a card.
const PADDING: i32 = 4;

/// Space between two cards.
const GAP: i32 = 64;

/// Space around the ellipse, and above it for the heading.
const MARGIN: i32 = 36;
const HEADING: i32 = 100;

/// Longest text of a card, in characters.
const LINE: usize = 33;

/// Card with a further class.
const CARD: &str = "<rect class=\"card~\" x=\"#\" y=\"#\" width=\"#\" height=\"#\" rx=\"12\"/>\n";

const LEGEND: &str =
    "Bands are links, thin ones for access only. Arrows lead from portals and phones to exits.";

/// Drawing with the places of all sites.
struct Picture<'a> {
    map: &'a Map<'a>,
    svg: Svg,
    cards: Vec<Card>,
    middle: Point,
}

/// Returns the drawing.
pub fn picture(map: &Map) -> String {
    let mut cards = Vec::new();
    let (middle, size) = place(map, &mut cards);
    let svg = Svg::new(size, &map.heading, &super::text(map));
    let mut picture = Picture { map, svg, cards, middle };
    picture.svg.text("title", [MARGIN, 44], &map.heading);
    picture.svg.text("soft", [MARGIN, 66], LEGEND);
    for link in &map.links {
        let look = ["", " up", " relayed", " down"][link.look as usize];
        let thin = if link.exits == [false, false] { " thin" } else { "" };
        let Curve(points) = picture.curve(link.ends, 0);
        let markup = "<path class=\"link~~\" d=\"M# #Q# # # #\"/>\n";
        picture.svg.put(markup, points.as_flattened(), &[thin, look]);
    }
    picture.draw_ways();
    picture.draw_cards();
    for link in &map.links {
        if !link.state.is_empty() {
            let [one, other] = link.ends.map(|end| &picture.cards[end]);
            let [x, y] = picture.curve(link.ends, 0).middle(one, other);
            let half = pixels(link.state.chars().count()) * 7 / 2 + 12;
            picture.svg.put(CARD, &[x - half, y - 12, half * 2, 24], &[""]);
            picture.svg.text("soft mid", [x, y + 4], &link.state);
        }
    }
    picture.svg.finish()
}

/// Finds the places of all cards. Returns the middle of the ellipse, and the size of the drawing.
fn place(map: &Map, cards: &mut Vec<Card>) -> (Point, [i32; 2]) {
    for site in &map.sites {
        let mut height = HEAD + PADDING;
        for row in &site.rows {
            height += if row.exits.is_empty() { SHORT_ROW } else { ROW };
        }
        cards.push(Card { centre: [0, 0], size: [WIDTH, height] });
    }
    let number = pixels(cards.len());
    // The height that two neighbours share.
    let mut tallest = 0;
    for (at, card) in cards.iter().enumerate() {
        let next = cards.get(at + 1).unwrap_or(&cards[0]);
        tallest = tallest.max((card.size[1] + next.size[1]) >> 1);
    }
    // Neighbours at the sides of an ellipse of six are one radius apart.
    let sixth = number.max(6);
    let (across, down) = match number {
        1 => (0, 0),
        2 => (WIDTH + GAP * 2, 0),
        3 | 4 => (WIDTH + GAP * 2, tallest / 2 + GAP * 2),
        _ => ((WIDTH + GAP) * sixth / 6, (tallest + GAP) * sixth / 6),
    };
    let (mut first, mut last) = ([0; 2], [0; 2]);
    for (at, card) in (0..).zip(&mut *cards) {
        // Two sites are next to each other; of more, the first is at the top.
        let angle = 3600 * at / number + if number > 2 { 2700 } else { 1800 };
        card.centre = [across * curve::sine(angle + 900) / 1000, down * curve::sine(angle) / 1000];
        let corner = card.corner();
        for axis in 0..2 {
            first[axis] = corner[axis].min(first[axis]);
            last[axis] = (corner[axis] + card.size[axis]).max(last[axis]);
        }
    }
    let middle = [MARGIN - first[0], HEADING - first[1]];
    for card in cards {
        card.centre[0] += middle[0];
        card.centre[1] += middle[1];
    }
    // The legend has room, too.
    (middle, [(last[0] + middle[0] + MARGIN).max(640), last[1] + middle[1] + MARGIN])
}

impl Picture<'_> {
    /// Returns the curve between two sites, in a lane beside their link. Neighbours have a straight one; that
    /// of others bends around the sites between them.
    fn curve(&self, ends: [usize; 2], lane: i32) -> Curve {
        let [one, other] = ends.map(|end| self.cards[end].centre);
        let apart = ends[0].abs_diff(ends[1]);
        let are_neighbours = apart == 1 || apart + 1 == self.cards.len();
        Curve::between(one, other, Some(self.middle).filter(|_| !are_neighbours), lane)
    }

    /// Draws the ways that are in use, each hop in a lane of its own beside its link.
    fn draw_ways(&mut self) {
        let mut lanes = vec![0; self.map.links.len()];
        let mut colour = 0;
        for (at, site) in self.map.sites.iter().enumerate() {
            for row in &site.rows {
                let Some(exit) = row.exits.get(row.used) else { continue };
                let off = if row.state == "blocked" { " off" } else { "" };
                let class = ["c", &colour.to_string(), off].concat();
                let mut from = at;
                for name in hops(exit) {
                    // A provider is no site.
                    let Some(to) = self.map.sites.iter().position(|site| site.name == name) else { continue };
                    let ends = [from.min(to), from.max(to)];
                    if let Some(link) = self.map.links.iter().position(|link| link.ends == ends) {
                        lanes[link] += 1;
                        // Lanes are on both sides of the link in turn, whatever the direction of travel.
                        let side = if (lanes[link] % 2 == 0) == (from < to) { -1 } else { 1 };
                        let curve = self.curve([from, to], (lanes[link] + 1) / 2 * side);
                        curve.draw_arrow(&mut self.svg, &class, &self.cards[to]);
                    }
                    from = to;
                }
                colour = (colour + 1) % COLOURS;
            }
        }
    }

    fn draw_cards(&mut self) {
        let svg = &mut self.svg;
        let mut colour = 0;
        for (at, (site, card)) in self.map.sites.iter().zip(&self.cards).enumerate() {
            let ([x, y], [width, height]) = (card.corner(), card.size);
            let is_own = self.map.own == Some(at);
            svg.put(CARD, &[x, y, width, height], &[if is_own { " own" } else { "" }]);
            svg.text("name", [x + 16, y + 26], site.name);
            let line = |words: &str, width| {
                let mut words = words.to_owned();
                cut(&mut words, width);
                words
            };
            svg.text("soft", [x + 16, y + 44], &line(&site.place, LINE));
            if is_own {
                svg.text("soft mid", [x + width - 44, y + 26], "this site");
            }
            let mut y = y + HEAD;
            for row in &site.rows {
                if row.exits.is_empty() {
                    let words = [row.name, " ", &row.entrance].concat();
                    svg.text("soft", [x + 16, y + 12], &line(&words, LINE));
                    y += SHORT_ROW;
                    continue;
                }
                svg.put(
                    "<circle class=\"fill c#\" cx=\"#\" cy=\"#\" r=\"5\"/>\n",
                    &[colour, x + 21, y + 8],
                    &[],
                );
                let room = (LINE - 5).saturating_sub(row.name.len() * 5 / 4);
                svg.bold([x + 34, y + 13], row.name, &line(&row.entrance, room));
                svg.text("soft", [x + 34, y + 29], &line(&ways(row), LINE - 3));
                colour = (colour + 1) % COLOURS;
                y += ROW;
            }
        }
    }
}

/// Returns the words for the ways of a row: the one in use, and the number of the others.
fn ways(row: &Row) -> String {
    let mut words = String::new();
    for name in hops(&row.exits[row.used]) {
        push_all(&mut words, &["→ ", name, " "]);
    }
    if words.is_empty() {
        words.push_str("→ internet ");
    }
    let others = row.exits.len() - 1;
    if others > 0 {
        push_all(&mut words, &["or ", &others.to_string(), " more "]);
    }
    if !row.state.is_empty() {
        push_all(&mut words, &["· ", row.state]);
    }
    words
}

fn pixels(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
