//! The query parameters of a request.

use poem::Request;
use poem_openapi::__private::UrlQuery;

/// The value of a query parameter.
pub fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// Provides the query parameters where poem-openapi's `Query` looks for them.
///
/// poem-openapi does so in its own service, which is not used with `OpenApi::add_routes`, and has
/// no public API for it (last checked in 5.1.16). If a release changes this, the code does not
/// compile, or the tests of `listSessions` fail.
pub fn provide_query(request: &mut Request) {
    let parameters: Vec<(String, String)> = match request.uri().query() {
        Some(_) => request.params().unwrap_or_default(),
        None => Vec::new(),
    };
    request.set_data(UrlQuery(parameters));
}
