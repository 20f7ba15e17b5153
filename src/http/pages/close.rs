//! The page `/account/close`.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::BoxEndpoint;
use poem::http::header;
use poem::{Response, Result};

use super::branding::Branding;
use super::endpoints::{form, page};
use super::form_errors::{FormErrors, FormResponder};
use super::notice::Notice;
use super::render::{render, see_other};
use super::visitor::require_session;
use crate::domain::login::LogInError;
use crate::domain::sessions::AuthenticatedSession;
use crate::http::api::accounts::Closing;
use crate::http::problem::Problem;
use crate::http::request::body::read;
use crate::http::state::AppState;

const SECONDS_A_DAY: u64 = 86_400;

#[derive(Template)]
#[template(path = "pages/close.html")]
struct ClosePage<'a> {
    site: &'a Branding,
    username: &'a str,
    /// The number of days for which the user name stays reserved.
    username_hold: u64,
    errors: FormErrors<'a>,
}

/// `GET /account/close`
pub fn close_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let who = require_session(&state, &request, "/account/close").await?;
        Ok(who.map_or_else(|sign_in| sign_in, |who| show_close(&state, &who, None)))
    })
}

/// `POST /account/close`: the same as `closeAccount`.
pub fn close_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let who = match require_session(&state, &request, "/account/close").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let again = FormResponder(|problem: &Problem| show_close(&state, &who, Some(problem)));
        let Closing { current_password } = match read::<Closing>(&request, &mut body).await {
            Ok(view) => view,
            Err(failure) => return Ok(again.with(&failure.problem)),
        };
        let requester = state.requester(&request);
        let closed: Result<(), LogInError> =
            state.domain.close(&who, current_password.0, &requester).await;
        if let Err(error) = closed {
            return Ok(again.after(error));
        }
        let mut response = see_other("/signed-out");
        response.headers_mut().insert(header::SET_COOKIE, state.cookie.clearing());
        state.leave_notice(&mut response, Notice::AccountClosed);
        Ok(response)
    })
}

fn show_close(state: &AppState, who: &AuthenticatedSession, problem: Option<&Problem>) -> Response {
    let page = ClosePage {
        site: &state.site,
        username: who.account.username.as_str(),
        username_hold: state.domain.rules.username_hold.as_secs().div_ceil(SECONDS_A_DAY),
        errors: FormErrors { problem, fields: &["current_password"] },
    };
    render(FormErrors::status(problem), &page)
}
