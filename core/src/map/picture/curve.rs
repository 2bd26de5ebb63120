//! Curves between cards, in whole pixels.

use crate::map::svg::Svg;

/// Point: to the right, and down.
pub(super) type Point = [i32; 2];

/// Card of a site.
pub(super) struct Card {
    pub(super) centre: Point,
    /// Width and height.
    pub(super) size: [i32; 2],
}

impl Card {
    /// Returns the upper left corner.
    pub(super) fn corner(&self) -> Point {
        [self.centre[0] - self.size[0] / 2, self.centre[1] - self.size[1] / 2]
    }

    /// Reports whether a point is inside, or almost.
    fn has(&self, point: Point) -> bool {
        let [x, y] = self.corner();
        (x - 4..=x + self.size[0] + 4).contains(&point[0])
            && (y - 4..=y + self.size[1] + 4).contains(&point[1])
    }
}

/// Quadratic Bézier curve.
pub(super) struct Curve(pub(super) [Point; 3]);

/// Number of steps from one end of a curve to the other.
const STEPS: i32 = 256;

/// Largest distance between an end of a curve and the middle of its card.
const MOST_ASIDE: i32 = 24;

/// Length of the tip of an arrow, and half its width.
const TIP: (i32, i32) = (12, 6);

impl Curve {
    /// Returns the curve between two points, bent towards `middle`, in a lane beside the line between the
    /// points: a positive number is on the right.
    pub(super) fn between(from: Point, to: Point, middle: Option<Point>, lane: i32) -> Self {
        let aside = |distance: i32| {
            let [along, down] = towards(from, to, distance);
            [-down, along]
        };
        let (ends, bow) = (aside((lane * 10).clamp(-MOST_ASIDE, MOST_ASIDE)), aside(lane * 14));
        let control = [0, 1].map(|axis| {
            let half = (from[axis] + to[axis]) >> 1;
            half + bow[axis] + middle.map_or(0, |middle| (middle[axis] - half) / 4)
        });
        let moved = |point: Point| [point[0] + ends[0], point[1] + ends[1]];
        Self([moved(from), control, moved(to)])
    }

    /// Returns the point after some of [`STEPS`].
    fn at(&self, step: i32) -> Point {
        let [from, control, to] = self.0;
        let part = |from: i32, to: i32| from + (to - from) * step / STEPS;
        [0, 1].map(|axis| part(part(from[axis], control[axis]), part(control[axis], to[axis])))
    }

    /// Returns the last step before the curve enters a card at its end.
    fn steps_to(&self, card: &Card) -> i32 {
        let mut step = STEPS;
        while step > 0 && card.has(self.at(step)) {
            step -= 1;
        }
        step
    }

    /// Returns the middle of the part between two cards, one at each end.
    pub(super) fn middle(&self, one: &Card, other: &Card) -> Point {
        let mut first = 0;
        while first < STEPS && one.has(self.at(first)) {
            first += 1;
        }
        self.at((first + self.steps_to(other)) >> 1)
    }

    /// Draws the curve as an arrow that ends at the border of a card.
    pub(super) fn draw_arrow(&self, svg: &mut Svg, class: &str, target: &Card) {
        let end = self.steps_to(target);
        let [from, control, _] = self.0;
        let [x, y] = self.at(end);
        let control = [0, 1].map(|axis| from[axis] + (control[axis] - from[axis]) * end / STEPS);
        let [along, down] = towards(control, [x, y], TIP.0);
        let [neck_x, neck_y] = [x - along, y - down];
        let (wide_x, wide_y) = (down * TIP.1 / TIP.0, along * TIP.1 / TIP.0);
        svg.put(
            "<path class=\"way ~\" d=\"M# #Q# # # #\"/>\n<path class=\"fill ~\" d=\"M# #L# # # #Z\"/>\n",
            [
                [from, control, [neck_x, neck_y]],
                [[x, y], [neck_x - wide_x, neck_y + wide_y], [neck_x + wide_x, neck_y - wide_y]],
            ]
            .as_flattened()
            .as_flattened(),
            &[class, class],
        );
    }
}

/// Returns a vector in the direction from one point to another; downwards, if they are equal. Its length is
/// exact to 7 %: a root of large numbers takes a kilobyte on small processors.
fn towards(from: Point, to: Point, length: i32) -> [i32; 2] {
    let vector = [0, 1].map(|axis| to[axis] - from[axis]);
    let [along, down] = vector.map(i32::abs);
    let whole = along.max(down) + along.min(down) * 3 / 8;
    if whole == 0 { [0, length] } else { vector.map(|part| part * length / whole) }
}

/// Returns a thousand times the sine of an angle in tenths of a degree, by Bhāskara's approximation: it is
/// off by 2 at most.
pub(super) fn sine(angle: i32) -> i32 {
    let half = angle.rem_euclid(1800);
    let product = half * (1800 - half);
    let value = 4000 * (product / 100) / ((4_050_000 - product) / 100);
    if angle.rem_euclid(3600) < 1800 { value } else { -value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_are_near() {
        for angle in -3600..7200 {
            let exact = 1000.0 * (f64::from(angle) / 10.0).to_radians().sin();
            assert!((exact - f64::from(sine(angle))).abs() < 3.0, "{angle}");
        }
    }

    #[test]
    fn arrows_end_at_the_border() {
        let mut svg = Svg::new([9, 9], "", "");
        let card = Card { centre: [250, 0], size: [100, 100] };
        Curve::between([0, 0], [250, 0], None, 0).draw_arrow(&mut svg, "c1", &card);
        let drawing = svg.finish();
        assert!(
            drawing.ends_with("<path class=\"fill c1\" d=\"M194 0L182 6 182 -6Z\"/>\n</svg>\n"),
            "{drawing}"
        );
    }
}
