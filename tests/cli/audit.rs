//! Tests of `cloakroom audit`: the events that an operator can list.

use std::path::Path;

use serde_json::Value;

use crate::support::program::{
    PASSWORD, Service, back_up, is_postgres, refused, refused_unprepared, run, said, text,
    wait_until,
};

fn events(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let printed = said(folder, &[&["audit", "--json"], arguments].concat());
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let events = events(folder, arguments);
    events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_happened_is_told_by_account_time_and_kind() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["ann", "bob"] {
        said(folder, &["user", "add", name]);
    }
    let service = Service::start(folder, &[]);
    let (_, body, cookie) = service.log_in("ann", PASSWORD);
    let session: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(service.log_in("ann", "something else").0, 403);
    assert_eq!(service.log_in("nobody", "something else").0, 403);
    service.log_out(&cookie.unwrap());
    let of_ann = ["user_added", "login_succeeded", "login_failed", "logout"];
    wait_until(|| names(folder, &["--account", "ann"]) == of_ann);

    let all = events(folder, &[]);
    let (added, login) = (&all[0], &all[2]);
    assert_eq!((&added["username"], &added["address"]), (&"ann".into(), &Value::Null));
    assert_eq!(login["session"], session["session"]["id"]);
    assert_eq!((&login["username"], &login["address"]), (&"ann".into(), &"127.0.0.1".into()));
    assert!(login["request_id"].as_str().unwrap().len() > 16);
    assert_eq!(all[4]["account"], Value::Null, "nobody has this name");

    said(folder, &["user", "disable", "bob"]);
    said(folder, &["key", "rotate"]);
    wait_until(|| names(folder, &["--event", "keys_changed"]).len() == 1);
    assert_eq!(names(folder, &["--account", "bob"]), ["user_added", "user_disabled"]);
    assert_eq!(names(folder, &["--event", "logout", "--event", "login_failed"]).len(), 3);
    let newest = &names(folder, &["--limit", "2"]);
    assert!(newest.contains(&"key_rotated".to_owned()), "{newest:?}");
    assert_eq!(newest.len(), 2);
    assert_eq!(names(folder, &["--since", "1h"]).len(), events(folder, &[]).len());
    assert_eq!(names(folder, &["--until", "1h"]), [""; 0]);
    let at = login["at"].as_str().unwrap();
    let since = names(folder, &["--since", at]);
    assert!(since.contains(&"login_succeeded".to_owned()), "{since:?}");

    let id = added["account"].as_str().unwrap().to_owned();
    said(folder, &["user", "delete", "ann", "--yes"]);
    let of_gone = names(folder, &["--account", &id]);
    assert_eq!(of_gone.last().unwrap(), "user_deleted", "what happened stays true: {of_gone:?}");
    let shown = said(folder, &["audit"]);
    assert!(shown.contains("login_succeeded") && shown.contains(&id), "{shown}");
    assert!(!shown.contains("ann"), "no name is kept: {shown}");
    assert!(refused(folder, &["audit", "--account", "ann"]).contains("there is no user \"ann\""));
    let wrong = run(folder, &["audit", "--event", "nonsense"], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("login_succeeded"), "it says which there are");
}

#[test]
fn what_happens_before_the_end_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let service = Service::start(folder, &[]);
    for _ in 0..4 {
        assert_eq!(service.log_in("ann", "something else").0, 403);
    }
    assert_eq!(service.log_in("ann", PASSWORD).0, 200);
    service.stop();
    let failed = events(folder, &["--event", "login_failed"]);
    let counts: Vec<_> = failed.iter().map(|event| event["count"].as_i64().unwrap()).collect();
    assert_eq!(counts, [1, 3], "one at once, and the others of this minute together");
    assert_eq!(names(folder, &["--event", "login_succeeded"]).len(), 1);
}

#[test]
fn who_moves_or_restores_takes_along_what_happened() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    said(folder.path(), &["user", "add", "ann"]);
    let backup = back_up(folder.path(), "b", &[]);
    said(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
    let restored = events(elsewhere.path(), &[]);
    let names: Vec<_> = restored.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["user_added", "database_restored"]);
    assert!(restored[1]["id"].as_str().unwrap().starts_with("20"), "when it was made");
    if is_postgres() {
        return; // moving to PostgreSQL is tested elsewhere
    }
    let at = |folder: &Path, name: &str| format!("sqlite://{}/{name}", folder.display());
    let from = at(&elsewhere.path().join("cloakroom-data"), "cloakroom.db");
    let to = at(elsewhere.path(), "moved.db");
    said(elsewhere.path(), &["move", "--from", &from, "--to", &to]);
    let printed = said(elsewhere.path(), &["--database-url", &to, "audit", "--json"]);
    assert_eq!(printed.lines().count(), 2);
}

#[test]
fn without_a_database_nothing_is_told_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    if is_postgres() {
        return;
    }
    assert!(refused_unprepared(folder.path(), &["audit"]).contains("there is no database"));
    assert!(!folder.path().join("cloakroom-data").exists());
    said(folder.path(), &["--data-dir", "cloakroom-data", "key", "rotate"]);
    assert!(!folder.path().join("cloakroom-data/cloakroom.db").exists());
}
