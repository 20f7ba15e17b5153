//! Tests of the operators' functions in the library (`cloakroom::admin`), which a program that
//! embeds Cloakroom calls.

use std::fs;
use std::path::Path;

use cloakroom::admin::{
    self, BackupError, BackupOptions, DoctorOptions, ImportError, ImportEvent, ImportFormat,
    ImportOptions, Installation, Phase, RestoreError, RestoreOptions, TransferError, Verdict,
};
use cloakroom::{Cloakroom, Database, Settings};

/// Settings for a data folder and an SQLite database inside `folder`.
fn settings(folder: &Path) -> Settings {
    Settings::default().data_dir(folder.join("data"))
}

async fn open(folder: &Path) -> (Cloakroom, Installation) {
    let cloakroom = Cloakroom::open(settings(folder)).await.unwrap();
    (cloakroom, Installation::new(settings(folder)).unwrap())
}

async fn usernames(cloakroom: &Cloakroom) -> Vec<String> {
    let Database::Sqlite(pool) = cloakroom.database() else { panic!("it is SQLite") };
    let names = sqlx::query_scalar("select username from accounts order by username");
    names.fetch_all(&pool).await.unwrap()
}

async fn import(installation: &Installation, folder: &Path, rows: &str) -> admin::ImportReport {
    let file = folder.join("users.csv");
    fs::write(&file, format!("username,password_hash\n{rows}")).unwrap();
    let imported = admin::import_users(installation, &file, ImportOptions::default(), |_| {});
    imported.await.unwrap()
}

#[tokio::test]
async fn a_program_imports_users_backs_up_restores_and_transfers_as_the_commands_do() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("here");
    fs::create_dir(&here).unwrap();
    let (cloakroom, installation) = open(&here).await;
    let report = import(&installation, &here, "ann,\nbob,\n").await;
    assert_eq!((report.added, report.existing, report.refused), (2, 0, 0));
    assert_eq!(report.without_password, 2);
    assert_eq!(import(&installation, &here, "ann,\ncarl,\n").await.existing, 1);

    let mut phases = Vec::new();
    let options = BackupOptions { folder: Some(here.join("backups")), ..Default::default() };
    let backup = admin::create_backup(&installation, &options, |progress| {
        assert!(progress.done <= progress.total, "{progress:?}");
        phases.push(progress.phase);
    });
    let backup = backup.await.unwrap();
    assert_eq!(phases.first(), Some(&Phase::Copying));
    assert_eq!(phases.last(), Some(&Phase::Checking));
    assert_eq!(backup.manifest.rows["accounts"], 3);
    assert_eq!(backup.manifest.keys().count(), 2, "a signing key and a server secret");
    assert_eq!(backup.foreign_changes, None);

    let there = folder.path().join("there");
    let elsewhere = Installation::new(settings(&there)).unwrap();
    let mut read = 0;
    let restored =
        admin::restore_backup(&elsewhere, &backup.path, RestoreOptions::default(), |progress| {
            read = progress.done;
        });
    let restored = restored.await.unwrap();
    assert_eq!(read, backup.manifest.bytes());
    assert_eq!((restored.accounts, restored.keys), (3, 2));
    assert!(restored.has_signing_keys && restored.missing_server_secret.is_none());
    let (copy, _) = open(&there).await;
    assert_eq!(usernames(&copy).await, usernames(&cloakroom).await);

    let file = folder.path().join("moved.db");
    let from = format!("sqlite://{}", there.join("data/cloakroom.db").display());
    let to = format!("sqlite://{}", file.display());
    let moved = admin::transfer_database(&from, &to, |_| {}).await.unwrap();
    assert!(moved.rows >= 3, "{moved:?}");
    let again = admin::transfer_database(&to, &to, |_| {}).await.unwrap_err();
    assert!(matches!(again, TransferError::SameDatabase(_)), "{again}");
}

#[tokio::test]
async fn expected_outcomes_are_variants_that_a_program_can_match() {
    let folder = tempfile::tempdir().unwrap();
    let (_cloakroom, installation) = open(folder.path()).await;
    let options = BackupOptions { folder: Some(folder.path().join("b")), ..Default::default() };
    let backup = admin::create_backup(&installation, &options, |_| {}).await.unwrap();

    let inside = BackupOptions { folder: Some(backup.path.clone()), ..Default::default() };
    let refused = admin::create_backup(&installation, &inside, |_| {}).await.unwrap_err();
    assert!(matches!(&refused, BackupError::IsABackup(path) if *path == backup.path), "{refused}");
    let options = RestoreOptions::default();
    let refused = admin::restore_backup(&installation, &backup.path, options, |_| {});
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, RestoreError::AlreadyThere(_)), "{refused}");
    let refused = admin::restore_backup(&installation, folder.path(), options, |_| {});
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, RestoreError::Manifest(_)), "{refused}");

    let file = folder.path().join("users");
    fs::write(&file, "{\"username\":\"a b\"}\n{\"username\":\"ann\"}\n").unwrap();
    let no_format = admin::import_users(&installation, &file, ImportOptions::default(), |_| {});
    let no_format = no_format.await.unwrap_err();
    assert!(matches!(no_format, ImportError::UnknownFormat(_)), "{no_format}");
    let mut options = ImportOptions { format: Some(ImportFormat::Jsonl), skip_refused: false };
    let mut lines = Vec::new();
    let refused = admin::import_users(&installation, &file, options, |event| {
        if let ImportEvent::Refused(row) = event {
            lines.push(row.line);
        }
    });
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, ImportError::Refused(1)), "{refused}");
    assert_eq!(lines, [1]);
    options.skip_refused = true;
    let report = admin::import_users(&installation, &file, options, |_| {}).await.unwrap();
    assert_eq!((report.added, report.refused), (1, 1));
}

#[tokio::test]
async fn a_backup_that_is_dropped_before_it_is_done_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_cloakroom, installation) = open(folder.path()).await;
    let backups = folder.path().join("backups");
    let options = BackupOptions { folder: Some(backups.clone()), ..Default::default() };
    {
        let mut backup = Box::pin(admin::create_backup(&installation, &options, |_| {}));
        while fs::read_dir(&backups).map_or(0, Iterator::count) == 0 {
            let polled = std::future::poll_fn(|context| {
                let polled = backup.as_mut().poll(context).is_ready();
                std::task::Poll::Ready(polled)
            });
            assert!(!polled.await, "it is done before it is dropped");
        }
    }
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 0);
}

#[tokio::test]
async fn the_doctor_tells_a_program_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (_cloakroom, installation) = open(folder.path()).await;
    let diagnosis = admin::diagnose(&installation, DoctorOptions::default()).await;
    let about = |verdict: Verdict| -> Vec<_> {
        let found = diagnosis.findings.iter().filter(|finding| finding.verdict == verdict);
        found.map(|finding| finding.about).collect()
    };
    assert_eq!(diagnosis.count(Verdict::Wrong), about(Verdict::Wrong).len());
    assert!(about(Verdict::Ok).contains(&"schema"), "{diagnosis:?}");

    for key in fs::read_dir(folder.path().join("data/keys")).unwrap() {
        fs::remove_file(key.unwrap().path()).unwrap();
    }
    import_refuses(&installation, folder.path()).await;
    let diagnosis = admin::diagnose(&installation, DoctorOptions { full: true }).await;
    let keys = diagnosis.findings.iter().find(|finding| finding.about == "keys").unwrap();
    assert_eq!(keys.verdict, Verdict::Wrong, "{keys:?}");
}

/// An import is refused before any account is added if there are no signing keys.
async fn import_refuses(installation: &Installation, folder: &Path) {
    let file = folder.join("users.csv");
    fs::write(&file, "username,password_hash\nann,\n").unwrap();
    let refused = admin::import_users(installation, &file, ImportOptions::default(), |_| {});
    let refused = refused.await.unwrap_err();
    assert!(refused.to_string().contains("no signing keys"), "{refused}");
}
