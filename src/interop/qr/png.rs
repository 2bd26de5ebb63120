//! QR code as a PNG file (RFC 2083), with one bit per pixel and without compression.

use super::Picture;

/// Height and width of a module in pixels: with one bit per pixel, a module is one byte of a row.
const PIXELS_PER_MODULE: i32 = 8;

/// Largest size in bytes of an uncompressed block (RFC 1951, 3.2.4).
const LARGEST_BLOCK: usize = 0xffff;

impl Picture {
    /// Returns the bytes of a PNG file.
    pub fn png(&self) -> Vec<u8> {
        let side = u32::try_from(self.side() * PIXELS_PER_MODULE).expect("at most 185 modules");
        let mut header = [side.to_be_bytes(), side.to_be_bytes()].concat();
        // One bit per pixel, greyscale; the other fields have only one value in use.
        header.extend([1, 0, 0, 0, 0]);
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut file, *b"IHDR", &header);
        chunk(&mut file, *b"IDAT", &uncompressed(&self.rows()));
        chunk(&mut file, *b"IEND", &[]);
        file
    }

    /// Returns all rows of pixels, each after its filter type: 0, none.
    fn rows(&self) -> Vec<u8> {
        let mut rows = Vec::new();
        for y in 0..self.side() * PIXELS_PER_MODULE {
            rows.push(0);
            rows.extend(
                (0..self.side()).map(|x| if self.is_dark(x, y / PIXELS_PER_MODULE) { 0 } else { 0xff }),
            );
        }
        rows
    }
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    file.extend(u32::try_from(data.len()).expect("less than 300 kB").to_be_bytes());
    let summed = file.len();
    file.extend(kind);
    file.extend(data);
    let sum = crc32(&file[summed..]);
    file.extend(sum.to_be_bytes());
}

/// Returns a zlib stream (RFC 1950) of uncompressed blocks.
fn uncompressed(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(LARGEST_BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("at most the largest size");
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(data).to_be_bytes());
    stream
}

/// Returns the checksum of a chunk (RFC 2083, 15), bit by bit: the data is small, and a table would take a
/// kilobyte.
fn crc32(data: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    !data.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// Returns the checksum of a stream (RFC 1950, 8.2).
fn adler32(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}
