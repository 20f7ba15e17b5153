//! `cloakroom user import`: people who come from elsewhere, from a file of CSV or JSON Lines.
//!
//! The file is read twice: once to check every row, and once to add them, so that memory holds no
//! more than a batch and a number for each name.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressBarIter, ProgressStyle};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::user::about_name;
use super::{Failed, Outcome, say};
use crate::core::clock::Timestamp;
use crate::core::usernames::Username;
use crate::domain::Domain;
use crate::domain::foreign_hashes::BadHash;
use crate::domain::imports::{BATCH, ImportedPassword, Newcomer};

/// The most bytes of a line of JSON; a user has a few hundred.
const LONGEST_LINE: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub struct Import {
    /// CSV with a header, or JSON Lines: `username`, `password_hash`, and if you like `disabled` (true
    /// or false) and `created_at` (RFC 3339)
    file: PathBuf,
    /// The format, if the file's name does not end in .csv, .jsonl or .ndjson
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Import the other rows when some are refused, instead of none
    #[arg(long)]
    skip_bad: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

/// A row that was read: who, or why not.
struct Row {
    line: u64,
    newcomer: Result<Newcomer, String>,
}

/// What became of the rows.
#[derive(Default)]
struct Tally {
    good: u64,
    refused: u64,
    without_password: u64,
}

impl Import {
    pub async fn run(&self, domain: &Domain) -> Outcome {
        let format = self.format()?;
        let checked = self.check(format)?;
        let Tally { good, refused, without_password } = checked;
        if refused > 0 && !self.skip_bad {
            return Err(Failed(format!(
                "{} refused, and nothing was imported; mend them, or leave them out by --skip-bad",
                rows_are(refused)
            )));
        }
        let added = self.add(format, domain).await?;
        say(&format!("imported {}; {} there already", users(added), were(good - added)))?;
        if without_password > 0 {
            say(&format!(
                "{} no password and cannot sign in until given one",
                have(without_password)
            ))?;
        }
        if refused > 0 {
            return Err(Failed(format!("{} refused and left out", rows_are(refused))));
        }
        Ok(())
    }

    fn format(&self) -> Result<Format, Failed> {
        let ending = self.file.extension().and_then(|ending| ending.to_str());
        match (self.format, ending.map(str::to_ascii_lowercase).as_deref()) {
            (Some(format), _) => Ok(format),
            (None, Some("csv")) => Ok(Format::Csv),
            (None, Some("jsonl" | "ndjson")) => Ok(Format::Jsonl),
            (None, _) => Err(Failed(format!(
                "{} ends in neither .csv nor .jsonl; name its --format",
                self.file.display()
            ))),
        }
    }

    /// Reads the file and says which rows are refused, and why.
    fn check(&self, format: Format) -> Result<Tally, Failed> {
        let mut tally = Tally::default();
        let bar = bar(&self.file, "checking")?;
        for row in Rows::open(&self.file, format, &bar)? {
            let Row { line, newcomer } = row?;
            match newcomer {
                Ok(newcomer) => {
                    tally.good += 1;
                    tally.without_password += u64::from(newcomer.password.is_none());
                }
                Err(why) => {
                    tally.refused += 1;
                    // nobody reads it: the number of them is said at the end
                    let _ = bar.suspend(|| writeln!(io::stderr(), "line {line}: {why}"));
                }
            }
        }
        bar.finish_and_clear();
        Ok(tally)
    }

    /// Reads the file again and adds the good rows in batches; how many were new.
    async fn add(&self, format: Format, domain: &Domain) -> Result<u64, Failed> {
        domain.expect_many().await?;
        let bar = bar(&self.file, "importing")?;
        let mut added = 0;
        let mut batch = Vec::with_capacity(BATCH);
        let mut rows = Rows::open(&self.file, format, &bar)?;
        loop {
            for row in rows.by_ref() {
                batch.extend(row?.newcomer);
                if batch.len() == BATCH {
                    break;
                }
            }
            if batch.is_empty() {
                bar.finish_and_clear();
                return Ok(added);
            }
            let start = Instant::now();
            added += domain.import(&batch).await.map_err(|fault| {
                Failed(format!("{fault}; {} imported before, run it again to go on", users(added)))
            })?;
            batch.clear();
            // a running service waits for the writer in naps that grow with its waiting: a gap of a
            // quarter of that is not missed
            tokio::time::sleep(start.elapsed() / 4).await;
        }
    }
}

/// A bar that follows the reading, on a terminal only.
fn bar(file: &Path, doing: &'static str) -> Result<ProgressBar, Failed> {
    let meta = std::fs::metadata(file).map_err(|error| unreadable(file, &error))?;
    if !meta.is_file() {
        return Err(Failed(format!("{} is no file; it is read twice", file.display())));
    }
    let style = "{msg} {wide_bar} {percent}% {eta} left";
    let style = ProgressStyle::with_template(style).expect("a template that is right");
    Ok(ProgressBar::new(meta.len()).with_style(style).with_message(doing))
}

/// The rows of a file.
struct Rows {
    source: Source,
    names: Names,
}

enum Source {
    Csv { reader: csv::Reader<Text>, columns: Columns, record: csv::ByteRecord },
    Jsonl { reader: Text, line: u64 },
}

type Text = BufReader<ProgressBarIter<File>>;

impl Rows {
    fn open(path: &Path, format: Format, bar: &ProgressBar) -> Result<Self, Failed> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let reader = BufReader::new(bar.wrap_read(file));
        let source = match format {
            Format::Csv => {
                // a record of whatever length is looked at: a stray quotation mark makes such ones
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
                let columns = Columns::of(reader.headers()?)?;
                Source::Csv { reader, columns, record: csv::ByteRecord::new() }
            }
            Format::Jsonl => Source::Jsonl { reader, line: 0 },
        };
        Ok(Self { source, names: Names::default() })
    }
}

impl Iterator for Rows {
    type Item = Result<Row, Failed>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, fields) = match self.source.next()? {
            Ok(read) => read,
            Err(failed) => return Some(Err(failed)),
        };
        let newcomer = fields.and_then(|fields| {
            let newcomer = newcomer(&fields)?;
            if self.names.is_new(&newcomer.username) {
                return Ok(newcomer);
            }
            Err(format!("{:?} is in the file already", fields.username))
        });
        Some(Ok(Row { line, newcomer }))
    }
}

/// The names of a file: a number for each, of 64 bits under a random key. Among a million names two
/// have the same one about once in forty million files; the second is refused then.
#[derive(Default)]
struct Names {
    hasher: RandomState,
    seen: HashSet<u64>,
}

impl Names {
    fn is_new(&mut self, name: &Username) -> bool {
        self.seen.insert(self.hasher.hash_one(name.as_str()))
    }
}

/// What a row says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    username: String,
    password_hash: Option<String>,
    disabled: Option<bool>,
    created_at: Option<String>,
}

/// The line of a row, and its fields or what is wrong with it.
type Entry = (u64, Result<Fields, String>);

impl Source {
    fn next(&mut self) -> Option<Result<Entry, Failed>> {
        match self {
            Self::Csv { reader, columns, record } => match reader.read_byte_record(record) {
                Ok(false) => None,
                Err(error) => Some(Err(error.into())),
                Ok(true) => {
                    let line = record.position().expect("it was read from somewhere").line();
                    if is_unclosed(record) {
                        return Some(Err(Failed(format!(
                            "line {line}: a quotation mark is not closed, or a field holds a line \
                             break; nothing was imported"
                        ))));
                    }
                    Some(Ok((line, columns.fields(record))))
                }
            },
            Self::Jsonl { reader, line } => loop {
                let mut text = Vec::new();
                let read = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text);
                match read {
                    Err(error) => return Some(Err(error.into())),
                    Ok(0) => return None,
                    Ok(_) => *line += 1,
                }
                if text.len() as u64 == LONGEST_LINE && !text.ends_with(b"\n") {
                    return match reader.skip_until(b'\n') {
                        Err(error) => Some(Err(error.into())),
                        Ok(_) => Some(Ok((*line, Err("it is longer than 64 KiB".to_owned())))),
                    };
                }
                let text = if *line == 1 { without_bom(&text) } else { &text };
                if !text.trim_ascii().is_empty() {
                    return Some(Ok((*line, fields_of(text))));
                }
            },
        }
    }
}

/// Windows programs begin UTF-8 by a byte order mark.
fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// No field of a user has lines: one that has them swallowed rows behind a stray quotation mark.
fn is_unclosed(record: &csv::ByteRecord) -> bool {
    record.as_slice().contains(&b'\n')
}

/// Where the columns of a CSV file are.
struct Columns {
    /// How many there are.
    width: usize,
    username: usize,
    password_hash: usize,
    disabled: Option<usize>,
    created_at: Option<usize>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, Failed> {
        let mut places = [None; 4];
        let names = ["username", "password_hash", "disabled", "created_at"];
        for (at, name) in header.iter().enumerate() {
            let name = name.trim_start_matches('\u{feff}').trim();
            let known = names.iter().position(|known| *known == name);
            let place = known.ok_or_else(|| {
                Failed(format!("there is no column {name:?} here; keep to {}", names.join(", ")))
            })?;
            if places[place].replace(at).is_some() {
                return Err(Failed(format!("the column {name} is there twice")));
            }
        }
        let [Some(username), Some(password_hash), disabled, created_at] = places else {
            return Err(Failed("the columns username and password_hash must be there".to_owned()));
        };
        Ok(Self { width: header.len(), username, password_hash, disabled, created_at })
    }

    /// The fields of a record; or what is wrong with it, without the record.
    fn fields(&self, record: &csv::ByteRecord) -> Result<Fields, String> {
        if record.len() != self.width {
            return Err(format!(
                "it has {} columns, and the header has {}; quote what holds commas",
                record.len(),
                self.width
            ));
        }
        let record = csv::StringRecord::from_byte_record(record.clone())
            .map_err(|_| "it is not in UTF-8".to_owned())?;
        let text = |at: usize| record.get(at).unwrap_or_default().to_owned();
        let some = |at: Option<usize>| at.map(text).filter(|text| !text.is_empty());
        // Excel writes TRUE, Python True, PostgreSQL t
        let disabled = some(self.disabled).map(|text| text.to_ascii_lowercase());
        let disabled = match disabled.as_deref() {
            None => None,
            Some("false" | "f" | "0") => Some(false),
            Some("true" | "t" | "1") => Some(true),
            Some(_) => return Err("disabled must be true or false".to_owned()),
        };
        Ok(Fields {
            username: text(self.username),
            password_hash: Some(text(self.password_hash)),
            disabled,
            created_at: some(self.created_at),
        })
    }
}

/// Who comes, or why not.
fn newcomer(fields: &Fields) -> Result<Newcomer, String> {
    let name = &fields.username;
    let username = Username::parse(name).map_err(|bad| about_name(name, bad))?;
    let hash = fields.password_hash.as_deref().unwrap_or_default();
    let password = ImportedPassword::parse(hash).map_err(|bad| about_hash(name, bad))?;
    let created_at = fields.created_at.as_deref().map(instant).transpose();
    let created_at =
        created_at.map_err(|()| format!("{name:?}: created_at is no RFC 3339 time since 1970"))?;
    Ok(Newcomer { username, password, created_at, is_disabled: fields.disabled.unwrap_or(false) })
}

/// What lies before it can be printed again in any zone: four digits of a year.
const YEAR_9999: i64 = 253_370_764_800;

/// An instant of RFC 3339, which allows a space for the `T`, as SQL prints it.
fn instant(text: &str) -> Result<Timestamp, ()> {
    let text = text.replacen(' ', "T", 1);
    let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(drop)?;
    let is_printed = (0..YEAR_9999).contains(&at.unix_timestamp());
    let millis = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(drop)?;
    is_printed.then(|| Timestamp::from_millis(millis)).ok_or(())
}

fn about_hash(name: &str, bad: BadHash) -> String {
    let why = match bad {
        BadHash::Unknown => {
            "the hash is in no known format: Argon2, bcrypt, scrypt or PBKDF2 as PHC, Django, \
             Devise, PocketBase or Better Auth write them"
        }
        BadHash::Malformed => "the hash is malformed",
        BadHash::TooDear => "verifying the hash would take more than a second or 256 MiB",
    };
    format!("{name:?}: {why}")
}

const NO_USER: &str = "it must be an object with username, password_hash, and nothing else but \
    disabled (true or false) and created_at";

/// The fields of a line of JSON; or what is wrong with it, without the line.
fn fields_of(line: &[u8]) -> Result<Fields, String> {
    let fields = serde_json::from_slice(line).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => NO_USER.to_owned(),
        _ => format!("it is no JSON from column {} on", error.column()),
    })?;
    // serde takes an array of the values for an object, too
    if line.trim_ascii_start().starts_with(b"{") { Ok(fields) } else { Err(NO_USER.to_owned()) }
}

fn unreadable(path: &Path, error: &io::Error) -> Failed {
    Failed(format!("cannot read {}: {error}", path.display()))
}

fn users(n: u64) -> String {
    if n == 1 { "1 user".to_owned() } else { format!("{n} users") }
}

fn rows_are(n: u64) -> String {
    if n == 1 { "1 row is".to_owned() } else { format!("{n} rows are") }
}

fn were(n: u64) -> String {
    if n == 1 { "1 was".to_owned() } else { format!("{n} were") }
}

fn have(n: u64) -> String {
    if n == 1 { "1 of them has".to_owned() } else { format!("{n} of them have") }
}

/// What a fuzz target reads, see `fuzz/`. No other build has it.
#[cfg(fuzzing)]
pub mod fuzzing {
    use super::{Failed, Format, Newcomer, Path, ProgressBar, Row, Rows};

    /// Who comes, or why not.
    pub type Entry = Result<Newcomer, String>;

    /// The rows of a file with their lines; or why it is no such file.
    pub fn import(path: &Path, is_csv: bool) -> Result<Vec<(u64, Entry)>, String> {
        let format = if is_csv { Format::Csv } else { Format::Jsonl };
        let rows = Rows::open(path, format, &ProgressBar::hidden()).map_err(|Failed(why)| why)?;
        rows.map(|row| match row {
            Ok(Row { line, newcomer }) => Ok((line, newcomer)),
            Err(Failed(why)) => Err(why),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(format: Format, text: &[u8]) -> Vec<(u64, Result<String, String>)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let rows = Rows::open(file.path(), format, &ProgressBar::hidden());
        rows.unwrap_or_else(|Failed(why)| panic!("{why}"))
            .map(|row| row.unwrap_or_else(|Failed(why)| panic!("{why}")))
            .map(|row| (row.line, row.newcomer.map(|one| one.username.to_string())))
            .collect()
    }

    fn refused(text: &str) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        match Rows::open(file.path(), Format::Csv, &ProgressBar::hidden()) {
            Ok(_) => panic!("it is taken"),
            Err(Failed(why)) => why,
        }
    }

    #[test]
    fn each_row_of_a_csv_file_is_taken_or_refused_with_its_line_and_reason() {
        let text = b"\xef\xbb\xbfusername,created_at,password_hash,disabled\n\
            Ann,2020-01-02 03:04:05.678+01:00,,\n\
            a b,,,\n\
            \"bob\",,garbage,true\n\
            ANN,,,\n\
            carl,yesterday,,\n\
            dora,,,perhaps\n\
            eve,,\n\
            \xff,,,\n\
            frank,2020-01-02T03:04:05Z,!,f\n";
        let rows = read(Format::Csv, text);
        let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let reasons = [
            Ok("ann"),
            Err("cannot be a user name"),
            Err("\"bob\": the hash is in no known format"),
            Err("\"ANN\" is in the file already"),
            Err("created_at is no RFC 3339 time"),
            Err("disabled must be true or false"),
            Err("it has 3 columns, and the header has 4"),
            Err("it is not in UTF-8"),
            Ok("frank"),
        ];
        for ((line, row), expected) in rows.iter().zip(reasons) {
            match (row, expected) {
                (Ok(name), Ok(expected)) => assert_eq!(name, expected),
                (Err(why), Err(expected)) => {
                    assert!(why.contains(expected), "{line}: {why}");
                    assert!(!why.contains("garbage"), "no hash is printed");
                }
                (row, _) => panic!("{line}: {row:?}"),
            }
        }
    }

    #[test]
    fn a_header_that_is_not_understood_is_refused() {
        assert!(refused("username,password\n").contains("no column \"password\""));
        assert!(refused("username,email,password_hash\n").contains("no column \"email\""));
        assert!(refused("username\n").contains("must be there"));
        assert!(refused("username,username,password_hash\n").contains("twice"));
        assert!(refused("").contains("must be there"));
    }

    #[test]
    fn each_line_of_json_is_taken_or_refused() {
        let long = format!("{{\"username\":\"{}\"}}", "x".repeat(70_000));
        let text = format!(
            "{{\"username\":\"ann\",\"password_hash\":null,\"disabled\":true}}\n\n\
             {{\"username\":\"bob\",\"email\":\"x\"}}\n[]\n{{\"username\":\n{long}\n\
             {{\"username\":\"ann\",\"username\":\"bob\"}}\n{{\"username\":\"dora\"}}\n\
             [\"emil\", \"\", false, null]"
        );
        let rows = read(Format::Jsonl, text.as_bytes());
        let taken: Vec<_> = rows.iter().map(|(line, row)| (*line, row.is_ok())).collect();
        let expected = [
            (1, true),
            (3, false),
            (4, false),
            (5, false),
            (6, false),
            (7, false),
            (8, true),
            (9, false),
        ];
        assert_eq!(taken, expected, "{rows:?}");
        assert!(rows[4].1.as_ref().unwrap_err().contains("64 KiB"));
    }

    #[test]
    fn a_quotation_mark_that_is_not_closed_loses_nobody_in_silence() {
        for swallowing in [
            &b"bob,\"\ncarl,\ndora,\"\n"[..],
            b"\"bob,\ncarl,\n",         // one column of two
            b"bob,\"\ncarl,\xff\n\"\n", // not in UTF-8
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(b"username,password_hash\nann,\n").unwrap();
            file.write_all(swallowing).unwrap();
            let mut rows = Rows::open(file.path(), Format::Csv, &ProgressBar::hidden()).unwrap();
            assert!(rows.next().unwrap().is_ok());
            let Some(Err(Failed(sentence))) = rows.next() else { panic!("it is read on") };
            assert!(sentence.starts_with("line 3: a quotation mark is not closed"), "{sentence}");
        }
    }

    #[test]
    fn an_instant_is_read_as_it_is_written_in_sql_and_in_json() {
        let at = Timestamp::from_millis(1_577_930_645_678);
        for text in ["2020-01-02T02:04:05.678Z", "2020-01-02 03:04:05.678999+01:00"] {
            assert_eq!(instant(text), Ok(at), "{text}");
        }
        for text in [
            "",
            "2020-01-02",
            "2020-01-02T03:04:05",
            "1577930645",
            "0000-01-01T00:00:00+23:59",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-23:59",
        ] {
            assert_eq!(instant(text), Err(()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let csv = [&b"username,password_hash\n"[..], &bytes].concat();
            for (format, text) in [(Format::Csv, &csv), (Format::Jsonl, &bytes)] {
                let mut file = tempfile::NamedTempFile::new().unwrap();
                file.write_all(text).unwrap();
                let rows = Rows::open(file.path(), format, &ProgressBar::hidden());
                // a quotation mark that is not closed ends the reading
                let read = rows.unwrap_or_else(|Failed(why)| panic!("{why}")).take_while(Result::is_ok);
                prop_assert!(read.count() <= text.len());
            }
        }

        #[test]
        fn every_row_is_read_back_whatever_its_hash(
            names in prop::collection::hash_set("[a-z]{1,8}[0-9]{1,6}", 0..20),
            hash in "[ -~\"]{0,40}",
        ) {
            let mut csv = csv::Writer::from_writer(Vec::new());
            csv.write_record(["username", "password_hash"]).unwrap();
            let mut jsonl = Vec::new();
            for name in &names {
                csv.write_record([name, &hash]).unwrap();
                let line = serde_json::json!({ "username": name, "password_hash": hash });
                writeln!(jsonl, "{line}").unwrap();
            }
            let outcomes = |rows: Vec<(u64, Result<String, String>)>| {
                rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>()
            };
            let from_csv = outcomes(read(Format::Csv, &csv.into_inner().unwrap()));
            let from_jsonl = outcomes(read(Format::Jsonl, &jsonl));
            prop_assert_eq!(from_csv.len(), names.len());
            prop_assert_eq!(from_csv, from_jsonl);
        }
    }
}
