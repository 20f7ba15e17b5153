//! The page `/register`.

use std::sync::Arc;

use poem::Response;
use poem::endpoint::BoxEndpoint;
use poem::http::StatusCode;

use super::endpoints::{Shared, page, shared_form};
use super::form_errors::FormResponder;
use super::next_step::NextStep;
use super::problem_page::ProblemPage;
use super::render::render;
use super::sign_in::{
    SignInPage, cookies_blocked, read_submitted, shorten, show_again, signed_in as leave_signed_in,
};
use super::visitor::{Visitor, refuse_conflicting_cookies};
use crate::domain::accounts::Registration;
use crate::domain::registration::RegisterError;
use crate::http::api::field_errors::field_errors;
use crate::http::api::registration::NewAccountView;
use crate::http::problem::{Code, Problem};
use crate::http::request::query::query;
use crate::http::state::AppState;

/// `GET /register`. A signed-in user sees a hint, and may still create another account.
pub fn register_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let visitor = Visitor::of(&state, &request).await?;
        if state.domain.rules.registration == Registration::Closed {
            return Ok(show_closed(&state, visitor.username()));
        }
        let next = query(&request, "next").and_then(|next| state.apps.next(&next));
        let next = next.as_deref();
        let invite = query(&request, "invite").map(|invite| shorten(&invite));
        let empty = SignInPage::empty(&state, true, next);
        let invite = empty.invite.map(|none| invite.as_deref().unwrap_or(none));
        let signed_in = visitor.username();
        let page = render(StatusCode::OK, &SignInPage { signed_in, invite, ..empty });
        Ok(visitor.delete_stale_cookie_in(state.check_cookies(&request, page)))
    })
}

/// `POST /register` from a browser.
pub fn register_posted(state: &Arc<AppState>) -> Shared {
    shared_form(state, |state, request, mut body| async move {
        refuse_conflicting_cookies(&state, &request)?;
        let (posted, fields) =
            read_submitted::<NewAccountView>(&state.apps, &request, &mut body).await;
        let who = state.signed_in(&request).await.ok();
        let username = who.as_ref().map(|who| who.account.username.as_str());
        let again = FormResponder(|problem: &Problem| {
            let page = SignInPage::empty(&state, true, posted.next.as_deref());
            let page = SignInPage { signed_in: username, ..page };
            state.check_cookies(&request, show_again(page, &posted, problem))
        });
        let login_context = state.login_context(&request, posted.remember);
        if !posted.has_working_cookies(&state, &request) {
            return Ok(again.with(&cookies_blocked()));
        }
        let application = match fields {
            Ok(view) => view.parse(),
            Err(failure) => return Ok(again.with(&failure.problem)),
        };
        match state.domain.register(application, login_context).await {
            Ok((_, issued)) => leave_signed_in(&state, &request, &posted, &issued).await,
            Err(RegisterError::Closed) => Ok(show_closed(&state, username)),
            Err(RegisterError::NotInvited) => Ok(again.of(Code::InviteRefused)),
            Err(RegisterError::MailOff) => Ok(again.of(Code::MailOff)),
            Err(RegisterError::UsernameTaken) => Ok(again.of(Code::UsernameTaken)),
            Err(RegisterError::Invalid(bad)) => {
                let problem = Problem::of(Code::PolicyViolation);
                Ok(again.with(&problem.with_errors(field_errors(bad))))
            }
            Err(RegisterError::TooManyAttempts { wait }) => Ok(again.later(wait)),
            Err(RegisterError::Overloaded) => Ok(again.of(Code::Overloaded)),
            Err(RegisterError::Internal(fault)) => Ok(again.internal_error(fault)),
        }
    })
}

/// Shown instead of the form, because submitting it would fail.
fn show_closed(state: &AppState, signed_in: Option<&str>) -> Response {
    let closed = Problem::of(Code::RegistrationClosed);
    let next_step = Some(match signed_in {
        Some(_) => NextStep::account(),
        None => NextStep::sign_in(None),
    });
    let page = ProblemPage { next_step, ..ProblemPage::of(&state.site, &closed) };
    render(StatusCode::FORBIDDEN, &page)
}
