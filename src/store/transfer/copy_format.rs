//! The format of rows in a transfer: PostgreSQL's binary COPY, in which a number, a text and bytes
//! have exactly one representation each. So rows are equal if their bytes are.

use std::ops::Range;

/// The header of a binary COPY: its signature, no flags, no extension.
pub const HEAD: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The trailer of a binary COPY: a row with -1 values.
pub const TAIL: [u8; 2] = [0xff, 0xff];
/// The length of a null value.
const NULL: i32 = -1;

/// Rows of one table, in the order of its key.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub bytes: Vec<u8>,
    pub count: usize,
}

impl Rows {
    pub fn begin_row(&mut self, columns: usize) {
        let columns = i16::try_from(columns).expect("a table has few columns");
        self.bytes.extend(columns.to_be_bytes());
        self.count += 1;
    }

    pub fn push(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(NULL, |value| {
            i32::try_from(value.len()).expect("a value is far smaller than 2 GiB")
        });
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(value.unwrap_or_default());
    }

    /// The values, row by row.
    pub fn values(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let (mut at, mut left) = (0, 0);
        std::iter::from_fn(move || {
            if left == 0 {
                left = number_at(&self.bytes, at)?;
                at += 2;
            }
            left -= 1;
            let value = value_at(&self.bytes, at).expect("rows are whole");
            at = value.end;
            Some((!value.is_null).then(|| &self.bytes[value.bytes]))
        })
    }
}

struct Found {
    bytes: Range<usize>,
    is_null: bool,
    end: usize,
}

/// The number of values in the row at this offset, or `None` if the row is incomplete or is the
/// trailer.
fn number_at(bytes: &[u8], at: usize) -> Option<usize> {
    let count = bytes.get(at..at + 2)?.try_into().expect("two bytes");
    usize::try_from(i16::from_be_bytes(count)).ok()
}

fn value_at(bytes: &[u8], at: usize) -> Option<Found> {
    let length = bytes.get(at..at + 4)?.try_into().expect("four bytes");
    let length = i32::from_be_bytes(length);
    let end = at + 4 + usize::try_from(length).unwrap_or_default();
    let found = Found { bytes: at + 4..end, is_null: length == NULL, end };
    (end <= bytes.len()).then_some(found)
}

/// The end of the row at this offset, if the row is complete.
pub fn row_end(bytes: &[u8], at: usize) -> Option<usize> {
    let count = number_at(bytes, at)?;
    (0..count).try_fold(at + 2, |at, _| value_at(bytes, at).map(|value| value.end))
}
