//! The page `/signed-out`: what signing out and closing an account lead to.

use askama::Template;

use super::site::Site;

#[derive(Template)]
#[template(path = "pages/signed_out.html")]
pub struct SignedOutPage<'a> {
    pub site: &'a Site,
    /// What was just done here; whoever follows a link to this page has done nothing.
    pub done: Option<Done>,
}

impl<'a> SignedOutPage<'a> {
    /// Says that there is no session.
    pub fn not_signed_in(site: &'a Site) -> Self {
        Self { site, done: None }
    }
}

/// What leads to [`SignedOutPage`].
pub enum Done {
    SignedOut,
    SignedOutAndForgotten,
    Forgotten,
    AccountClosed,
}
