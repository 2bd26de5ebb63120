//! QR codes, read back by other programs, from each form in which portals shows them.

use rqrr::PreparedImage;
use wg_portals::interop::qr::Picture;

/// Text as long as a phone's file with every key, and with letters of all kinds.
const TEXT: &str = "[Interface]
PrivateKey = 4GgzNiPBlvkXnCeQsGhpjCpPNhyJSZTHBBcCwBfjAEY=
Address = 10.77.1.2/32
DNS = 9.9.9.9, 149.112.112.112
MTU = 1280

[Peer]
PublicKey = pOCSkrZRwni5dyxWn1+puxPZBrRqtoyd+dwrRAn4ogk=
PresharedKey = kk4O0ikjAdmafDo8kaFk6fmyyYParv2MTsDKeAKjwHs=
Endpoint = a-router-with-a-long-name.at-home.in-the-north.example.net:51820
AllowedIPs = 0.0.0.0/0, ::/0
PersistentKeepalive = 25
";

/// Content that a camera reads in a square picture; `is_dark` tells the colour of a pixel.
fn read(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
    let grey = |x, y| if is_dark(x, y) { 0 } else { 255 };
    let mut image = PreparedImage::prepare_from_greyscale(side, side, grey);
    let grids = image.detect_grids();
    let [grid] = grids.as_slice() else { panic!("{} codes", grids.len()) };
    grid.decode().expect("a code that can be read").1
}

/// Content of rows of modules, which the reader needs enlarged to several pixels each.
fn read_modules(rows: &[Vec<bool>]) -> String {
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    let side = rows[0].len() * 4;
    read(side, |x, y| rows.get(y / 4).is_some_and(|row| row[x / 4]))
}

/// Texts of all sizes up to the largest that a code holds.
fn texts() -> impl Iterator<Item = String> {
    [1, 17, 100, 400, 1000, 2953].into_iter().map(|length| TEXT.chars().cycle().take(length).collect())
}

#[test]
fn an_image_file_is_read_back() {
    for text in texts() {
        let file = Picture::of(&text).unwrap().png();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let dark = |x: usize, y: usize| pixels[y * info.line_size + x / 8] >> (7 - x % 8) & 1 == 0;
        assert_eq!(info.width, info.height);
        assert_eq!(read(info.width as usize, dark), text);
    }
}

#[test]
fn a_terminal_is_read_back() {
    for text in texts() {
        for coloured in [true, false] {
            let shown = Picture::of(&text).unwrap().for_terminal(coloured);
            assert_eq!(shown.contains('\x1b'), coloured);
            let rows: Vec<Vec<bool>> = shown.lines().flat_map(|line| modules(line, coloured)).collect();
            assert_eq!(read_modules(&rows), text);
        }
    }
}

/// The two rows of modules that a line shows: coloured characters are black, all others white.
fn modules(line: &str, coloured: bool) -> [Vec<bool>; 2] {
    let line = line.trim_start_matches("\x1b[38;5;16;48;5;231m").trim_end_matches("\x1b[0m");
    let row = |ink: [char; 2]| line.chars().map(|shown| ink.contains(&shown) == coloured).collect();
    [row(['█', '▀']), row(['█', '▄'])]
}

#[test]
fn a_drawing_is_read_back() {
    for text in texts() {
        let svg = Picture::of(&text).unwrap().svg();
        let side: usize = between(&svg, "viewBox=\"0 0 ", " ").parse().unwrap();
        let mut rows = vec![vec![false; side]; side];
        for run in between(&svg, "<path d=\"", "\"").split_terminator('z') {
            let (x, rest) = run.strip_prefix('M').unwrap().split_once(' ').unwrap();
            let (y, rest) = rest.split_once('h').unwrap();
            let (length, back) = rest.split_once("v1h-").unwrap();
            assert_eq!(length, back);
            let (x, y, length): (usize, usize, usize) =
                (x.parse().unwrap(), y.parse().unwrap(), length.parse().unwrap());
            rows[y][x..x + length].fill(true);
        }
        assert_eq!(read_modules(&rows), text);
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0
}

#[test]
fn a_file_of_a_phone_fits_into_a_terminal_of_80_columns() {
    let shown = Picture::of(TEXT).unwrap().for_terminal(false);
    assert!(shown.lines().all(|line| line.chars().count() < 80), "{shown}");
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let error = Picture::of(&"x".repeat(2954)).err().unwrap().to_string();
    assert!(error.starts_with("this text is too long for a QR code: "), "{error}");
}
