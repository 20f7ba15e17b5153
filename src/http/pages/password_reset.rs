//! The pages for a forgotten password: `/password-reset`, and those of the link.

use std::sync::Arc;

use askama::Template;
use poem::Response;
use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderValue, StatusCode, header};

use super::branding::Branding;
use super::endpoints::{Shared, page, shared_form};
use super::form_errors::{FormErrors, FormResponder};
use super::notice::Notice;
use super::render::{render, see_other};
use super::sign_in::shorten;
use crate::core::mailed_secret::ResetToken;
use crate::domain::recovery::RecoverError;
use crate::domain::reset_links::RequestResetError;
use crate::http::api::field_errors::about_password;
use crate::http::api::password_reset::{PasswordReset, PasswordResetRequest};
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::FromFields;
use crate::http::request::fields::Fields;
use crate::http::request::query::query;
use crate::http::state::AppState;

/// The URL of the page of a link contains its token. No request that this page causes names it, not
/// even one for a file of this service. With `no-referrer`, browsers would send `Origin: null` with
/// the form.
const LINK_REFERRER_POLICY: HeaderValue = HeaderValue::from_static("strict-origin");

/// The form that requests a link.
#[derive(Template)]
#[template(path = "pages/password_reset.html")]
struct RequestPage<'a> {
    site: &'a Branding,
    /// Whether the service sends mail.
    has_mail: bool,
    username: &'a str,
    errors: FormErrors<'a>,
}

/// The pages after a form.
#[derive(Template)]
#[template(path = "pages/password_reset_done.html")]
struct DonePage<'a> {
    site: &'a Branding,
    /// Whether the new password is set. Otherwise a link was requested.
    is_set: bool,
}

/// The form with the new password.
#[derive(Template)]
#[template(path = "pages/new_password.html")]
struct NewPasswordPage<'a> {
    site: &'a Branding,
    token: &'a str,
    /// The user name, for password managers and people with several accounts.
    username: &'a str,
    min_length: usize,
    errors: FormErrors<'a>,
}

/// `GET /password-reset`
pub fn request_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, _| async move { Ok(show_request(&state, "", None)) })
}

/// `POST /password-reset` from a browser: the same as `requestPasswordReset`.
pub fn request_posted(state: &Arc<AppState>) -> Shared {
    shared_form(state, |state, request, mut body| async move {
        let mut fields = Fields::read(&request, &mut body).await?;
        let typed = shorten(fields.peek("username").unwrap_or_default());
        let again = FormResponder(|problem: &Problem| show_request(&state, &typed, Some(problem)));
        let view = PasswordResetRequest::from_fields(&mut fields);
        let name = match fields.finish().and_then(|()| view.check()) {
            Ok(name) => name,
            Err(failure) => return Ok(again.with(&failure.problem)),
        };
        let requester = state.requester(&request);
        Ok(match state.domain.reset_links.request(&name, &requester).await {
            Ok(()) => {
                let mut response = see_other("/password-reset/done");
                state.leave_notice(&mut response, Notice::PasswordResetRequested);
                response
            }
            Err(RequestResetError::MailOff) => again.of(Code::MailOff),
            Err(RequestResetError::TooManyAttempts { wait }) => again.later(wait),
            Err(RequestResetError::Internal(fault)) => again.internal_error(fault),
        })
    })
}

/// `GET /password-reset/done`: says what a form did. Without a notice nothing is claimed, and the
/// visitor signs in.
pub fn done_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let notice = state.notice(&request);
        let is_set = match notice {
            Some(Notice::PasswordResetRequested) => false,
            Some(Notice::PasswordRecovered) => true,
            Some(_) | None => return Ok(see_other("/login")),
        };
        let mut response = render(StatusCode::OK, &DonePage { site: &state.site, is_set });
        state.clear_notice(&mut response, notice);
        Ok(response)
    })
}

/// `GET /password-reset/confirm`. The link does not change anything: the user sends the form, and
/// programs that follow links do not.
pub fn link_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let token = query(&request, "token").unwrap_or_default();
        Ok(show_link(&state, &token, None).await?)
    })
}

/// `POST /password-reset/confirm` from a browser: the same as `resetPassword`.
pub fn link_posted(state: &Arc<AppState>) -> Shared {
    shared_form(state, |state, request, mut body| async move {
        let mut fields = Fields::read(&request, &mut body).await?;
        let PasswordReset { token, new_password } = PasswordReset::from_fields(&mut fields);
        if let Err(failure) = fields.finish() {
            return Ok(show_link(&state, &token, Some(*failure.problem)).await?);
        }
        let requester = state.requester(&request);
        let (parsed, new) = (ResetToken::parse(&token), new_password.0);
        let problem = match state.domain.recover_password(parsed, new, &requester).await {
            Ok(()) => {
                let mut response = see_other("/password-reset/done");
                state.leave_notice(&mut response, Notice::PasswordRecovered);
                return Ok(response);
            }
            Err(RecoverError::Refused) => Problem::of(Code::ResetRefused),
            Err(RecoverError::Invalid(bad)) => {
                let errors = vec![about_password("new_password", bad)];
                Problem::of(Code::PolicyViolation).with_errors(errors)
            }
            Err(RecoverError::TooManyAttempts { wait }) => {
                let (problem, seconds) = Problem::too_many_attempts(wait);
                let mut response = show_link(&state, &token, Some(problem)).await?;
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                return Ok(response);
            }
            Err(RecoverError::Overloaded) => Problem::of(Code::Overloaded),
            Err(RecoverError::Internal(fault)) => return Err(ApiError::from(fault).into()),
        };
        Ok(show_link(&state, &token, Some(problem)).await?)
    })
}

fn show_request(state: &AppState, username: &str, problem: Option<&Problem>) -> Response {
    let errors = FormErrors { problem, fields: &["username"] };
    let has_mail = state.domain.outbox.has_server();
    let page = RequestPage { site: &state.site, has_mail, username, errors };
    render(FormErrors::status(problem), &page)
}

/// Shows the form for a new password. The error is a page that says that the link is not valid.
async fn show_link(
    state: &AppState,
    token: &str,
    problem: Option<Problem>,
) -> Result<Response, ApiError> {
    let account = match ResetToken::parse(token) {
        Some(token) => state.domain.reset_links.find_account(&token).await?,
        None => None,
    };
    let account = account.ok_or_else(|| Problem::of(Code::ResetRefused))?;
    let problem = problem.as_ref();
    let page = NewPasswordPage {
        site: &state.site,
        token,
        username: account.username.as_str(),
        min_length: state.domain.rules.passwords.min_length,
        errors: FormErrors { problem, fields: &["new_password"] },
    };
    let again = FormResponder(|_: &Problem| render(FormErrors::status(problem), &page));
    let mut response = match problem {
        Some(problem) => again.with(problem),
        None => render(StatusCode::OK, &page),
    };
    response.headers_mut().insert(header::REFERRER_POLICY, LINK_REFERRER_POLICY);
    Ok(response)
}
