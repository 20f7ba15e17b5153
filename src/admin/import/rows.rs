//! Reads the rows of an import file: CSV with a header, or JSON Lines.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::error::ImportError;
use super::fields::{Columns, Fields, parse_json, parse_user};
use super::format::ImportFormat;
use crate::domain::imports::{ImportedEmail, ImportedUser};

/// The maximum length of a JSON line in bytes. The line of a typical user has a few hundred bytes.
const MAX_LINE: u64 = 64 * 1024;

/// A row: the user, or the reason why the row is refused.
pub(super) struct Row {
    pub line: u64,
    pub user: Result<ImportedUser, String>,
}

/// An iterator over the rows of a file.
pub(super) struct Rows {
    source: Source,
    names: Names,
}

enum Source {
    Csv { reader: Box<csv::Reader<Text>>, columns: Columns, record: csv::ByteRecord },
    Jsonl { reader: Text, line: u64 },
}

type Text = BufReader<CountedFile>;

impl Rows {
    pub(super) fn open(path: &Path, format: ImportFormat) -> Result<Self, ImportError> {
        let unreadable = |error| ImportError::Unreadable(path.to_owned(), error);
        let file = File::open(path).map_err(unreadable)?;
        let reader = BufReader::new(CountedFile { file, read: 0 });
        let source = match format {
            ImportFormat::Csv => {
                // The reader accepts records with any number of fields. A stray quotation mark
                // produces such records, and our own error names their line.
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
                let columns = Columns::find(reader.headers().map_err(ImportError::from_parser)?)?;
                Source::Csv { reader: Box::new(reader), columns, record: csv::ByteRecord::new() }
            }
            ImportFormat::Jsonl => Source::Jsonl { reader, line: 0 },
        };
        Ok(Self { source, names: Names::default() })
    }

    /// The number of bytes that were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        match &self.source {
            Source::Csv { reader, .. } => reader.get_ref().get_ref().read,
            Source::Jsonl { reader, .. } => reader.get_ref().read,
        }
    }
}

/// A file that counts the bytes that are read.
struct CountedFile {
    file: File,
    read: u64,
}

impl Read for CountedFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.read += u64::try_from(read).unwrap_or_default();
        Ok(read)
    }
}

impl Iterator for Rows {
    type Item = Result<Row, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, fields) = match self.source.next()? {
            Ok(read) => read,
            Err(failed) => return Some(Err(failed)),
        };
        let user = fields.and_then(|fields| {
            let user = parse_user(&fields)?;
            if !self.names.is_new(user.username.as_str()) {
                return Err(format!("{:?} occurs twice in the file", fields.username));
            }
            // Names contain no @, so the two kinds of text never equal each other.
            if let Some(ImportedEmail::Confirmed(address)) = &user.email
                && !self.names.is_new(&address.mailbox())
            {
                let name = &fields.username;
                return Err(format!("{name:?}: another row has the verified address {address}"));
            }
            Ok(user)
        });
        Some(Ok(Row { line, user }))
    }
}

/// The user names and verified addresses of the rows already read, as keyed 64-bit hashes. In a file with a million names,
/// the probability of a collision is one in forty million. A collision refuses the second user.
#[derive(Default)]
struct Names {
    hasher: RandomState,
    seen: HashSet<u64>,
}

impl Names {
    fn is_new(&mut self, name: &str) -> bool {
        self.seen.insert(self.hasher.hash_one(name))
    }
}

/// The line number of a row, and its fields or the reason why they are refused.
type Entry = (u64, Result<Fields, String>);

impl Source {
    fn next(&mut self) -> Option<Result<Entry, ImportError>> {
        match self {
            Self::Csv { reader, columns, record } => match reader.read_byte_record(record) {
                Ok(false) => None,
                Err(error) => Some(Err(ImportError::from_parser(error))),
                Ok(true) => {
                    let line = record.position().expect("it was read from somewhere").line();
                    if is_unclosed(record) {
                        return Some(Err(ImportError::UnclosedQuote(line)));
                    }
                    Some(Ok((line, columns.parse(record))))
                }
            },
            Self::Jsonl { reader, line } => loop {
                let mut text = Vec::new();
                let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut text);
                match read {
                    Err(error) => return Some(Err(ImportError::from_parser(error))),
                    Ok(0) => return None,
                    Ok(_) => *line += 1,
                }
                if text.len() as u64 == MAX_LINE && !text.ends_with(b"\n") {
                    return match reader.skip_until(b'\n') {
                        Err(error) => Some(Err(ImportError::from_parser(error))),
                        Ok(_) => Some(Ok((*line, Err("the row is longer than 64 KiB".to_owned())))),
                    };
                }
                let text = if *line == 1 { without_bom(&text) } else { &text };
                if !text.trim_ascii().is_empty() {
                    return Some(Ok((*line, parse_json(text))));
                }
            },
        }
    }
}

/// Removes the byte order mark that Windows programs write at the start of UTF-8 files.
fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// Whether a field contains a line break. No valid field contains one, so a stray quotation mark
/// has joined several rows.
fn is_unclosed(record: &csv::ByteRecord) -> bool {
    record.as_slice().contains(&b'\n')
}
