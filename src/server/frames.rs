//! Finds the start and end of request heads in the bytes of an HTTP/2 client (RFC 9113, sections
//! 3.4, 4.1 and 6.10). h2 parses the frames; this only detects an unfinished head.

/// The length of the connection preface.
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

#[derive(Debug)]
pub struct Frames {
    /// The bytes read of a frame header, which may be incomplete.
    head: [u8; FRAME_HEAD],
    length: usize,
    /// The number of payload bytes that are not read yet.
    left: usize,
    is_in_head: bool,
    /// Whether the request's head ends with this frame.
    ends_head: bool,
}

/// The result of reading some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// Whether the head of a request ended.
    pub has_ended: bool,
    /// Whether a head is unfinished.
    pub is_in_head: bool,
}

impl Frames {
    pub fn new() -> Self {
        let head = [0; FRAME_HEAD];
        Self { head, length: 0, left: PREFACE, is_in_head: false, ends_head: false }
    }

    /// Reads more bytes.
    pub fn read(&mut self, mut bytes: &[u8]) -> Read {
        let mut has_ended = false;
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                self.left -= count;
                bytes = &bytes[count..];
            } else {
                self.head[self.length] = bytes[0];
                self.length += 1;
                bytes = &bytes[1..];
                if self.length < FRAME_HEAD {
                    continue;
                }
                self.begin();
            }
            if self.left == 0 && self.ends_head {
                (self.is_in_head, self.ends_head, has_ended) = (false, false, true);
            }
        }
        Read { has_ended, is_in_head: self.is_in_head }
    }

    /// Evaluates a complete frame header.
    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.length = 0;
        self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.is_in_head |= kind == HEADERS;
        self.ends_head = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.extend((0..length).map(|_| HEADERS)); // payload that looks like a frame header
        frame
    }

    #[test]
    fn a_head_is_unfinished_from_its_first_frame_to_the_end_of_its_last() {
        let mut frames = Frames::new();
        let mut read = |bytes: &[u8]| {
            let Read { has_ended, is_in_head } = frames.read(bytes);
            (has_ended, is_in_head)
        };
        assert_eq!(read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), (false, false));
        assert_eq!(read(&frame(4, 0, 6)), (false, false), "settings");
        assert_eq!(read(&frame(HEADERS, END_HEADERS, 5)), (true, false));
        assert_eq!(read(&frame(HEADERS, 1, 5)), (false, true));
        assert_eq!(read(&frame(CONTINUATION, 0, 0)), (false, true));
        let last = frame(CONTINUATION, END_HEADERS, 5);
        for byte in &last[..last.len() - 1] {
            assert_eq!(read(&[*byte]), (false, true));
        }
        assert_eq!(read(&last[last.len() - 1..]), (true, false));
        let empty = frame(HEADERS, END_HEADERS, 0);
        assert_eq!(read(&empty), (true, false));
        assert_eq!(read(&[&empty[..], &frame(HEADERS, 0, 1)].concat()), (true, true));
    }
}
