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
/// poem-openapi does so in its own service, for which our router stands (`OpenApi::add_routes`), and has no public
/// API for it. No issue of <https://github.com/poem-web/poem/issues> that a search finds asks for one. `Cargo.toml`
/// names the exact version, and the test below fails if another one reads the parameters elsewhere.
pub fn provide_query(request: &mut Request) {
    let parameters: Vec<(String, String)> = match request.uri().query() {
        Some(_) => request.params().unwrap_or_default(),
        None => Vec::new(),
    };
    request.set_data(UrlQuery(parameters));
}

#[cfg(test)]
mod tests {
    use poem::RequestBody;
    use poem_openapi::param::Query;
    use poem_openapi::{ApiExtractor, ExtractParamOptions};

    use super::*;

    #[tokio::test]
    async fn poem_openapi_finds_the_query_parameters_where_they_are_provided() {
        let mut request = Request::builder().uri_str("/sessions?limit=7&cursor=a%20b").finish();
        provide_query(&mut request);
        let mut body = RequestBody::default();
        let mut read = async |name| {
            let options = ExtractParamOptions {
                name,
                default_value: None,
                example_value: None,
                ignore_case: false,
                explode: true,
                style: None,
            };
            Query::<String>::from_request(&request, &mut body, options).await.unwrap().0
        };
        assert_eq!((read("limit").await, read("cursor").await), ("7".into(), "a b".into()));
    }
}
