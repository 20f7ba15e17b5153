//! Forms that require a confirmed session, and the page `/account/confirm`.
//!
//! A form has a field for the password if the session is not confirmed. It then confirms the session
//! and completes its action in one request.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderValue, header};
use poem::{Request, Response};

use super::branding::Branding;
use super::endpoints::{form, page};
use super::form_errors::{FormErrors, FormResponder};
use super::render::{render, see_other};
use super::visitor::require_session;
use crate::core::secret::Password;
use crate::domain::credentials::ConfirmError;
use crate::domain::login::LogInError;
use crate::domain::sessions::{AuthenticatedSession, RefusedToken};
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::fields::Fields;
use crate::http::request::query::query;
use crate::http::state::AppState;

/// The session of a form, which is confirmed.
pub struct ConfirmedSession {
    pub who: Arc<AuthenticatedSession>,
    /// The new cookie, if the form has confirmed the session.
    cookie: Option<HeaderValue>,
}

/// Why the session of a form is not confirmed.
pub enum Unconfirmed {
    /// The form has no password, because the session was confirmed when the page was shown.
    PasswordMissing,
    NotVerified(LogInError),
}

impl ConfirmedSession {
    /// Confirms the session of a form with its password. If the form has none, the session must be
    /// confirmed already.
    pub async fn of(
        state: &AppState,
        request: &Request,
        password: Option<Password>,
    ) -> Result<Result<Self, Unconfirmed>, ApiError> {
        let who = state.signed_in_uncached(request).await?;
        let Some(password) = password else {
            let is_confirmed = state.is_confirmed(&who);
            let session = Self { who, cookie: None };
            return Ok(if is_confirmed { Ok(session) } else { Err(Unconfirmed::PasswordMissing) });
        };
        let requester = state.requester(request);
        Ok(match state.domain.confirm_with_password(&who, password, &requester).await {
            Ok(issued) => Ok(Self { who, cookie: Some(state.session_cookie_header(&issued)) }),
            Err(ConfirmError::NotVerified(error)) => Err(Unconfirmed::NotVerified(error)),
            Err(ConfirmError::Ended) => return Err(state.session_refused(RefusedToken::Recent)),
        })
    }

    /// Sets the new cookie, whatever came of the form's action.
    pub fn set_cookie_in(self, mut response: Response) -> Response {
        if let Some(cookie) = self.cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Whether a form asks for the password: if the session is not confirmed, or if the password in the
/// form was wrong.
pub fn asks_password(
    state: &AppState,
    who: &AuthenticatedSession,
    problem: Option<&Problem>,
) -> bool {
    let is_wrong = |problem: &Problem| problem.code.0 == Code::InvalidCredentials.name();
    !state.is_confirmed(who) || problem.is_some_and(is_wrong)
}

impl<F: Fn(&Problem) -> Response> FormResponder<F> {
    /// The response if the session could not be confirmed.
    pub fn ask_for_confirmation(&self, reason: Unconfirmed) -> Response {
        match reason {
            Unconfirmed::PasswordMissing => {
                let detail = "Enter your password to confirm that it is you.".to_owned();
                self.with(&Problem { detail, ..Problem::of(Code::ConfirmationRequired) })
            }
            Unconfirmed::NotVerified(error) => self.after(error),
        }
    }
}

#[derive(Template)]
#[template(path = "pages/confirm.html")]
struct ConfirmPage<'a> {
    site: &'a Branding,
    username: &'a str,
    /// The path that the page leads to.
    next: &'a str,
    errors: FormErrors<'a>,
}

/// `GET /account/confirm`: asks for the password, and leads to the path `next`. Without a session,
/// the sign-in page leads there, because a sign-in counts as a confirmation.
pub fn confirm_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let next = next_path(&state, query(&request, "next"));
        let who = require_session(&state, &request, &next).await?;
        Ok(who.map_or_else(|sign_in| sign_in, |who| show_confirm(&state, &who, (&next, None))))
    })
}

/// `POST /account/confirm`: the same as `confirmWithPassword`.
pub fn confirm_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let mut fields = Fields::read(&request, &mut body).await?;
        let next = next_path(&state, fields.form_only("next"));
        let who = match require_session(&state, &request, &next).await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let again =
            FormResponder(|problem: &Problem| show_confirm(&state, &who, (&next, Some(problem))));
        let password = fields.password("current_password");
        if let Err(failure) = fields.finish() {
            return Ok(again.with(&failure.problem));
        }
        Ok(match ConfirmedSession::of(&state, &request, Some(password)).await? {
            Ok(session) => session.set_cookie_in(see_other(&next)),
            Err(reason) => again.ask_for_confirmation(reason),
        })
    })
}

/// A path of this service. The page leads to no app, because the confirmation counts only here.
fn next_path(state: &AppState, next: Option<String>) -> String {
    let next = next.filter(|next| next.starts_with('/')).and_then(|next| state.apps.next(&next));
    next.unwrap_or_else(|| "/account".to_owned())
}

fn show_confirm(
    state: &AppState,
    who: &AuthenticatedSession,
    (next, problem): (&str, Option<&Problem>),
) -> Response {
    let username = who.account.username.as_str();
    let errors = FormErrors { problem, fields: &["current_password"] };
    let page = ConfirmPage { site: &state.site, username, next, errors };
    render(FormErrors::status(problem), &page)
}
