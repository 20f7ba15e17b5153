//! Mounts operations next to Cloakroom's.

use std::fmt;
use std::sync::Arc;

use poem::{EndpointExt, IntoEndpoint};
use poem_openapi::{ContactObject, LicenseObject, OpenApi};

use super::cloakroom::Cloakroom;
use super::error::Error;
use super::mounted::Mounted;
use crate::app;
use crate::http::{DocumentInfo, EmbeddedApi, RequestCounters};

/// The default maximum size of a body of an embedder's operation in bytes: enough for any JSON that
/// a person writes.
const BODY_LIMIT: usize = 1024 * 1024;

impl Cloakroom {
    /// Adds your own operations to Cloakroom's: in one document with this title and version, with
    /// the same guard, checks and limits. `api` has the type that
    /// `poem_openapi::OpenApiService::new` accepts: an `#[OpenApi]` impl, or a tuple of them.
    pub fn mount<T: OpenApi + 'static>(
        &self,
        api: T,
        title: impl Into<String>,
        version: impl Into<String>,
    ) -> Mount<T> {
        let about = DocumentInfo::new(title, version);
        self.mount_guest(EmbeddedApi { api, about, body_limit: BODY_LIMIT, pages: Vec::new() })
    }

    pub(crate) fn mount_guest<T: OpenApi + 'static>(&self, guest: EmbeddedApi<T>) -> Mount<T> {
        Mount { cloakroom: self.clone(), guest }
    }
}

/// Operations to mount next to Cloakroom's. Each option has a default.
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
///     .description("Personal notes.")
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
    guest: EmbeddedApi<T>,
}

impl<T> fmt::Debug for Mount<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("guest", &self.guest).finish_non_exhaustive()
    }
}

impl<T: OpenApi + 'static> Mount<T> {
    /// The description of your service in the document, in Markdown. Cloakroom's section about
    /// sessions follows it.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.guest.about.description = Some(text.into());
        self
    }

    /// The contact in the document. By default there is none.
    pub fn contact(mut self, contact: ContactObject) -> Self {
        self.guest.about.contact = Some(contact);
        self
    }

    /// The license of the API in the document. By default there is none.
    pub fn license(mut self, license: impl Into<LicenseObject>) -> Self {
        self.guest.about.license = Some(license.into());
        self
    }

    /// The name of the security scheme in the document. The default is `session`.
    pub fn scheme(mut self, name: impl Into<String>) -> Self {
        self.guest.about.scheme = name.into();
        self
    }

    /// The maximum size of a body of your operations in bytes. The default is 1 MiB. A larger body
    /// is answered with 413. The limit of Cloakroom's own operations is 16 KiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.guest.body_limit = bytes;
        self
    }

    /// Adds a page, or a file of one: the response to `GET` of this path, which is not in the
    /// document. A page at `/` replaces Cloakroom's, which only links to the sign-in page.
    ///
    /// Responses without a `Content-Security-Policy` get one that forbids scripts, styles and
    /// everything else that a page may load, so set one on your pages.
    pub fn page<E>(mut self, path: impl Into<String>, page: E) -> Self
    where
        E: IntoEndpoint,
        E::Endpoint: 'static,
    {
        let page = page.into_endpoint().map_to_response().boxed();
        self.guest.pages.push((path.into(), page));
        self
    }

    /// Builds the endpoint. Fails if an operation or a page conflicts with Cloakroom's.
    pub fn endpoint(self) -> Result<Mounted, Error> {
        let Self { cloakroom, guest } = self;
        let requests = Arc::new(RequestCounters::default());
        let (endpoint, document) = app::build_endpoint_with(
            &cloakroom.config,
            Arc::clone(&cloakroom.domain),
            cloakroom.is_demo,
            Arc::clone(&requests),
            guest,
        )?;
        Ok(Mounted { cloakroom, endpoint, document, requests })
    }

    /// Serves at the address in the settings, until SIGTERM or Ctrl-C: [`Mount::endpoint`], then
    /// [`Mounted::serve`].
    pub async fn serve(self) -> Result<(), Error> {
        self.endpoint()?.serve().await
    }
}
