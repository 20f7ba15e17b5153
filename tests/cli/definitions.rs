//! Tests of definitions in a database that the migrations did not create: what `restore`, `move`
//! and `doctor` report.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::support::program::{
    back_up, is_postgres, older_database, refused, refused_unprepared, run, said, schema_of, text,
};

/// Definitions that an attacker with access to a backup could add, and the message about each.
const TAMPERED: [(&str, &str); 11] = [
    (
        "create trigger immortal after update on sessions begin
             update sessions set ended_at = null where id = new.id; end",
        "the trigger immortal on sessions does not belong to Cloakroom",
    ),
    (
        "create trigger Immortal after insert on SESSIONS begin
             update sessions set expires_at = 9000000000000; end",
        "the trigger immortal on sessions does not belong to Cloakroom",
    ),
    (
        "create trigger noted after insert on _sqlx_migrations begin delete from sessions; end",
        "the trigger noted on _sqlx_migrations does not belong to Cloakroom",
    ),
    (
        "alter table invites rename to hidden; create view invites as select * from hidden",
        "the index invites_by_expiry on invites is missing; the table invites is missing; the view \
         invites does not belong to Cloakroom",
    ),
    (
        "alter table accounts add column own text default 'x'",
        "the table accounts differs from the migrations",
    ),
    (
        "alter table accounts add column twice text as (username || username)",
        "the table accounts differs from the migrations",
    ),
    ("drop index sessions_by_expiry", "the index sessions_by_expiry on sessions is missing"),
    (
        "drop index sessions_by_expiry; create index sessions_by_expiry on sessions (digest)",
        "the index sessions_by_expiry on sessions differs from the migrations",
    ),
    (
        "create unique index one on sessions (account_id)",
        "the index one on sessions does not belong to Cloakroom",
    ),
    ("drop table revocations", "the table revocations is missing"),
    ("create view everybody as select username from accounts", "the view everybody reads"),
];

/// The same for PostgreSQL, for an attacker who owns the tables.
const TAMPERED_ON_POSTGRES: [(&str, &str, &str); 9] = [
    (
        "create function immortal() returns trigger language plpgsql as $$ begin
             new.ended_at = null; return new; end $$;
         create trigger immortal before update on sessions for each row execute function immortal()",
        "drop function immortal cascade",
        "the trigger immortal on sessions does not belong to Cloakroom",
    ),
    (
        "create rule kept as on delete to sessions do instead nothing",
        "drop rule kept on sessions",
        "the rule kept on sessions does not belong to Cloakroom",
    ),
    (
        "alter table accounts alter column disabled_at set default 0",
        "alter table accounts alter column disabled_at drop default",
        "the column disabled_at on accounts differs from the migrations",
    ),
    (
        "alter table accounts add column own text",
        "alter table accounts drop column own",
        "the column own on accounts does not belong to Cloakroom",
    ),
    (
        "alter table sessions add constraint own check (remember < 2)",
        "alter table sessions drop constraint own",
        "the constraint own on sessions does not belong to Cloakroom",
    ),
    (
        "create unique index own on sessions (account_id)",
        "drop index own",
        "the index own on sessions does not belong to Cloakroom",
    ),
    (
        "create table more () inherits (sessions)",
        "drop table more",
        "the inheriting table more on sessions does not belong to Cloakroom",
    ),
    (
        "alter table sessions enable row level security;
         create policy own on sessions using (remember = 0)",
        "drop policy own on sessions; alter table sessions disable row level security",
        "the policy own on sessions does not belong to Cloakroom",
    ),
    (
        "alter table sessions alter column last_seen_at drop not null",
        "alter table sessions alter column last_seen_at set not null",
        "the column last_seen_at on sessions differs from the migrations",
    ),
];

/// Tables of an embedder, which are allowed.
const OWN: &str =
    "create table notes (id integer primary key, account_id text references accounts (id)
         on delete cascade, text text);
     create trigger dated after insert on notes begin update notes set text = 'x'; end;
     create view short as select id from notes";

fn change(database: &Path, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn change_postgres(address: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(address).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

/// Changes the database of a backup, and its manifest to match.
fn tamper(backup: &Path, sql: &str) {
    let database = backup.join("cloakroom.db");
    change(&database, sql);
    let bytes = fs::read(&database).unwrap();
    let mut digest = String::new();
    for byte in Sha256::digest(&bytes) {
        write!(digest, "{byte:02x}").unwrap();
    }
    let path = backup.join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    manifest["files"]["cloakroom.db"]["sha256"] = digest.into();
    manifest["files"]["cloakroom.db"]["bytes"] = bytes.len().into();
    fs::write(&path, manifest.to_string()).unwrap();
}

/// The output of `cloakroom doctor --full`.
fn doctor(folder: &Path) -> String {
    text(&run(folder, &["--listen", "127.0.0.1:9", "doctor", "--full"], "").stdout)
}

#[test]
fn att_17_10_a_backup_with_definitions_of_others_is_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["user", "add", "ann"]);
    let backup = back_up(folder.path(), "b", &[]);
    let whole = ["cloakroom.db", "manifest.json"].map(|name| {
        let path = backup.join(name);
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    });
    let elsewhere = tempfile::tempdir().unwrap();
    for (sql, says) in TAMPERED {
        tamper(&backup, sql);
        let why = refused_unprepared(elsewhere.path(), &["restore", backup.to_str().unwrap()]);
        assert!(why.contains(says), "{sql}: {why}");
        assert!(fs::read_dir(elsewhere.path()).unwrap().next().is_none(), "{sql}");
        for (path, bytes) in &whole {
            fs::write(path, bytes).unwrap();
        }
    }
    tamper(&backup, OWN);
    let done = run(elsewhere.path(), &["restore", backup.to_str().unwrap()], "");
    let warned = text(&done.stderr);
    assert!(done.status.success(), "{warned}");
    assert!(
        warned.contains("triggers on tables that do not belong to Cloakroom")
            && warned.contains("dated on notes")
    );
    assert!(said(elsewhere.path(), &["user", "list"]).contains("ann "));
}

#[test]
fn att_17_10_doctor_reports_definitions_of_others() {
    if is_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["user", "add", "ann"]);
    let database = folder.path().join("cloakroom-data/cloakroom.db");
    let whole = fs::read(&database).unwrap();
    for (sql, says) in TAMPERED {
        change(&database, sql);
        let found = doctor(folder.path());
        let is_view = sql.starts_with("create view");
        for says in says.split("; ") {
            let line = found.lines().find(|line| line.contains(says));
            let line = line.unwrap_or_else(|| panic!("{sql}: {found}"));
            assert!(line.starts_with(if is_view { "note" } else { "WRONG" }), "{line}");
        }
        fs::write(&database, &whole).unwrap();
    }
    change(&database, OWN);
    let found = doctor(folder.path());
    assert!(found.contains("that do not belong to Cloakroom: dated on notes\n"), "{found}");
    assert!(!found.contains("WRONG") && !found.contains("short"), "{found}");
    assert!(found.contains("ok     schema"), "{found}");
}

#[test]
fn att_17_10_nothing_is_moved_from_or_to_a_database_with_definitions_of_others() {
    if is_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("sqlite://{}/{name}", folder.path().display());
    for name in ["one.db", "two.db", "three.db"] {
        said(folder.path(), &["--database-url", &at(name), "migrate"]);
    }
    said(folder.path(), &["--database-url", &at("one.db"), "user", "add", "ann"]);
    let (sql, says) = TAMPERED[0];
    change(&folder.path().join("two.db"), sql);
    for (from, to) in [("one.db", "two.db"), ("two.db", "three.db")] {
        let why = refused(folder.path(), &["move", "--from", &at(from), "--to", &at(to)]);
        assert!(why.contains(says) && why.contains("two.db"), "{why}");
    }
    said(folder.path(), &["move", "--from", &at("one.db"), "--to", &at("three.db")]);
}

#[test]
fn att_17_10_on_postgresql_doctor_reports_and_a_restore_refuses_definitions_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let Some(address) = schema_of(folder.path()) else { return };
    said(folder.path(), &["migrate"]);
    let found = doctor(folder.path());
    assert!(found.contains("ok     schema"), "{found}");
    let backup = back_up(folder.path(), "b", &[]);
    let from = backup.to_str().unwrap();
    for (sql, undo, says) in TAMPERED_ON_POSTGRES {
        change_postgres(&address, sql);
        let found = doctor(folder.path());
        assert!(
            found.lines().any(|line| line.starts_with("WRONG") && line.contains(says)),
            "{found}"
        );
        let why = refused(folder.path(), &["restore", from, "--without-keys"]);
        assert!(why.contains(says), "{why}");
        change_postgres(&address, undo);
        assert!(!doctor(folder.path()).contains("WRONG"), "{undo}: {}", doctor(folder.path()));
    }
    change_postgres(
        &address,
        "create table notes (id text, account_id text references accounts (id) on delete cascade);
         create function dated() returns trigger language plpgsql as $$ begin return new; end $$;
         create trigger dated before insert on notes for each row execute function dated();
         create view everybody as select username from accounts;
         create view short as select id from notes",
    );
    let found = doctor(folder.path());
    assert!(!found.contains("WRONG") && !found.contains("short"), "{found}");
    assert!(
        found.contains("dated on notes") && found.contains("the view everybody reads"),
        "{found}"
    );
}

#[test]
fn an_older_database_is_compared_with_the_migrations_that_ran_on_it() {
    if is_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["migrate"]);
    let database = folder.path().join("cloakroom-data/cloakroom.db");
    fs::remove_file(&database).unwrap();
    older_database(&database, 4, |sql| sql);
    let found = doctor(folder.path());
    assert!(found.contains("migration 4 of "), "{found}");
    assert!(found.contains("ok     schema"), "{found}");
}

#[test]
fn migrations_that_ran_with_crlf_line_ends_are_named_so() {
    if is_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    said(folder.path(), &["migrate"]);
    let database = folder.path().join("cloakroom-data/cloakroom.db");
    fs::remove_file(&database).unwrap();
    older_database(&database, 3, |sql| sql.replace('\n', "\r\n"));
    for command in [&["migrate"][..], &["user", "list"]] {
        let why = refused_unprepared(folder.path(), command);
        assert!(why.contains("migration 1 in this program differs from the one that ran on the database only in its line ends"), "{why}");
    }
    assert!(doctor(folder.path()).contains("only in its line ends"), "{}", doctor(folder.path()));
}

#[test]
fn a_checkout_has_lf_line_ends_and_its_checksums_do_not_depend_on_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let attributes = fs::read_to_string(root.join(".gitattributes")).unwrap();
    assert!(attributes.contains("* text=auto eol=lf\n"), "{attributes}");
    let sqlx = fs::read_to_string(root.join("sqlx.toml")).unwrap();
    assert!(sqlx.contains("ignored-chars = [\"\\r\"]"), "{sqlx}");
}
