//! Tests of a damaged or missing database: the program creates no new one and leaves what exists
//! unchanged.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use crate::support::program::{back_up, is_postgres, refused, said};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

/// The content of a file; `None` if it does not exist.
fn bytes(file: &Path) -> Option<Vec<u8>> {
    fs::read(file).ok()
}

fn overwrite(file: &Path, from: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(bytes).unwrap();
}

fn cut(file: &Path, to: u64) {
    OpenOptions::new().write(true).open(file).unwrap().set_len(to).unwrap();
}

type Break = fn(&Path);

#[test]
fn sta_09_a_database_that_is_damaged_or_gone_is_refused_and_left_as_it_is() {
    assert!(!is_postgres(), "these are about a file");
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["user", "add", "ann"]);
    back_up(folder.path(), "b", &[]);
    let file = folder.path().join("cloakroom-data/cloakroom.db");
    let whole = fs::read(&file).unwrap();
    let states: [(&str, Break, &str); 8] = [
        ("gone", |file| fs::remove_file(file).unwrap(), "there are signing keys in"),
        ("empty", |file| cut(file, 0), "there are signing keys in"),
        ("cut off", |file| cut(file, 40_000), "is damaged"),
        ("cut off in its first page", |file| cut(file, 100), "is damaged"),
        (
            "another file",
            |file| fs::write(file, "not a database\n".repeat(999)).unwrap(),
            "is damaged",
        ),
        ("without a schema", |file| overwrite(file, 100, &[0xff; 24]), "is damaged"),
        ("the first page alone", |file| overwrite(file, 4096, &vec![0xff; 90_000]), "is damaged"),
        (
            "a folder",
            |file| {
                fs::remove_file(file).unwrap();
                fs::create_dir(file).unwrap();
            },
            "cannot open the database",
        ),
    ];
    for (state, damage, about) in states {
        damage(&file);
        let before = bytes(&file);
        for command in [&["serve"][..], &["user", "list"], &["user", "add", "bob"]] {
            let said = refused(folder.path(), &[&["--listen", "127.0.0.1:9999"], command].concat());
            assert!(said.contains(about), "{state}: {said}");
        }
        assert!(bytes(&file) == before, "{state}: it was written to");
        if file.is_dir() {
            fs::remove_dir(&file).unwrap();
        }
        fs::write(&file, &whole).unwrap();
    }
    assert!(said(folder.path(), &["user", "list"]).contains("\nann "));

    fs::remove_file(&file).unwrap();
    said(folder.path(), &["restore", "b"]);
    assert!(said(folder.path(), &["user", "list"]).contains("\nann "), "one way out");
    fs::remove_file(&file).unwrap();
    said(folder.path(), &["migrate"]);
    assert_eq!(said(folder.path(), &["user", "list"]), "", "and the other, which is asked for");
}

/// The root pages of the table of accounts and of its indexes.
fn pages_of_accounts(file: &Path) -> Vec<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let pages = "select rootpage from sqlite_master where tbl_name = 'accounts'";
        let pages = sqlx::query_scalar(pages).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        pages
    })
}

#[test]
fn sta_09_pages_of_accounts_that_are_damaged_stop_a_start_in_words_for_people() {
    const PAGE: u64 = 4096;
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["user", "add", "ann"]);
    let file = folder.path().join("cloakroom-data/cloakroom.db");
    for page in pages_of_accounts(&file) {
        overwrite(&file, (u64::try_from(page).unwrap() - 1) * PAGE, &[0xff; 64]);
    }
    let said = refused(folder.path(), &["--listen", "127.0.0.1:9998", "serve"]);
    assert!(said.contains("malformed; run `cloakroom doctor` to find the problem"), "{said}");
    assert!(!said.contains("Fault"), "{said}");
}
