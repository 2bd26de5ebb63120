//! A QR code as one path.

use std::fmt::Write as _;

use super::Picture;

impl Picture {
    /// The image, of any size.
    pub fn svg(&self) -> String {
        let side = self.side();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
             <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\""
        );
        for y in 0..side {
            let mut x = 0;
            while x < side {
                let length = (x..side).take_while(|x| self.is_dark(*x, y)).count();
                if length > 0 {
                    // To there, along the row, down one, and back.
                    let _ = write!(svg, "M{x} {y}h{length}v1h-{length}z");
                }
                // What follows a run is white.
                x += i32::try_from(length).expect("at most 185 modules") + 1;
            }
        }
        svg.push_str("\"/></svg>\n");
        svg
    }
}
