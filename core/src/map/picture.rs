//! Map as an SVG drawing: the sites on an ellipse, links as bands, and the ways of portals as arrows.

mod curve;

use super::cut;
use super::model::{Look, Map, MapSite, Row};
use super::svg::{COLOURS, Svg};
use curve::{Curve, Point, Rect};

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

const LEGEND: &str =
    "Bands are links, thin ones for access only. Arrows lead from portals and phones to exits.";

/// Drawing with the places of all sites.
struct Picture<'a> {
    map: &'a Map,
    svg: Svg,
    places: Vec<Place<'a>>,
    middle: Point,
}

/// Place of a site.
struct Place<'a> {
    site: &'a MapSite,
    centre: Point,
    card: Rect,
}

/// Returns the drawing.
pub fn picture(map: &Map) -> String {
    let (places, middle, size) = places(map);
    let svg = Svg::new(size, &map.heading, &super::text(map));
    let mut picture = Picture { map, svg, places, middle };
    picture.svg.text("title", [MARGIN, 44], &map.heading);
    picture.svg.text("soft", [MARGIN, 66], LEGEND);
    for link in &map.links {
        let look = match link.state.as_ref().map(|state| state.look) {
            Some(Look::Up) => " up",
            Some(Look::Relayed) => " relayed",
            Some(Look::Down) => " down",
            None => "",
        };
        let thin = if link.exits == [false, false] { " thin" } else { "" };
        picture.curve(link.ends, 0).draw(&mut picture.svg, &["link", thin, look].concat());
    }
    picture.draw_ways();
    let mut colour = 0;
    for place in &picture.places {
        draw_card(&mut picture.svg, place, &mut colour);
    }
    for link in &map.links {
        if let Some(state) = &link.state {
            let [x, y] = picture.curve(link.ends, 0).middle(link.ends.map(|end| &picture.places[end].card));
            let half = i32::try_from(state.words.chars().count()).unwrap_or(0) * 7 / 2 + 12;
            picture.svg.put(
                "<rect class=\"card\" x=\"#\" y=\"#\" width=\"#\" height=\"24\" rx=\"12\"/>\n",
                &[x - half, y - 12, half * 2],
            );
            picture.svg.text("soft mid", [x, y + 4], &state.words);
        }
    }
    picture.svg.finish()
}

/// Returns the places of all sites, the middle of the ellipse, and the size of the drawing.
fn places(map: &Map) -> (Vec<Place<'_>>, Point, [i32; 2]) {
    let mut places: Vec<Place> = Vec::new();
    for site in &map.sites {
        let mut height = HEAD + PADDING;
        for row in &site.rows {
            height += if row.ways.is_empty() { SHORT_ROW } else { ROW };
        }
        let card = Rect { corner: [0, 0], size: [WIDTH, height] };
        places.push(Place { site, centre: [0, 0], card });
    }
    let number = pixels(places.len());
    // The height that two neighbours share.
    let mut tallest = 0;
    for (at, place) in places.iter().enumerate() {
        let next = &places[(at + 1) % places.len()];
        tallest = tallest.max(i32::midpoint(place.card.size[1], next.card.size[1]));
    }
    // Neighbours at the sides of an ellipse of six are one radius apart.
    let down = match number {
        1 | 2 => 0,
        3 | 4 => tallest / 2 + GAP * 2,
        _ => (tallest + GAP) * number.max(6) / 6,
    };
    let across = match number {
        1 => 0,
        2..5 => WIDTH + GAP * 2,
        _ => (WIDTH + GAP) * number.max(6) / 6,
    };
    let (mut first, mut last) = ([i32::MAX; 2], [i32::MIN; 2]);
    for (at, place) in (0..).zip(&mut places) {
        // Two sites are next to each other; of more, the first is at the top.
        let angle = 3600 * at / number + if number > 2 { 2700 } else { 1800 };
        place.centre = [across * curve::sine(angle + 900) / 1000, down * curve::sine(angle) / 1000];
        for axis in [0, 1] {
            let half = place.card.size[axis] / 2;
            first[axis] = first[axis].min(place.centre[axis] - half);
            last[axis] = last[axis].max(place.centre[axis] + half);
        }
    }
    let middle = [MARGIN - first[0], HEADING - first[1]];
    for place in &mut places {
        for axis in [0, 1] {
            place.centre[axis] += middle[axis];
            place.card.corner[axis] = place.centre[axis] - place.card.size[axis] / 2;
        }
    }
    // The legend has room, too.
    let width = (last[0] - first[0] + 2 * MARGIN).max(640);
    (places, middle, [width, last[1] - first[1] + HEADING + MARGIN])
}

/// Returns the sites of a way, from the site where it begins, without a provider at its end.
fn stops(map: &Map, start: usize, way: &[String]) -> Vec<usize> {
    let mut stops = vec![start];
    for name in way {
        stops.extend(map.sites.iter().position(|site| site.name == *name));
    }
    stops
}

impl Picture<'_> {
    /// Returns the curve between two sites, in a lane beside their link. Neighbours have a straight one; that
    /// of others bends around the sites between them.
    fn curve(&self, ends: [usize; 2], lane: i32) -> Curve {
        let [one, other] = ends.map(|end| self.places[end].centre);
        let apart = ends[0].abs_diff(ends[1]);
        let are_neighbours = apart == 1 || apart + 1 == self.places.len();
        Curve::between(one, other, Some(self.middle).filter(|_| !are_neighbours), lane)
    }

    /// Draws the ways that are in use, each hop in a lane of its own beside its link.
    fn draw_ways(&mut self) {
        let mut lanes = vec![0; self.map.links.len()];
        let mut colour = 0;
        for (at, site) in self.map.sites.iter().enumerate() {
            for row in site.rows.iter().filter(|row| !row.ways.is_empty()) {
                for hop in stops(self.map, at, &row.ways[row.used]).windows(2) {
                    let ends = [hop[0].min(hop[1]), hop[0].max(hop[1])];
                    let Some(link) = self.map.links.iter().position(|link| link.ends == ends) else {
                        continue;
                    };
                    lanes[link] += 1;
                    // Lanes are on both sides of the link in turn, whatever the direction of travel.
                    let lane: i32 =
                        if lanes[link] % 2 == 0 { -lanes[link] / 2 } else { (lanes[link] + 1) / 2 };
                    let lane = if hop[0] < hop[1] { lane } else { -lane };
                    let off = if row.state == "blocked" { " off" } else { "" };
                    let class = ["c", &colour.to_string(), off].concat();
                    let curve = self.curve([hop[0], hop[1]], lane);
                    curve.draw_arrow(&mut self.svg, &class, &self.places[hop[1]].card);
                }
                colour = (colour + 1) % COLOURS;
            }
        }
    }
}

fn draw_card(svg: &mut Svg, place: &Place, colour: &mut i32) {
    let Place { site, card, .. } = place;
    let ([x, y], [width, height]) = (card.corner, card.size);
    svg.put(if site.is_own { "<rect class=\"card own" } else { "<rect class=\"card" }, &[]);
    svg.put("\" x=\"#\" y=\"#\" width=\"#\" height=\"#\" rx=\"12\"/>\n", &[x, y, width, height]);
    svg.text("name", [x + 16, y + 26], &site.name);
    svg.text("soft", [x + 16, y + 44], &cut(&site.place, LINE));
    if site.is_own {
        svg.text("soft mid", [x + width - 44, y + 26], "this site");
    }
    let mut y = y + HEAD;
    for row in &site.rows {
        if row.ways.is_empty() {
            let words = [row.name.as_str(), " ", &row.entrance].concat();
            svg.text("soft", [x + 16, y + 12], &cut(&words, LINE));
            y += SHORT_ROW;
            continue;
        }
        svg.put("<circle class=\"fill c#\" cx=\"#\" cy=\"#\" r=\"5\"/>\n", &[*colour, x + 21, y + 8]);
        svg.put("<text x=\"#\" y=\"#\"><tspan class=\"bold\">", &[x + 34, y + 13]);
        svg.escaped(&row.name);
        svg.put("</tspan> <tspan class=\"soft\">", &[]);
        svg.escaped(&cut(&row.entrance, (LINE - 5).saturating_sub(row.name.len() * 5 / 4)));
        svg.put("</tspan></text>\n", &[]);
        svg.text("soft", [x + 34, y + 29], &cut(&ways(row), LINE - 3));
        *colour = (*colour + 1) % pixels(COLOURS);
        y += ROW;
    }
}

/// Returns the words for the ways of a row: the one in use, and the number of the others.
fn ways(row: &Row) -> String {
    let mut words = String::new();
    for name in &row.ways[row.used] {
        words.push_str(&["→ ", name, " "].concat());
    }
    if words.is_empty() {
        words.push_str("→ internet ");
    }
    let others = row.ways.len() - 1;
    if others > 0 {
        words.push_str(&["or ", &others.to_string(), " more "].concat());
    }
    if !row.state.is_empty() {
        words.push_str(&["· ", row.state].concat());
    }
    words
}

fn pixels(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
