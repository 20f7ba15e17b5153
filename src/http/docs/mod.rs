//! Serves Swagger UI and the document as static files.
//!
//! The files of Swagger UI are vendored and compressed; see `README.md` next to this file.

mod static_file;

use std::sync::Arc;

use askama::Template;
use hyper::body::Bytes;
use poem::http::{Method, header};
use poem::{EndpointExt, Request, Response, Result, endpoint};

use self::static_file::File;
use super::openapi::document::{in_version_3_1, yaml};
use super::pages;
use super::router::RouteTable;
use super::state::AppState;

/// The page may load its own files, and the small images that Swagger UI embeds as `data:` URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
/// The scripts of the page, in addition to Swagger UI.
const SCRIPTS: [(&str, &str); 6] = [
    ("/docs/accessibility.js", include_str!("accessibility.js")),
    ("/docs/init.js", include_str!("init.js")),
    ("/docs/responses-plugin.js", include_str!("responses-plugin.js")),
    ("/docs/samples-plugin.js", include_str!("samples-plugin.js")),
    ("/docs/session-plugin.js", include_str!("session-plugin.js")),
    ("/docs/session.js", include_str!("session.js")),
];
const ICON: &[u8] = include_bytes!("favicon.png");

#[derive(Template)]
#[template(path = "docs/index.html")]
struct Page<'a> {
    title: &'a str,
    demo: bool,
    /// The user name of the session, or an empty string if there is none.
    username: &'a str,
    /// The name of the session cookie, by which the scripts find its security scheme.
    cookie: &'a str,
}

/// The page, with the user name of the session if the request has one.
async fn page(state: &AppState, title: &str, request: &Request) -> Result<Response> {
    let who = match state.signed_in(request).await {
        Ok(who) => Some(who),
        Err(failure) if failure.problem.status < 500 => None,
        Err(failure) => return Err(failure.into()),
    };
    let username = who.as_ref().map_or("", |who| who.account.username.as_str());
    let cookie = state.cookie.name();
    let page = Page { title, demo: state.is_demo, username, cookie };
    Ok(Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .body(page.render().expect("the page needs nothing else to render")))
}

/// Adds the page, its files and the document to the route table.
pub fn add(state: &Arc<AppState>, title: &str, json: &str, table: &mut RouteTable) {
    let json = Bytes::from(json.to_owned());
    let as_yaml = {
        let json = json.clone();
        move || yaml(&json).into()
    };
    let as_version_3_1 = {
        let json = json.clone();
        move || in_version_3_1(&json).into()
    };
    let (logo_kind, logo) = state.site.logo();
    let document = [
        ("/openapi.json", File::plain("application/json", json)),
        ("/openapi.yaml", File::new("application/yaml", None, as_yaml)),
        ("/openapi-3.1.json", File::new("application/json", None, as_version_3_1)),
        ("/favicon.ico", File::plain("image/png", ICON)),
        ("/assets/page.css", File::plain(STYLE, state.site.style().into_bytes())),
        ("/assets/page.js", File::plain(SCRIPT, pages::SCRIPT.as_bytes())),
        ("/assets/logo", File::plain(logo_kind, logo)),
    ];
    let files = [
        ("/docs/favicon.png", File::plain("image/png", ICON)),
        ("/docs/page.css", File::plain(STYLE, include_bytes!("page.css").as_slice())),
        (
            "/docs/swagger-ui-bundle.js",
            File::from_gzip(SCRIPT, include_bytes!("swagger-ui-bundle.js.gz")),
        ),
        ("/docs/swagger-ui.css", File::from_gzip(STYLE, include_bytes!("swagger-ui.css.gz"))),
    ];
    let scripts = SCRIPTS.map(|(path, script)| (path, File::plain(SCRIPT, script.as_bytes())));
    let files = files.into_iter().chain(scripts);
    let files = files.filter(|_| state.has_docs);
    for (path, file) in document.into_iter().chain(files) {
        table.entry(path.to_owned()).or_default().insert(Method::GET, file.boxed());
    }
    if state.has_docs {
        let (state, title) = (Arc::clone(state), Arc::<str>::from(title));
        let page = endpoint::make(move |request: Request| {
            let (state, title) = (Arc::clone(&state), Arc::clone(&title));
            async move { page(&state, &title, &request).await }
        });
        table.entry("/docs".to_owned()).or_default().insert(Method::GET, page.boxed());
    }
}
