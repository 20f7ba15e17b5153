//! Opens the store, furnishes the domain, builds the route.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use poem::Response;
use poem::endpoint::BoxEndpoint;
use poem_openapi::OpenApi;

use crate::config::{self, Config, Registration};
use crate::core::clock::Clock;
use crate::core::error::Fault;
use crate::core::ownership;
use crate::core::secret::Password;
use crate::core::usernames::Username;
use crate::domain::accounts::{self, Application, RegisterError};
use crate::domain::events::Events;
use crate::domain::key_files::{self, KeyError};
use crate::domain::passwords::{HashCost, Hasher, PasswordRules};
use crate::domain::peppers::{PepperError, Peppers};
use crate::domain::recognition::Recognition;
use crate::domain::server_secret::{self, ServerSecretError, ServerSecrets};
use crate::domain::sessions::{Credentials, LogInError, SessionRules};
use crate::domain::tallies::Tallies;
use crate::domain::throttle::Limits;
use crate::domain::tokens::Keys;
use crate::domain::watch::{CLEAR, LOOK};
use crate::domain::{Domain, Rules};
use crate::http::{
    Apps, Color, ConflictLog, DeviceCookie, Front, Guest, Hosts, Logo, MountError, Origins,
    RequestLog, Requests, SessionCookie, Site, TrustedProxies, route,
};
use crate::store::{OpenError, Store};

/// What the settings cannot say: tests turn the clock and hash cheaply.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub clock: Clock,
    pub hash_cost: HashCost,
    pub limits: Limits,
}

impl Surroundings {
    /// The system's clock, the price of a hash that the settings name, and every limit in force.
    pub fn real(config: &Config) -> Self {
        let limits = Limits::production();
        Self { clock: Clock::System, hash_cost: config.passwords.cost, limits }
    }
}

/// Why the service does not start; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot make the folder {0}: {1}")]
    Folder(PathBuf, io::Error),
    #[error(
        "cannot make or enter the folder {0}: permission denied; run this as the user whose it is, or \
         name another data_dir"
    )]
    FolderOfOthers(PathBuf),
    #[error(
        "there is no database at {0}, but there are signing keys in {1}, so there was one: run \
         `cloakroom restore` with a backup of it, or `cloakroom migrate`, which makes an empty one"
    )]
    DatabaseGone(PathBuf, PathBuf),
    #[error(
        "there is no database at {database}, and {settings}; the first start of the service makes one, \
         and `cloakroom migrate` does, or name another place by --config, --data-dir or --database-url"
    )]
    NoDatabase { database: String, settings: String },
    #[error(
        "there are no signing keys in {}, and {settings}; the first start of the service makes one, or \
         name another place by --config or --data-dir", folder.display()
    )]
    NoKeys { folder: PathBuf, settings: String },
    #[error(
        "there are no keys in {}, and {settings}; to make the first one there, say so by \
         `cloakroom --data-dir {} {command}`, or name another place by --config",
        data_dir.join(KEYS).display(), data_dir.display()
    )]
    UnnamedFolder { data_dir: PathBuf, command: &'static str, settings: String },
    #[error(transparent)]
    Database(#[from] OpenError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Pepper(#[from] PepperError),
    #[error(transparent)]
    ServerSecret(#[from] ServerSecretError),
    #[error("{0}; `cloakroom doctor` says what is wrong")]
    Fault(#[from] Fault),
}

/// The folder of the keys, in the data folder.
const KEYS: &str = "keys";

/// Makes the data folder, which only its owner may enter, and the folder of the keys in it.
pub fn make_folders(config: &Config) -> Result<PathBuf, StartError> {
    let keys = config.data_dir.join(KEYS);
    for folder in [&config.data_dir, &keys] {
        make_folder(folder).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => StartError::FolderOfOthers(folder.clone()),
            _ => StartError::Folder(folder.clone(), error),
        })?;
    }
    Ok(keys)
}

/// Makes a folder, which only its owner may enter, and its parents; one that exists stays as it is.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is a file")),
        Err(_) => {
            let is_new = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
            let made: Vec<_> = folder.ancestors().take_while(is_new).collect();
            for folder in made.iter().rev() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
                ownership::give_folder(folder)?;
            }
            made.into_iter().filter_map(Path::parent).try_for_each(keep_names)
        }
    }
}

/// Has the disk keep the names in a folder: what is acknowledged is lost with the name of its folder.
fn keep_names(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Opens everything that the domain needs; what is missing is made.
pub async fn open(config: &Config, surroundings: Surroundings) -> Result<Domain, StartError> {
    let folder = make_folders(config)?;
    refuse_to_begin_anew(config, &folder)?;
    let store = open_store(config).await?;
    store.check_writable().await?;
    let keys = keys(&folder, config, &store, &surroundings.clock).await?;
    build_domain(config, surroundings, store, keys).await
}

/// Opens a database and keys that exist, for commands: nothing is made.
pub async fn open_existing(
    config: &Config,
    surroundings: Surroundings,
) -> Result<Domain, StartError> {
    require_database(config).await?;
    let folder = config.data_dir.join(KEYS);
    let store = open_store(config).await?;
    let Some(keys) = Keys::read(&folder, &config.public_url.origin())? else {
        let has_accounts = store.has_accounts().await?;
        store.close().await;
        if has_accounts {
            return Err(KeyError::Gone(folder).into());
        }
        return Err(StartError::NoKeys { folder, settings: config.source() });
    };
    // an installation that is older than server secrets gets one, as by a start
    let held = hold(&folder).await?;
    let secrets = server_secrets(&folder, &store, &surroundings.clock).await?;
    drop(held);
    build_domain(config, surroundings, store, (keys, secrets)).await
}

/// Refuses to go on without a database, and says where it was looked for.
pub async fn require_database(config: &Config) -> Result<(), StartError> {
    // the driver connects by it
    if Store::exists(config.database_url.expose()).await? {
        return Ok(());
    }
    refuse_to_begin_anew(config, &config.data_dir.join(KEYS))?; // it is gone
    let database = match Store::file_of(config.database_url.expose())? {
        Some(file) => file.display().to_string(),
        None => config.database_url.to_string(),
    };
    Err(StartError::NoDatabase { database, settings: config.source() })
}

/// The folder of the keys for a command that adds one. A first one is made only in a folder that
/// `--data-dir` names: elsewhere it would be a key that no service reads.
pub fn folder_for_new_key(
    config: &Config,
    named: Option<&Path>,
    command: &'static str,
) -> Result<PathBuf, StartError> {
    let folder = config.data_dir.join(KEYS);
    if named.is_some() {
        return make_folders(config);
    }
    if Keys::are_in(&folder)? {
        return Ok(folder);
    }
    let data_dir = config.data_dir.clone();
    Err(StartError::UnnamedFolder { data_dir, command, settings: config.source() })
}

/// Makes the first signing key and the first server secret, as a start does: not in place of lost ones,
/// nor where none can be made.
pub async fn make_first_keys(config: &Config, store: &Store) -> Result<(), StartError> {
    let folder = make_folders(config)?;
    let _held = hold(&folder).await?;
    let now = Clock::System.now();
    if !Keys::are_in(&folder)? && !store.has_accounts().await? {
        Keys::create(&folder, now)?;
    }
    if ServerSecrets::are_in(&folder)? || key_files::is_read_only(&folder) {
        return Ok(());
    }
    if store.server_secrets_in_use(now.millis()).await?.is_empty() {
        ServerSecrets::create(&folder, now)?;
    }
    Ok(())
}

async fn open_store(config: &Config) -> Result<Store, StartError> {
    keep_group_out(config)?;
    // the driver connects with it
    let store = Store::open_with(config.database_url.expose(), config.database_connections);
    Ok(store.await?)
}

/// Takes from the group what a volume with `fsGroup` lets it do with the data folder, the keys and the
/// database. What is not there yet, or cannot be changed, is passed over.
fn keep_group_out(config: &Config) -> Result<(), StartError> {
    let mut changed = Vec::new();
    if let Ok(data) = File::open(&config.data_dir) {
        if ownership::remove_group_changes(&data) {
            changed.push(config.data_dir.clone());
        }
        let keys = config.data_dir.join(KEYS);
        if ownership::remove_group_access(&data, OsStr::new(KEYS)) {
            changed.push(keys.clone());
        }
        if fs::symlink_metadata(&keys).is_ok_and(|meta| meta.is_dir()) {
            remove_group(&keys.join("lock"), &mut changed);
            let files = fs::read_dir(&keys).into_iter().flatten().flatten();
            let files = files.map(|entry| entry.path());
            for file in files.filter(|path| key_files::is_named_as_one(path)) {
                remove_group(&file, &mut changed);
            }
        }
    }
    if let Some(file) = Store::file_of(config.database_url.expose())? {
        for suffix in ["", "-wal", "-shm", ".migrating"] {
            let mut path = file.clone().into_os_string();
            path.push(suffix);
            remove_group(Path::new(&path), &mut changed);
        }
    }
    if !changed.is_empty() {
        let changed: Vec<_> = changed.iter().map(|path| path.display().to_string()).collect();
        tracing::warn!(
            "a group could read or change {}, and no longer can; on Kubernetes, set \
             fsGroupChangePolicy: OnRootMismatch",
            changed.join(", ")
        );
    }
    Ok(())
}

fn remove_group(path: &Path, changed: &mut Vec<PathBuf>) {
    let Ok(folder) = ownership::folder_of(path) else { return };
    if ownership::remove_group_access(&folder, path.file_name().unwrap_or_default()) {
        changed.push(path.to_owned());
    }
}

async fn build_domain(
    config: &Config,
    surroundings: Surroundings,
    store: Store,
    (keys, server_secrets): (Keys, ServerSecrets),
) -> Result<Domain, StartError> {
    let peppers = Peppers::read(&config.data_dir.join(KEYS))?;
    peppers.check(&store).await?;
    let hasher = Hasher::start(surroundings.hash_cost, config.passwords.threads);
    hasher.set_peppers(peppers);
    Ok(Domain {
        store,
        hasher,
        keys,
        server_secrets,
        recognition: Recognition::default(),
        clock: surroundings.clock,
        rules: Rules {
            sessions: SessionRules::default(),
            passwords: PasswordRules {
                fewest_chars: config.passwords.min_length,
                names: vec![
                    env!("CARGO_PKG_NAME").to_owned(),
                    config.public_url.host(),
                    config.site.name.clone(),
                ],
            },
            registration: match config.registration {
                Registration::Open => accounts::Registration::Open,
                Registration::Invite => accounts::Registration::Invite,
                Registration::Closed => accounts::Registration::Closed,
            },
            username_hold: config.accounts.username_hold.duration(),
            limits: surroundings.limits,
            audiences: config.tokens.audiences.clone(),
        },
        is_leaving: AtomicBool::new(false),
        is_closing: AtomicBool::new(false),
        tallies: Tallies::default(),
        events: Events::default(),
    })
}

/// Makes no new database in place of one that is gone. A first start makes its keys last, so where there are
/// some there was a database.
fn refuse_to_begin_anew(config: &Config, folder: &Path) -> Result<(), StartError> {
    let has_keys = Keys::are_in(folder)?; // looked at first: others may start at the same time
    let Some(file) = Store::file_of(config.database_url.expose())? else { return Ok(()) };
    let is_there = fs::metadata(&file).is_ok_and(|about| about.len() > 0);
    if is_there || !has_keys {
        return Ok(());
    }
    Err(StartError::DatabaseGone(file, folder.to_owned()))
}

/// Reads the signing keys and the server secrets, and makes the first one of each. One process at a
/// time does so: two first keys would sign everybody out, and two first secrets would count twice.
async fn keys(
    folder: &Path,
    config: &Config,
    store: &Store,
    clock: &Clock,
) -> Result<(Keys, ServerSecrets), StartError> {
    let _held = hold(folder).await?;
    let keys = signing_keys(folder, config, store, clock).await?;
    Ok((keys, server_secrets(folder, store, clock).await?))
}

/// Waits until no other process reads or makes the keys of the folder.
async fn hold(folder: &Path) -> Result<Option<File>, StartError> {
    let folder = folder.to_owned();
    let waited = tokio::task::spawn_blocking(move || key_files::hold(&folder)).await;
    Ok(waited.map_err(|error| Fault::new("waiting for the keys", error))??)
}

async fn signing_keys(
    folder: &Path,
    config: &Config,
    store: &Store,
    clock: &Clock,
) -> Result<Keys, StartError> {
    let issuer = config.public_url.origin();
    if let Some(keys) = Keys::read(folder, &issuer)? {
        return Ok(keys);
    }
    if store.has_accounts().await? {
        return Err(KeyError::Gone(folder.to_owned()).into());
    }
    Keys::create(folder, clock.now())?;
    Keys::read(folder, &issuer)?.ok_or_else(|| KeyError::Gone(folder.to_owned()).into())
}

/// An installation that is older than server secrets gets one here, as a new one does. One that is
/// lost is not replaced while something needs it.
async fn server_secrets(
    folder: &Path,
    store: &Store,
    clock: &Clock,
) -> Result<ServerSecrets, StartError> {
    let now = clock.now();
    let secrets = ServerSecrets::read(folder)?;
    let needed = store.server_secrets_in_use(now.millis()).await?;
    server_secret::check(folder, secrets.as_ref(), needed)?;
    if let Some(secrets) = secrets {
        return Ok(secrets);
    }
    let (id, path) = ServerSecrets::create(folder, now)?;
    tracing::debug!("made the server secret {id}: {}", path.display());
    let secrets = ServerSecrets::read(folder)?;
    Ok(secrets.ok_or_else(|| ServerSecretError::NoneLeft(folder.to_owned()))?)
}

/// What goes on beside the requests, until the domain is dropped.
pub fn watch(domain: &Arc<Domain>) {
    tokio::spawn(Domain::watch_keys(Arc::downgrade(domain)));
    tokio::spawn(Domain::warn_of_clock(Arc::downgrade(domain)));
    tokio::spawn(Domain::count_sessions(Arc::downgrade(domain)));
    tokio::spawn(Domain::clear_away(Arc::downgrade(domain), CLEAR));
    tokio::spawn(Domain::listen(Arc::downgrade(domain)));
    tokio::spawn(Domain::watch_hashes(Arc::downgrade(domain), LOOK));
    tokio::spawn(Domain::record(Arc::downgrade(domain)));
}

/// The program's own service as one endpoint, which counts its requests; what goes on beside it ends
/// when it is dropped.
pub fn furnish(
    config: &Config,
    domain: Arc<Domain>,
    is_demo: bool,
    requests: Arc<Requests>,
) -> BoxEndpoint<'static, Response> {
    watch(&domain);
    build_endpoint(config, domain, is_demo, requests)
}

/// The same without the tasks of [`watch`], which a measurement of single requests must not count.
pub fn build_endpoint(
    config: &Config,
    domain: Arc<Domain>,
    is_demo: bool,
    requests: Arc<Requests>,
) -> BoxEndpoint<'static, Response> {
    let furnished = furnish_with(config, domain, is_demo, requests, Guest::cloakroom());
    furnished.expect("the program's own operations fit").0
}

/// A service with somebody's operations in it as one endpoint, and its document.
pub fn furnish_with<T: OpenApi + 'static>(
    config: &Config,
    domain: Arc<Domain>,
    is_demo: bool,
    requests: Arc<Requests>,
    guest: Guest<T>,
) -> Result<(BoxEndpoint<'static, Response>, String), MountError> {
    let front = Front {
        domain,
        cookie: SessionCookie::new(
            &config.cookie.name,
            config.cookie.domain.as_deref(),
            config.public_url.is_secure(),
        ),
        device: DeviceCookie::new(config.public_url.is_secure()),
        hosts: Hosts::new(config.public_url.authority(), known_hosts(config)),
        origins: Origins {
            own: config.public_url.origins(),
            allowed: config.allowed_origins.clone(),
        },
        apps: Apps::new(&config.public_url.origin(), config.apps.clone()),
        site: site(config),
        proxies: TrustedProxies::new(config.trusted_proxies.clone()),
        is_secure: config.public_url.is_secure(),
        has_docs: config.docs,
        is_demo,
        request_log: match config.log.requests {
            Some(true) => RequestLog::On,
            Some(false) | None => RequestLog::Off,
        },
        requests,
        conflict_log: ConflictLog::default(),
    };
    route(Arc::new(front), guest)
}

/// How the pages look.
fn site(config: &Config) -> Site {
    let config::Site { name, color, logo } = config.site.clone();
    let logo = logo.map(|logo| Logo { kind: logo.kind, bytes: logo.bytes });
    Site { name, color: Color(color.0), logo }
}

/// Where users reach it, and the names that the operator added.
fn known_hosts(config: &Config) -> Vec<String> {
    let own = config.public_url.host().to_ascii_lowercase();
    config.allowed_hosts.iter().cloned().chain([own]).collect()
}

/// Those under which metrics are answered.
pub fn metrics_hosts(config: &Config) -> Hosts {
    Hosts::new("localhost".to_owned(), config.allowed_hosts.clone())
}

/// The users of the snippet that Cloakroom grew from, short passwords and all.
pub const DEMO_USERS: [(&str, &str); 2] = [("tiangolo", "secret2"), ("dmontagu", "secret1")];

/// Is there a user who still has the password that everybody knows?
pub async fn has_demo_users(domain: &Domain) -> Result<bool, LogInError> {
    for (username, password) in DEMO_USERS {
        if domain.store.account_named(username).await?.is_none() {
            continue; // no hash is computed for a name that is not there
        }
        let credentials = Credentials::parse(username, Password::new(password.to_owned()));
        if domain.knows(credentials.expect("a name and a password")).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds the demo users that are not there yet.
pub async fn add_demo_users(domain: &Domain) -> Result<(), RegisterError> {
    let as_short_as_they_are = PasswordRules { fewest_chars: 1, names: Vec::new() };
    for (username, password) in DEMO_USERS {
        let application = Application {
            username: Username::parse(username),
            password: as_short_as_they_are.check(&Password::new(password.to_owned()), None),
            invite: None,
        };
        match domain.add_account(application).await {
            Ok(_) | Err(RegisterError::UsernameTaken) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
