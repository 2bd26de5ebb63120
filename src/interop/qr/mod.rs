//! A text as a QR code (ISO/IEC 18004), for the camera of a phone: in the terminal, and as an image.

mod png;
mod svg;

use qrcodegen::{QrCode, QrCodeEcc};

use crate::base::error::{Context as _, Result};

/// White modules around the code, without which readers do not find it (ISO/IEC 18004, 5.3.8).
const QUIET: i32 = 4;

/// A QR code, and the white around it.
pub struct Picture(QrCode);

impl Picture {
    /// The smallest code that holds `text`, which is at most 2953 bytes long.
    pub fn of(text: &str) -> Result<Self> {
        let code = QrCode::encode_binary(text.as_bytes(), QrCodeEcc::Low);
        code.map(Self).doing(|| "this is too much for a QR code".to_owned())
    }

    /// Height and width in modules.
    fn side(&self) -> i32 {
        self.0.size() + 2 * QUIET
    }

    /// Whether a module is black; all outside of the code are white.
    fn is_dark(&self, x: i32, y: i32) -> bool {
        self.0.get_module(x - QUIET, y - QUIET)
    }

    /// Two modules a character, one above the other. In colour, they are black on white whatever the terminal's colours are; else the
    /// characters stand for white, as on a dark terminal: most readers take a code also if it is the other way round.
    pub fn for_terminal(&self, coloured: bool) -> String {
        // Of the 256 colours of xterm: those of the first 16 are other ones in many themes.
        let (begin, end) = if coloured { ("\x1b[38;5;16;48;5;231m", "\x1b[0m\n") } else { ("", "\n") };
        let has_ink = |x, y| self.is_dark(x, y) == coloured;
        let character = |x, y| match (has_ink(x, y), has_ink(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        let mut text = String::new();
        for y in (0..self.side()).step_by(2) {
            text.push_str(begin);
            text.extend((0..self.side()).map(|x| character(x, y)));
            text.push_str(end);
        }
        text
    }
}
