//! The form that signs out, and the page `/signed-out` after it.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::BoxEndpoint;
use poem::http::{StatusCode, header};

use super::branding::Branding;
use super::endpoints::{Shared, page, shared_form};
use super::notice::Notice;
use super::render::{render, see_other};
use super::visitor::Visitor;
use crate::http::api::login::LogoutOptions;
use crate::http::problem::ApiError;
use crate::http::request::body::read_optional;
use crate::http::request::cookie::CookieLookup;
use crate::http::state::AppState;

#[derive(Template)]
#[template(path = "pages/signed_out.html")]
pub struct SignedOutPage<'a> {
    pub site: &'a Branding,
    /// What was just done. `None` if the user followed a link to this page.
    pub done: Option<Done>,
}

impl<'a> SignedOutPage<'a> {
    /// A page that says that there is no session.
    pub fn not_signed_in(site: &'a Branding) -> Self {
        Self { site, done: None }
    }
}

/// The actions that lead to [`SignedOutPage`].
pub enum Done {
    SignedOut,
    SignedOutAndForgotten,
    Forgotten,
    AccountClosed,
}

/// The action of a notice, if it belongs to this page.
fn what_was_done(notice: Notice) -> Option<Done> {
    match notice {
        Notice::SignedOut => Some(Done::SignedOut),
        Notice::SignedOutAndForgotten => Some(Done::SignedOutAndForgotten),
        Notice::Forgotten => Some(Done::Forgotten),
        Notice::AccountClosed => Some(Done::AccountClosed),
        Notice::PasswordChanged
        | Notice::PasswordResetRequested
        | Notice::PasswordRecovered
        | Notice::ProfileUpdated
        | Notice::EmailChangeRequested
        | Notice::EmailConfirmed
        | Notice::SessionRevoked
        | Notice::OtherSessionsRevoked
        | Notice::ApiTokenRevoked => None,
    }
}

/// `GET /signed-out`: the page after signing out.
pub fn signed_out_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let cookie = match Visitor::of(&state, &request).await? {
            Visitor::SignedIn(_) => return Ok(see_other("/account")),
            Visitor::Anonymous(cookie) => cookie,
        };
        let notice = state.notice(&request);
        let page = SignedOutPage { site: &state.site, done: notice.and_then(what_was_done) };
        let mut response = cookie.delete_in(render(StatusCode::OK, &page));
        state.clear_notice(&mut response, notice);
        Ok(response)
    })
}

/// `POST /logout` from a browser.
pub fn logout_posted(state: &Arc<AppState>) -> Shared {
    shared_form(state, |state, request, mut body| async move {
        let options = read_optional::<LogoutOptions>(&request, &mut body).await?;
        let forgotten = state.log_out(&request, options.unwrap_or_default()).await;
        let forgotten = forgotten.map_err(ApiError::from)?;
        let mut response = see_other("/signed-out");
        response.headers_mut().insert(header::SET_COOKIE, state.cookie.clearing());
        let had_session = state.cookie.of(&request) != CookieLookup::Missing;
        let notice = match (had_session, &forgotten) {
            (true, None) => Some(Notice::SignedOut),
            (true, Some(_)) => Some(Notice::SignedOutAndForgotten),
            (false, Some(_)) => Some(Notice::Forgotten),
            (false, None) => None,
        };
        if let Some(notice) = notice {
            state.leave_notice(&mut response, notice);
        }
        if let Some(forgotten) = forgotten {
            response.set_data(forgotten);
        }
        Ok(response)
    })
}
