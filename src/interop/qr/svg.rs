//! QR code as an SVG drawing with a single path.

use std::fmt::Write as _;

use super::Picture;

impl Picture {
    /// Returns the drawing, which scales to any size.
    pub fn svg(&self) -> String {
        let side = self.side();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
             shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\
             <path d=\""
        );
        for y in 0..side {
            let mut x = 0;
            while x < side {
                let length = (x..side).take_while(|x| self.is_dark(*x, y)).count();
                if length > 0 {
                    // Move to the first module, draw along the row, one module down, and back.
                    let _ = write!(svg, "M{x} {y}h{length}v1h-{length}z");
                }
                // The module after a run is white.
                x += i32::try_from(length).expect("at most 185 modules") + 1;
            }
        }
        svg.push_str("\"/></svg>\n");
        svg
    }
}
