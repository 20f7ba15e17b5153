//! Tests which rows of a file are accepted, and why others are refused.

use std::io::Write;

use proptest::prelude::*;

use super::error::ImportError;
use super::fields::parse_instant;
use super::format::ImportFormat;
use super::rows::Rows;
use crate::core::clock::Timestamp;

fn read(format: ImportFormat, text: &[u8]) -> Vec<(u64, Result<String, String>)> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    let rows = Rows::open(file.path(), format);
    rows.unwrap_or_else(|error| panic!("{error}"))
        .map(|row| row.unwrap_or_else(|error| panic!("{error}")))
        .map(|row| (row.line, row.user.map(|one| one.username.to_string())))
        .collect()
}

fn refusal_of(text: &str) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    match Rows::open(file.path(), ImportFormat::Csv) {
        Ok(_) => panic!("it is taken"),
        Err(error) => error.to_string(),
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
    let rows = read(ImportFormat::Csv, text);
    let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let reasons = [
        Ok("ann"),
        Err("is not a valid user name"),
        Err("\"bob\": the format of the hash is not supported"),
        Err("\"ANN\" occurs twice in the file"),
        Err("created_at must be a time in RFC 3339 format"),
        Err("disabled must be true or false"),
        Err("the row has 3 columns, but the header has 4"),
        Err("the row is not encoded in UTF-8"),
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
    assert!(refusal_of("username,password\n").contains("unknown column \"password\""));
    assert!(refusal_of("username,phone,password_hash\n").contains("unknown column \"phone\""));
    assert!(refusal_of("username\n").contains("must contain the columns"));
    assert!(refusal_of("username,username,password_hash\n").contains("twice"));
    assert!(refusal_of("").contains("must contain the columns"));
}

#[test]
fn each_line_of_json_is_taken_or_refused() {
    let long = format!("{{\"username\":\"{}\"}}", "x".repeat(70_000));
    let text = format!(
        "{{\"username\":\"ann\",\"password_hash\":null,\"disabled\":true}}\n\n\
         {{\"username\":\"bob\",\"phone\":\"x\"}}\n[]\n{{\"username\":\n{long}\n\
         {{\"username\":\"ann\",\"username\":\"bob\"}}\n{{\"username\":\"dora\"}}\n\
         [\"emil\", \"\", false, null]"
    );
    let rows = read(ImportFormat::Jsonl, text.as_bytes());
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
        let mut rows = Rows::open(file.path(), ImportFormat::Csv).unwrap();
        assert!(rows.next().unwrap().is_ok());
        let Some(Err(ImportError::UnclosedQuote(line))) = rows.next() else {
            panic!("it is read on")
        };
        assert_eq!(line, 3);
    }
}

#[test]
fn an_instant_is_read_as_it_is_written_in_sql_and_in_json() {
    let at = Timestamp::from_millis(1_577_930_645_678);
    for text in ["2020-01-02T02:04:05.678Z", "2020-01-02 03:04:05.678999+01:00"] {
        assert_eq!(parse_instant(text), Ok(at), "{text}");
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
        assert_eq!(parse_instant(text), Err(()), "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let csv = [&b"username,password_hash\n"[..], &bytes].concat();
        for (format, text) in [(ImportFormat::Csv, &csv), (ImportFormat::Jsonl, &bytes)] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text).unwrap();
            let rows = Rows::open(file.path(), format);
            // An unclosed quotation mark ends the reading.
            let read = rows.unwrap_or_else(|error| panic!("{error}")).take_while(Result::is_ok);
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
        let from_csv = outcomes(read(ImportFormat::Csv, &csv.into_inner().unwrap()));
        let from_jsonl = outcomes(read(ImportFormat::Jsonl, &jsonl));
        prop_assert_eq!(from_csv.len(), names.len());
        prop_assert_eq!(from_csv, from_jsonl);
    }
}
