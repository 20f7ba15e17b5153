//! The session cookie and the device cookie: their names and attributes, and how they are set and
//! cleared.

use std::fmt;
use std::time::Duration;

use httpdate::fmt_http_date;
use poem::Request;
use poem::http::HeaderValue;
use time::OffsetDateTime;

use super::request::cookie::{CookieLookup, all, find};
use crate::core::secret::{DeviceToken, SessionToken};

/// The session cookie of this service.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    name: String,
    /// The name of the cookie with which a form tests whether the browser keeps cookies.
    check_name: String,
    /// The constant attributes after the value.
    attributes: String,
}

impl SessionCookie {
    /// `Secure` is added if `public_url` is https.
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

    /// The `Set-Cookie` of a new session (RFC 6265bis, section 4.1).
    pub fn set(&self, token: &SessionToken, keep: Option<CookieLifetime>) -> String {
        let value = token.expose(); // the cookie carries the token
        let set = format!("{}={value}{}", self.name, self.attributes);
        match keep {
            Some(keep) => format!("{set}{keep}"),
            None => set,
        }
    }

    /// The `Set-Cookie` that deletes the cookie.
    pub fn clear(&self) -> String {
        format!("{}={}; Max-Age=0", self.name, self.attributes)
    }

    /// [`Self::clear`] as a header value.
    pub fn clearing(&self) -> HeaderValue {
        HeaderValue::try_from(self.clear()).expect("a checked name and domain make a header")
    }

    /// The `Set-Cookie` of a page with a login form. If a browser does not return this cookie, it
    /// would not keep the session cookie either, because both have the same attributes.
    pub fn set_check(&self) -> HeaderValue {
        let set = format!("{}=1{}", self.check_name, self.attributes);
        HeaderValue::try_from(set).expect("a checked name and domain make a header")
    }

    /// Whether the browser has returned the cookie of [`Self::set_check`].
    pub fn is_checked(&self, request: &Request) -> bool {
        find(&self.check_name, request.headers()) != CookieLookup::Missing
    }

    /// All different tokens of the request.
    pub fn all<'a>(&self, request: &'a Request) -> Vec<&'a str> {
        all(&self.name, request.headers())
    }

    pub fn of<'a>(&self, request: &'a Request) -> CookieLookup<'a> {
        find(&self.name, request.headers())
    }
}

/// The cookie that identifies a client that has signed in before. It grants no access, but the
/// client is not delayed by other clients that try this user name.
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

    /// The `Set-Cookie` of a device. The prefix `__Host-` requires `Path=/` (ASVS 5.0, 3.3.3).
    pub fn set(&self, token: &DeviceToken, keep: CookieLifetime) -> HeaderValue {
        let (name, secure, value) = (self.name, self.secure, token.expose()); // for the cookie
        let set = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{keep}");
        HeaderValue::try_from(set).expect("a token makes a header")
    }

    /// The `Set-Cookie` that deletes the device cookie.
    pub fn clearing(&self) -> HeaderValue {
        let (name, secure) = (self.name, self.secure);
        let clear = format!("{name}=; Path=/; HttpOnly; SameSite=Strict{secure}; Max-Age=0");
        HeaderValue::try_from(clear).expect("plain words make a header")
    }

    /// All device tokens of a request, so that planted ones do not hide the real one. A header of
    /// 16 KiB contains about 35 tokens at most, and only the signatures of those that name the
    /// account are verified.
    pub fn all(&self, request: &Request) -> Vec<DeviceToken> {
        let tokens = all(self.name, request.headers()).into_iter();
        tokens.map(|token| DeviceToken::new(token.to_owned())).collect()
    }
}

/// How long a browser keeps a cookie.
#[derive(Debug, Clone, Copy)]
pub struct CookieLifetime {
    pub time: Duration,
    /// The same as a point in time.
    pub until: OffsetDateTime,
}

impl fmt::Display for CookieLifetime {
    /// The two attributes of the lifetime.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Max-Age` takes precedence. But Java's CookieManager treats a cookie with `Max-Age` and
        // without `Expires` as one of RFC 2965, and returns its value in quotes.
        let until = fmt_http_date(self.until.into());
        write!(to, "; Expires={until}; Max-Age={}", self.time.as_secs())
    }
}
