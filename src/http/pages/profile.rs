//! The page `/account/name`.

use std::sync::Arc;

use askama::Template;
use poem::Response;
use poem::endpoint::BoxEndpoint;

use super::branding::Branding;
use super::endpoints::{form, page};
use super::form_errors::{FormErrors, FormResponder};
use super::notice::Notice;
use super::render::{render, see_other};
use super::sign_in::shorten;
use super::visitor::require_session;
use crate::core::display_names::DisplayName;
use crate::domain::profile::UpdateProfileError;
use crate::domain::sessions::AuthenticatedSession;
use crate::http::api::field_errors::about_display_name;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::request_context;
use crate::http::request::fields::Fields;
use crate::http::state::AppState;

#[derive(Template)]
#[template(path = "pages/name.html")]
struct NamePage<'a> {
    site: &'a Branding,
    username: &'a str,
    /// The value of the field: the present name, or the one that was refused.
    display_name: &'a str,
    errors: FormErrors<'a>,
}

/// `GET /account/name`
pub fn name_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let who = require_session(&state, &request, "/account/name").await?;
        Ok(who.map_or_else(
            |sign_in| sign_in,
            |who| {
                let present = who.account.display_name.as_ref().map_or("", DisplayName::as_str);
                show_name(&state, &who, present, None)
            },
        ))
    })
}

/// `POST /account/name`: the same as `updateMe`.
pub fn name_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let who = match require_session(&state, &request, "/account/name").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let mut fields = Fields::read(&request, &mut body).await?;
        let typed = shorten(fields.peek("display_name").unwrap_or_default());
        let again =
            FormResponder(|problem: &Problem| show_name(&state, &who, &typed, Some(problem)));
        let text = fields.text("display_name");
        if let Err(failure) = fields.finish() {
            return Ok(again.with(&failure.problem));
        }
        let display_name = match DisplayName::parse(&text) {
            Ok(display_name) => display_name,
            Err(bad) => {
                let errors = vec![about_display_name(bad)];
                return Ok(again.with(&Problem::of(Code::PolicyViolation).with_errors(errors)));
            }
        };
        let context = request_context(&request);
        match state.domain.profiles.set_display_name(&who, display_name, &context).await {
            Ok(_) => {
                let mut response = see_other("/account");
                state.leave_notice(&mut response, Notice::ProfileUpdated);
                Ok(response)
            }
            Err(UpdateProfileError::TooManyAttempts { wait }) => Ok(again.later(wait)),
            Err(UpdateProfileError::Internal(fault)) => Ok(again.internal_error(fault)),
        }
    })
}

fn show_name(
    state: &AppState,
    who: &AuthenticatedSession,
    display_name: &str,
    problem: Option<&Problem>,
) -> Response {
    let page = NamePage {
        site: &state.site,
        username: who.account.username.as_str(),
        display_name,
        errors: FormErrors { problem, fields: &["display_name"] },
    };
    render(FormErrors::status(problem), &page)
}
