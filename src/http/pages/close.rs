//! The page `/account/close`.

use std::sync::Arc;

use askama::Template;
use poem::Response;
use poem::endpoint::BoxEndpoint;
use poem::http::header;

use super::branding::Branding;
use super::confirmation::{ConfirmedSession, asks_password};
use super::endpoints::{form, page};
use super::form_errors::{FormErrors, FormResponder};
use super::notice::Notice;
use super::render::{render, see_other};
use super::visitor::require_session;
use crate::core::secret::Password;
use crate::domain::sessions::{AuthenticatedSession, RefusedToken};
use crate::http::problem::Problem;
use crate::http::request::fields::Fields;
use crate::http::state::AppState;

const SECONDS_A_DAY: u64 = 86_400;

#[derive(Template)]
#[template(path = "pages/close.html")]
struct ClosePage<'a> {
    site: &'a Branding,
    username: &'a str,
    /// The number of days for which the user name stays reserved.
    username_hold: u64,
    /// Whether the session is not confirmed.
    asks_password: bool,
    errors: FormErrors<'a>,
}

/// `GET /account/close`
pub fn close_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let who = require_session(&state, &request, "/account/close").await?;
        Ok(who.map_or_else(|sign_in| sign_in, |who| show_close(&state, &who, None)))
    })
}

/// `POST /account/close`: the same as `closeAccount`, after a confirmation if necessary.
pub fn close_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let who = match require_session(&state, &request, "/account/close").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let again = FormResponder(|problem: &Problem| show_close(&state, &who, Some(problem)));
        let mut fields = Fields::read(&request, &mut body).await?;
        let password = fields.form_only("current_password").map(Password::new);
        if let Err(failure) = fields.finish() {
            return Ok(again.with(&failure.problem));
        }
        let session = match ConfirmedSession::of(&state, &request, password).await? {
            Ok(session) => session,
            Err(reason) => return Ok(again.ask_for_confirmation(reason)),
        };
        match state.domain.close(&session.who, &state.requester(&request)).await {
            Ok(true) => {
                let mut response = see_other("/signed-out");
                response.headers_mut().insert(header::SET_COOKIE, state.cookie.clearing());
                state.leave_notice(&mut response, Notice::AccountClosed);
                Ok(response)
            }
            Ok(false) => Err(state.session_refused(RefusedToken::Recent).into()),
            Err(fault) => Ok(session.set_cookie_in(again.internal_error(fault))),
        }
    })
}

fn show_close(state: &AppState, who: &AuthenticatedSession, problem: Option<&Problem>) -> Response {
    let asks_password = asks_password(state, who, problem);
    let page = ClosePage {
        site: &state.site,
        username: who.account.username.as_str(),
        username_hold: state.domain.rules.username_hold.as_secs().div_ceil(SECONDS_A_DAY),
        asks_password,
        errors: FormErrors {
            problem,
            fields: if asks_password { &["current_password"] } else { &[] },
        },
    };
    render(FormErrors::status(problem), &page)
}
