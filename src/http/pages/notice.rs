//! One-time messages about what was just done ("Your password was changed."). The response to the
//! form sets the message in a cookie, and the next page shows and deletes it. No URL can select a
//! message, so that a link cannot make a page claim something false.

use poem::http::{HeaderValue, header};
use poem::{Request, Response};
use strum::{EnumString, IntoStaticStr};

use crate::http::request::cookie::all;
use crate::http::state::AppState;

/// In seconds. The browser requests the next page immediately.
const MAX_AGE: u64 = 60;

/// The action that the notice reports. The value of the cookie is the variant in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[cfg_attr(test, derive(strum::EnumIter))]
#[strum(serialize_all = "snake_case")]
pub enum Notice {
    SignedOut,
    /// The device cookie was deleted, too.
    SignedOutAndForgotten,
    /// The device cookie was deleted; there was no session.
    Forgotten,
    AccountClosed,
    PasswordChanged,
    PasswordResetRequested,
    PasswordRecovered,
    ProfileUpdated,
    EmailChangeRequested,
    EmailConfirmed,
    SessionRevoked,
    OtherSessionsRevoked,
    ApiTokenRevoked,
}

impl AppState {
    /// Sets a notice for the next page.
    pub fn leave_notice(&self, response: &mut Response, notice: Notice) {
        self.set_notice(response, notice.into(), MAX_AGE);
    }

    /// The notice for this page, if there is one.
    pub fn notice(&self, request: &Request) -> Option<Notice> {
        let values = all(self.notice_cookie(), request.headers());
        match values.as_slice() {
            [name] => name.parse().ok(),
            _ => None, // a sibling host planted one, so none counts
        }
    }

    /// Deletes a notice that this page shows or ignores.
    pub fn clear_notice(&self, response: &mut Response, notice: Option<Notice>) {
        if notice.is_some() {
            self.set_notice(response, "", 0);
        }
    }

    fn set_notice(&self, response: &mut Response, value: &str, max_age: u64) {
        let (name, secure) = (self.notice_cookie(), if self.is_secure { "; Secure" } else { "" });
        let set =
            format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}; Max-Age={max_age}");
        let set = HeaderValue::try_from(set).expect("plain words make a header");
        response.headers_mut().append(header::SET_COOKIE, set);
    }

    fn notice_cookie(&self) -> &'static str {
        if self.is_secure { "__Host-notice" } else { "notice" }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::Notice;

    #[test]
    fn each_notice_is_found_by_its_name_and_nothing_else_is_one() {
        for notice in Notice::iter() {
            assert_eq!(<&str>::from(notice).parse(), Ok(notice));
        }
        for other in ["", "password", "Password_Changed", "password_changed ", "<b>"] {
            assert!(other.parse::<Notice>().is_err(), "{other}");
        }
    }
}
