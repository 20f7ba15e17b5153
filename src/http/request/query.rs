//! The parameters of a request's query.

use poem::Request;
use poem_openapi::__private::UrlQuery;

/// One parameter of the query.
pub fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// Puts the parameters where poem-openapi's `Query` looks for them.
///
/// poem-openapi does so in a service of its own, which `OpenApi::add_routes` does without, and offers no public
/// way (seen last in 5.1.16). A release that changes it does not compile here, or fails the tests of `listSessions`.
pub fn provide_query(request: &mut Request) {
    let parameters: Vec<(String, String)> = match request.uri().query() {
        Some(_) => request.params().unwrap_or_default(),
        None => Vec::new(),
    };
    request.set_data(UrlQuery(parameters));
}
