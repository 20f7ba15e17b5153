//! The session cookie: its name, its attributes, how it is read, set and cleared.

use std::fmt;
use std::time::Duration;

use memchr::memchr_iter;
use poem::http::{HeaderMap, HeaderValue, header};
use poem::{IntoResponse, Request, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaResponses, Registry};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::core::secret::{DeviceToken, SessionToken};

/// The session cookie of this service.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    name: String,
    /// The name of the cookie by which a form finds out whether the browser keeps cookies.
    check_name: String,
    /// Everything behind the value that does not change.
    attributes: String,
}

/// The cookie by which a client is known that has signed in before. It opens nothing; with it one
/// is not held up by somebody else who tries this user name.
#[derive(Debug, Clone)]
pub struct DeviceCookie {
    name: &'static str,
    secure: &'static str,
}

impl DeviceCookie {
    pub fn new(is_secure: bool) -> Self {
        if is_secure {
            Self { name: "__Host-device", secure: "; Secure" }
        } else {
            Self { name: "device", secure: "" }
        }
    }

    /// `Set-Cookie` for a device. The prefix `__Host-` wants `Path=/` (ASVS 5.0, 3.3.3).
    pub fn set(&self, token: &DeviceToken, keep: Keep) -> HeaderValue {
        let (name, secure, value) = (self.name, self.secure, token.expose()); // it is the cookie
        let set = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{keep}");
        HeaderValue::try_from(set).expect("a token makes a header")
    }

    /// `Set-Cookie` that makes the browser forget the device.
    pub fn clearing(&self) -> HeaderValue {
        let (name, secure) = (self.name, self.secure);
        let clear = format!("{name}=; Path=/; HttpOnly; SameSite=Strict{secure}; Max-Age=0");
        HeaderValue::try_from(clear).expect("plain words make a header")
    }

    /// Every device that a request names, so that planted ones hide no real one. A header of 16 KiB has
    /// room for some 35 tokens, and the signature is verified of those alone that name the account.
    pub fn all(&self, request: &Request) -> Vec<DeviceToken> {
        let tokens = all(self.name, request.headers()).into_iter();
        tokens.map(|token| DeviceToken::new(token.to_owned())).collect()
    }
}

/// A second cookie for an answer: poem-openapi would overwrite the first one, so the edge adds it.
#[derive(Debug, Clone)]
pub struct AlsoSet(pub HeaderValue);

/// An answer beside which a second cookie may be set.
#[derive(Debug)]
pub struct WithCookie<T>(pub T, pub Option<AlsoSet>);

impl<T: IntoResponse> IntoResponse for WithCookie<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        if let Some(cookie) = self.1 {
            response.set_data(cookie);
        }
        response
    }
}

impl<T: ApiResponse + IntoResponse> ApiResponse for WithCookie<T> {
    fn meta() -> MetaResponses {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// What a request says about its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// No cookie of our name, or an empty one.
    Nothing,
    /// This token, once or more often.
    Token(&'a str),
    /// Two tokens that differ: somebody planted one of them.
    Contradiction,
}

/// How long a browser shall keep a cookie.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    pub time: Duration,
    /// The same as an instant.
    pub until: OffsetDateTime,
}

impl fmt::Display for Keep {
    /// The two attributes that say so.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Max-Age` is what counts. But Java's CookieManager takes a cookie that has it and no
        // `Expires` for one of RFC 2965, and sends its value back in quotes.
        let until = self.until.format(IMF_FIXDATE).map_err(|_| fmt::Error)?;
        write!(to, "; Expires={until}; Max-Age={}", self.time.as_secs())
    }
}

/// How HTTP writes an instant (RFC 9110, section 5.6.7).
const IMF_FIXDATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

impl SessionCookie {
    /// `Secure` is added where the public address is https.
    pub fn new(name: &str, domain: Option<&str>, is_secure: bool) -> Self {
        let mut attributes = "; Path=/; HttpOnly; SameSite=Lax".to_owned();
        if is_secure {
            attributes.push_str("; Secure");
        }
        if let Some(domain) = domain {
            attributes.push_str("; Domain=");
            attributes.push_str(domain);
        }
        Self { name: name.to_owned(), check_name: format!("{name}-check"), attributes }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// `Set-Cookie` for a new session (RFC 6265bis, section 4.1).
    pub fn set(&self, token: &SessionToken, keep: Option<Keep>) -> String {
        let value = token.expose(); // the cookie is what the token is for
        let set = format!("{}={value}{}", self.name, self.attributes);
        match keep {
            Some(keep) => format!("{set}{keep}"),
            None => set,
        }
    }

    /// `Set-Cookie` that makes the browser forget it.
    pub fn clear(&self) -> String {
        format!("{}={}; Max-Age=0", self.name, self.attributes)
    }

    /// [`Self::clear`] as a header's value.
    pub fn clearing(&self) -> HeaderValue {
        HeaderValue::try_from(self.clear()).expect("a checked name and domain make a header")
    }

    /// `Set-Cookie` of a page with a form that signs in: a browser that does not send this one back would
    /// not keep the session cookie either, which has the same attributes.
    pub fn set_check(&self) -> HeaderValue {
        let set = format!("{}=1{}", self.check_name, self.attributes);
        HeaderValue::try_from(set).expect("a checked name and domain make a header")
    }

    /// Has the browser sent the cookie of [`Self::set_check`] back?
    pub fn is_checked(&self, request: &Request) -> bool {
        presented(&self.check_name, request.headers()) != Presented::Nothing
    }

    /// Every token that is presented, whether they agree or not.
    pub fn all<'a>(&self, request: &'a Request) -> Vec<&'a str> {
        all(&self.name, request.headers())
    }

    pub fn of<'a>(&self, request: &'a Request) -> Presented<'a> {
        presented(&self.name, request.headers())
    }
}

/// Reads the raw header: names are compared to the letter, values are not decoded.
fn presented<'a>(name: &str, headers: &'a HeaderMap) -> Presented<'a> {
    let mut found = Presented::Nothing;
    for field in headers.get_all(header::COOKIE) {
        // what is not ASCII cannot hold a token of ours, but may hold other cookies
        for pair in pairs(field) {
            let Some(token) = token(name, pair.trim_ascii()) else { continue };
            found = match found {
                Presented::Nothing => Presented::Token(token),
                Presented::Token(first) if first == token => found,
                Presented::Token(_) | Presented::Contradiction => return Presented::Contradiction,
            };
        }
    }
    found
}

/// Every different value of a cookie.
pub fn all<'a>(name: &str, headers: &'a HeaderMap) -> Vec<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(pairs);
    let mut tokens: Vec<_> = pairs.filter_map(|pair| token(name, pair.trim_ascii())).collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// The value of a cookie of this name. An empty one is as good as none.
fn token<'a>(name: &str, pair: &'a [u8]) -> Option<&'a str> {
    let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
    (!value.is_empty()).then(|| std::str::from_utf8(value).unwrap_or(NOT_UTF8))
}

/// Stands for a value that is not UTF-8: it is no token, and so it is refused.
const NOT_UTF8: &str = "?";

/// The parts of one `Cookie` field.
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
        let read = |fields: &[&[u8]]| match presented("session", &headers(fields)) {
            Presented::Nothing => "nothing".to_owned(),
            Presented::Token(token) => format!("token {token}"),
            Presented::Contradiction => "contradiction".to_owned(),
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
            let _ = presented("session", &headers(&fields));
        }

        #[test]
        fn a_token_is_found_among_any_others(
            before in "([a-z]{1,5}=[a-z]{0,5}; ){0,3}", token in "[A-Za-z0-9_.-]{1,40}", after in "(; [a-z]{1,5}=[a-z]{0,5}){0,3}",
        ) {
            let field = format!("{before}session={token}{after}");
            let headers = headers(&[field.as_bytes()]);
            prop_assert_eq!(presented("session", &headers), Presented::Token(token.as_str()));
        }
    }
}
