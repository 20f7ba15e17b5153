//! The session cookie and the device cookie: their names and attributes, how they are set and cleared.

use std::fmt;
use std::time::Duration;

use poem::Request;
use poem::http::HeaderValue;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::request::cookie::{CookieLookup, all, presented};
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
    pub fn set(&self, token: &SessionToken, keep: Option<CookieLifetime>) -> String {
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
        presented(&self.check_name, request.headers()) != CookieLookup::Missing
    }

    /// Every token that is presented, whether they agree or not.
    pub fn all<'a>(&self, request: &'a Request) -> Vec<&'a str> {
        all(&self.name, request.headers())
    }

    pub fn of<'a>(&self, request: &'a Request) -> CookieLookup<'a> {
        presented(&self.name, request.headers())
    }
}

/// The cookie by which a client is known that has signed in before. It opens nothing; with it one
/// is not held up by other clients that try this user name.
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
    pub fn set(&self, token: &DeviceToken, keep: CookieLifetime) -> HeaderValue {
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

/// How long a browser shall keep a cookie.
#[derive(Debug, Clone, Copy)]
pub struct CookieLifetime {
    pub time: Duration,
    /// The same as an instant.
    pub until: OffsetDateTime,
}

impl fmt::Display for CookieLifetime {
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
