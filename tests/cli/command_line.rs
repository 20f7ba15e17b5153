//! Tests of the whole command line: help, completions, and JSON output for scripts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::process::free_address;
use crate::support::program::{PASSWORD, Service, object, run, said, text, wait_until};

/// The subcommands that a help text lists.
fn commands(folder: &Path, path: &[&str]) -> Vec<String> {
    let help = said(folder, &[path, &["--help"]].concat());
    let list = help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  "));
    let names =
        names.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_command_has_examples() {
    let folder = tempfile::tempdir().unwrap();
    let all = commands(folder.path(), &[]);
    assert!(all.len() >= 15, "{all:?}");
    for name in &all {
        let help = said(folder.path(), &[name, "--help"]);
        assert!(help.contains("Examples"), "{name}: {help}");
        assert!(help.contains(&format!("cloakroom {name}")), "{name}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{name}: {help}");
        let (own, _) =
            help.split_once("\n\nEvery command also accepts the settings (--config").unwrap();
        let examples = own.split("Examples").nth(1).unwrap();
        let is_cut = |pair: &[&str]| pair[0].len() > 60 && (1..16).contains(&pair[1].trim().len());
        let mut lines = examples.lines().collect::<Vec<_>>();
        lines.pop(); // the last line of a text may be short
        assert!(!lines.windows(2).any(is_cut), "{name} breaks a line anew: {help}");
    }
    assert!(said(folder.path(), &["--help"]).contains("Examples:"));
    assert_eq!(run(folder.path(), &["nonsense"], "").status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "help makes nothing");
}

#[test]
fn the_settings_stand_in_one_help_and_go_with_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let all = said(folder, &["--help"]);
    let flags = ["--config", "--listen", "--public-url", "--database-url", "--data-dir"];
    let (_, settings) = all.split_once("\nSettings:\n").unwrap();
    assert!(flags.iter().all(|flag| settings.contains(&format!("{flag} <"))), "{all}");
    for name in commands(folder, &[]) {
        let inner = commands(folder, &[&name]);
        let paths = inner.iter().map(|inner| vec![&*name, inner]).chain([vec![&*name]]);
        for path in paths {
            let help = said(folder, &[&path[..], &["--help"]].concat());
            let is_repeated = |flag: &&str| help.contains(&format!("  {flag} <"));
            assert!(!flags.iter().any(is_repeated), "{path:?}: {help}");
            assert!(help.contains("`cloakroom --help`"), "{path:?}: {help}");
        }
    }
    let shown = object(folder, &["config", "--json", "--listen", "127.0.0.1:8001"]);
    assert_eq!(shown["listen"], "127.0.0.1:8001");
    said(folder, &["migrate", "--data-dir", "other"]);
    said(folder, &["user", "add", "ann", "--data-dir", "other"]);
    assert!(said(folder, &["--data-dir", "other", "user", "list"]).contains("\nann "));
    assert!(said(folder, &["completions", "fish"]).contains("data-dir"));
}

#[test]
fn every_listing_is_a_table_of_a_hundred_columns_with_a_header_and_human_times() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(folder, &["user", "add", "ann", "--role", "editor"]);
    said(folder, &["invite", "--expires", "30d"]);
    let service = Service::start(folder, &[]);
    service.log_in("ann", PASSWORD);
    service.stop();
    said(folder, &["pepper", "add"]); // afterwards, because a sign-in gives a password the pepper
    for (arguments, header, row) in [
        (
            &["user", "list"][..],
            "USER NAME EMAIL CREATED STATE ROLES",
            "ann - - # ago active editor",
        ),
        (
            &["session", "list", "ann"],
            "ID SIGNED IN LAST SEEN EXPIRES FROM",
            "# ago # ago in 24 hours 127.0.0.1",
        ),
        (&["role", "list"], "ROLE USERS", "editor 1"),
        (&["role", "list", "ann"], "ROLE GIVEN", "editor # ago"),
        (
            &["role", "list", "--role", "editor"],
            "USER NAME EMAIL CREATED STATE ROLES",
            "ann - - # ago active editor",
        ),
        (&["key", "list"], "ID USE FILE", "signs cloakroom-data/keys/"),
        (&["pepper", "list"], "ID STATE PASSWORDS FILE", "current 0 cloakroom-data/keys/"),
        (&["invite", "list"], "ID CREATED EXPIRES", "# ago in 4 weeks"),
        (&["invite"], "EXPIRES LINK", "in 7 days http://127.0.0.1:8000/register?invite="),
        (
            &["audit"],
            "WHEN EVENT USER DETAILS",
            "# ago login_succeeded ann from 127.0.0.1, session ",
        ),
        (
            &["--listen", "127.0.0.1:7", "doctor"],
            "STATE ABOUT FINDING",
            "ok data folder cloakroom-data",
        ),
    ] {
        let shown = said(folder, arguments);
        let words = |text: &str| {
            let mut words = Vec::new();
            for word in text.split_whitespace() {
                match word {
                    "now" => words.extend(["#", "ago"]),
                    "second" | "seconds" => *words.last_mut().unwrap() = "#",
                    _ => words.push(word),
                }
            }
            words.join(" ")
        };
        let mut lines = shown.lines();
        assert_eq!(words(lines.next().unwrap()), header, "{shown}");
        assert!(lines.any(|line| words(line).contains(row)), "{row}: {shown}");
        let is_time = |word: &[u8]| word[0] == b'T' && word[1].is_ascii_digit() && word[3] == b':';
        // only the doctor's finding about the clock contains a time in RFC 3339
        let mut others = shown.lines().filter(|line| !line.contains(" clock "));
        assert!(!others.any(|line| line.as_bytes().windows(4).any(is_time)), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
        // a path or a finding takes the whole last column; only a terminal shows it on a line below
        let has_more = ["FILE", "FINDING"].iter().any(|last| header.ends_with(last));
        let is_narrow = |line: &str| has_more || line.chars().count() <= 100;
        assert!(shown.lines().all(is_narrow), "{shown}");
    }
}

#[test]
fn completions_are_scripts_that_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let all = commands(folder.path(), &[]);
    for shell in ["bash", "zsh", "fish"] {
        let script = said(folder.path(), &["completions", shell]);
        for name in &all {
            assert!(script.contains(name.as_str()), "{shell}: {name}");
        }
        if shell == "bash" {
            let mut check = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
            check.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            assert!(check.wait().unwrap().success());
        }
    }
    assert_eq!(run(folder.path(), &["completions", "nonsense"], "").status.code(), Some(2));
}

#[test]
fn a_script_reads_json_beside_a_running_service() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(object(folder, &["migrate", "--json"])["migration"].as_i64().unwrap() >= 5);
    said(folder, &["user", "add", "ann"]);
    let service = Service::start(folder, &[]);
    let cookie = service.log_in("ann", PASSWORD).2.unwrap();
    assert_eq!(object(folder, &["user", "list", "--json"])["username"], "ann");
    assert_eq!(object(folder, &["user", "show", "ann", "--json"])["sessions"], 1);
    assert_eq!(object(folder, &["session", "list", "ann", "--json"])["address"], "127.0.0.1");
    let key = object(folder, &["key", "list", "--json"]);
    assert_eq!(key["signs"], true);
    let published: Value =
        serde_json::from_str(&service.call("GET", "/.well-known/jwks.json", &[], "").1).unwrap();
    assert_eq!(published["keys"][0]["kid"], key["kid"]);
    let listed = said(folder, &["pepper", "list", "--json"]);
    assert_eq!(listed, "{\"id\":null,\"state\":\"without\",\"passwords\":1,\"path\":null}\n");
    let id = said(folder, &["pepper", "add"])[..8].to_owned();
    wait_until(|| {
        service.log_in("ann", PASSWORD); // rehashes her password with the pepper
        let listed = said(folder, &["pepper", "list", "--json"]);
        let current: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
        assert_eq!((&current["id"], &current["state"]), (&json!(id), &json!("current")));
        current["passwords"] == 1
    });
    assert_eq!(object(folder, &["config", "--json"])["registration"], "open");
    let secret = ["--database-url", "postgres://me:canary@db.example/x", "config", "--json"];
    let shown = said(folder, &secret);
    assert!(shown.contains("db.example") && !shown.contains("canary"), "{shown}");
    assert!(object(folder, &["invite", "--json"])["url"].as_str().unwrap().contains("/register?"));
    let listed = run(folder, &["--listen", &service.at, "doctor", "--json"], "");
    let listed: Value = serde_json::from_str(&text(&listed.stdout)).unwrap();
    assert!(listed["findings"].as_array().unwrap().len() > 5);
    assert_eq!(service.private(&cookie), 200);
}

#[test]
fn att_17_12_no_output_shows_the_password_of_a_database_in_whatever_form_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pgpass = folder.join("pgpass");
    fs::write(&pgpass, "canary without colons\n").unwrap();
    fs::set_permissions(&pgpass, fs::Permissions::from_mode(0o600)).unwrap();
    for address in [
        "postgres://me:canary@127.0.0.1:9/x",
        "postgres://me:%63anary@127.0.0.1:9/x",
        "postgres://me@127.0.0.1:9/x?password=canary",
        "postgres://me@127.0.0.1:9/x?p%61ssword=canary&port=9",
        "postgres://me@127.0.0.1:9/x?password=%63anary",
        "postgres://me@127.0.0.1:9/x?passwort=canary",
        "postgres://me@127.0.0.1:9/x?Password=canary",
        "postgres://me@127.0.0.1:9/x?canary",
        "postgres://127.0.0.1:9/canary@127.0.0.1:9/x",
        "postgres://127.0.0.1:9#canary@127.0.0.1:9/x",
        "postgres://me@127.0.0.1:9/x", // the driver reads the password from .pgpass
    ] {
        let each = [&["serve"][..]];
        let others =
            [&["config"][..], &["config", "--json"], &["user", "list"], &["backup", "copy"]];
        let is_one_of_many = !address.contains("p%61ssword");
        let others = others.iter().filter(|_| !is_one_of_many);
        for arguments in each.iter().chain(others) {
            let listen = free_address().to_string(); // other tests need port 9 to be free
            let arguments =
                [&["--database-url", address, "--listen", &listen], *arguments].concat();
            let mut command = crate::support::program::cloakroom(folder, &arguments);
            command.env_remove("DATABASE_URL").env("RUST_LOG", "debug").env("PGPASSFILE", &pgpass);
            let done = command.output().unwrap();
            let all = text(&done.stdout) + &text(&done.stderr);
            assert!(!all.contains("canary") && !all.contains("%63anary"), "{arguments:?}: {all}");
        }
    }
}
