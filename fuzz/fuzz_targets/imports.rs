//! Fuzzes the files for `cloakroom user import`. The input is read in both formats; then its lines,
//! six per user, are written in both, and both must give the same users.

#![no_main]

use std::io::Write;

use cloakroom::admin::fuzzing::{self, Entry};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fn read(text: &[u8], is_csv: bool) -> Result<Vec<(u64, Entry)>, String> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text).expect("room for it");
    fuzzing::import(file.path(), is_csv)
}

fn check(text: &[u8], is_csv: bool) {
    let Ok(rows) = read(text, is_csv) else { return };
    let lines = text.split(|byte| *byte == b'\n' || *byte == b'\r').count() as u64;
    // a carriage return ends a CSV record, but not a line
    let may_share = text.contains(&b'\r');
    let in_order =
        |(one, _): &(u64, Entry), (next, _): &(u64, Entry)| one < next || may_share && one == next;
    assert!(rows.is_sorted_by(in_order), "each line once, in order");
    assert!(rows.last().is_none_or(|(last, _)| *last <= lines), "no line that is not there");
    let mut names: Vec<_> = rows.iter().filter_map(|(_, row)| row.as_ref().ok()).collect();
    let good = names.len();
    names.sort_by_key(|user| user.username.as_str().to_owned());
    names.dedup_by_key(|user| user.username.as_str().to_owned());
    assert_eq!(names.len(), good, "each name once");
}

fuzz_target!(|data: &[u8]| {
    check(data, true);
    check(data, false);

    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<&str> = text.lines().collect();
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut jsonl = Vec::new();
    let columns =
        ["username", "password_hash", "disabled", "created_at", "email", "email_verified"];
    csv.write_record(columns).expect("memory");
    for user in lines.chunks_exact(6) {
        let [username, hash, disabled, created_at, email, verified] = user else { return };
        if user.iter().any(|field| field.contains('\r')) {
            return; // a line break in CSV
        }
        let is_disabled = disabled.starts_with('t');
        let disabled = if is_disabled { "true" } else { "" };
        let is_verified = verified.starts_with('t');
        let verified = if is_verified { "true" } else { "" };
        csv.write_record([username, hash, disabled, created_at, email, verified]).expect("memory");
        let mut object = Map::new();
        object.insert("username".to_owned(), (*username).into());
        object.insert("password_hash".to_owned(), (*hash).into());
        object.insert("disabled".to_owned(), is_disabled.into());
        if !created_at.is_empty() {
            object.insert("created_at".to_owned(), (*created_at).into());
        }
        object.insert("email".to_owned(), (*email).into());
        object.insert("email_verified".to_owned(), is_verified.into());
        jsonl.extend(Value::Object(object).to_string().into_bytes());
        jsonl.push(b'\n');
    }
    let csv = csv.into_inner().expect("memory");
    let said = |rows: Vec<(u64, Entry)>| -> Vec<Result<String, String>> {
        rows.into_iter().map(|(_, row)| row.map(|user| format!("{user:?}"))).collect()
    };
    let (csv, jsonl) = (read(&csv, true), read(&jsonl, false));
    assert_eq!(csv.map(said), jsonl.map(said));
});
