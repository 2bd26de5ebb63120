//! Texts of a new process: its arguments and its environment.

use std::ffi::CStr;

/// Texts for the kernel, one behind the other, each with a zero at its end.
#[derive(Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Set if a text had a zero before its end.
    pub(super) has_zero: bool,
}

impl Texts {
    /// Adds a text that has these parts.
    pub(super) fn add(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.has_zero |= part.contains(&0);
            self.bytes.extend_from_slice(part);
        }
        self.bytes.push(0);
    }

    /// Returns the texts.
    pub(super) fn all(&self) -> Vec<&CStr> {
        let mut texts = Vec::new();
        for text in self.bytes.split_inclusive(|byte| *byte == 0) {
            texts.extend(CStr::from_bytes_with_nul(text));
        }
        texts
    }
}
