//! Curves between cards, in whole pixels.

use crate::map::svg::Svg;

/// Point: to the right, and down.
pub(super) type Point = [i32; 2];

/// Rectangle.
pub(super) struct Rect {
    /// Upper left corner.
    pub(super) corner: Point,
    /// Width and height.
    pub(super) size: [i32; 2],
}

impl Rect {
    /// Reports whether a point is inside, or almost.
    fn has(&self, point: Point) -> bool {
        [0, 1].into_iter().all(|axis| {
            let first = self.corner[axis] - 4;
            (first..=first + self.size[axis] + 8).contains(&point[axis])
        })
    }
}

/// Quadratic Bézier curve.
pub(super) struct Curve([Point; 3]);

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
            let half = i32::midpoint(from[axis], to[axis]);
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

    /// Returns the middle of the part between two rectangles, one at each end.
    pub(super) fn middle(&self, [one, other]: [&Rect; 2]) -> Point {
        let first = (0..STEPS).find(|step| !one.has(self.at(*step))).unwrap_or(0);
        let last = (0..STEPS).rev().find(|step| !other.has(self.at(*step))).unwrap_or(STEPS);
        self.at(i32::midpoint(first, last))
    }

    /// Draws the curve with a class.
    pub(super) fn draw(&self, svg: &mut Svg, class: &str) {
        let [[x, y], [control_x, control_y], [to_x, to_y]] = self.0;
        svg.put("<path class=\"", &[]);
        svg.put(class, &[]);
        svg.put("\" d=\"M# #Q# # # #\"/>\n", &[x, y, control_x, control_y, to_x, to_y]);
    }

    /// Draws the curve as an arrow that ends at the border of a rectangle.
    pub(super) fn draw_arrow(&self, svg: &mut Svg, class: &str, target: &Rect) {
        let end = (1..=STEPS).rev().find(|step| !target.has(self.at(*step))).unwrap_or(STEPS);
        let [from, control, _] = self.0;
        let tip = self.at(end);
        let control = [0, 1].map(|axis| from[axis] + (control[axis] - from[axis]) * end / STEPS);
        let [along, down] = towards(control, tip, TIP.0);
        let neck = [tip[0] - along, tip[1] - down];
        let (wide_x, wide_y) = (down * TIP.1 / TIP.0, along * TIP.1 / TIP.0);
        Self([from, control, neck]).draw(svg, &["way ", class].concat());
        svg.put("<path class=\"fill ", &[]);
        svg.put(class, &[]);
        svg.put(
            "\" d=\"M# #L# # # #Z\"/>\n",
            &[tip[0], tip[1], neck[0] - wide_x, neck[1] + wide_y, neck[0] + wide_x, neck[1] - wide_y],
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
        let card = Rect { corner: [200, -50], size: [100, 100] };
        Curve::between([0, 0], [250, 0], None, 0).draw_arrow(&mut svg, "c1", &card);
        let drawing = svg.finish();
        assert!(
            drawing.ends_with("<path class=\"fill c1\" d=\"M194 0L182 6 182 -6Z\"/>\n</svg>\n"),
            "{drawing}"
        );
    }
}
