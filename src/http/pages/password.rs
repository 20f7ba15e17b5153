//! The page `/account/password`.

use std::sync::Arc;

use askama::Template;
use poem::Response;
use poem::endpoint::BoxEndpoint;

use super::branding::Branding;
use super::endpoints::{form, page};
use super::form_errors::{FormErrors, FormResponder};
use super::notice::Notice;
use super::render::{render, see_other};
use super::visitor::require_session;
use crate::domain::credentials::ChangeError;
use crate::domain::sessions::{AuthenticatedSession, Remember};
use crate::http::api::accounts::PasswordChange;
use crate::http::api::field_errors::about_password;
use crate::http::problem::{Code, Problem};
use crate::http::request::body::read;
use crate::http::state::AppState;

#[derive(Template)]
#[template(path = "pages/password.html")]
struct PasswordPage<'a> {
    site: &'a Branding,
    username: &'a str,
    errors: FormErrors<'a>,
    min_length: usize,
    /// Whether the operator allows API tokens.
    has_api_tokens: bool,
}

impl PasswordPage<'_> {
    fn is_focused(&self, field: &str) -> bool {
        self.errors.first_wrong().unwrap_or("current_password") == field
    }
}

/// `GET /account/password`
pub fn password_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let who = require_session(&state, &request, "/account/password").await?;
        Ok(who.map_or_else(|sign_in| sign_in, |who| show_password(&state, &who, None)))
    })
}

/// `POST /account/password`: the same as `changePassword`.
pub fn password_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let who = match require_session(&state, &request, "/account/password").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let again = FormResponder(|problem: &Problem| show_password(&state, &who, Some(problem)));
        let PasswordChange { current_password, new_password } =
            match read::<PasswordChange>(&request, &mut body).await {
                Ok(view) => view,
                Err(failure) => return Ok(again.with(&failure.problem)),
            };
        let login_context = state.login_context(&request, who.session.remember == Remember::Yes);
        match state
            .domain
            .change_password(&who, current_password.0, new_password.0, login_context)
            .await
        {
            Ok(issued) => {
                let mut response = see_other("/account");
                state.set_session_cookies(&mut response, &issued);
                state.leave_notice(&mut response, Notice::PasswordChanged);
                Ok(response)
            }
            Err(ChangeError::Invalid(bad)) => {
                let errors = vec![about_password("new_password", bad)];
                Ok(again.with(&Problem::of(Code::PolicyViolation).with_errors(errors)))
            }
            Err(ChangeError::NotVerified(error)) => Ok(again.after(error)),
        }
    })
}

fn show_password(
    state: &AppState,
    who: &AuthenticatedSession,
    problem: Option<&Problem>,
) -> Response {
    let page = PasswordPage {
        site: &state.site,
        username: who.account.username.as_str(),
        errors: FormErrors { problem, fields: &["current_password", "new_password"] },
        min_length: state.domain.rules.passwords.min_length,
        has_api_tokens: state.domain.api_tokens.are_allowed(),
    };
    render(FormErrors::status(problem), &page)
}
