//! The id of an answer that is too large or too broken to be read: its caller then gets an error at
//! once instead of a timeout. Messages that can be read are read in [`crate::wire`].

use crate::wire::id_as_u64;

/// Longer ids are not the gateway's.
const LONGEST_ID: usize = 32;

/// Finds the number under the key `id` of the outermost object, byte by byte and without keeping
/// the text.
#[derive(Default)]
pub(super) struct IdFinder {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The start of the last string of the outermost object: no more than is needed to know `id`.
    text: Vec<u8>,
    in_value: bool,
    /// The id as it is written, its quotes included.
    id: String,
    found: Option<u64>,
}

impl IdFinder {
    /// The id of the message that `text` should have been.
    pub(super) fn of(text: &[u8]) -> Option<u64> {
        let mut finder = Self::default();
        finder.feed(text);
        finder.found()
    }

    pub(super) fn found(&self) -> Option<u64> {
        self.found
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.in_string {
                self.string_byte(byte);
            } else {
                self.outside_byte(byte);
            }
        }
    }

    fn string_byte(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
        if self.depth == 1 && self.in_value {
            self.id_byte(byte);
        } else if self.in_string && self.depth == 1 && self.text.len() < 3 {
            self.text.push(byte);
        }
    }

    fn outside_byte(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                if self.depth == 1 && self.in_value {
                    self.id_byte(byte);
                } else if self.depth == 1 {
                    self.text.clear();
                }
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.end_member();
                }
            }
            b':' if self.depth == 1 => self.in_value = true,
            b',' if self.depth == 1 => self.end_member(),
            _ if self.depth == 1 && self.in_value && !byte.is_ascii_whitespace() => {
                self.id_byte(byte);
            }
            _ => {}
        }
    }

    fn id_byte(&mut self, byte: u8) {
        if self.text == b"id" && self.id.len() < LONGEST_ID {
            self.id.push(char::from(byte));
        }
    }

    fn end_member(&mut self) {
        if self.text == b"id" {
            self.found = id_as_u64(&self.id);
        }
        self.id.clear();
        self.text.clear();
        self.in_value = false;
    }
}
