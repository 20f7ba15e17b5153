//! E-mail addresses on the command line: set, imported, and shown.

use std::fs;

use crate::support::program::{back_up, object, refused, run, said, text};

#[test]
fn a_user_is_added_with_an_address_that_listings_show() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann", "--email", " Ann@Bücher.example "]);
    said(folder, &["user", "add", "bob"]);
    let address = "Ann@xn--bcher-kva.example";
    assert_eq!(object(folder, &["user", "show", "ann", "--json"])["email"], address);
    assert!(object(folder, &["user", "show", "bob", "--json"])["email"].is_null());
    assert!(said(folder, &["user", "show", "ann"]).contains(&format!("\nemail       {address}\n")));
    assert!(said(folder, &["user", "show", "bob"]).contains("\nemail       none\n"));
    let list = said(folder, &["user", "list"]);
    assert!(list.lines().nth(1).unwrap().contains(address), "{list}");
    let wrong = refused(folder, &["user", "add", "eve", "--email", "eve@localhost"]);
    assert!(wrong.contains("this is not an e-mail address"), "{wrong}");
    let taken = refused(folder, &["user", "add", "eve", "--email", "ANN@bücher.example"]);
    assert!(taken.contains("another user has this e-mail address"), "{taken}");
    assert!(!said(folder, &["user", "list"]).contains("eve"));
}

#[test]
fn the_operator_sets_an_address_that_no_other_user_has() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    said(folder, &["user", "add", "bob"]);
    let set = said(folder, &["user", "email", "ann", "ann@example.org"]);
    assert_eq!(set.trim(), "ann has the e-mail address ann@example.org");
    let taken = refused(folder, &["user", "email", "bob", "Ann@example.org"]);
    assert!(taken.contains("another user has this e-mail address"), "{taken}");
    said(folder, &["user", "email", "ann", "Ann@example.org"]);
    said(folder, &["user", "email", "ann", "ann@example.com"]);
    said(folder, &["user", "email", "bob", "ann@example.org"]);
    assert!(refused(folder, &["user", "email", "eve", "e@example.org"]).contains("no user eve"));
    let events = said(folder, &["audit", "--event", "email_set"]);
    assert_eq!(events.matches("email_set").count(), 4, "{events}");
}

#[test]
fn an_import_may_have_columns_with_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "first", "--email", "first@example.org"]);
    let csv = "username,password_hash,email,email_verified\n\
               ann,!,Ann@example.org,true\n\
               bob,!,bob@example.org,f\n\
               carl,!,carl@example.org,\n\
               dora,!,First@example.org,true\n\
               emil,!,,true\n";
    fs::write(folder.join("people.csv"), csv).unwrap();
    for _ in 0..2 {
        said(folder, &["user", "import", "people.csv"]);
    }
    let line = "{\"username\":\"eve\",\"email\":\"eve@example.org\",\"email_verified\":true}\n";
    fs::write(folder.join("people.jsonl"), line).unwrap();
    said(folder, &["user", "import", "people.jsonl"]);
    for (user, email, unconfirmed) in [
        ("ann", Some("Ann@example.org"), None),
        ("bob", None, Some("bob@example.org")),
        ("carl", None, Some("carl@example.org")),
        ("dora", None, Some("First@example.org")), // which another account has
        ("emil", None, None),
        ("eve", Some("eve@example.org"), None),
    ] {
        let shown = object(folder, &["user", "show", user, "--json"]);
        assert_eq!(shown["email"].as_str(), email, "{user}");
        assert_eq!(shown["unconfirmed_email"].as_str(), unconfirmed, "{user}");
    }
    assert!(said(folder, &["user", "show", "bob"]).contains("\nunconfirmed bob@example.org\n"));
    let bad = "username,password_hash,email,email_verified\n\
               zoe,!,z@localhost,true\n\
               yan,!,y@example.org,true\n\
               yen,!,Y@example.org,1\n\
               yun,!,y@example.org,maybe\n";
    fs::write(folder.join("bad.csv"), bad).unwrap();
    let refused = run(folder, &["user", "import", "bad.csv"], "");
    assert_eq!(refused.status.code(), Some(1));
    let refused = text(&refused.stderr);
    for why in [
        "line 2: \"zoe\": this is not an e-mail address",
        "line 4: \"yen\": another row has the verified address Y@example.org",
        "line 5: email_verified must be true or false",
    ] {
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn a_backup_keeps_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann", "--email", "ann@example.org"]);
    let backup = back_up(folder, "backup", &[]);
    let elsewhere = tempfile::tempdir().unwrap();
    said(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
    let ann = object(elsewhere.path(), &["user", "show", "ann", "--json"]);
    assert_eq!(ann["email"], "ann@example.org");
}
