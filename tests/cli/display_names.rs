//! Display names on the command line: set when a user is added or imported, and shown.

use std::fs;

use crate::support::program::{back_up, object, refused, run, said, text};

const NAME: &str = "Ann Núñez 山";

#[test]
fn a_user_is_added_with_a_display_name_that_listings_show() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann", "--display-name", &format!("  {NAME} ")]);
    said(folder, &["user", "add", "bob"]);
    assert_eq!(object(folder, &["user", "show", "ann", "--json"])["display_name"], NAME);
    assert!(object(folder, &["user", "show", "bob", "--json"])["display_name"].is_null());
    assert!(said(folder, &["user", "show", "ann"]).contains(&format!("\nname        {NAME}\n")));
    assert!(said(folder, &["user", "show", "bob"]).contains("\nname        none\n"));
    let list = said(folder, &["user", "list"]);
    assert!(list.lines().nth(1).unwrap().contains(NAME), "{list}");
    for (name, why) in [
        ("x".repeat(65), "at most 64 characters"),
        ("a\u{1b}[31mb".to_owned(), "control characters"),
        ("\u{202e}bna".to_owned(), "control characters"),
    ] {
        let refused = refused(folder, &["user", "add", "eve", "--display-name", &name]);
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn an_import_may_have_a_column_with_display_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["migrate"]);
    said(folder, &["user", "add", "first"]); // creates the keys
    let csv = format!("username,display_name,password_hash\nann,{NAME},!\nbob,,!\n");
    fs::write(folder.join("people.csv"), csv).unwrap();
    said(folder, &["user", "import", "people.csv"]);
    let line = format!("{{\"username\":\"eve\",\"display_name\":\"{NAME}\"}}\n");
    fs::write(folder.join("people.jsonl"), line).unwrap();
    said(folder, &["user", "import", "people.jsonl"]);
    for (user, name) in [("ann", Some(NAME)), ("bob", None), ("eve", Some(NAME))] {
        let shown = object(folder, &["user", "show", user, "--json"]);
        assert_eq!(shown["display_name"].as_str(), name, "{user}");
    }
    fs::write(folder.join("bad.csv"), "username,password_hash,display_name\nzoe,!,a\u{202e}b\n")
        .unwrap();
    let refused = run(folder, &["user", "import", "bad.csv"], "");
    assert_eq!(refused.status.code(), Some(1));
    let refused = text(&refused.stderr);
    assert!(refused.contains("line 2: \"zoe\": a display name must not contain"), "{refused}");
}

#[test]
fn a_backup_keeps_display_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann", "--display-name", NAME]);
    let backup = back_up(folder, "backup", &[]);
    let elsewhere = tempfile::tempdir().unwrap();
    said(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
    assert_eq!(object(elsewhere.path(), &["user", "show", "ann", "--json"])["display_name"], NAME);
}
