//! The library for programs that embed Cloakroom in a poem-openapi service of their own: open, mount, serve.
//! The program itself goes through it, too.

mod serving;
mod settings;
mod signals;

use std::fmt;
use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Request, Response};
use poem_openapi::{ContactObject, LicenseObject, OpenApi};

pub(crate) use self::serving::{Sockets, faces_a_network, warn_of_demo_users};
pub use self::settings::Settings;
pub(crate) use self::signals::{ReloadSignals, Signals};
use crate::app::{self, StartError, Surroundings};
use crate::config::{Config, ConfigError};
use crate::core::error::Fault;
use crate::domain::Domain;
use crate::domain::key_files::KeyError;
use crate::domain::peppers::PepperError;
use crate::domain::server_secret::ServerSecretError;
use crate::http::{About, Guest, MountError, Requests};
use crate::server::TlsError;
use crate::store::{BackupError, Database, MoveError, OpenError, Trouble};

/// The most bytes of a body of an embedder's operation, unless they say otherwise: enough for any
/// JSON that a person writes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Why something about to start does not, in one sentence that says what to do: a setting, the
/// database, the keys, an address that is taken, or an operation that does not fit.
///
/// ```
/// let error = cloakroom::Settings::from_toml("sight.name = \"Notes\"").unwrap_err();
/// assert!(error.to_string().contains("sight"), "{error}");
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Settings(ConfigError),
    #[error(transparent)]
    Start(StartError),
    #[error(transparent)]
    Mount(MountError),
    #[error(transparent)]
    Tls(TlsError),
    #[error(transparent)]
    Disk(Trouble),
    #[error(transparent)]
    Open(OpenError),
    #[error(transparent)]
    Copy(BackupError),
    #[error(transparent)]
    Transfer(MoveError),
    #[error(transparent)]
    Key(KeyError),
    #[error(transparent)]
    Pepper(PepperError),
    #[error(transparent)]
    ServerSecret(ServerSecretError),
    #[error(transparent)]
    Fault(Fault),
    #[error("{0}")]
    Serve(String),
}

macro_rules! from_cause {
    ($($cause:ty => $variant:ident),*) => {
        $(impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self(Cause::$variant(cause))
            }
        })*
    };
}
from_cause!(
    ConfigError => Settings,
    StartError => Start,
    MountError => Mount,
    TlsError => Tls,
    Trouble => Disk,
    OpenError => Open,
    BackupError => Copy,
    MoveError => Transfer,
    KeyError => Key,
    PepperError => Pepper,
    ServerSecretError => ServerSecret,
    Fault => Fault
);

impl Error {
    /// One that only serving knows, in a sentence.
    fn serving(sentence: impl Into<String>) -> Self {
        Self(Cause::Serve(sentence.into()))
    }
}

/// Cloakroom, open: its accounts, sessions and keys, ready to be mounted beside operations.
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
    config: Arc<Config>,
    domain: Arc<Domain>,
    is_demo: bool,
}

impl Cloakroom {
    /// Opens everything it needs; what is missing is made: the data folder, the signing key, the
    /// database and its tables. Wants a tokio runtime, and keeps on working in it.
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
        let surroundings = Surroundings::real(&config);
        Self::among(config, surroundings, false).await
    }

    /// What only the program and its tests say of the surroundings. No part of the API.
    #[doc(hidden)]
    pub async fn among(
        config: Config,
        surroundings: Surroundings,
        is_demo: bool,
    ) -> Result<Self, Error> {
        let domain = Arc::new(app::open(&config, surroundings).await?);
        app::watch(&domain);
        Ok(Self { config: Arc::new(config), domain, is_demo })
    }

    /// The domain, for the program and its tests. No part of the API.
    #[doc(hidden)]
    pub fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// Puts operations of your own beside Cloakroom's: into one document with this title and version,
    /// behind the same guard, checks and limits. `api` is what `poem_openapi::OpenApiService::new`
    /// takes: an `#[OpenApi]` impl, or a tuple of them.
    pub fn mount<T: OpenApi + 'static>(
        &self,
        api: T,
        title: impl Into<String>,
        version: impl Into<String>,
    ) -> Mount<T> {
        let about = About::new(title, version);
        self.mount_guest(Guest { api, about, body_limit: BODY_LIMIT, pages: Vec::new() })
    }

    pub(crate) fn mount_guest<T: OpenApi + 'static>(&self, guest: Guest<T>) -> Mount<T> {
        Mount { cloakroom: self.clone(), guest }
    }

    /// Connections to Cloakroom's database, for tables of your own in it.
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

/// Operations that are about to stand beside Cloakroom's. What is not said has a default.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # use cloakroom::{Cloakroom, Settings};
/// # let folder = tempfile::tempdir().unwrap();
/// # let cloakroom = Cloakroom::open(Settings::default().data_dir(folder.path())).await?;
/// use poem::web::Html;
/// use poem_openapi::ContactObject;
///
/// #[poem::handler]
/// fn home() -> Html<&'static str> {
///     Html("<!DOCTYPE html><title>Notes</title><a href=/login>Sign in</a>")
/// }
///
/// let mounted = cloakroom
///     .mount((), "Notes", "1.0")
///     .description("Notes of one's own.")
///     .contact(ContactObject::new().email("notes@example.org"))
///     .scheme("notesSession")
///     .body_limit(64 * 1024)
///     .page("/", home)
///     .endpoint()?;
/// assert!(mounted.document().contains("notesSession"));
/// # Ok::<_, cloakroom::Error>(())
/// # }).unwrap();
/// ```
#[must_use]
pub struct Mount<T> {
    cloakroom: Cloakroom,
    guest: Guest<T>,
}

impl<T> fmt::Debug for Mount<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("guest", &self.guest).finish_non_exhaustive()
    }
}

impl<T: OpenApi + 'static> Mount<T> {
    /// What the document says first of the service, in Markdown. What it says of sessions comes
    /// behind it.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.guest.about.description = Some(text.into());
        self
    }

    /// Whom the document names to ask. Without it, nobody.
    pub fn contact(mut self, contact: ContactObject) -> Self {
        self.guest.about.contact = Some(contact);
        self
    }

    /// The licence of the API. Without it, none.
    pub fn license(mut self, license: impl Into<LicenseObject>) -> Self {
        self.guest.about.license = Some(license.into());
        self
    }

    /// What the security scheme is called in the document; `session` unless this says otherwise.
    pub fn scheme(mut self, name: impl Into<String>) -> Self {
        self.guest.about.scheme = name.into();
        self
    }

    /// The most bytes that a body of your operations may have: 1 MiB unless this says otherwise.
    /// Whoever sends more is answered 413. Cloakroom's own operations take 16 KiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.guest.body_limit = bytes;
        self
    }

    /// A page, or a file that belongs to one: what `GET` of this path answers, and the document does
    /// not show. At `/` it takes the place of Cloakroom's, which only leads to signing in.
    ///
    /// Answers that do not say otherwise forbid scripts, styles and everything else that a page may
    /// load: give yours a `Content-Security-Policy`.
    pub fn page<E>(mut self, path: impl Into<String>, page: E) -> Self
    where
        E: IntoEndpoint,
        E::Endpoint: 'static,
    {
        let page = page.into_endpoint().map_to_response().boxed();
        self.guest.pages.push((path.into(), page));
        self
    }

    /// Puts it all together, and says what does not fit.
    pub fn endpoint(self) -> Result<Mounted, Error> {
        let Self { cloakroom, guest } = self;
        let requests = Arc::new(Requests::of::<T>());
        let (endpoint, document) = app::build_endpoint_with(
            &cloakroom.config,
            Arc::clone(&cloakroom.domain),
            cloakroom.is_demo,
            Arc::clone(&requests),
            guest,
        )?;
        Ok(Mounted { cloakroom, endpoint, document, requests })
    }

    /// Serves it where the settings say, until SIGTERM or Ctrl-C: [`Mount::endpoint`], then
    /// [`Mounted::serve`].
    pub async fn serve(self) -> Result<(), Error> {
        self.endpoint()?.serve().await
    }
}

/// The whole service: your operations, Cloakroom's, the pages, Swagger UI at `/docs` and the document
/// at `/openapi.json`. It is a poem endpoint that always answers, for a route, a server or a test of
/// yours.
///
/// A request that does not come over a socket needs the header `Host`, as in a test; poem's
/// `TestClient` has `default_header` for that.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # use cloakroom::{Cloakroom, Settings};
/// # let folder = tempfile::tempdir().unwrap();
/// # let cloakroom = Cloakroom::open(Settings::default().data_dir(folder.path())).await.unwrap();
/// use poem::{Endpoint, Request, http::StatusCode};
///
/// let mounted = cloakroom.mount((), "Notes", "1.0").endpoint().unwrap();
/// let request = Request::builder().uri_str("/me").header("Host", "localhost").finish();
/// assert_eq!(mounted.get_response(request).await.status(), StatusCode::UNAUTHORIZED);
/// # });
/// ```
pub struct Mounted {
    cloakroom: Cloakroom,
    endpoint: BoxEndpoint<'static, Response>,
    document: String,
    requests: Arc<Requests>,
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounted").field("cloakroom", &self.cloakroom).finish_non_exhaustive()
    }
}

impl Mounted {
    /// The OpenAPI document that it serves, as JSON: to be committed and compared, say.
    pub fn document(&self) -> &str {
        &self.document
    }

    /// Serves where the settings say, until SIGTERM or Ctrl-C: with Cloakroom's own accept loop, which
    /// has limits and deadlines, TLS if the settings name a certificate, the metrics at an address of
    /// their own. In the end it lets the answers under way finish, and closes the database.
    pub async fn serve(self) -> Result<(), Error> {
        let sockets = Sockets::open(&self.cloakroom.config)?;
        warn_of_demo_users(&self.cloakroom.config, &self.cloakroom.domain).await?;
        self.serve_on(sockets, Signals::listen()).await
    }
}

impl Endpoint for Mounted {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        self.endpoint.call(request).await
    }
}
