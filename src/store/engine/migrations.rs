//! Provides the migrations that `build.rs` embeds, for sqlx to run.
//!
//! `sqlx::migrate!` does the same, but its crate compiles sqlx, the database drivers and the TLS library a second
//! time for the procedural macro: a fifth of a build. sqlx-cli reads the same files as the same migrations.

use std::sync::LazyLock;

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The version, the description and the SQL of a migration.
type Embedded = (i64, &'static str, &'static str);

mod embedded {
    use super::Embedded;

    include!(concat!(env!("OUT_DIR"), "/migrations.rs"));
}

pub static SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrator(embedded::SQLITE));
pub static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrator(embedded::POSTGRES));

fn migrator(migrations: &[Embedded]) -> Migrator {
    let migrations = migrations.iter().map(|&(version, description, sql)| {
        let sql = SqlStr::from_static(sql);
        let needs_no_transaction = sql.as_str().starts_with("-- no-transaction");
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql, needs_no_transaction)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use sqlx::migrate::{ResolveConfig, resolve_blocking_with_config};

    use super::*;

    /// The migrations that sqlx reads from a folder with the settings of sqlx.toml.
    fn read_by_sqlx(folder: &Path) -> Vec<Migration> {
        let mut config = ResolveConfig::new();
        config.ignore_char('\r');
        let found = resolve_blocking_with_config(folder, &config).unwrap();
        found.into_iter().map(|(migration, _)| migration).collect()
    }

    /// Everything that sqlx records and runs, with the same line ends.
    fn parts(migration: Migration) -> impl PartialEq + std::fmt::Debug {
        let Migration { version, description, migration_type, sql, checksum, no_tx } = migration;
        let sql = sql.as_str().replace('\r', "");
        (version, description, migration_type, sql, checksum, no_tx)
    }

    #[test]
    fn the_embedded_migrations_are_those_that_sqlx_reads_with_either_line_ends() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        for (engine, embedded) in [("sqlite", &*SQLITE), ("postgres", &*POSTGRES)] {
            let crlf = tempfile::tempdir().unwrap();
            for entry in fs::read_dir(root.join(engine)).unwrap() {
                let entry = entry.unwrap();
                let text = fs::read_to_string(entry.path()).unwrap().replace('\n', "\r\n");
                fs::write(crlf.path().join(entry.file_name()), text).unwrap();
            }
            let embedded: Vec<_> = embedded.iter().cloned().map(parts).collect();
            assert!(!embedded.is_empty());
            for folder in [&root.join(engine), crlf.path()] {
                let read: Vec<_> = read_by_sqlx(folder).into_iter().map(parts).collect();
                assert_eq!(embedded, read, "{}", folder.display());
            }
        }
    }
}
