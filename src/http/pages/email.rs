//! The page `/account/email`.

use std::sync::Arc;

use askama::Template;
use poem::Response;
use poem::endpoint::BoxEndpoint;

use super::branding::Branding;
use super::confirmation::{ConfirmedSession, asks_password};
use super::endpoints::{form, page};
use super::form_errors::{FormErrors, FormResponder};
use super::notice::Notice;
use super::render::{render, see_other};
use super::sign_in::shorten;
use super::visitor::require_session;
use crate::core::email_address::EmailAddress;
use crate::core::secret::Password;
use crate::domain::email_addresses::{ConfirmEmailError, RequestEmailError};
use crate::domain::sessions::{AuthenticatedSession, RefusedToken};
use crate::http::api::email::EmailChange;
use crate::http::api::field_errors::about_email;
use crate::http::problem::{Code, Problem};
use crate::http::request::fields::Fields;
use crate::http::request::query::query;
use crate::http::state::AppState;

#[derive(Template)]
#[template(path = "pages/email.html")]
struct EmailPage<'a> {
    site: &'a Branding,
    username: &'a str,
    email: Option<&'a str>,
    unconfirmed: Option<&'a str>,
    /// Whether the service sends mail.
    has_mail: bool,
    /// The values of the fields.
    typed: &'a str,
    code: &'a str,
    /// A message about what was just done.
    done: Option<&'static str>,
    /// Whether the session is not confirmed.
    asks_password: bool,
    errors: FormErrors<'a>,
    /// The field that gets the focus.
    focus: &'static str,
}

/// What the page shows in addition to the account.
#[derive(Clone, Copy, Default)]
struct Shown<'a> {
    typed: Option<&'a str>,
    code: &'a str,
    done: Option<&'static str>,
    /// What is wrong with the form that was sent.
    problem: Option<&'a Problem>,
}

/// `GET /account/email`. The link in a mail fills the code in, and the user sends the form: programs
/// that follow links, such as virus scanners, confirm nothing.
pub fn email_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let here = request.uri().path_and_query().map_or("/account/email", |here| here.as_str());
        let here = state.apps.next(here).unwrap_or_else(|| "/account/email".to_owned());
        let who = match require_session(&state, &request, &here).await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let notice = state.notice(&request);
        let done = (notice == Some(Notice::EmailChangeRequested)).then_some(
            "A mail with a code is on its way, unless too many were sent to this address lately.",
        );
        let code = query(&request, "code").map(|code| shorten(&code)).unwrap_or_default();
        let mut response =
            show_email(&state, &who, Shown { code: &code, done, ..Shown::default() });
        state.clear_notice(&mut response, notice);
        Ok(response)
    })
}

/// `POST /account/email`: the same as `changeEmail`, after a confirmation if necessary.
pub fn email_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let who = match require_session(&state, &request, "/account/email").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let mut fields = Fields::read(&request, &mut body).await?;
        let typed = shorten(fields.peek("email").unwrap_or_default());
        let again = FormResponder(|problem: &Problem| {
            let typed = Some(typed.as_str());
            show_email(&state, &who, Shown { typed, problem: Some(problem), ..Shown::default() })
        });
        let email = fields.text("email");
        let password = fields.form_only("current_password").map(Password::new);
        if let Err(failure) = fields.finish() {
            return Ok(again.with(&failure.problem));
        }
        let address = match (EmailChange { email }).parse() {
            Ok(address) => address,
            Err(bad) => {
                let problem = Problem::of(Code::PolicyViolation);
                return Ok(again.with(&problem.with_errors(vec![about_email(bad)])));
            }
        };
        let session = match ConfirmedSession::of(&state, &request, password).await? {
            Ok(session) => session,
            Err(reason) => return Ok(again.ask_for_confirmation(reason)),
        };
        let requester = state.requester(&request);
        let outcome =
            state.domain.email_addresses.request_change(&session.who, address, &requester).await;
        let response = match outcome {
            Ok(()) => {
                let mut response = see_other("/account/email");
                state.leave_notice(&mut response, Notice::EmailChangeRequested);
                response
            }
            Err(RequestEmailError::MailOff) => again.of(Code::MailOff),
            Err(RequestEmailError::TooManyAttempts { wait }) => again.later(wait),
            Err(RequestEmailError::Ended) => {
                return Err(state.session_refused(RefusedToken::Recent).into());
            }
            Err(RequestEmailError::Internal(fault)) => again.internal_error(fault),
        };
        Ok(session.set_cookie_in(response))
    })
}

/// `POST /account/email/confirm`: the same as `confirmEmail`.
pub fn confirm_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let who = match require_session(&state, &request, "/account/email").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let mut fields = Fields::read(&request, &mut body).await?;
        let code = fields.text("code");
        let shown = shorten(&code);
        let again = FormResponder(|problem: &Problem| {
            let problem = Some(problem);
            show_email(&state, &who, Shown { code: &shown, problem, ..Shown::default() })
        });
        if let Err(failure) = fields.finish() {
            return Ok(again.with(&failure.problem));
        }
        let requester = state.requester(&request);
        Ok(match state.domain.email_addresses.confirm(&who, &code, &requester).await {
            Ok(_) => {
                let mut response = see_other("/account");
                state.leave_notice(&mut response, Notice::EmailConfirmed);
                response
            }
            Err(ConfirmEmailError::CodeRefused) => again.of(Code::CodeRefused),
            Err(ConfirmEmailError::Taken) => again.of(Code::EmailTaken),
            Err(ConfirmEmailError::TooManyAttempts { wait }) => again.later(wait),
            Err(ConfirmEmailError::Internal(fault)) => again.internal_error(fault),
        })
    })
}

fn show_email(state: &AppState, who: &AuthenticatedSession, shown: Shown<'_>) -> Response {
    let account = &who.account;
    let [email, unconfirmed] = [&account.email, &account.unconfirmed_email]
        .map(|address| address.as_ref().map(EmailAddress::as_str));
    let asks_password = asks_password(state, who, shown.problem);
    let fields: &[_] = match (shown.problem, asks_password) {
        (None, _) => &[],
        (Some(_), false) => &["code", "email"],
        (Some(_), true) => &["code", "email", "current_password"],
    };
    let errors = FormErrors { problem: shown.problem, fields };
    let first = if unconfirmed.is_some() { "code" } else { "email" };
    let page = EmailPage {
        site: &state.site,
        username: account.username.as_str(),
        email,
        unconfirmed,
        has_mail: state.domain.outbox.has_server(),
        typed: shown.typed.or(unconfirmed).unwrap_or_default(),
        code: shown.code,
        done: shown.done,
        asks_password,
        errors,
        focus: errors.first_wrong().unwrap_or(first),
    };
    render(FormErrors::status(shown.problem), &page)
}
