//! The rules of the service. No JSON, no SQL, and no clock except the injected one.
//!
//! [`AuthService`] wires the collaborators of the use cases. Each use case has its own file (`login`,
//! `registration`, `credentials`, `administration`, …), and `jobs` runs in the background.

pub mod access_tokens;
pub mod accounts;
pub mod administration;
pub mod api_tokens;
pub mod audit;
pub mod caller;
pub mod clock_check;
pub mod counters;
pub mod credentials;
pub mod demo_users;
pub mod email_addresses;
pub mod external_login;
pub mod imports;
pub mod invites;
pub mod jobs;
pub mod keys;
pub mod login;
pub mod mail;
pub mod passwords;
pub mod profile;
pub mod recovery;
pub mod registration;
pub mod requester;
pub mod reset_links;
pub mod role_assignments;
pub mod roles;
pub mod session_data;
pub mod sessions;
pub mod shutdown;
pub mod throttle;

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::Clock;
use crate::core::error::InternalError;
use crate::domain::access_tokens::AccessTokens;
use crate::domain::accounts::Registration;
use crate::domain::api_tokens::{ApiTokens, ApiTokensParts};
use crate::domain::audit::journal::AuditLog;
use crate::domain::audit::retention::Retention;
use crate::domain::counters::Counters;
use crate::domain::email_addresses::EmailAddresses;
use crate::domain::external_login::ExternalLogins;
use crate::domain::invites::Invites;
use crate::domain::keys::server_secret::ServerSecrets;
use crate::domain::keys::tokens::KeyRing;
use crate::domain::mail::mailer::Mailer;
use crate::domain::mail::outbox::{Outbox, OutboxParts};
use crate::domain::passwords::hasher::Hasher;
use crate::domain::passwords::rules::PasswordRules;
use crate::domain::profile::Profiles;
use crate::domain::reset_links::ResetLinks;
use crate::domain::role_assignments::RoleAssignments;
use crate::domain::session_data::SessionData;
use crate::domain::sessions::SessionRules;
use crate::domain::sessions::cache::SessionCache;
use crate::domain::sessions::lifecycle::Sessions;
use crate::domain::shutdown::Shutdown;
use crate::domain::throttle::attempts::Throttle;
use crate::domain::throttle::devices::Devices;
use crate::domain::throttle::limits::Limits;
use crate::store::Store;

/// The collaborators of the use cases.
#[derive(Debug)]
pub struct AuthService {
    pub store: Arc<Store>,
    pub clock: Clock,
    pub rules: Rules,
    pub hasher: Hasher,
    pub keys: Arc<KeyRing>,
    pub server_secrets: Arc<ServerSecrets>,
    pub devices: Arc<Devices>,
    pub throttle: Arc<Throttle>,
    pub session_cache: Arc<SessionCache>,
    pub sessions: Arc<Sessions>,
    pub session_data: SessionData,
    pub access_tokens: AccessTokens,
    pub api_tokens: Arc<ApiTokens>,
    pub invites: Invites,
    pub profiles: Profiles,
    pub external_logins: ExternalLogins,
    pub roles: RoleAssignments,
    pub outbox: Arc<Outbox>,
    pub email_addresses: EmailAddresses,
    pub reset_links: ResetLinks,
    pub audit: Arc<AuditLog>,
    pub retention: Retention,
    pub counters: Arc<Counters>,
    pub shutdown: Arc<Shutdown>,
}

/// The parts that are opened before the domain, and the rules.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub clock: Clock,
    pub rules: Rules,
    pub hasher: Hasher,
    pub keys: KeyRing,
    pub server_secrets: ServerSecrets,
    pub limits: Limits,
    /// Missing without a mail server in the settings.
    pub mailer: Option<Mailer>,
}

/// The rules that the settings define.
#[derive(Debug, Clone)]
pub struct Rules {
    pub sessions: SessionRules,
    pub passwords: PasswordRules,
    pub registration: Registration,
    /// No registration gets the user name of a closed or deleted account for this long.
    pub username_hold: Duration,
    /// The audiences for which access tokens are issued.
    pub audiences: Vec<String>,
    /// The longest lifetime of API tokens in days. If it is 0, there are none.
    pub api_token_days: u32,
}

impl AuthService {
    pub fn new(parts: Parts) -> Self {
        let Parts { store, clock, rules, hasher, keys, server_secrets, limits, mailer } = parts;
        let (store, keys) = (Arc::new(store), Arc::new(keys));
        let server_secrets = Arc::new(server_secrets);
        let devices = Arc::new(Devices::new(Arc::clone(&keys), clock.clone()));
        let throttle = Arc::new(Throttle::new(
            Arc::clone(&store),
            clock.clone(),
            Arc::clone(&server_secrets),
            Arc::clone(&devices),
            limits,
        ));
        let session_cache = Arc::new(SessionCache::default());
        let audit = Arc::new(AuditLog::new(clock.clone()));
        let counters = Arc::new(Counters::default());
        let shutdown = Arc::new(Shutdown::default());
        let sessions = Arc::new(Sessions {
            store: Arc::clone(&store),
            clock: clock.clone(),
            rules: rules.sessions,
            keys: Arc::clone(&keys),
            cache: Arc::clone(&session_cache),
            throttle: Arc::clone(&throttle),
            audit: Arc::clone(&audit),
            counters: Arc::clone(&counters),
            server_secrets: Arc::clone(&server_secrets),
            lookups: Arc::default(),
            shutdown: Arc::clone(&shutdown),
        });
        let session_data = SessionData::new(Arc::clone(&store), clock.clone());
        let access_tokens =
            AccessTokens::new(Arc::clone(&keys), clock.clone(), rules.audiences.clone());
        let outbox = Arc::new(Outbox::new(OutboxParts {
            store: Arc::clone(&store),
            clock: clock.clone(),
            audit: Arc::clone(&audit),
            counters: Arc::clone(&counters),
            shutdown: Arc::clone(&shutdown),
            mailer,
            throttle: Arc::clone(&throttle),
            secrets: Arc::clone(&server_secrets),
        }));
        let api_tokens = Arc::new(ApiTokens::new(ApiTokensParts {
            store: Arc::clone(&store),
            clock: clock.clone(),
            max_days: rules.api_token_days,
            throttle: Arc::clone(&throttle),
            outbox: Arc::clone(&outbox),
            sessions: Arc::clone(&session_cache),
            audit: Arc::clone(&audit),
            counters: Arc::clone(&counters),
            shutdown: Arc::clone(&shutdown),
        }));
        let invites = Invites::new(Arc::clone(&store), clock.clone(), Arc::clone(&audit));
        let roles = RoleAssignments {
            store: Arc::clone(&store),
            clock: clock.clone(),
            cache: Arc::clone(&session_cache),
            audit: Arc::clone(&audit),
        };
        let profiles = Profiles {
            store: Arc::clone(&store),
            clock: clock.clone(),
            throttle: Arc::clone(&throttle),
            cache: Arc::clone(&session_cache),
            audit: Arc::clone(&audit),
        };
        let external_logins = ExternalLogins::new(&sessions, &devices, &outbox);
        let email_addresses =
            EmailAddresses::new(&outbox, Arc::clone(&session_cache), Arc::clone(&audit));
        let reset_links = ResetLinks::new(&outbox, Arc::clone(&audit));
        let retention = Retention::default();
        Self {
            store,
            clock,
            rules,
            hasher,
            keys,
            server_secrets,
            devices,
            throttle,
            session_cache,
            sessions,
            session_data,
            access_tokens,
            api_tokens,
            invites,
            profiles,
            external_logins,
            roles,
            outbox,
            email_addresses,
            reset_links,
            audit,
            retention,
            counters,
            shutdown,
        }
    }

    /// Whether the service can answer requests and is not shutting down.
    pub async fn is_ready(&self) -> Result<bool, InternalError> {
        self.store.ping().await?;
        self.store.check_writable().await?;
        Ok(!self.shutdown.is_shutting_down() && self.keys.can_sign())
    }

    /// Begins the shutdown: `/readyz` fails from now on, while requests are still answered.
    pub fn begin_shutdown(&self) {
        self.shutdown.begin_shutdown();
    }

    /// Waits for the mail that is being sent, writes all buffered events and closes the database,
    /// at the end of the shutdown.
    pub async fn close_store(&self) {
        self.outbox.wait_for_end().await;
        self.shutdown.begin_closing();
        self.audit.write_all(&self.store).await;
        self.store.close().await;
    }
}
