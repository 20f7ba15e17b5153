//! The list of common passwords, which is compiled into the program and read in place.
//!
//! `common_passwords/README.md` describes the source and the format of the list.

use std::cmp::Ordering;

/// The minimum length of an entry in bytes: no setting allows shorter passwords.
pub(crate) const MIN_LENGTH: usize = 8;

static LIST: &[u8] = include_bytes!("common_passwords/list");

/// Whether the list contains this password. It must be in lower case.
pub(crate) fn contain(folded: &str) -> bool {
    let wanted = folded.as_bytes();
    let index = index();
    let before = index.partition_point(|start| {
        let first = Entries::of(&LIST[at(*start)..]).step().map(|first| first <= wanted);
        first.unwrap_or(false) // the end of the last block
    });
    let Some(block) = before.checked_sub(1) else { return false };
    let mut entries = Entries::of(&LIST[at(index[block])..at(index[block + 1])]);
    while let Some(entry) = entries.step() {
        match entry.cmp(wanted) {
            Ordering::Less => {}
            Ordering::Equal => return true,
            Ordering::Greater => return false,
        }
    }
    false
}

/// The offsets of the blocks, and of the end of the last one.
fn index() -> &'static [[u8; 4]] {
    let (offsets, _) = LIST.as_chunks();
    &offsets[..at(offsets[0]) / 4] // the first block starts after the index
}

fn at(offset: [u8; 4]) -> usize {
    u32::from_le_bytes(offset) as usize
}

/// Decodes the entries of a block in their order.
struct Entries {
    rest: &'static [u8],
    entry: Vec<u8>,
}

impl Entries {
    fn of(rest: &'static [u8]) -> Self {
        Self { rest, entry: Vec::new() }
    }

    /// The next entry: a prefix of the previous one, followed by its own suffix.
    fn step(&mut self) -> Option<&[u8]> {
        let (&shared, rest) = self.rest.split_first()?;
        let last = rest.iter().position(|byte| byte & 0x80 != 0)?;
        self.entry.truncate(shared.into());
        self.entry.extend_from_slice(&rest[..last]);
        self.entry.push(rest[last] & 0x7f);
        self.rest = &rest[last + 1..];
        Some(&self.entry)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::passwords::common_passwords::*;
    use crate::domain::passwords::rules::ABSOLUTE_MIN_PASSWORD_LENGTH;

    fn entries() -> Vec<String> {
        let mut entries = Vec::new();
        for pair in index().windows(2) {
            let mut block = Entries::of(&LIST[at(pair[0])..at(pair[1])]);
            while let Some(entry) = block.step() {
                entries.push(String::from_utf8(entry.to_vec()).unwrap());
            }
        }
        entries
    }

    #[test]
    fn every_entry_is_found_and_its_neighbours_are_not() {
        let entries = entries();
        assert_eq!(MIN_LENGTH, ABSOLUTE_MIN_PASSWORD_LENGTH);
        assert_eq!(entries.len(), 474_743, "as README.md beside the list says");
        assert!(entries.is_sorted_by(|one, next| one < next), "each once, in order");
        for entry in &entries {
            assert!(
                entry.len() >= ABSOLUTE_MIN_PASSWORD_LENGTH && *entry == entry.to_lowercase(),
                "{entry}"
            );
            assert!(contain(entry), "{entry}");
        }
        let known: std::collections::HashSet<&String> = entries.iter().collect();
        for entry in entries.iter().step_by(100) {
            for other in [format!("{entry}~"), entry[1..].to_owned(), entry[..7].to_owned()] {
                assert_eq!(contain(&other), known.contains(&other), "{other}");
            }
        }
        for absent in ["", " ", "~", "\u{7f}", "correct horse battery staple", "пароль12345678"]
        {
            assert!(!contain(absent), "{absent}");
        }
    }
}
