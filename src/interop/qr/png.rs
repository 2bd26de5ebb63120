//! A QR code as a PNG file (RFC 2083), of one bit a pixel and not compressed.

use super::Picture;

/// Pixels of a module, both ways: with one bit each, a module is a byte of a row.
const SCALE: i32 = 8;

/// The most bytes of one block that is stored as it is (RFC 1951, 3.2.4).
const LARGEST_BLOCK: usize = 0xffff;

impl Picture {
    /// The file.
    pub fn png(&self) -> Vec<u8> {
        let side = u32::try_from(self.side() * SCALE).expect("at most 185 modules");
        let mut header = [side.to_be_bytes(), side.to_be_bytes()].concat();
        // One bit, greyscale; the rest is as it always is.
        header.extend([1, 0, 0, 0, 0]);
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut file, *b"IHDR", &header);
        chunk(&mut file, *b"IDAT", &stored(&self.rows()));
        chunk(&mut file, *b"IEND", &[]);
        file
    }

    /// All rows, each behind the number of its filter: none.
    fn rows(&self) -> Vec<u8> {
        let mut rows = Vec::new();
        for y in 0..self.side() * SCALE {
            rows.push(0);
            rows.extend((0..self.side()).map(|x| if self.is_dark(x, y / SCALE) { 0 } else { 0xff }));
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

/// As zlib has it (RFC 1950), in blocks that are stored as they are.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(LARGEST_BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("at most that of the largest");
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(data).to_be_bytes());
    stream
}

/// The sum of a chunk (RFC 2083, 15), bit by bit: there are few bytes, and a table would be a kilobyte.
fn crc32(data: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
    !data.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// The sum of a stream (RFC 1950, 8.2).
fn adler32(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}
