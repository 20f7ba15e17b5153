//! Fuzzes the session cookie among other cookies: one value counts, two different values are
//! refused, and parsing follows RFC 6265. Each line of the input is a `Cookie` field.

#![no_main]

use cloakroom::core::secret::SessionToken;
use cloakroom::http::SessionCookie;
use cloakroom::http::fuzzing::CookieLookup;
use libfuzzer_sys::fuzz_target;
use poem::Request;
use poem::http::{HeaderValue, header};

fuzz_target!(|data: &[u8]| {
    let cookie = SessionCookie::new("session", None, false);
    let mut request = Request::default();
    let mut values: Vec<&str> = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(field) = HeaderValue::from_bytes(line) else { continue };
        request.headers_mut().append(header::COOKIE, field);
        for pair in line.split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            // an empty value counts as no cookie, and one that is not text is refused like any
            // invalid value
            if let Some(value) = pair.strip_prefix(b"session=").filter(|value| !value.is_empty()) {
                values.push(std::str::from_utf8(value).unwrap_or("?"));
            }
        }
    }
    values.sort_unstable();
    values.dedup();
    let expected = match values[..] {
        [] => CookieLookup::Missing,
        [value] => CookieLookup::Found(value),
        [_, _, ..] => CookieLookup::Conflicting,
    };
    assert_eq!(cookie.of(&request), expected);
    assert_eq!(cookie.all(&request), values);

    // a value that is set is read back unchanged
    if let [value] = values[..] {
        let set = cookie.set(&SessionToken::new(value.to_owned()), None);
        let sent = set.split_once("; Path=/; HttpOnly; SameSite=Lax").expect("its attributes").0;
        let mut again = Request::default();
        again.headers_mut().append(header::COOKIE, sent.parse().expect("it came in a header"));
        assert_eq!(cookie.of(&again), CookieLookup::Found(value));
    }
});
