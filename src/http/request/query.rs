//! The parameters of a request's query.

use poem::Request;

/// One parameter of the query.
pub fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}
