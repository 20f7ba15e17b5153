//! Tests of output that only a terminal gets: questions, colors, hints, one line per request.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::process::free_address;
use crate::support::program::{PASSWORD, Service, cloakroom, is_postgres, run, said, text};
use crate::support::terminal::{Terminal, without_colors};

fn type_at(folder: &Path, arguments: &[&str]) -> Terminal {
    Terminal::start(cloakroom(folder, arguments), 100)
}

/// All output of a command at a terminal with a hundred columns, without input.
fn shown_at(folder: &Path, arguments: &[&str]) -> String {
    let (code, shown) = type_at(folder, arguments).finish();
    assert_eq!(code, Some(0), "{arguments:?}: {shown}");
    shown
}

#[test]
fn a_weak_password_is_refused_before_it_is_typed_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for weak in ["short", "ann ann ann ann ann", "111111111111111111111"] {
        let mut add = type_at(folder, &["user", "add", "ann"]);
        add.wait_for("New password: ");
        add.type_line(weak);
        let (code, shown) = add.finish();
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("The password") && !shown.contains("Repeat"), "{shown}");
    }
    let (code, shown) = type_at(folder, &["user", "add", "a b"]).finish();
    assert!(code == Some(1) && !shown.contains("New password"), "the name first: {shown}");

    let mut add = type_at(folder, &["user", "add", "ann"]);
    add.wait_for("New password: ");
    add.type_line(PASSWORD);
    add.wait_for("Repeat the password: ");
    add.type_line(PASSWORD);
    let (code, shown) = add.finish();
    assert!(code == Some(0) && shown.contains("added ann\n"), "{shown}");
    assert!(shown.contains("Next: ann can sign in at http://127.0.0.1:8000/login"), "{shown}");

    for (command, name) in [("add", "ann"), ("passwd", "bob")] {
        let (code, shown) = type_at(folder, &["user", command, name]).finish();
        assert!(code == Some(1) && !shown.contains("New password"), "the name first: {shown}");
    }
    let mut passwd = type_at(folder, &["user", "passwd", "ann"]);
    passwd.wait_for("New password: ");
    passwd.type_line("short");
    let (code, shown) = passwd.finish();
    assert!(code == Some(1) && !shown.contains("Repeat"), "{shown}");
}

#[test]
fn deleting_a_user_asks_first_and_without_a_terminal_wants_yes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let refused = run(folder, &["user", "delete", "ann"], "y\n");
    let sentence = text(&refused.stderr);
    assert_eq!((refused.status.code(), sentence.lines().count()), (Some(2), 1), "{sentence}");
    assert!(sentence.contains("--yes"), "{sentence}");

    let (code, shown) = type_at(folder, &["user", "delete", "bob"]).finish();
    assert!(code == Some(1) && shown.contains("there is no user bob"), "{shown}");
    for (answer, code) in [("", Some(1)), ("n", Some(1)), ("ann", Some(1)), ("Yes", Some(0))] {
        assert!(said(folder, &["user", "list"]).contains("\nann "), "before {answer:?}");
        let mut delete = type_at(folder, &["user", "delete", "ann"]);
        delete.wait_for("Delete the user ann and all sessions of this user permanently? [y/N] ");
        delete.type_line(answer);
        let (ended, shown) = delete.finish();
        assert_eq!(ended, code, "{shown}");
        assert_eq!(shown.contains("nothing was changed"), code == Some(1), "{shown}");
    }
    assert_eq!(said(folder, &["user", "list"]), "");
}

#[test]
fn taking_passwords_away_asks_first_and_without_a_terminal_wants_yes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let id = said(folder, &["pepper", "add"])[..8].to_owned();
    said(folder, &["user", "add", "ann"]);
    let keys = fs::read_dir(folder.join("cloakroom-data/keys")).unwrap();
    let is_pepper = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "pepper");
    let pepper = keys.map(|entry| entry.unwrap().path()).find(is_pepper).unwrap();
    fs::remove_file(pepper).unwrap();
    assert_eq!(run(folder, &["pepper", "forget", &id], "y\n").status.code(), Some(2));
    for (answer, code) in [("n", Some(1)), ("y", Some(0))] {
        let mut forget = type_at(folder, &["pepper", "forget", &id]);
        forget.wait_for("ann\n");
        forget.wait_for("Remove the passwords of these users permanently? [y/N] ");
        forget.type_line(answer);
        let (ended, shown) = forget.finish();
        assert_eq!(ended, code, "{shown}");
    }
    assert!(!run(folder, &["pepper", "forget", &id, "--yes"], "").status.success(), "it is gone");
}

#[test]
fn tables_have_colors_on_a_terminal_and_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    said(folder, &["user", "disable", "ann"]);
    let colored = "\u{1b}[1mUSER\u{1b}[0m";
    assert!(shown_at(folder, &["user", "list"]).contains(colored));
    let with = |name: &str, value: &str| {
        let mut command = cloakroom(folder, &["user", "list"]);
        command.env(name, value);
        command
    };
    let plain = Terminal::start(with("NO_COLOR", "1"), 100).finish().1;
    assert!(plain.contains("USER") && !plain.contains('\u{1b}'), "{plain:?}");
    let forced = with("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(text(&forced.stdout).contains(colored));
    let piped = said(folder, &["user", "list"]);
    assert_eq!(
        piped.split_whitespace().take(7).collect::<Vec<_>>(),
        ["USER", "NAME", "EMAIL", "CREATED", "STATE", "ROLES", "ann"]
    );
    assert!(piped.contains("  disabled ") && !piped.contains('\u{1b}'), "{piped:?}");

    let (code, shown) = type_at(folder, &["user", "show", "bob"]).finish();
    assert!(
        code == Some(1) && shown.contains("\u{1b}[1m\u{1b}[31mcloakroom:\u{1b}[0m "),
        "{shown:?}"
    );
}

#[test]
fn no_line_of_a_table_is_wider_than_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    // a path too long for any column
    let folder = folder.path().join("a-folder-with-a-long-name".repeat(4));
    fs::create_dir(&folder).unwrap();
    let folder = folder.as_path();
    let name = "n".repeat(36);
    said(folder, &["user", "add", &name]);
    said(folder, &["user", "disable", &name]);
    said(folder, &["pepper", "add"]);
    for arguments in [
        &["user", "list"][..],
        &["key", "list"],
        &["pepper", "list"],
        &["audit"],
        &["doctor"],
        &["invite", "list"],
    ] {
        for columns in [100, 80] {
            let shown = Terminal::start(cloakroom(folder, arguments), columns).finish().1;
            let shown = without_colors(&shown);
            let is_narrow = |line: &str| line.chars().count() <= columns.into();
            // a word is never broken; the only wider word is the data folder
            let mut lines = shown.lines().filter(|line| !line.contains("/a-folder"));
            assert!(lines.all(is_narrow), "{arguments:?} at {columns}: {shown}");
        }
    }
    let piped = said(folder, &["--listen", "127.0.0.1:9", "doctor"]);
    assert!(
        piped.lines().skip(1).all(|line| ["ok ", "not", "WRO"].contains(&&line[..3])),
        "{piped}"
    );
}

#[test]
fn a_hint_for_the_next_step_is_for_people_only() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let next = |arguments: &[&str], hint: &str| {
        let shown = shown_at(folder, arguments);
        assert!(without_colors(&shown).contains(hint), "{arguments:?}: {shown}");
    };
    next(&["user", "list"], "There are no users; to add one, run `cloakroom user add NAME`");
    said(folder, &["user", "add", "ann"]);
    next(&["user", "disable", "ann"], "To enable the user again, run `cloakroom user enable ann`");
    next(&["user", "enable", "ann"], "Next: the user can sign in at http://127.0.0.1:8000/login");
    next(&["session", "list", "ann"], "ann has no active sessions");
    next(&["invite", "list"], "to create one, run `cloakroom invite`");
    next(&["invite"], "`cloakroom invite list` lists the unused invites");
    next(&["key", "rotate"], "Next: back up the new key with `cloakroom backup`");
    next(&["pepper", "add"], "`cloakroom pepper list` shows");
    next(&["migrate"], "Next: start the service with `cloakroom`");
    next(
        &["backup", "b"],
        "cloakroom --data-dir trial --database-url sqlite://trial/cloakroom.db restore b/cloakroom-",
    );
    fs::write(folder.join("people.csv"), "username,password_hash\nbob,!\n").unwrap();
    next(&["user", "import", "people.csv"], "`cloakroom user list` lists all users");

    // the trial that the hint suggests works as printed
    let trial = ["--data-dir", "trial", "--database-url", "sqlite://trial/cloakroom.db"];
    if !is_postgres() {
        let made = fs::read_dir(folder.join("b")).unwrap().next().unwrap().unwrap().path();
        next(
            &[&trial[..], &["restore", made.to_str().unwrap()]].concat(),
            "Next: run `cloakroom doctor`",
        );
    }
    let (_, invited) = type_at(folder, &["invite"]).finish();
    let warning = "warning: registration is open, so users do not need an invite";
    assert!(without_colors(&invited).contains(warning), "{invited}");
    assert!(!invited.contains("cloakroom::") && !invited.contains("WARN"), "{invited}");
    for arguments in [&["migrate", "--json"][..], &["backup", "c", "--json"], &["invite", "--json"]]
    {
        let shown = shown_at(folder, arguments);
        assert!(shown.contains("{\"") && !shown.contains("Next"), "{shown}");
    }
    let piped = run(folder, &["user", "disable", "ann"], "");
    assert_eq!(
        text(&piped.stdout),
        "ann is disabled; all sessions and API tokens of this user were revoked\n"
    );
    assert!(!text(&piped.stderr).contains("To enable the user again"));
}

#[test]
fn a_terminal_shows_a_line_for_each_request_without_its_query() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann"]);
    let serve = |arguments: &[&str]| {
        let free = free_address().to_string();
        let mut terminal = type_at(folder, &[&["--listen", &free], arguments].concat());
        terminal.wait_for("document ");
        (terminal, free)
    };
    let ask = |at: &str| {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let form = [("username", "ann"), ("password", "not the right canary")];
        assert_eq!(
            agent.post(format!("http://{at}/login?next=/canary")).send_form(form).unwrap().status(),
            403
        );
        assert_eq!(
            agent
                .get(format!("http://{at}/livez"))
                .header("cookie", "session=canary")
                .call()
                .unwrap()
                .status(),
            200
        );
        assert_eq!(agent.get(format!("http://{at}/no%1bsuch")).call().unwrap().status(), 404);
    };
    let (mut terminal, at) = serve(&[]);
    ask(&at);
    terminal.wait_for("/no%1bsuch 404");
    let shown = without_colors(&terminal.shown());
    let line = |start: &str| shown.lines().find(|line| line.contains(start)).unwrap().to_owned();
    assert!(line("POST /login 403 ").ends_with(" ms"), "{shown}");
    let (before, _) = shown.split_once("GET /livez 200 ").unwrap();
    assert!(before.ends_with("INFO cloakroom::requests: "), "{shown}");
    assert!(!shown.contains("canary") && !shown.contains("request.path"), "{shown}");

    let (mut terminal, at) = serve(&["--log-requests=false"]);
    ask(&at);
    terminal.child.kill().unwrap();
    let shown = terminal.finish().1;
    assert!(!shown.contains("cloakroom::requests"), "{shown}");
}

#[test]
fn without_a_terminal_requests_are_logged_on_demand_as_objects() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let logged = |arguments: &[&str]| {
        let service = Service::start(folder, arguments);
        assert_eq!(service.call("GET", "/livez?canary=1", &[], "").0, 200);
        service.stop();
        let log = fs::read_to_string(folder.join("log")).unwrap();
        assert!(!log.contains("canary"), "{log}");
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == "cloakroom::requests").collect::<Vec<_>>()
    };
    assert_eq!(logged(&[]), [Value::Null; 0]);
    let lines = logged(&["serve", "--log-requests"]);
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!((&line["request.method"], &line["request.path"]), (&"GET".into(), &"/livez".into()));
    assert_eq!(line["request.status"], 200);
    assert!(line["request.ms"].as_f64().unwrap() > 0.0, "{line}");
    assert!(line["message"].as_str().unwrap().starts_with("GET /livez 200 "), "{line}");
    fs::write(folder.join("cloakroom.toml"), "log.requests = true\n").unwrap();
    assert_eq!(logged(&[]).len(), 1);
    assert_eq!(logged(&["--log-requests=false"]).len(), 0, "a flag counts more than the file");
}
