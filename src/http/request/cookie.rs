//! Reads the cookies of a request.

use memchr::memchr_iter;
use poem::http::{HeaderMap, HeaderValue, header};

/// The session cookie of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieLookup<'a> {
    /// No session cookie, or an empty one.
    Missing,
    /// This token, once or several times.
    Found(&'a str),
    /// Two different tokens: one of them was planted.
    Conflicting,
}

/// Finds a cookie in the raw header. Names are case-sensitive, and values are not decoded.
pub fn find<'a>(name: &str, headers: &'a HeaderMap) -> CookieLookup<'a> {
    let mut found = CookieLookup::Missing;
    for field in headers.get_all(header::COOKIE) {
        // A field that is not ASCII cannot contain our token, but it may contain other cookies.
        for pair in pairs(field) {
            let Some(token) = token(name, pair.trim_ascii()) else { continue };
            found = match found {
                CookieLookup::Missing => CookieLookup::Found(token),
                CookieLookup::Found(first) if first == token => found,
                CookieLookup::Found(_) | CookieLookup::Conflicting => {
                    return CookieLookup::Conflicting;
                }
            };
        }
    }
    found
}

/// All different values of a cookie.
pub fn all<'a>(name: &str, headers: &'a HeaderMap) -> Vec<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(pairs);
    let mut tokens: Vec<_> = pairs.filter_map(|pair| token(name, pair.trim_ascii())).collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// The value of a cookie with this name. An empty value counts as absent.
fn token<'a>(name: &str, pair: &'a [u8]) -> Option<&'a str> {
    let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
    (!value.is_empty()).then(|| std::str::from_utf8(value).unwrap_or(NOT_UTF8))
}

/// Replaces a value that is not UTF-8. It is not a valid token, so it is refused.
const NOT_UTF8: &str = "?";

/// The parts of a `Cookie` field.
fn pairs(field: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let bytes = field.as_bytes();
    let ends = memchr_iter(b';', bytes).chain([bytes.len()]);
    ends.scan(0, |start, end| {
        let pair = &bytes[*start..end];
        *start = end + 1;
        Some(pair)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(fields: &[&[u8]]) -> HeaderMap {
        let values = fields.iter().filter_map(|field| HeaderValue::from_bytes(field).ok());
        values.map(|value| (header::COOKIE, value)).collect()
    }

    #[test]
    fn one_value_counts_however_often_it_is_sent() {
        let read = |fields: &[&[u8]]| match find("session", &headers(fields)) {
            CookieLookup::Missing => "nothing".to_owned(),
            CookieLookup::Found(token) => format!("token {token}"),
            CookieLookup::Conflicting => "contradiction".to_owned(),
        };
        assert_eq!(read(&[]), "nothing");
        assert_eq!(read(&[b"a=b; session=x; c=d"]), "token x");
        assert_eq!(read(&[b"session=x; session=x", b"session=x"]), "token x");
        assert_eq!(read(&[b"session=x; session=y"]), "contradiction");
        assert_eq!(read(&[b"session=x", b"session=y"]), "contradiction");
        assert_eq!(read(&[b"session=x; session=y; session=x"]), "contradiction");
        assert_eq!(read(&[b"Session=x; session =x; xsession=x; session%20=x"]), "nothing");
        assert_eq!(read(&[b"session=\"x\""]), "token \"x\"");
        assert_eq!(read(&[b"session=%78"]), "token %78");
        assert_eq!(read(&[b"session=\xff"]), "token ?");
        assert_eq!(read(&[b"session="]), "nothing");
        assert_eq!(read(&[b"session=; session=x; session= "]), "token x");
        assert_eq!(read(&[b"session=\xff; session=x"]), "contradiction");
        assert_eq!(read(&[b"\xff=1; session=x"]), "token x");
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(fields in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
            let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
            let _ = find("session", &headers(&fields));
        }

        #[test]
        fn a_token_is_found_among_any_others(
            before in "([a-z]{1,5}=[a-z]{0,5}; ){0,3}", token in "[A-Za-z0-9_.-]{1,40}", after in "(; [a-z]{1,5}=[a-z]{0,5}){0,3}",
        ) {
            let field = format!("{before}session={token}{after}");
            let headers = headers(&[field.as_bytes()]);
            prop_assert_eq!(find("session", &headers), CookieLookup::Found(token.as_str()));
        }
    }
}
