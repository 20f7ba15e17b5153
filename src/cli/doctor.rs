//! `cloakroom doctor`: what is wrong, and what to do. It changes nothing.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use indicatif::HumanBytes;
use rustix::fs::{Access, statvfs};
use rustix::io::Errno;
use serde::Serialize;
use tokio::net::TcpListener;

use super::healthcheck::{self, Asked};
use super::manifest::KEYS;
use super::table::{Cell, Table};
use super::times::rfc3339;
use super::{Failed, Outcome, say, terminal};
use crate::config::{Config, ConfigError};
use crate::core::clock::{Clock, Timestamp, days};
use crate::core::ownership::{self, WrongOwner};
use crate::domain::audit::Event;
use crate::domain::clock_check;
use crate::domain::demo_users::DEMO_USERS;
use crate::domain::key_files::{self, KeyError};
use crate::domain::peppers::Peppers;
use crate::domain::server_secret::{self, ServerSecrets};
use crate::domain::tokens::Keys;
use crate::server::{Tls, TlsError};
use crate::store::{DefinitionReport, Depth, Look, OpenError, Schema, SetupEvent, Store};

/// With less the next write may fail: some minutes of a busy service.
const LITTLE_ROOM: u64 = 64 * 1024 * 1024;
/// What clocks of machines that are set by a server differ by, and some more.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);
/// A log of this size waits for somebody who reads for very long, or for a disk that is full.
const LONG_LOG: u64 = 256 * 1024 * 1024;
/// Whoever renews certificates does so a third of their time before, and has had trouble by then.
const RENEW: [(u64, Verdict); 2] = [(7, Verdict::Wrong), (21, Verdict::Note)];

const EXAMPLES: &str = "\
Examples:
  cloakroom doctor                        beside the service, or when it does not start
  sudo -u cloakroom cloakroom doctor      as the user of the service, with its settings
  cloakroom doctor --full                 every index of the database, too; millions take minutes
  cloakroom doctor --json | jq '.findings[] | select(.verdict == \"wrong\")'

The exit code is 1 if something is wrong. Nothing is changed, made or migrated.";

/// Look for what is wrong, and say what to do: settings, files, keys, database, clock, disk, certificate
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    /// Check every index and reference of an SQLite database, too
    #[arg(long)]
    full: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Worth knowing.
    Note,
    Wrong,
}

#[derive(Debug, Serialize)]
struct Finding {
    about: &'static str,
    verdict: Verdict,
    says: String,
}

#[derive(Debug, Default, Serialize)]
struct Findings {
    findings: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, about: &'static str, verdict: Verdict, says: impl Into<String>) {
        self.findings.push(Finding { about, verdict, says: says.into() });
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

fn row(finding: &Finding) -> [Cell; 3] {
    let verdict = match finding.verdict {
        Verdict::Ok => Cell::styled("ok", terminal::GOOD),
        Verdict::Note => Cell::styled("note", terminal::WARNING),
        Verdict::Wrong => Cell::styled("WRONG", terminal::BAD),
    };
    [verdict, finding.about.into(), (&*finding.says).into()]
}

impl Doctor {
    pub async fn run(&self, config: Result<&Config, ConfigError>) -> Outcome {
        let mut found = Findings::default();
        match config {
            Ok(config) => self.look(config, &mut found).await?,
            Err(error) => found.add("settings", Verdict::Wrong, error.to_string()),
        }
        let wrong = found.count(Verdict::Wrong);
        if self.json {
            say(&serde_json::to_string(&found)?)?;
        } else {
            let rows: Vec<_> = found.findings.iter().map(row).collect();
            Table::new(["STATE", "ABOUT", "FINDING"]).print(&rows)?;
        }
        match wrong {
            0 => Ok(()),
            1 => Err(Failed("one thing is wrong".to_owned())),
            n => Err(Failed(format!("{n} things are wrong"))),
        }
    }

    async fn look(&self, config: &Config, found: &mut Findings) -> Outcome {
        settings(config, found);
        registration(config, found);
        let is_there = data_folder(&config.data_dir, found);
        let address = config.database_url.expose(); // the driver connects with it
        let file = match Store::file_of(address) {
            Ok(file) => file,
            Err(error) => {
                found.add("database", Verdict::Wrong, error.to_string());
                return Ok(());
            }
        };
        let seen = file.as_deref().map(fs::metadata);
        let is_hidden =
            matches!(&seen, Some(Err(error)) if error.kind() == ErrorKind::PermissionDenied);
        let size = seen.and_then(Result::ok).map(|meta| meta.len());
        let has_keys = Keys::are_in(&config.data_dir.join(KEYS)).unwrap_or(false);
        let (mut accounts, mut needed, mut secrets_needed) = (0, Vec::new(), Vec::new());
        match (&file, size) {
            (Some(file), None) if is_hidden => {
                let says = format!(
                    "cannot look at {}: permission denied; {}",
                    file.display(),
                    ownership::describe_denial(file)
                );
                found.add("database", Verdict::Wrong, says);
            }
            (Some(file), None | Some(0)) if has_keys => {
                let says = format!(
                    "there is none at {}, but there are signing keys, so there was one: run \
                     `cloakroom restore` with a backup of it, or `cloakroom migrate`, which makes an \
                     empty one",
                    file.display()
                );
                found.add("database", Verdict::Wrong, says);
            }
            (Some(file), None | Some(0)) => {
                let says = format!(
                    "there is none at {}, and {}; the first start makes it, or name another place by \
                     --config, --data-dir or --database-url",
                    file.display(),
                    config.source()
                );
                found.add("database", Verdict::Wrong, says);
            }
            (None, _) | (Some(_), Some(_)) => {
                let depth = if self.full { Depth::Full } else { Depth::Quick };
                let names = DEMO_USERS.map(|(name, _)| name);
                match Store::look(address, depth, &names, Clock::System.now().millis()).await {
                    Ok(look) => {
                        accounts = look.accounts;
                        database(config, &look, found);
                        setup(config, &look.setup, found);
                        definitions(look.definitions.as_ref(), found);
                        clock(&look, found);
                        (needed, secrets_needed) = (look.peppers, look.server_secrets);
                    }
                    Err(error) => found.add("database", Verdict::Wrong, error.to_string()),
                }
            }
        }
        if let Some(file) = &file {
            database_files(file, &config.data_dir, found);
        }
        let mut kids = unseen_keys(&config.data_dir);
        if is_there {
            key_files(&config.data_dir, found);
            kids = keys(config, accounts, found);
            peppers(config, needed, found);
            server_secrets(config, secrets_needed, found);
            left_over(&config.data_dir, found);
            room(&config.data_dir, size.unwrap_or_default(), found);
        }
        certificate(config, found);
        listens(config, kids.as_deref(), found).await;
        Ok(())
    }
}

fn settings(config: &Config, found: &mut Findings) {
    let at = config.public_url.origin();
    found.add(
        "settings",
        Verdict::Ok,
        format!("listens on {}, and is reached at {at}; {}", config.listen, config.source()),
    );
    let faces_a_network = !config.listen.ip().is_loopback() || !config.public_url.is_loopback();
    if faces_a_network && !config.public_url.is_secure() {
        let says = format!(
            "{at} is clear text: whoever is on the way reads passwords; give an https public_url"
        );
        found.add("settings", Verdict::Note, says);
    }
    let is_behind_one = config.listen.ip().is_loopback() && !config.public_url.is_loopback();
    if is_behind_one && config.trusted_proxies.is_empty() {
        let says = "trusted_proxies is empty, so everybody comes from the proxy's own address; name the proxy";
        found.add("settings", Verdict::Note, says);
    }
    if !config.trusted_proxies.is_empty() && !config.public_url.is_secure() {
        let says = format!(
            "trusted_proxies names a proxy, and public_url is {at}: if the proxy speaks https, set the \
             https address, or cookies lack Secure and sign-ins are refused"
        );
        found.add("settings", Verdict::Note, says);
    }
}

/// What running services saw of a wrong set-up, and wrote down as events.
fn setup(config: &Config, events: &[SetupEvent], found: &mut Findings) {
    const ABOUT: &str = "settings";
    let here = config.public_url.origin();
    let accepted = [config.public_url.origins(), config.allowed_origins.clone()].concat();
    for SetupEvent { event, thing, at } in events {
        let at = rfc3339(Timestamp::from_millis(*at));
        let says = if event == Event::ForwardedIgnored.name() {
            format!(
                "the trusted proxy {thing} sends `Forwarded`, which is not read, and no \
                 `X-Forwarded-For` (last at {at}): all its clients count as one address; have it send \
                 `X-Forwarded-For`"
            )
        } else if accepted.contains(thing) {
            continue; // the setting was mended since
        } else {
            format!(
                "a page at {thing} was refused (last at {at}), since public_url is {here}: if users \
                 reach this service at {thing}, set public_url = \"{thing}\""
            )
        };
        found.add(ABOUT, Verdict::Note, says);
    }
}

/// Is it there, and whose is it?
fn data_folder(folder: &Path, found: &mut Findings) -> bool {
    const ABOUT: &str = "data folder";
    let shown = folder.display();
    let meta = match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => meta,
        Ok(_) => {
            found.add(
                ABOUT,
                Verdict::Wrong,
                format!("{shown} is a file; name a folder as data_dir"),
            );
            return false;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let says = format!(
                "there is no {shown} yet; the first start makes it, or name another data_dir"
            );
            found.add(ABOUT, Verdict::Note, says);
            return false;
        }
        Err(error) => {
            found.add(ABOUT, Verdict::Wrong, format!("cannot look at {shown}: {error}"));
            return false;
        }
    };
    let me = rustix::process::geteuid();
    let is_ours = meta.uid() == me.as_raw();
    if !is_ours && !me.is_root() {
        found.add(ABOUT, Verdict::Wrong, ownership::describe_denial(folder));
    } else if meta.mode() & 0o500 != 0o500 {
        let says = format!("its own user may not enter {shown}; run: chmod u+rwx {shown}");
        found.add(ABOUT, Verdict::Wrong, says);
    } else if meta.mode() & 0o022 != 0 {
        found.add(
            ABOUT,
            Verdict::Wrong,
            format!("others may write in {shown}; run: chmod 0700 {shown}"),
        );
    } else if meta.mode() & 0o055 != 0 {
        found.add(
            ABOUT,
            Verdict::Note,
            format!("others may enter {shown}; run: chmod 0700 {shown}"),
        );
    } else if is_ours {
        found.add(ABOUT, Verdict::Ok, format!("{shown}, which nobody else may enter"));
    } else {
        let says = format!("{shown} of the user {}, which nobody else may enter", meta.uid());
        found.add(ABOUT, Verdict::Ok, says);
    }
    true
}

/// Whom the service runs as: the owner of the data folder, as far as root can tell, or this user.
fn service_user(data_folder: &Path) -> u32 {
    let me = rustix::process::geteuid();
    let owner = fs::metadata(data_folder).map(|meta| meta.uid());
    owner.ok().filter(|_| me.is_root()).unwrap_or(me.as_raw())
}

/// Does it belong to the user of the service? Root accepts what belongs to the owner of its folder, too.
fn is_of_service(path: &Path, meta: &Metadata, data_folder: &Path) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    meta.uid() == service_user(data_folder) || (is_root && ownership::is_folder_owners(path, meta))
}

/// Why its user cannot write what is there. It is tried, and nothing is written; what root may do says
/// nothing about the user to whom it belongs.
fn write_refusal(path: &Path, meta: &Metadata) -> Option<Errno> {
    let wanted = if meta.is_dir() { 0o700 } else { 0o600 };
    match rustix::fs::access(path, Access::WRITE_OK) {
        Err(why) => Some(why),
        Ok(()) if meta.uid() != 0 && meta.mode() & wanted != wanted => Some(Errno::ACCESS),
        Ok(()) => None,
    }
}

fn database(config: &Config, look: &Look, found: &mut Findings) {
    const ABOUT: &str = "database";
    if let Some(damage) = &look.damage {
        let says = format!(
            "{} is damaged: {damage}; stop the service, move it away, and restore a backup",
            config.database_url
        );
        found.add(ABOUT, Verdict::Wrong, says);
        return;
    }
    let engine = &look.engine;
    match look.schema {
        Schema::Current(last) => {
            let says = format!("{engine}, migration {last}, accounts: {}", look.accounts);
            found.add(ABOUT, Verdict::Ok, says);
        }
        Schema::None => {
            let says = format!(
                "{engine}, without tables yet, and {}; the first start makes them, or name another \
                 place by --config or --database-url",
                config.source()
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Schema::Older(last) => {
            let newest = Store::newest_schema();
            let says = format!(
                "{engine}, at migration {last} of {newest}; the next start migrates it: back it up before"
            );
            found.add(ABOUT, Verdict::Note, says);
        }
        Schema::Newer(version) => {
            let says = format!(
                "it is newer than this program (it has migration {version}); start a newer cloakroom, or \
                 restore the backup from before the upgrade"
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Schema::LineEnds(version) => {
            found.add(ABOUT, Verdict::Wrong, OpenError::LineEnds(version).to_string());
        }
        Schema::Changed(version) => {
            let says = format!(
                "migration {version} was changed after it ran; start the release that ran it"
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
    }
    if look.is_read_only {
        let says = "it takes no writes: default_transaction_read_only is on for its user or database, or \
                    the server is a standby; nobody can sign in";
        found.add(ABOUT, Verdict::Wrong, says);
    }
    if !look.unwritable.is_empty() {
        let says = format!(
            "its user may not write {}; grant that, as docs/postgresql.md says",
            look.unwritable.join(", ")
        );
        found.add(ABOUT, Verdict::Wrong, says);
    }
    if !look.demo_users.is_empty() {
        let says = format!(
            "there are users called {}, as --demo adds them with passwords that everybody knows; delete \
             them, or give them new ones by `cloakroom user passwd`",
            look.demo_users.join(" and ")
        );
        found.add(ABOUT, Verdict::Note, says);
    }
}

/// Are the tables those that the migrations make?
fn definitions(report: Option<&DefinitionReport>, found: &mut Findings) {
    const ABOUT: &str = "schema";
    let Some(report) = report else {
        let says = "the tables cannot be compared with the migrations: the database's user may make no \
                    temporary tables there; see docs/postgresql.md";
        return found.add(ABOUT, Verdict::Note, says);
    };
    for difference in &report.differences {
        let says = format!(
            "{difference}: something else than cloakroom changed it; find out what, and restore a backup \
             from before"
        );
        found.add(ABOUT, Verdict::Wrong, says);
    }
    for view in &report.views {
        let says = format!(
            "the view {view} reads Cloakroom's tables, and `cloakroom restore` refuses a backup that has it"
        );
        found.add(ABOUT, Verdict::Note, says);
    }
    if !report.foreign_triggers.is_empty() {
        let says = format!(
            "there are triggers on tables that are not Cloakroom's: {}",
            report.foreign_triggers.join(", ")
        );
        found.add(ABOUT, Verdict::Note, says);
    }
    if report.differences.is_empty() {
        found.add(ABOUT, Verdict::Ok, "the tables are as the migrations make them");
    }
}

fn clock(look: &Look, found: &mut Findings) {
    let now = Clock::System.now();
    let newest = look.newest.map(Timestamp::from_millis);
    let ahead = newest.filter(|newest| clock_check::is_behind(now, *newest));
    if let Some(newest) = ahead {
        found.add("clock", Verdict::Wrong, clock_check::describe_lag(now, newest));
    }
    let Some(server) = look.server_clock.map(Timestamp::from_millis) else {
        if ahead.is_none() {
            found.add("clock", Verdict::Ok, format!("it is {}", rfc3339(now)));
        }
        return;
    };
    let differ = now.since(server).max(server.since(now));
    if differ > CLOCKS_DIFFER {
        let says = format!(
            "it is {} here and {} at the database's server; let a time server set both",
            rfc3339(now),
            rfc3339(server)
        );
        found.add("clock", Verdict::Note, says);
    } else if ahead.is_none() {
        found.add(
            "clock",
            Verdict::Ok,
            format!("it is {}, at the database's server, too", rfc3339(now)),
        );
    }
}

/// The files of SQLite: whose they are, and who else may read them.
fn database_files(file: &Path, data_folder: &Path, found: &mut Findings) {
    const ABOUT: &str = "database";
    unwritable_folder(ABOUT, file, found);
    for (ending, stops) in [
        ("", NOBODY_SIGNS_IN),
        ("-wal", NOBODY_SIGNS_IN),
        ("-shm", NOBODY_SIGNS_IN),
        (".migrating", NO_START),
    ] {
        let mut path = file.as_os_str().to_owned();
        path.push(ending);
        let path = Path::new(&path);
        let Ok(meta) = fs::metadata(path) else { continue };
        let shown = path.display();
        if !is_of_service(path, &meta, data_folder) {
            found.add(ABOUT, Verdict::Wrong, WrongOwner::of(path, &meta).to_string());
        } else if meta.mode() & 0o077 != 0 {
            let says = format!("others may read {shown}; run: chmod 0600 {shown}");
            found.add(ABOUT, Verdict::Wrong, says);
        } else if let Some(why) = write_refusal(path, &meta) {
            found.add(ABOUT, Verdict::Wrong, refuses_writes(path, why, stops, "chmod 0600"));
        }
        if ending == "-wal" && meta.len() > LONG_LOG {
            let says = format!(
                "{shown} has {}: somebody reads for very long, or the disk was full; restart the service",
                HumanBytes(meta.len())
            );
            found.add(ABOUT, Verdict::Note, says);
        }
    }
}

/// What the service needs of the folder of the keys beside reading them: the file that is locked while a
/// key is made, and that root's commands have left nothing that is root's.
fn key_files(data_folder: &Path, found: &mut Findings) {
    const ABOUT: &str = "keys";
    let folder = data_folder.join(KEYS);
    if key_files::is_read_only(&folder) {
        return; // nothing is made there, and root mounted it
    }
    let lock = folder.join("lock");
    if let Ok(meta) = fs::metadata(&lock) {
        if !is_of_service(&lock, &meta, data_folder) {
            found.add(ABOUT, Verdict::Wrong, WrongOwner::of(&lock, &meta).to_string());
        } else if let Some(why) = write_refusal(&lock, &meta) {
            found.add(ABOUT, Verdict::Wrong, refuses_writes(&lock, why, NO_START, "chmod 0600"));
        }
    } else {
        unwritable_folder(ABOUT, &lock, found);
    }
    let files = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|path| key_files::is_named_as_one(path));
    for path in files.chain([folder.clone()]) {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let is_roots = meta.uid() == 0 && !meta.is_symlink();
        if is_roots
            && rustix::process::geteuid().is_root()
            && !is_of_service(&path, &meta, data_folder)
        {
            found.add(ABOUT, Verdict::Wrong, WrongOwner::of(&path, &meta).to_string());
        }
    }
}

/// Files are made there, such as those of SQLite's log.
fn unwritable_folder(about: &'static str, file: &Path, found: &mut Findings) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let Ok(meta) = fs::metadata(folder) else { return };
    let me = rustix::process::geteuid();
    if let Some(why) = write_refusal(folder, &meta)
        && (meta.uid() == me.as_raw() || me.is_root())
    {
        let stops = if about == "keys" { NO_START } else { NOBODY_SIGNS_IN };
        found.add(about, Verdict::Wrong, refuses_writes(folder, why, stops, "chmod 0700"));
    }
}

const NOBODY_SIGNS_IN: &str = "nobody can sign in";
const NO_START: &str = "the service does not start";

/// What follows from a file that cannot be written although it can be read, and what to do.
fn refuses_writes(path: &Path, why: Errno, stops: &str, remedy: &str) -> String {
    let shown = path.display();
    if why == Errno::ROFS {
        return format!(
            "{shown} cannot be written: it is on a file system that is mounted read-only; mount it for \
             writing, or {stops}"
        );
    }
    format!("{shown} cannot be written, so {stops}: {why}; run: {remedy} {shown}")
}

/// No key, if there is no folder of data; `None` if it cannot be told whether there is any.
fn unseen_keys(data_folder: &Path) -> Option<Vec<String>> {
    let seen = fs::metadata(data_folder);
    let is_denied = seen.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    (!is_denied).then(Vec::new)
}

/// The ids of the signing keys; `None` if they cannot be read.
fn keys(config: &Config, accounts: i64, found: &mut Findings) -> Option<Vec<String>> {
    let folder = config.data_dir.join(KEYS);
    let shown = folder.display();
    match Keys::read(&folder, &config.public_url.origin()) {
        Ok(Some(keys)) => {
            let says = format!("{} in {shown}", keys.public().len());
            found.add("keys", Verdict::Ok, says);
            return Some(keys.public().into_iter().map(|key| key.kid).collect());
        }
        Ok(None) if accounts > 0 => {
            let says = format!(
                "there are none in {shown}, but there are accounts: restore them from a backup, or run \
                 `cloakroom --data-dir {} key rotate`, which makes one and signs everybody out",
                config.data_dir.display()
            );
            found.add("keys", Verdict::Wrong, says);
        }
        Ok(None) => {
            let says = format!("there are none in {shown} yet; the first start makes one");
            found.add("keys", Verdict::Wrong, says);
        }
        Err(error) => {
            found.add("keys", Verdict::Wrong, error.to_string());
            return None;
        }
    }
    Some(Vec::new())
}

/// Are those there that passwords need?
fn peppers(config: &Config, needed: Vec<(String, i64)>, found: &mut Findings) {
    const ABOUT: &str = "peppers";
    let folder = config.data_dir.join(KEYS);
    let there = match Peppers::read(&folder) {
        Ok(there) => there,
        Err(error) => return found.add(ABOUT, Verdict::Wrong, error.to_string()),
    };
    let mut is_whole = true;
    for (id, passwords) in needed {
        if there.named(&id).is_none() {
            found.add(ABOUT, Verdict::Wrong, there.gone(id, passwords).to_string());
            is_whole = false;
        }
    }
    if let Some(current) = there.current().filter(|_| is_whole) {
        let says = format!(
            "{} in {}; {} goes into new hashes",
            there.paths().count(),
            folder.display(),
            current.id()
        );
        found.add(ABOUT, Verdict::Ok, says);
    }
}

/// Is there one, and those that held user names need?
fn server_secrets(config: &Config, needed: Vec<(String, i64)>, found: &mut Findings) {
    const ABOUT: &str = "server secret";
    let folder = config.data_dir.join(KEYS);
    let secrets = match ServerSecrets::read(&folder) {
        Ok(secrets) => secrets,
        Err(error) => return found.add(ABOUT, Verdict::Wrong, error.to_string()),
    };
    if let Err(error) = server_secret::check(&folder, secrets.as_ref(), needed) {
        return found.add(ABOUT, Verdict::Wrong, error.to_string());
    }
    let shown = folder.display();
    match secrets {
        Some(secrets) => {
            let says = format!(
                "{} in {shown}; {} is used for what is new",
                secrets.paths().len(),
                secrets.current_id()
            );
            found.add(ABOUT, Verdict::Ok, says);
        }
        None if key_files::is_read_only(&folder) => {
            let error = KeyError::ReadOnly(folder.clone(), "server-secret add");
            found.add(ABOUT, Verdict::Wrong, error.to_string());
        }
        None => {
            let says = format!("there is none in {shown} yet; the next start makes one");
            found.add(ABOUT, Verdict::Note, says);
        }
    }
}

/// Who may register, which decides who gets into the apps.
fn registration(config: &Config, found: &mut Findings) {
    let verdict = if config.opens_apps_to_all() { Verdict::Note } else { Verdict::Ok };
    found.add("registration", verdict, config.who_may_register());
}

/// What an interrupted restore or backup has left.
fn left_over(folder: &Path, found: &mut Findings) {
    for folder in [folder.to_owned(), folder.join(KEYS)] {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_one = path.extension().is_some_and(|end| end == "restoring" || end == "partial");
            let is_log = path.to_str().is_some_and(|path| path.contains(".restoring-"));
            if is_one || is_log {
                let says = format!("{} is left of what was interrupted; remove it", path.display());
                found.add("left over", Verdict::Note, says);
            }
        }
    }
}

fn room(folder: &Path, database: u64, found: &mut Findings) {
    let Ok(disk) = statvfs(folder) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let shown = HumanBytes(free);
    if free < LITTLE_ROOM || (disk.f_files > 0 && disk.f_favail == 0) {
        let says = format!(
            "{shown} and {} files are free where {} is; make room",
            disk.f_favail,
            folder.display()
        );
        found.add("disk", Verdict::Wrong, says);
    } else if free < database.saturating_mul(2) {
        let says =
            format!("{shown} are free, less than twice the database; a backup there may not fit");
        found.add("disk", Verdict::Note, says);
    } else {
        found.add("disk", Verdict::Ok, format!("{shown} are free"));
    }
}

fn certificate(config: &Config, found: &mut Findings) {
    const ABOUT: &str = "certificate";
    let Some(files) = &config.tls else { return };
    let now = Clock::System.now();
    let user = service_user(&config.data_dir);
    let at = |time| Tls::open_for(user, &files.certificate, &files.key, Clock::at(time));
    let tls = match at(now) {
        Ok(tls) => tls,
        Err(error) => return found.add(ABOUT, Verdict::Wrong, error.to_string()),
    };
    let shown = files.certificate.display();
    let host = config.public_url.host();
    if !tls.names(&host) {
        let says =
            format!("{shown} is not for {host}, where users reach the service; get one that is");
        found.add(ABOUT, Verdict::Wrong, says);
    }
    for (left, verdict) in RENEW {
        if let Err(TlsError::Expired(_)) = at(now.plus(days(left))) {
            let says = format!("{shown} expires within {left} days; look why it is not renewed");
            return found.add(ABOUT, verdict, says);
        }
    }
    found.add(ABOUT, Verdict::Ok, format!("{shown} is good for three weeks and more"));
}

/// Who listens there: the service, nobody, or somebody else?
async fn listens(config: &Config, kids: Option<&[String]>, found: &mut Findings) {
    const ABOUT: &str = "service";
    let at: SocketAddr = config.listen;
    match healthcheck::asked(config).await {
        Asked::Ready => {
            let Some(kids) = kids else {
                let says = format!(
                    "a service is ready at {at}; the keys in {} cannot be read, so it cannot be told \
                     whether it is the one of these settings",
                    config.data_dir.join(KEYS).display()
                );
                return found.add(ABOUT, Verdict::Note, says);
            };
            if healthcheck::publishes(config, kids).await {
                return found.add(ABOUT, Verdict::Ok, format!("it runs at {at}, and is ready"));
            }
            let says = format!(
                "another service is ready at {at}: it does not have the keys in {}; name its settings \
                 by --config, or listen elsewhere",
                config.data_dir.join(KEYS).display()
            );
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Asked::Answers(503) => {
            let says = format!("it runs at {at} and is not ready: its log says why");
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Asked::Answers(_) | Asked::IsStrange(_) => {
            let says = format!("something else answers at {at}; stop it, or listen elsewhere");
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Asked::IsSilent => {
            let says = format!("something at {at} does not answer; see what it is by: ss -ltnp");
            found.add(ABOUT, Verdict::Wrong, says);
        }
        Asked::Nobody => match TcpListener::bind(at).await {
            Ok(_) => found.add(ABOUT, Verdict::Note, format!("it does not run; {at} is free")),
            Err(error) => {
                let says = format!("it does not run, and cannot listen on {at}: {error}");
                found.add(ABOUT, Verdict::Wrong, says);
            }
        },
    }
}
