//! An open Cloakroom instance.

use std::sync::Arc;

use super::error::Error;
use super::settings::Settings;
use crate::app::{self, Environment};
use crate::config::Config;
use crate::domain::AuthService;
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
