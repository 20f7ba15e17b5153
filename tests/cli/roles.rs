//! Tests of `cloakroom role`, and of roles in `user add`, `user list`, `user show` and `user import`.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::program::{PASSWORD, Service, object, refused, said};

/// The time within which a running service knows of a change.
const BOUND: Duration = Duration::from_secs(1);

/// Waits until the service shows these roles, for at most a second after the command has ended.
fn wait_for_roles(service: &Service, cookie: &str, expected: &Value) {
    let changed_at = Instant::now();
    loop {
        let asked = changed_at.elapsed();
        let (status, body, _) = service.call("GET", "/me", &[("cookie", cookie)], "");
        assert_eq!(status, 200, "the session has ended: {body}");
        if serde_json::from_str::<Value>(&body).unwrap()["roles"] == *expected {
            return;
        }
        assert!(asked < BOUND, "the service does not know of {expected}: {body}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn rol_01_a_running_service_applies_a_command_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let service = Service::start(folder, &[]);
    let cookie = service.log_in("ann", PASSWORD).2.unwrap();
    wait_for_roles(&service, &cookie, &json!([]));
    assert_eq!(said(folder, &["role", "give", "ann", "editor"]), "ann has the role editor\n");
    wait_for_roles(&service, &cookie, &json!(["editor"]));
    said(folder, &["role", "give", "Ann", "admin"]);
    wait_for_roles(&service, &cookie, &json!(["admin", "editor"]));
    let taken = said(folder, &["role", "take", "ann", "editor"]);
    assert_eq!(taken, "ann no longer has the role editor\n");
    wait_for_roles(&service, &cookie, &json!(["admin"]));

    let events = said(folder, &["audit", "--json"]);
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changes =
        events.iter().filter(|event| event["event"].as_str().unwrap().starts_with("role_"));
    let mut changes: Vec<_> =
        changes.map(|event| [&event["event"], &event["username"], &event["id"]]).collect();
    changes.sort_by_key(|change| change.map(Value::to_string));
    assert_eq!(
        changes,
        [
            [&json!("role_given"), &json!("ann"), &json!("admin")],
            [&json!("role_given"), &json!("ann"), &json!("editor")],
            [&json!("role_taken"), &json!("ann"), &json!("editor")],
        ]
    );
}

#[test]
fn rol_03_a_role_that_cannot_be_given_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let long = "r".repeat(33);
    for name in ["Admin", "admin,x", "a b", "a|b", "", ".a", "a.", "ä", &long] {
        for arguments in [["role", "give", "ann", name], ["role", "take", "ann", name]] {
            let why = refused(folder, &arguments);
            assert!(why.contains("is not the name of a role: "), "{why}");
        }
        refused(folder, &["role", "list", "--role", name]);
        refused(folder, &["user", "add", "bob", "--role", name]);
    }
    for command in ["give", "take"] {
        let why = refused(folder, &["role", command, "eve", "editor"]);
        assert!(why.ends_with("there is no user eve\n"), "{why}");
        let why = refused(folder, &["role", command, "a b", "editor"]);
        assert!(why.contains("is not a valid user name"), "{why}");
    }
    let roles: Vec<String> = (0..33).map(|n| format!("--role=r{n}")).collect();
    let add = |count: usize| {
        let roles = roles[..count].iter().map(String::as_str);
        ["user", "add", "bob"].into_iter().chain(roles).collect::<Vec<_>>()
    };
    let why = refused(folder, &add(33));
    assert!(why.ends_with("an account has at most 32 roles\n"), "{why}");
    said(folder, &add(32));
    let why = refused(folder, &["role", "give", "bob", "r32"]);
    assert!(why.ends_with("an account has at most 32 roles\n"), "{why}");
    assert_eq!(said(folder, &["role", "give", "bob", "r7"]), "bob already had the role r7\n");
    assert_eq!(said(folder, &["role", "take", "ann", "r7"]), "ann did not have the role r7\n");
}

#[test]
fn roles_are_in_the_lists_for_people_and_for_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(said(folder, &["role", "list"]), "");
    said(
        folder,
        &["user", "add", "ann", "--role", "editor", "--role", "admin", "--role", "editor"],
    );
    said(folder, &["user", "add", "bob", "--role", "editor"]);
    said(folder, &["user", "add", "eve"]);

    assert_eq!(said(folder, &["role", "list"]), "ROLE    USERS\nadmin   1\neditor  2\n");
    let lines = "{\"role\":\"admin\",\"users\":1}\n{\"role\":\"editor\",\"users\":2}\n";
    assert_eq!(said(folder, &["role", "list", "--json"]), lines);
    let of_ann = said(folder, &["role", "list", "ann"]);
    assert!(of_ann.starts_with("ROLE    GIVEN\nadmin   "), "{of_ann}");
    let of_bob = object(folder, &["role", "list", "bob", "--json"]);
    assert_eq!(of_bob["role"], "editor");
    assert!(of_bob["given_at"].as_str().unwrap().ends_with('Z'), "{of_bob}");
    assert_eq!(said(folder, &["role", "list", "eve"]), "");
    let admins = object(folder, &["role", "list", "--role", "admin", "--json"]);
    assert_eq!(
        (&admins["username"], &admins["roles"]),
        (&json!("ann"), &json!(["admin", "editor"]))
    );
    assert_eq!(said(folder, &["role", "list", "--role", "editor"]).lines().count(), 3);
    assert_eq!(said(folder, &["role", "list", "--role", "nothing"]), "");

    let users = said(folder, &["user", "list", "--json"]);
    let roles: Vec<Value> = users
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["roles"].clone())
        .collect();
    assert_eq!(roles, [json!(["admin", "editor"]), json!(["editor"]), json!([])]);
    assert!(said(folder, &["user", "list"]).contains("active  admin, editor\n"));
    assert!(said(folder, &["user", "show", "ann"]).contains("\nroles       admin, editor\n"));
    assert!(said(folder, &["user", "show", "eve"]).contains("\nroles       none\n"));
    assert_eq!(object(folder, &["user", "show", "bob", "--json"])["roles"], json!(["editor"]));

    said(folder, &["user", "delete", "bob", "--yes"]);
    assert_eq!(said(folder, &["role", "list"]), "ROLE    USERS\nadmin   1\neditor  1\n");
}

#[test]
fn an_import_reads_roles_from_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let csv = "username,password_hash,roles\nann,,editor admin\nbob,,\"editor,x\"\ncarl,,\n";
    fs::write(folder.join("users.csv"), csv).unwrap();
    let jsonl = "{\"username\":\"dora\",\"roles\":[\"x\",\"editor\"]}\n{\"username\":\"eve\"}\n";
    fs::write(folder.join("users.jsonl"), jsonl).unwrap();
    said(folder, &["user", "import", "users.csv"]);
    said(folder, &["user", "import", "users.jsonl"]);
    let users = said(folder, &["user", "list", "--json"]);
    let roles = users.lines().map(|line| {
        let user: Value = serde_json::from_str(line).unwrap();
        format!("{} {}", user["username"].as_str().unwrap(), user["roles"])
    });
    assert_eq!(
        roles.collect::<Vec<_>>(),
        [
            r#"ann ["admin","editor"]"#,
            r#"bob ["editor","x"]"#,
            "carl []",
            r#"dora ["editor","x"]"#,
            "eve []",
        ]
    );
}
