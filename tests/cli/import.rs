//! Tests of `cloakroom user import` as a command.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::support::program::{cloakroom, text};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    cloakroom(folder, arguments).output().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let listed = text(&run(folder, &["user", "list"]).stdout);
    let rows = listed.lines().skip(1); // below the header
    rows.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

const BCRYPT: &str = "$2a$04$2oKAseClTefSnttBzURIcOdEA5f/nH22dgDLmFy/hZ1WwA3ZEfH5i";

#[test]
fn a_file_with_a_bad_row_imports_nothing_unless_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let csv = format!(
        "username,password_hash,disabled,created_at\nann,{BCRYPT},,2020-01-02T03:04:05Z\n\
         a b,{BCRYPT},,\nbob,5f4dcc3b5aa765d61d8327deb882cf99,,\ncarl,!,true,\n"
    );
    fs::write(folder.path().join("people.csv"), csv).unwrap();
    let refused = run(folder.path(), &["user", "import", "people.csv"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.starts_with("line 3: \"a b\" is not a valid user name"), "{said}");
    assert!(said.contains("line 4: \"bob\": the format of the hash is not supported"), "{said}");
    assert!(said.contains("2 rows are invalid, and nothing was imported"), "{said}");
    assert!(!said.contains("5f4dcc3b"), "no hash is printed: {said}");
    assert_eq!(said.lines().count(), 3, "and no bar: {said}");
    assert!(names(folder.path()).is_empty());

    let skipped = run(folder.path(), &["user", "import", "people.csv", "--skip-bad"]);
    assert_eq!(skipped.status.code(), Some(1));
    assert!(text(&skipped.stderr).contains("2 rows were invalid and skipped"));
    let said = text(&skipped.stdout);
    assert!(said.contains("imported 2 users; 0 users already existed"), "{said}");
    assert!(said.contains("1 of them has no password"), "{said}");
    assert_eq!(names(folder.path()), ["ann", "carl"]);
    let ann = text(&run(folder.path(), &["user", "show", "ann"]).stdout);
    assert!(ann.contains("2020-01-02T03:04:05Z") && ann.contains("disabled    no"), "{ann}");
}

#[test]
fn the_same_file_twice_changes_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let line = |n: usize| format!("{{\"username\":\"user{n}\",\"password_hash\":\"{BCRYPT}\"}}\n");
    let file = folder.path().join("people.jsonl");
    fs::write(&file, (0..5000).map(line).collect::<String>()).unwrap();
    let said = || {
        let done = run(folder.path(), &["user", "import", "people.jsonl"]);
        assert_eq!(done.status.code(), Some(0));
        (text(&done.stdout), text(&done.stderr))
    };
    let (first, logged) = said();
    assert_eq!(first, "imported 5000 users; 0 users already existed\n");
    assert!(logged.contains(r#""event":"users_imported","count":5000"#), "{logged}");
    let before = names(folder.path());
    assert_eq!(said(), ("imported 0 users; 5000 users already existed\n".into(), String::new()));
    assert_eq!(names(folder.path()), before);
    fs::write(&file, (0..5001).map(line).collect::<String>()).unwrap();
    assert_eq!(said().0, "imported 1 user; 5000 users already existed\n");
}

#[test]
fn an_import_that_was_killed_goes_on_when_it_is_run_again() {
    const USERS: usize = 40_000;
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..USERS).map(|n| format!("user{n},{BCRYPT}"));
    let csv: Vec<_> = ["username,password_hash".to_owned()].into_iter().chain(rows).collect();
    fs::write(folder.path().join("people.csv"), csv.join("\n")).unwrap();
    assert!(run(folder.path(), &["migrate"]).status.success());
    let mut child = cloakroom(folder.path(), &["user", "import", "people.csv"]).spawn().unwrap();
    let start = Instant::now();
    let mut before = 0;
    while before == 0 {
        assert!(start.elapsed() < Duration::from_mins(1), "nothing is imported");
        before = names(folder.path()).len();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = names(folder.path()).len();
    assert_eq!(before % 10_000, 0, "whole batches or none of them");
    let again = text(&run(folder.path(), &["user", "import", "people.csv"]).stdout);
    let expected = format!("imported {} users; {before} users already existed\n", USERS - before);
    assert_eq!(again, expected);
    assert_eq!(names(folder.path()).len(), USERS);
}

#[test]
fn a_file_that_cannot_be_read_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("people.txt"), "username\n").unwrap();
    fs::write(folder.path().join("people.csv"), "login,hash\n").unwrap();
    for (arguments, about) in [
        (&["people.txt"][..], "does not end in .csv, .jsonl or .ndjson"),
        (&["people.txt", "--format", "csv"], "must contain the columns"),
        (&["people.csv"], "unknown column \"login\""),
        (&["nobody.csv"], "cannot read nobody.csv"),
        (&[".", "--format", "csv"], "is not a regular file"),
    ] {
        let failed = run(folder.path(), &[&["user", "import"], arguments].concat());
        let said = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{said}");
        assert!(said.contains(about) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn true_and_false_are_read_as_excel_python_and_postgresql_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let written = ["TRUE", "True", "true", "t", "1", "FALSE", "False", "false", "f", "0", ""];
    let row = |(n, written): (usize, &&str)| format!("user{n},{BCRYPT},{written}\n");
    let rows: String = written.iter().enumerate().map(row).collect();
    let file = folder.path().join("people.csv");
    fs::write(&file, format!("username,password_hash,disabled\n{rows}")).unwrap();
    let done = run(folder.path(), &["user", "import", "people.csv"]);
    assert_eq!(text(&done.stderr.clone()).matches("line ").count(), 0, "{}", text(&done.stderr));
    assert!(text(&done.stdout).starts_with("imported 11 users"), "{}", text(&done.stdout));
    let listed = text(&run(folder.path(), &["user", "list", "--json"]).stdout);
    assert_eq!(listed.matches("\"disabled_at\":null").count(), 6, "{listed}");
    fs::write(&file, format!("username,password_hash,disabled\nann,{BCRYPT},yes\n")).unwrap();
    let refused = run(folder.path(), &["user", "import", "people.csv"]);
    assert!(text(&refused.stderr).contains("disabled must be true or false"));
}

#[test]
fn json_lines_may_begin_with_a_byte_order_mark_and_leave_fields_null() {
    let folder = tempfile::tempdir().unwrap();
    let lines = format!(
        "\u{feff}{{\"username\":\"ann\",\"password_hash\":\"{BCRYPT}\",\"disabled\":null}}\r\n\
         {{\"username\":\"bob\",\"password_hash\":null,\"disabled\":true,\"created_at\":null}}\r\n"
    );
    fs::write(folder.path().join("people.jsonl"), lines).unwrap();
    let done = run(folder.path(), &["user", "import", "people.jsonl"]);
    let said = text(&done.stdout);
    assert!(said.starts_with("imported 2 users"), "{said}{}", text(&done.stderr));
    let listed = text(&run(folder.path(), &["user", "list", "--json"]).stdout);
    assert_eq!(listed.matches("\"disabled_at\":null").count(), 1, "{listed}");
}
