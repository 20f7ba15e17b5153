//! `cloakroom restore`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::backup::interrupted;
use super::manifest::{self, DATABASE, Entry, KEYS, Manifest, Unfinished};
use super::moving::{patient, require_own_definitions};
use super::{Failed, Outcome, say, terminal};
use crate::app;
use crate::config::Config;
use crate::core::clock::Clock;
use crate::core::secret::random_id;
use crate::domain::audit::Event;
use crate::domain::events::Events;
use crate::domain::key_files;
use crate::domain::peppers::Peppers;
use crate::domain::server_secret::{self, ServerSecrets};
use crate::domain::tokens::Keys;
use crate::store::{Contents, DefinitionReport, Progress, Store};

const EXAMPLES: &str = "\
Examples:
  cloakroom restore /var/backups/cloakroom/cloakroom-2026-11-28T004124.123Z
  cloakroom --data-dir drill restore BACKUP     into a folder of its own, to see that it works
  DATABASE_URL=postgres://… cloakroom restore BACKUP

A restore goes back in time, for everything that was changed since the backup:
  - passwords, user names and disabled users are as they were; deleted users are there again
  - sessions that were ended would be good again: so all are ended (--keep-sessions)
  - invites that were used would be good again: so all are taken back (--keep-invites)
  - keys that were removed are there again (--without-keys restores none)
  - tries that failed since are not counted, and known browsers are those of then
Give those a new password, or disable them, who did so or were since the backup: the events in the
log, and `cloakroom audit` on what is left of the old database, say who.";

/// Restore a backup: the database and the keys of then, where none are now
///
/// Every byte is checked before anything is touched. What is there stays: to go back from a database
/// that is still there, stop the service and move the data folder away first. An older backup is
/// migrated; one of a newer schema is refused. All sessions end, because the backup would revive
/// those that were ended since.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that somebody types")]
pub struct Restore {
    /// The folder that `cloakroom backup` made
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    /// Let everybody stay signed in who was when the backup was made, whoever signed out since
    #[arg(long)]
    keep_sessions: bool,
    /// Leave the invites in force, those that were used since, too
    #[arg(long)]
    keep_invites: bool,
    /// Restore the database alone, and use the signing keys that are there
    #[arg(long)]
    without_keys: bool,
    /// Say what was restored as one JSON object
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    made_at: String,
    database: String,
    accounts: u64,
    sessions: u64,
    sessions_ended: u64,
    invites: u64,
    invites_taken_back: u64,
    keys: usize,
}

/// What the copy holds no more, and what it needs.
struct Prepared {
    sessions_ended: u64,
    invites_taken_back: u64,
    peppers: Vec<String>,
    server_secrets: Vec<(String, i64)>,
}

impl Restore {
    pub async fn run(self, config: &Config) -> Outcome {
        let interrupted = interrupted();
        tokio::select! {
            done = self.restore(config) => done,
            () = interrupted => Err(Failed("interrupted; there is no new database".to_owned())),
        }
    }

    async fn restore(&self, config: &Config) -> Outcome {
        let (manifest, contents) = self.checked().await?;
        let keys = self.keys(config, &manifest)?;
        let file = Store::file_of(config.database_url.expose())?; // the driver connects by it
        if let Some(file) = &file {
            nothing_is_there(file)?;
        }
        let folder = app::make_folders(config)?;
        // migrated and cleared under a name of its own, beside where it goes
        let place = file.clone().unwrap_or_else(|| config.data_dir.join(DATABASE));
        let name = format!(".{DATABASE}.{}.restoring", random_id());
        let path = manifest::folder_of(&place).join(name);
        let copy = Unfinished::copy_of(&self.from.join(DATABASE), path.clone());
        let copy =
            copy.map_err(|error| Failed(format!("cannot write {}: {error}", path.display())))?;
        let Prepared { sessions_ended, invites_taken_back, peppers, server_secrets } =
            self.prepare(&copy.path, &manifest.made_at).await?;
        // the keys first: alone they are no service, and what is interrupted here can be run again
        let lock = key_files::hold(&folder)?;
        for name in &keys {
            put_key(&self.from.join(KEYS).join(name), &folder.join(name))?;
        }
        drop(lock);
        match &file {
            Some(file) => copy.finish(file).map_err(|error| {
                Failed(format!("cannot restore to {}: {error}", file.display()))
            })?,
            None => move_there(&copy.path, config).await?,
        }
        Event::DatabaseRestored.log(&manifest.made_at);
        let report = Report {
            made_at: manifest.made_at.clone(),
            database: config.database_url.to_string(),
            accounts: contents.rows_of("accounts"),
            sessions: contents.rows_of("sessions"),
            sessions_ended,
            invites: contents.rows_of("invites"),
            invites_taken_back,
            keys: keys.len(),
        };
        let is_keyless = Keys::read(&folder, &config.public_url.origin())?.is_none();
        let there = Peppers::read(&folder)?;
        for id in peppers.iter().filter(|id| there.named(id).is_none()) {
            terminal::warn(&format!(
                "there is no pepper {id} in {}, which passwords of then need: put its file there before \
                 you start the service",
                folder.display()
            ));
        }
        let secrets = ServerSecrets::read(&folder)?;
        if let Err(missing) = server_secret::check(&folder, secrets.as_ref(), server_secrets) {
            terminal::warn(&format!("the service does not start yet: {missing}"));
        }
        self.tell(&report, &folder, is_keyless)
    }

    /// Looks at every byte of the backup, and whether this program may restore it.
    async fn checked(&self) -> Result<(Manifest, Contents), Failed> {
        let from = &self.from;
        let manifest = Manifest::read(from)?;
        let bar = bar("checking", manifest.bytes());
        manifest.check(from, |bytes| bar.inc(bytes))?;
        bar.finish_and_clear();
        let newest = Store::newest_schema();
        if manifest.schema > newest {
            return Err(Failed(format!(
                "the backup is newer than this program (it has migration {}, and this program knows \
                 {newest}); restore it with cloakroom {} or newer",
                manifest.schema, manifest.version
            )));
        }
        let contents = Store::inspect(&from.join(DATABASE))
            .await
            .map_err(|error| Failed(format!("the backup's {DATABASE} cannot be used: {error}")))?;
        let is_same = contents.schema == manifest.schema
            && contents.rows.iter().all(|(table, rows)| manifest.rows.get(*table) == Some(rows));
        if !is_same {
            return Err(Failed(format!("the backup's {DATABASE} is not the one of its manifest")));
        }
        let report = Store::check_file_definitions(&from.join(DATABASE), contents.schema).await?;
        if let Some(changes) = changes(&report) {
            return Err(Failed(format!(
                "something else than cloakroom changed the backup's {DATABASE}: {changes}; restore \
                 another backup"
            )));
        }
        if !report.foreign_triggers.is_empty() {
            terminal::warn(&format!(
                "the backup has triggers on tables that are not Cloakroom's, which act in the restored \
                 database: {}",
                report.foreign_triggers.join(", ")
            ));
        }
        Ok((manifest, contents))
    }

    /// The keys to restore: all of them, or those that an interrupted restore has left out. Among
    /// others none is put unasked; it may be one that was removed because somebody else had it.
    fn keys(&self, config: &Config, manifest: &Manifest) -> Result<Vec<String>, Failed> {
        let folder = config.data_dir.join(KEYS);
        if self.without_keys {
            return Ok(Vec::new());
        }
        let issuer = config.public_url.origin();
        let keys = if folder.exists() { Keys::read(&folder, &issuer)? } else { None };
        let keys = keys.map(|keys| keys.public()).unwrap_or_default();
        let peppers = Peppers::read(&folder)?;
        let secrets = ServerSecrets::read(&folder)?.map(|secrets| secrets.paths());
        let secrets = secrets.unwrap_or_default();
        let there = keys.iter().map(|key| &*key.path).chain(peppers.paths());
        let there: Vec<_> = there.chain(secrets.iter().map(|path| &**path)).collect();
        let is_there = |name: &str, entry: &Entry| {
            let path = there.iter().find(|path| path.ends_with(name));
            path.is_some_and(|path| Entry::of(path, |_| ()).is_ok_and(|own| own == *entry))
        };
        let missing: Vec<String> = manifest
            .keys()
            .filter(|(name, entry)| !is_there(name, entry))
            .map(|(name, _)| name.to_owned())
            .collect();
        // of a kind of which there are others: a folder that has no server secret yet gets one
        let kind = |name: &Path| name.extension().map(ToOwned::to_owned);
        let is_among_others = |lost: &String| {
            let kind_of = kind(Path::new(lost));
            let same = |name: &str| kind(Path::new(name)) == kind_of;
            let in_backup = manifest.keys().filter(|(name, _)| same(name)).count();
            let lost = missing.iter().filter(|name| same(name)).count();
            in_backup - lost < there.iter().filter(|path| kind(path) == kind_of).count()
        };
        if missing.iter().any(is_among_others) {
            return Err(Failed(format!(
                "there are other keys in {}; move them away, or restore the database alone, \
                 by --without-keys",
                folder.display()
            )));
        }
        Ok(missing)
    }

    /// Migrates the copy, and removes what must not be revived.
    async fn prepare(&self, copy: &Path, made_at: &str) -> Result<Prepared, Failed> {
        let store = Store::open_file(copy).await?;
        let (events, now) = (Events::default(), Clock::System.now());
        events.note_thing(now, Event::DatabaseRestored, made_at);
        events.write(&store, now).await?;
        let sessions_ended =
            if self.keep_sessions { 0 } else { store.remove_all_sessions().await? };
        let invites_taken_back =
            if self.keep_invites { 0 } else { store.remove_all_invites().await? };
        let peppers = store.peppers_in_use().await?;
        let server_secrets = store.server_secrets_in_use(now.millis()).await?;
        store.close().await;
        File::open(copy)?.sync_all()?;
        let _ = fs::remove_file(copy.with_added_extension("migrating")); // opening made this
        Ok(Prepared { sessions_ended, invites_taken_back, peppers, server_secrets })
    }

    fn tell(&self, report: &Report, folder: &Path, is_keyless: bool) -> Outcome {
        if is_keyless {
            terminal::warn(&format!(
                "there are no signing keys in {}: put those of then there, or run `cloakroom --data-dir \
                 {} key rotate`, which makes one",
                folder.display(),
                folder.parent().unwrap_or(folder).display()
            ));
        }
        if self.json {
            return say(&serde_json::to_string(report)?);
        }
        say(&format!("restored {}, as it was at {}", report.database, report.made_at))?;
        say(&format!("  accounts    {}", HumanCount(report.accounts)))?;
        say(&if self.keep_sessions {
            format!("  sessions    {}, as they were", HumanCount(report.sessions))
        } else {
            match report.sessions_ended {
                0 => "  sessions    none, and there were none then".to_owned(),
                ended => format!(
                    "  sessions    none: {} of then ended, because they may have ended since",
                    HumanCount(ended)
                ),
            }
        })?;
        say(&if self.keep_invites {
            format!("  invites     {}, those that were used since, too", HumanCount(report.invites))
        } else {
            match report.invites_taken_back {
                0 => "  invites     none, and there were none then".to_owned(),
                taken => format!(
                    "  invites     none: {} of then taken back, because they may have been used since",
                    HumanCount(taken)
                ),
            }
        })?;
        say(&match report.keys {
            0 if is_keyless => "  keys        none".to_owned(),
            0 => format!("  keys        those that were in {}", folder.display()),
            n => format!("  keys        {n}, in {}", folder.display()),
        })?;
        say(
            "Passwords and disabled or deleted users are as they were then; see `cloakroom restore --help`.",
        )?;
        terminal::hint("Next: `cloakroom doctor` looks at all of it; then start the service");
        Ok(())
    }
}

/// What a database has that Cloakroom has not made, in words.
pub(super) fn changes(report: &DefinitionReport) -> Option<String> {
    let views = report.views.iter().map(|view| format!("the view {view} reads Cloakroom's tables"));
    let changes = report.differences.iter().map(ToString::to_string).chain(views);
    let changes: Vec<_> = changes.collect();
    (!changes.is_empty()).then(|| changes.join("; "))
}

/// Moves what was prepared to the PostgreSQL of the settings, all of it or nothing.
async fn move_there(copy: &Path, config: &Config) -> Outcome {
    let target = Store::open(&patient(&config.database_url)).await?;
    require_own_definitions(&target, &config.database_url).await?;
    let source = Store::open_file(copy).await?;
    let bar = bar("copying", 2 * source.count_rows().await?);
    let moved = source.move_to(&target, |progress| {
        let (Progress::Copied(rows) | Progress::Compared(rows)) = progress;
        bar.inc(u64::try_from(rows).unwrap_or_default());
    });
    let moved = moved.await;
    bar.finish_and_clear();
    source.close().await;
    target.close().await;
    Ok(moved?)
}

/// Refuses to restore over a database, or beside what one has left: SQLite would take its log for
/// that of the one that is restored.
fn nothing_is_there(file: &Path) -> Outcome {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut path = file.as_os_str().to_owned();
        path.push(ending);
        let path = PathBuf::from(path);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(Failed(format!(
                "{} is there already; stop the service and move it away first",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Puts a key in its place.
fn put_key(from: &Path, to: &Path) -> Outcome {
    let beside = to.with_extension("restoring");
    let _ = fs::remove_file(&beside); // of a restore that was interrupted
    let copied = Unfinished::copy_of(from, beside).and_then(|copy| copy.finish(to));
    copied.map_err(|error| Failed(format!("cannot write {}: {error}", to.display())))
}

/// A bar on a terminal only.
fn bar(doing: &'static str, all: u64) -> ProgressBar {
    let style = "{msg} {wide_bar} {percent}% {eta} left";
    let style = ProgressStyle::with_template(style).expect("a template that is right");
    ProgressBar::new(all).with_style(style).with_message(doing)
}
