//! QR codes (ISO/IEC 18004) for the camera of a phone: in the terminal, and as images.

mod png;
mod svg;

use qrcodegen::{QrCode, QrCodeEcc};

use crate::base::error::{Context as _, Result};

/// Width in modules of the white margin, without which readers do not find the code (ISO/IEC 18004, 5.3.8).
const MARGIN: i32 = 4;

/// QR code with its white margin.
pub struct Picture(QrCode);

impl Picture {
    /// Returns the smallest code that holds `text`, which is at most 2953 bytes long.
    pub fn of(text: &str) -> Result<Self> {
        let code = QrCode::encode_binary(text.as_bytes(), QrCodeEcc::Low);
        code.map(Self).context(|| "this text is too long for a QR code".to_owned())
    }

    /// Returns the height and width in modules, margin included.
    fn side(&self) -> i32 {
        self.0.size() + 2 * MARGIN
    }

    /// Reports whether a module is black; all modules outside the code are white.
    fn is_dark(&self, x: i32, y: i32) -> bool {
        self.0.get_module(x - MARGIN, y - MARGIN)
    }

    /// Returns the code as lines of text: each character is two modules, one above the other. In colour, the
    /// modules are black on white, independent of the terminal's colours; without colour, the characters
    /// appear white, as on a dark terminal: most readers also accept an inverted code.
    pub fn for_terminal(&self, coloured: bool) -> String {
        // Black and white of xterm's 256 colours: many themes redefine the first 16 colours.
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
