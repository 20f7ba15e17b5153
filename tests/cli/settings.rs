//! Tests of where settings, the database and the keys are looked up, and which commands create
//! them.

use std::fs;
use std::path::Path;

use crate::support::program::{is_postgres, refused_unprepared, run, said, text, unprepared};

/// Commands that need a database or keys, and create neither.
const COMMANDS: [&[&str]; 20] = [
    &["user", "add", "ann"],
    &["user", "list"],
    &["user", "show", "ann"],
    &["user", "passwd", "ann"],
    &["user", "disable", "ann"],
    &["user", "delete", "ann", "--yes"],
    &["user", "import", "people.csv"],
    &["session", "list", "ann"],
    &["session", "revoke", "ann", "--all"],
    &["invite"],
    &["invite", "list"],
    &["key", "list"],
    &["key", "rotate"],
    &["pepper", "add"],
    &["pepper", "list"],
    &["server-secret", "add"],
    &["server-secret", "list"],
    &["user", "release", "ann"],
    &["audit"],
    &["backup"],
];

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn a_command_that_finds_no_database_or_keys_says_where_it_looked_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display().to_string();
    for command in COMMANDS {
        let why = refused_unprepared(folder.path(), command);
        assert!(is_postgres() || why.contains("cloakroom-data"), "{command:?}: {why}");
        let looked = format!("neither cloakroom.toml in {here} nor /etc/cloakroom/cloakroom.toml");
        assert!(why.contains(&looked), "{command:?}: {why}");
        assert!(why.contains("--config") && why.contains("--data-dir"), "{command:?}: {why}");
        assert!(is_empty(folder.path()), "{command:?} made something");
    }
    let doctor = unprepared(folder.path(), &["--listen", "127.0.0.1:9", "doctor"]).output();
    let doctor = doctor.unwrap();
    assert_eq!(doctor.status.code(), Some(1));
    assert!(text(&doctor.stdout).contains(&here), "{}", text(&doctor.stdout));
    for (command, code) in [
        (&["config"][..], 0),
        (&["openapi"], 0),
        (&["completions", "bash"], 0),
        (&["--listen", "127.0.0.1:9", "healthcheck"], 1),
    ] {
        let done = unprepared(folder.path(), command).output().unwrap();
        assert_eq!(done.status.code(), Some(code), "{command:?}: {}", text(&done.stderr));
    }
    assert!(is_empty(folder.path()));
}

#[test]
fn a_first_key_is_made_only_in_a_folder_that_a_flag_names() {
    let folder = tempfile::tempdir().unwrap();
    let keys = |data: &str| {
        let keys = fs::read_dir(folder.path().join(data).join("keys")).unwrap();
        let names = keys.map(|key| key.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "lock").count()
    };
    for (command, data) in [(["key", "rotate"], "one"), (["pepper", "add"], "two")] {
        let named = [&["--data-dir", data], &command[..]].concat();
        let mut unnamed = unprepared(folder.path(), &command);
        let unnamed = unnamed.env("CLOAKROOM_DATA_DIR", data).output().unwrap();
        let why = text(&unnamed.stderr);
        assert!(
            why.contains(&format!("cloakroom --data-dir {data} {}", command.join(" "))),
            "{why}"
        );
        assert!(!folder.path().join(data).exists());
        said(folder.path(), &named);
        assert_eq!(keys(data), 1);
    }
    let mut again = unprepared(folder.path(), &["key", "rotate"]);
    let again = again.env("CLOAKROOM_DATA_DIR", "one").output().unwrap();
    assert!(again.status.success(), "where there is a key another one is made: {again:?}");
    assert_eq!(keys("one"), 2);
}

#[test]
fn from_any_folder_a_command_acts_on_the_database_of_the_settings_file() {
    if is_postgres() {
        return; // a URL names a PostgreSQL database from any folder
    }
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = home.path().join("cloakroom.toml");
    fs::write(&file, "site.name = 'Here'\n").unwrap();
    let file = file.to_str().unwrap();
    said(elsewhere.path(), &["--config", file, "migrate"]);
    said(elsewhere.path(), &["--config", file, "user", "add", "ann"]);
    let mut list = unprepared(elsewhere.path(), &["user", "list"]);
    let listed = list.env("CLOAKROOM_CONFIG", file).output().unwrap();
    assert!(text(&listed.stdout).contains("ann "), "{}", text(&listed.stderr));
    assert!(said(home.path(), &["user", "list"]).contains("ann "));
    assert!(home.path().join("cloakroom-data/cloakroom.db").exists());
    assert!(is_empty(elsewhere.path()));
    // a flag and a variable name a folder relative to the working directory, and the file's default
    // is not used
    said(elsewhere.path(), &["--config", file, "--data-dir", "own", "migrate"]);
    assert!(elsewhere.path().join("own/cloakroom.db").exists());
    let mut gone = unprepared(elsewhere.path(), &["config"]);
    let gone = gone.env("CLOAKROOM_CONFIG", "nowhere.toml").output().unwrap();
    assert!(text(&gone.stderr).contains("cannot read nowhere.toml"), "{}", text(&gone.stderr));
    let why = refused_unprepared(elsewhere.path(), &["user", "list"]);
    assert!(why.contains("there is no database at cloakroom-data/cloakroom.db"), "{why}");
    fs::remove_dir_all(home.path().join("cloakroom-data")).unwrap();
    let why = refused_unprepared(elsewhere.path(), &["--config", file, "user", "list"]);
    assert!(why.contains(&format!("the settings come from {file}")), "{why}");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "CLOAKROOM_CONFIG",
        "CLOAKROOM_LISTEN",
        "CLOAKROOM_PUBLIC_URL",
        "CLOAKROOM_DATA_DIR",
        "CLOAKROOM_DATABASE_URL",
        "CLOAKROOM_DATABASE_CONNECTIONS",
        "CLOAKROOM_REGISTRATION",
        "CLOAKROOM_DOCS",
        "CLOAKROOM_APPS",
        "CLOAKROOM_TRUSTED_PROXIES",
        "CLOAKROOM_METRICS_LISTEN",
        "CLOAKROOM_SITE__LOGO",
        "CLOAKROOM_COOKIE__NAME",
        "CLOAKROOM_COOKIE__DOMAIN",
        "CLOAKROOM_PASSWORDS__PASSES",
        "CLOAKROOM_TLS__CERTIFICATE",
        "CLOAKROOM_TOKENS__AUDIENCES",
        "CLOAKROOM_LOG__FORMAT",
        "DATABASE_URL",
    ];
    let config = |names: &[&str]| {
        let mut command = unprepared(folder.path(), &["config", "--json"]);
        let done = command.env_remove("DATABASE_URL").envs(names.iter().map(|name| (name, "")));
        let done = done.output().unwrap();
        assert!(done.status.success(), "{}", text(&done.stderr));
        text(&done.stdout)
    };
    let unset = config(&[]);
    assert_eq!(config(&names), unset);
    for name in names {
        assert_eq!(config(&[name]), unset, "{name}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["user", "add", "ann"]);
    for command in [
        &["openapi"][..],
        &["openapi", "--format", "yaml"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["completions", "fish"],
        &["config"],
        &["config", "--json"],
        &["user", "list"],
        &["user", "show", "ann"],
        &["key", "list"],
        &["pepper", "list"],
        &["audit"],
        &["doctor"],
        &["migrate"],
        &["--help"],
    ] {
        let mut child = unprepared(folder.path(), command).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        let why = text(&done.stderr);
        assert!(!why.to_lowercase().contains("pipe") && !why.contains("panicked"), "{why}");
        assert_eq!(done.status.code(), Some(0), "{command:?}: {why}");
    }
    assert!(run(folder.path(), &["user", "list"], "").status.success());
}
