//! Swagger UI and the document, as static files.
//!
//! The files of Swagger UI are vendored, compressed; see `docs/README.md` beside this file.

use std::io::Read;
use std::sync::{Arc, LazyLock, OnceLock};

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::read::GzDecoder;
use hyper::body::Bytes;
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, EndpointExt, Request, Response, Result, endpoint};
use sha2::{Digest, Sha256};

use super::openapi::document::yaml;
use super::pages;
use super::router::RouteTable;
use super::state::Front;

/// What the page may load: its own files, and the little pictures that Swagger UI writes inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";
/// A browser may use its copy when the tag, which is made of what the file holds, still fits.
const REVALIDATE: &str = "no-cache";

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
/// The page's own scripts.
const SCRIPTS: [(&str, &str); 5] = [
    ("/docs/accessibility.js", include_str!("docs/accessibility.js")),
    ("/docs/init.js", include_str!("docs/init.js")),
    ("/docs/responses-plugin.js", include_str!("docs/responses-plugin.js")),
    ("/docs/session-plugin.js", include_str!("docs/session-plugin.js")),
    ("/docs/session.js", include_str!("docs/session.js")),
];
const ICON: &[u8] = include_bytes!("docs/favicon.png");

#[derive(Template)]
#[template(path = "docs/index.html")]
struct Page<'a> {
    title: &'a str,
    demo: bool,
    /// The user name of the session; empty if there is none.
    username: &'a str,
    /// The name of the session cookie, by which the scripts know its security scheme.
    cookie: &'a str,
}

/// The page, for who asks.
async fn page(front: &Front, title: &str, request: &Request) -> Result<Response> {
    let who = match front.signed_in(request).await {
        Ok(who) => Some(who),
        Err(failure) if failure.problem.status < 500 => None,
        Err(failure) => return Err(failure.into()),
    };
    let username = who.as_ref().map_or("", |who| who.account.username.as_str());
    let cookie = front.cookie.name();
    let page = Page { title, demo: front.is_demo, username, cookie };
    Ok(Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .body(page.render().expect("the page needs nothing else to render")))
}

/// A file as it is sent. What only some are asked for is made when the first client asks.
struct File {
    kind: &'static str,
    /// As it is.
    plain: LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>,
    packed: Option<&'static [u8]>,
    digest: OnceLock<String>,
}

impl File {
    fn plain(kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::made(kind, None, move || bytes)
    }

    fn packed(kind: &'static str, gzip: &'static [u8]) -> Self {
        Self::made(kind, Some(gzip), move || {
            let mut bytes = Vec::new();
            GzDecoder::new(gzip)
                .read_to_end(&mut bytes)
                .expect("a file that was embedded can be unpacked");
            Bytes::from(bytes)
        })
    }

    fn made(
        kind: &'static str,
        packed: Option<&'static [u8]>,
        plain: impl FnOnce() -> Bytes + Send + 'static,
    ) -> Self {
        Self { kind, plain: LazyLock::new(Box::new(plain)), packed, digest: OnceLock::new() }
    }

    /// What tells one content from another: a third of the SHA-256 of what is kept of it.
    fn digest(&self) -> &str {
        self.digest.get_or_init(|| {
            let kept = self.packed.unwrap_or_else(|| &self.plain);
            BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(kept)[..12])
        })
    }
}

/// Adds the page, its files and the document of this title.
pub fn add(front: &Arc<Front>, title: &str, json: &str, table: &mut RouteTable) {
    let json = Bytes::from(json.to_owned());
    let as_yaml = {
        let json = json.clone();
        move || yaml(&json).into()
    };
    let (logo_kind, logo) = front.site.logo();
    let document = [
        ("/openapi.json", File::plain("application/json", json)),
        ("/openapi.yaml", File::made("application/yaml", None, as_yaml)),
        ("/favicon.ico", File::plain("image/png", ICON)),
        ("/assets/page.css", File::plain(STYLE, front.site.style().into_bytes())),
        ("/assets/page.js", File::plain(SCRIPT, pages::SCRIPT.as_bytes())),
        ("/assets/logo", File::plain(logo_kind, logo)),
    ];
    let files = [
        ("/docs/favicon.png", File::plain("image/png", ICON)),
        ("/docs/page.css", File::plain(STYLE, include_bytes!("docs/page.css").as_slice())),
        (
            "/docs/swagger-ui-bundle.js",
            File::packed(SCRIPT, include_bytes!("docs/swagger-ui-bundle.js.gz")),
        ),
        ("/docs/swagger-ui.css", File::packed(STYLE, include_bytes!("docs/swagger-ui.css.gz"))),
    ];
    let scripts = SCRIPTS.map(|(path, script)| (path, File::plain(SCRIPT, script.as_bytes())));
    let files = files.into_iter().chain(scripts);
    let files = files.filter(|_| front.has_docs);
    for (path, file) in document.into_iter().chain(files) {
        table.entry(path.to_owned()).or_default().insert(Method::GET, file.boxed());
    }
    if front.has_docs {
        let (front, title) = (Arc::clone(front), Arc::<str>::from(title));
        let page = endpoint::make(move |request: Request| {
            let (front, title) = (Arc::clone(&front), Arc::clone(&title));
            async move { page(&front, &title, &request).await }
        });
        table.entry("/docs".to_owned()).or_default().insert(Method::GET, page.boxed());
    }
}

impl Endpoint for File {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        // documents may differ from one setting to the next: only files have a tag
        let is_file = !self.kind.starts_with("application/");
        let packed = self.packed.filter(|_| takes_gzip(request.headers()));
        let mut response =
            Response::builder().content_type(self.kind).header(header::CACHE_CONTROL, REVALIDATE);
        if is_file {
            // what is sent compressed is not byte for byte the same (RFC 9110, section 8.8.3.3)
            let coding = if packed.is_some() { "-gzip" } else { "" };
            let tag = format!("\"{}{coding}\"", self.digest());
            response = response.header(header::ETAG, &tag).header(header::VARY, "Accept-Encoding");
            if is_known(&request, &tag) {
                return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
            }
        }
        if let Some(packed) = packed {
            let gzip = HeaderValue::from_static("gzip");
            return Ok(response
                .header(header::CONTENT_ENCODING, gzip)
                .body(Bytes::from_static(packed)));
        }
        Ok(response.body(self.plain.clone()))
    }
}

/// RFC 9110, section 12.5.3, as far as one coding needs it: what is said of gzip, else of the rest.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let weight = |wanted: &str| {
        codings.into_iter().flat_map(|codings| codings.split(',')).find_map(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight = parts.find_map(|parameter| parameter.strip_prefix("q="));
            is_it.then(|| weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0)))
        })
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|weight| weight > 0.0)
}

/// RFC 9110, section 13.1.2: does the client have it already?
fn is_known(request: &Request, tag: &str) -> bool {
    request.header(header::IF_NONE_MATCH).is_some_and(|tags| {
        tags.split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    })
}
