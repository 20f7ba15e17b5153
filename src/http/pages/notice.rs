//! One-time messages about what was just done ("Your password was changed."). The response to the
//! form sets the message in a cookie, and the next page shows and deletes it. No URL can select a
//! message, so that a link cannot make a page claim something false.

use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use crate::http::request::cookie::all;
use crate::http::state::AppState;

/// In seconds. The browser requests the next page immediately.
const MAX_AGE: u64 = 60;

/// What was just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    SignedOut,
    /// The device cookie was deleted, too.
    SignedOutAndForgotten,
    /// The device cookie was deleted; there was no session.
    Forgotten,
    AccountClosed,
    PasswordChanged,
    SessionRevoked,
    OtherSessionsRevoked,
}

impl Notice {
    const ALL: [Self; 7] = [
        Self::SignedOut,
        Self::SignedOutAndForgotten,
        Self::Forgotten,
        Self::AccountClosed,
        Self::PasswordChanged,
        Self::SessionRevoked,
        Self::OtherSessionsRevoked,
    ];

    /// The value of the cookie.
    fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::SignedOutAndForgotten => "signed_out_and_forgotten",
            Self::Forgotten => "forgotten",
            Self::AccountClosed => "account_closed",
            Self::PasswordChanged => "password_changed",
            Self::SessionRevoked => "session_revoked",
            Self::OtherSessionsRevoked => "other_sessions_revoked",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.name() == name)
    }
}

impl AppState {
    /// Sets a notice for the next page.
    pub fn leave_notice(&self, response: &mut Response, notice: Notice) {
        self.set_notice(response, notice.name(), MAX_AGE);
    }

    /// The notice for this page, if there is one.
    pub fn notice(&self, request: &Request) -> Option<Notice> {
        let values = all(self.notice_cookie(), request.headers());
        match values.as_slice() {
            [name] => Notice::named(name),
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
    use super::Notice;

    #[test]
    fn each_notice_is_found_by_its_name_and_nothing_else_is_one() {
        for notice in Notice::ALL {
            assert_eq!(Notice::named(notice.name()), Some(notice));
        }
        for other in ["", "password", "Password_Changed", "password_changed ", "<b>"] {
            assert_eq!(Notice::named(other), None, "{other}");
        }
    }
}
