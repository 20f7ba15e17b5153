//! The button of a page that has no other action.

use url::form_urlencoded::Serializer;

use crate::http::request::cross_origin::Origins;

/// A link that is shown as a button.
pub struct NextStep {
    pub href: String,
    pub label: &'static str,
}

impl NextStep {
    /// Leads to the sign-in page, which leads back to `next`.
    pub fn sign_in(next: Option<&str>) -> Self {
        let href = match next {
            Some(next) => {
                let mut query = Serializer::new(String::new());
                format!("/login?{}", query.append_pair("next", next).finish())
            }
            None => "/login".to_owned(),
        };
        Self { href, label: "Sign in" }
    }

    /// Leads to the page that confirms the session, which leads back to `next`.
    pub fn confirm(next: Option<&str>) -> Self {
        let mut query = Serializer::new(String::new());
        let query = query.append_pair("next", next.unwrap_or("/account")).finish();
        Self { href: format!("/account/confirm?{query}"), label: "Confirm your password" }
    }

    /// Leads to the page that requests a link for a new password.
    pub fn request_link() -> Self {
        Self { href: "/password-reset".to_owned(), label: "Request another link" }
    }

    pub fn account() -> Self {
        Self { href: "/account".to_owned(), label: "Go to your account" }
    }

    /// Leads to the same address again.
    pub fn try_again(address: String) -> Self {
        Self { href: address, label: "Try again" }
    }

    /// Leads to the service itself, from a page of another origin. An http service is reached at
    /// the present address, even if its `public_url` differs.
    pub fn service(origins: &Origins) -> Self {
        let origin = if origins.is_secure() { origins.public_url() } else { "" };
        Self { href: format!("{origin}/"), label: "Open this service" }
    }
}
