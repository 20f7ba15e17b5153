//! Opens the store and reads the keys according to the settings, and builds the domain.

use std::sync::Arc;

use super::data_folder::{
    make_folders, refuse_missing_database, remove_group_access, require_database,
};
use super::error::StartError;
use super::keys::{load_keys, load_server_secrets, lock_keys};
use super::mail::mailer;
use crate::config::{self, Config, Period, Registration};
use crate::core::clock::Clock;
use crate::domain::jobs;
use crate::domain::keys::files::KeyError;
use crate::domain::keys::peppers::Peppers;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::keys::tokens::KeyRing;
use crate::domain::passwords::cost::Argon2Params;
use crate::domain::passwords::hasher::Hasher;
use crate::domain::passwords::rules::PasswordRules;
use crate::domain::sessions::{Lifetimes, SessionRules};
use crate::domain::throttle::limits::Limits;
use crate::domain::{AuthService, Parts, Rules, accounts};
use crate::store::Store;

/// The parts that the settings do not define. Tests set the clock and use cheap hashes.
#[derive(Debug, Clone)]
pub struct Environment {
    pub clock: Clock,
    pub hash_cost: Argon2Params,
    pub limits: Limits,
}

impl Environment {
    /// The system's clock, the hash parameters of the settings, and the limits of production.
    pub fn real(config: &Config) -> Self {
        let limits = Limits::production();
        Self { clock: Clock::System, hash_cost: config.passwords.cost, limits }
    }
}

/// Opens all parts of the domain, and creates what does not exist yet.
pub async fn open(config: &Config, environment: Environment) -> Result<AuthService, StartError> {
    let folder = make_folders(config)?;
    refuse_missing_database(config, &folder)?;
    let store = open_store(config).await?;
    store.check_writable().await?;
    let keys = load_keys(&folder, config, &store, &environment.clock).await?;
    build_domain(config, environment, store, keys).await
}

/// Opens an existing database and existing keys, for commands. Creates neither.
pub async fn open_existing(
    config: &Config,
    environment: Environment,
) -> Result<AuthService, StartError> {
    require_database(config).await?;
    let folder = config.key_folder();
    let store = open_store(config).await?;
    let Some(keys) = KeyRing::read(&folder, &config.public_url.origin())? else {
        let has_accounts = store.has_accounts().await?;
        store.close().await;
        if has_accounts {
            return Err(KeyError::Gone(folder).into());
        }
        return Err(StartError::NoKeys { folder, settings: config.source() });
    };
    // An installation that is older than server secrets gets one, as at a start of the service.
    let held = lock_keys(&folder).await?;
    let secrets = load_server_secrets(&folder, &store, &environment.clock).await?;
    drop(held);
    build_domain(config, environment, store, (keys, secrets)).await
}

async fn open_store(config: &Config) -> Result<Store, StartError> {
    remove_group_access(config)?;
    // for the driver that connects
    let store = Store::open_with(config.database_url.expose(), config.database_connections);
    Ok(store.await?)
}

async fn build_domain(
    config: &Config,
    environment: Environment,
    store: Store,
    (keys, server_secrets): (KeyRing, ServerSecrets),
) -> Result<AuthService, StartError> {
    let peppers = Peppers::read(&config.key_folder())?;
    peppers.check(&store).await?;
    let hasher = Hasher::start(environment.hash_cost, config.passwords.threads);
    hasher.set_peppers(peppers);
    Ok(AuthService::new(Parts {
        store,
        clock: environment.clock,
        rules: Rules {
            sessions: session_rules(&config.sessions),
            passwords: PasswordRules {
                min_length: config.passwords.min_length,
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
            audiences: config.tokens.audiences.clone(),
            api_token_days: config.api_tokens.max_days,
        },
        hasher,
        keys,
        server_secrets,
        limits: environment.limits,
        mailer: mailer(config),
    }))
}

/// The lifetimes of sessions that the settings define.
fn session_rules(settings: &config::Sessions) -> SessionRules {
    let lifetimes = |idle: Period, absolute: Period| Lifetimes {
        idle: idle.duration(),
        absolute: absolute.duration(),
    };
    let remembered = lifetimes(settings.remember_idle, settings.remember_absolute);
    SessionRules {
        short: lifetimes(settings.idle, settings.absolute),
        remembered: settings.remember.then_some(remembered),
    }
}

/// Starts the background jobs, which run until the domain is dropped.
pub fn watch(domain: &Arc<AuthService>) {
    jobs::start(domain);
}
