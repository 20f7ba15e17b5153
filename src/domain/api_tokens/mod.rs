//! API tokens: secrets that programs present instead of a session.
//!
//! A token is its account with some of its roles, until a day. It never authorizes a change of
//! credentials, sessions, addresses or tokens, so whoever steals one cannot keep the account.

mod authenticate;
mod expiry;
mod manage;

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Clock, Timestamp, days};
use crate::core::display_names::DisplayName;
use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::domain::accounts::Account;
use crate::domain::audit::journal::AuditLog;
use crate::domain::counters::Counters;
use crate::domain::mail::outbox::Outbox;
use crate::domain::roles::Roles;
use crate::domain::sessions::cache::{Generation, SessionCache, TokenCache};
use crate::domain::sessions::shared_lookups::SharedLookups;
use crate::domain::shutdown::Shutdown;
use crate::domain::throttle::attempts::Throttle;
use crate::store::{ApiTokenRow, Store};

pub use self::manage::{
    ApiTokenPage, CreateApiTokenError, InvalidApiToken, NewApiToken, OwnedApiToken,
    RevokeApiTokenError,
};

/// The maximum number of active tokens of an account.
pub const MAX_API_TOKENS: usize = 50;
/// The lifetime of a token if its creator chooses none, in days.
pub const DEFAULT_API_TOKEN_DAYS: u32 = 90;
/// The longest lifetime of a token, in days: a year, including a leap year.
pub const MAX_API_TOKEN_DAYS: u32 = 366;

/// The maximum number of entries in the cache. Programs are fewer than browsers.
const MAX_CACHED: usize = 4096;
/// The interval at which the use of a token is recorded.
const USED_EVERY: Duration = Duration::from_mins(1);

/// An API token as its owner sees it, without its secret.
#[derive(Debug, Clone)]
pub struct ApiToken {
    /// Names it in lists. It is not a secret and does not authorize requests.
    pub id: String,
    pub name: DisplayName,
    /// The roles that its creator chose. Those that the account does not have are without effect.
    pub roles: Roles,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Accurate to one minute.
    pub last_used_at: Option<Timestamp>,
}

impl ApiToken {
    fn from_row(row: ApiTokenRow) -> Self {
        Self {
            id: row.id,
            name: DisplayName::from_row(row.name),
            roles: Roles::from_row(&row.token_roles),
            created_at: Timestamp::from_millis(row.token_created_at),
            expires_at: Timestamp::from_millis(row.expires_at),
            last_used_at: row.last_used_at.map(Timestamp::from_millis),
        }
    }

    /// Whether it is valid and its use was recorded recently.
    fn is_fresh(&self, now: Timestamp) -> bool {
        let recorded = self.last_used_at.is_some_and(|used| now.since(used) < USED_EVERY);
        now < self.expires_at && recorded
    }
}

/// The authenticated account of a request with an API token.
#[derive(Debug, Clone)]
pub struct AuthenticatedToken {
    /// The account, with those of its roles that the token has, too.
    pub account: Account,
    pub token: ApiToken,
}

/// The result of authenticating an API token.
#[derive(Debug, Clone)]
pub enum TokenAuthentication {
    Valid(Arc<AuthenticatedToken>),
    /// It is malformed, unknown, expired or revoked, or its account is disabled.
    Refused,
}

/// The result of a look-up, for the requests that share it.
#[derive(Debug, Clone)]
struct TokenLookup {
    outcome: Result<FoundToken, Arc<InternalError>>,
    /// The counts before the database was read, or `None` if no account was found.
    seen: Option<Generation>,
}

/// What the database knows about a token.
#[derive(Debug, Clone)]
enum FoundToken {
    Valid(Arc<AuthenticatedToken>),
    /// It is refused. If it has not been removed yet, its account is known.
    Refused(Option<AccountId>),
}

/// The API tokens of all accounts.
#[derive(Debug)]
pub struct ApiTokens {
    store: Arc<Store>,
    clock: Clock,
    /// The longest lifetime of a new token. If it is zero, there are no API tokens.
    max_lifetime: Duration,
    throttle: Arc<Throttle>,
    outbox: Arc<Outbox>,
    sessions: Arc<SessionCache>,
    cache: TokenCache<Arc<AuthenticatedToken>>,
    lookups: Arc<SharedLookups<TokenLookup>>,
    audit: Arc<AuditLog>,
    counters: Arc<Counters>,
    shutdown: Arc<Shutdown>,
}

/// The parts of [`ApiTokens`].
#[derive(Debug)]
pub(crate) struct ApiTokensParts {
    pub store: Arc<Store>,
    pub clock: Clock,
    pub max_days: u32,
    pub throttle: Arc<Throttle>,
    pub outbox: Arc<Outbox>,
    pub sessions: Arc<SessionCache>,
    pub audit: Arc<AuditLog>,
    pub counters: Arc<Counters>,
    pub shutdown: Arc<Shutdown>,
}

impl ApiTokens {
    pub(crate) fn new(parts: ApiTokensParts) -> Self {
        let ApiTokensParts { store, clock, max_days, throttle, outbox, sessions, .. } = parts;
        Self {
            store,
            clock,
            max_lifetime: days(max_days.into()),
            throttle,
            outbox,
            cache: sessions.new_beside(MAX_CACHED),
            sessions,
            lookups: Arc::default(),
            audit: parts.audit,
            counters: parts.counters,
            shutdown: parts.shutdown,
        }
    }

    /// Whether the operator allows API tokens.
    pub fn are_allowed(&self) -> bool {
        self.max_lifetime > Duration::ZERO
    }

    /// The longest lifetime of a new token, in days.
    pub fn max_days(&self) -> u32 {
        let seconds = self.max_lifetime.as_secs() / days(1).as_secs();
        u32::try_from(seconds).unwrap_or(MAX_API_TOKEN_DAYS)
    }

    /// The lifetime of a token if its creator chooses none, in days.
    pub fn default_days(&self) -> u32 {
        DEFAULT_API_TOKEN_DAYS.min(self.max_days())
    }

    /// Removes invalidated entries from the cache.
    pub fn remove_stale(&self) {
        self.cache.remove_stale();
    }
}
