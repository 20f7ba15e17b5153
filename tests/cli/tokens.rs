//! Tests of `cloakroom token`, and of `user add --no-password`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::program::{PASSWORD, Service, back_up, object, refused, said};

/// The time within which a running service knows of a change.
const BOUND: Duration = Duration::from_secs(1);

fn read(service: &Service, token: &str) -> (u16, String) {
    let header = format!("Bearer {token}");
    let (status, body, _) = service.call("GET", "/me", &[("authorization", &header)], "");
    (status, body)
}

fn wait_for_refusal(service: &Service, token: &str) {
    let revoked_at = Instant::now();
    loop {
        let asked = revoked_at.elapsed();
        if read(service, token).0 == 401 {
            return;
        }
        assert!(asked < BOUND, "the service still accepts the token");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_service_account_has_no_password_and_calls_with_a_token_that_a_command_created() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(
        said(folder, &["user", "add", "ci", "--no-password", "--role", "reader"]),
        "added ci\n"
    );
    let service = Service::start(folder, &[]);
    for password in ["", "!", PASSWORD] {
        assert_ne!(service.log_in("ci", password).0, 200, "{password:?}");
    }
    let printed = said(folder, &["token", "add", "ci", "--role", "reader", "--expires", "30d"]);
    let token = printed.trim_end();
    assert_eq!((token.len(), &token[..4], printed.lines().count()), (53, "clk_", 1));
    let (status, body) = read(&service, token);
    assert_eq!(status, 200, "{body}");
    let me: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&me["username"], &me["roles"]), (&json!("ci"), &json!(["reader"])));

    let listed = object(folder, &["token", "list", "ci", "--json"]);
    assert_eq!(listed["name"], "Command line");
    assert_eq!(listed["username"], "ci");
    assert_eq!(listed["roles"], json!(["reader"]));
    let id = listed["id"].as_str().unwrap();
    assert_eq!(object(folder, &["token", "list", "--json"])["id"], id);
    let table = said(folder, &["token", "list"]);
    assert!(
        table.starts_with("ID                      USER  FOR           ROLES   LAST USED"),
        "{table}"
    );
    assert!(!table.contains(&token[4..20]));

    assert_eq!(said(folder, &["token", "revoke", id]), "revoked 1 API token\n");
    wait_for_refusal(&service, token);
    let why = refused(folder, &["token", "revoke", id]);
    assert!(why.contains("there is no API token"), "{why}");
    assert_eq!(said(folder, &["token", "list"]), "");
}

#[test]
fn a_token_that_cannot_be_created_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ci", "--no-password"]);
    for (arguments, part) in [
        (&["token", "add", "eve"][..], "there is no user eve"),
        (&["token", "add", "ci", "--role", "reader"], "ci does not have the role reader"),
        (&["token", "add", "ci", "--role", "Admin"], "is not the name of a role"),
        (&["token", "add", "ci", "--for", ""], "--for must not be empty"),
        (&["token", "add", "ci", "--for", "a\nb"], "control characters"),
        (&["token", "list", "eve"], "there is no user eve"),
        (&["token", "revoke", "a\tb"], "there is no API token"),
    ] {
        let why = refused(folder, arguments);
        assert!(why.contains(part), "{why}");
    }
    said(folder, &["user", "disable", "ci"]);
    let why = refused(folder, &["token", "add", "ci"]);
    assert!(why.contains("ci is disabled"), "{why}");
    std::fs::write(folder.join("cloakroom.toml"), "[api_tokens]\nmax_days = 0\n").unwrap();
    let why = refused(folder, &["token", "add", "ci"]);
    assert!(why.contains("api_tokens.max_days is 0"), "{why}");
    std::fs::write(folder.join("cloakroom.toml"), "[api_tokens]\nmax_days = 7\n").unwrap();
    said(folder, &["user", "enable", "ci"]);
    let why = refused(folder, &["token", "add", "ci", "--expires", "8d"]);
    assert!(why.contains("allows at most 7d"), "{why}");
    said(folder, &["token", "add", "ci"]);
    std::fs::write(folder.join("cloakroom.toml"), "[api_tokens]\nmax_days = 367\n").unwrap();
    let why = refused(folder, &["token", "list"]);
    assert!(why.contains("api_tokens.max_days = 367 must be at most 366"), "{why}");
}

#[test]
fn disabling_a_user_and_setting_a_password_revoke_the_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let service = Service::start(folder, &[]);
    for command in [&["user", "disable", "ann"][..], &["user", "passwd", "ann"]] {
        said(folder, &["user", "enable", "ann"]);
        let token = object(folder, &["token", "add", "ann", "--json"]);
        let token = token["token"].as_str().unwrap();
        assert_eq!(read(&service, token).0, 200);
        said(folder, command);
        wait_for_refusal(&service, token);
        assert_eq!(said(folder, &["token", "list"]), "");
    }
}

#[test]
fn tok_14_a_restore_revokes_all_tokens_and_tok_11_a_backup_contains_none() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    said(folder.path(), &["user", "add", "ann"]);
    let created = object(folder.path(), &["token", "add", "ann", "--json"]);
    let (token, id) = (created["token"].as_str().unwrap(), created["id"].as_str().unwrap());
    let backup = back_up(folder.path(), "backups", &[]);
    for entry in std::fs::read_dir(&backup).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(43).any(|part| part == &token.as_bytes()[4..47]));
        }
    }
    said(folder.path(), &["token", "revoke", id]);
    let restored = said(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
    assert!(
        restored.contains("  api tokens  none; 1 API tokens of the backup were revoked"),
        "{restored}"
    );
    let service = Service::start(elsewhere.path(), &["--data-dir", "cloakroom-data"]);
    assert_eq!(read(&service, token).0, 401);
    assert_eq!(service.log_in("ann", PASSWORD).0, 200);
}
