//! An open Cloakroom instance.

use std::sync::Arc;

use poem::Request;

use super::error::Error;
use super::settings::Settings;
use crate::app::{self, Environment};
use crate::config::Config;
use crate::domain::AuthService;
use crate::http::{self, SignIn};
use crate::store::Database;

/// An open Cloakroom instance with its accounts, sessions and keys, to which you mount your
/// operations.
///
/// ```no_run
/// use cloakroom::{Cloakroom, Settings, SignedIn};
/// use poem_openapi::{OpenApi, payload::PlainText};
///
/// struct Greetings;
///
/// #[OpenApi]
/// impl Greetings {
///     /// Greet me
///     #[oai(path = "/greeting", method = "get", operation_id = "greet")]
///     async fn greet(&self, who: SignedIn) -> PlainText<String> {
///         PlainText(format!("Hello {}", who.username()))
///     }
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), cloakroom::Error> {
///     let cloakroom = Cloakroom::open(Settings::load()?).await?;
///     cloakroom.mount(Greetings, "Greetings", "1.0").serve().await
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Cloakroom {
    pub(super) config: Arc<Config>,
    pub(super) domain: Arc<AuthService>,
    pub(super) is_demo: bool,
}

impl Cloakroom {
    /// Opens the data folder, the signing keys and the database, and creates what does not exist
    /// yet. Must be called in a tokio runtime, in which it starts background jobs.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use cloakroom::{Cloakroom, Settings};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let settings = Settings::default().data_dir(folder.path());
    /// let cloakroom = Cloakroom::open(settings).await?;
    /// # Ok::<_, cloakroom::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn open(settings: Settings) -> Result<Self, Error> {
        let config = settings.check()?;
        let environment = Environment::real(&config);
        Self::open_with(config, environment, false).await
    }

    /// Opens Cloakroom with another clock or other limits, for the program and its tests. Not part
    /// of the API.
    #[doc(hidden)]
    pub async fn open_with(
        config: Config,
        environment: Environment,
        is_demo: bool,
    ) -> Result<Self, Error> {
        let domain = Arc::new(app::open(&config, environment).await?);
        app::watch(&domain);
        Ok(Self { config: Arc::new(config), domain, is_demo })
    }

    /// The domain, for the program and its tests. Not part of the API.
    #[doc(hidden)]
    pub fn domain(&self) -> &Arc<AuthService> {
        &self.domain
    }

    /// Opens a session for an account whose user your service has authenticated by its own means,
    /// for example with LDAP, OIDC or the token of a partner, and returns the cookies to
    /// set on the response. [`SessionCookies::on`] has an example of an operation, and
    /// `examples/partner` is a complete service.
    ///
    /// Cloakroom verifies nothing about the user: call this only after your service has done so.
    /// `account_id` is what [`SignedIn::account_id`] returns and `cloakroom user show` prints; the
    /// account must exist and must not be disabled. The session is like one of `POST /login`: it has
    /// the same lifetimes, an account has at most 100 of them, and a session that the request already
    /// has ends. The event is `external_login_succeeded` or `external_login_refused`.
    ///
    /// Cloakroom refuses an unsafe request that a page of another origin sends. If a `GET` request
    /// leads here, as after a redirect by an identity provider, your service must verify that this
    /// browser started the sign-in (the parameter `state` of OAuth 2.0), because otherwise an attacker
    /// could sign a user in to the attacker's account.
    ///
    /// The request must be one that a mounted operation or page of this instance received. The error
    /// is the response 503 if the database does not respond, and 500 for any other request.
    ///
    /// [`SessionCookies::on`]: crate::SessionCookies::on
    /// [`SignedIn::account_id`]: crate::SignedIn::account_id
    pub async fn sign_in(&self, account_id: &str, request: &Request) -> poem::Result<SignIn> {
        http::sign_in(&self.domain, account_id, request).await
    }

    /// Connections to Cloakroom's database, for your own tables in it.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use cloakroom::{Cloakroom, Database, Settings};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let cloakroom = Cloakroom::open(Settings::default().data_dir(folder.path())).await.unwrap();
    /// let Database::Sqlite(pool) = cloakroom.database() else { panic!("configured otherwise") };
    /// let accounts: i64 =
    ///     sqlx::query_scalar("select count(*) from accounts").fetch_one(&pool).await.unwrap();
    /// assert_eq!(accounts, 0);
    /// # });
    /// ```
    pub fn database(&self) -> Database {
        self.domain.store.database()
    }
}
