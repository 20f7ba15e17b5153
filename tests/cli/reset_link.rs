//! Tests of `cloakroom user reset-link`, and of what backups do with links.

use std::fs;
use std::path::Path;

use crate::support::program::{
    Service, back_up, is_postgres, object, refused, run, said, text, wait_until,
};

const NEW: &str = "a long walk by the river";
const HERE: [&str; 2] = ["--public-url", "http://127.0.0.1:9"];

/// Creates a link, and returns its token.
fn token_for(folder: &Path, name: &str) -> String {
    let link = said(folder, &["user", "reset-link", name]);
    let (origin, token) = link.trim().split_once("/password-reset/confirm?token=").unwrap();
    assert_eq!(origin, "http://127.0.0.1:8000");
    assert_eq!(token.len(), 43);
    token.to_owned()
}

fn reset(service: &Service, token: &str) -> u16 {
    service.send("/password-reset/confirm", &[("token", token), ("new_password", NEW)]).0
}

#[test]
fn a_link_sets_the_password_of_a_running_service_without_mail() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann", "--no-password"]);
    let service = Service::start(folder, &HERE);
    let first = token_for(folder, " Ann ");
    let printed = object(folder, &["user", "reset-link", "ann", "--json"]);
    assert_eq!((&printed["username"], &printed["replaced"]), (&"ann".into(), &1.into()));
    assert!(printed["expires_at"].as_str().unwrap().ends_with('Z'));
    let (_, second) = printed["url"].as_str().unwrap().split_once("?token=").unwrap();
    assert_eq!(reset(&service, &first), 403, "the second link replaces the first");
    assert_eq!(reset(&service, second), 204);
    assert_eq!(reset(&service, second), 403, "it works once");
    assert_eq!(service.log_in("ann", NEW).0, 200);
    let events = said(folder, &["audit", "--event", "reset_link_created"]);
    assert_eq!(events.matches("reset_link_created").count(), 2, "{events}");
}

#[test]
fn no_link_is_created_for_a_user_who_does_not_exist_or_is_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let nobody = refused(folder, &["user", "reset-link", "nobody"]);
    assert!(nobody.contains("there is no user nobody"), "{nobody}");
    assert!(refused(folder, &["user", "reset-link", "a b"]).contains("a b"));
    said(folder, &["user", "disable", "ann"]);
    let disabled = refused(folder, &["user", "reset-link", "ann"]);
    assert!(disabled.contains("run `cloakroom user enable ann` first"), "{disabled}");
}

#[test]
fn the_user_is_told_by_mail_about_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("cloakroom.toml"), "mail.server = 'file'\n").unwrap();
    said(folder, &["user", "add", "ann", "--email", "ann@example.org"]);
    said(folder, &["user", "add", "bob"]);
    for name in ["ann", "bob"] {
        said(folder, &["user", "reset-link", name]);
    }
    let waiting = said(folder, &["mail", "list"]);
    assert_eq!(waiting.matches("reset_link_created").count(), 1, "{waiting}");
    let _service = Service::start(folder, &HERE);
    wait_until(|| !said(folder, &["mail", "list"]).contains("reset_link_created"));
    let files = fs::read_dir(folder.join("cloakroom-data/mail")).unwrap();
    let mails: Vec<_> =
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("\r\nTo: ann@example.org\r\n"), "{}", mails[0]);
    assert!(mails[0].contains("\r\nann\r\n") && !mails[0].contains("token="), "{}", mails[0]);
}

#[test]
fn mail_05_a_restore_ends_links_and_a_move_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let token = token_for(folder, "ann");
    let backup = back_up(folder, "backup", &[]);
    let elsewhere = tempfile::tempdir().unwrap();
    said(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
    let restored = Service::start(elsewhere.path(), &HERE);
    assert_eq!(reset(&restored, &token), 403, "it may have been used since the backup");
    restored.stop();
    if is_postgres() {
        return; // moves an SQLite file
    }
    let moved = folder.join("cloakroom-data/moved.db");
    let url = |file: &Path| format!("sqlite://{}", file.display());
    let source = url(&folder.join("cloakroom-data/cloakroom.db"));
    said(folder, &["move", "--from", &source, "--to", &url(&moved)]);
    let service = Service::start(folder, &["--database-url", &url(&moved), HERE[0], HERE[1]]);
    assert_eq!(reset(&service, &token), 204);
}

#[test]
fn the_help_says_how_long_a_link_is_valid_and_what_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let help = run(folder.path(), &["user", "reset-link", "--help"], "");
    let help = text(&help.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["works once, and for 24 hours", "replaces all earlier links", "are revoked"] {
        assert!(help.contains(part), "{part} is not in {help}");
    }
}
