//! The page `/account` with its list of sessions.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::BoxEndpoint;
use poem::http::header;
use poem::{Response, Result};

use super::branding::Branding;
use super::endpoints::{form, page};
use super::form_errors::FormErrors;
use super::notice::Notice;
use super::page_time::PageTime;
use super::render::{render, see_other};
use super::session_list::SessionList;
use super::visitor::require_session;
use crate::domain::sessions::AuthenticatedSession;
use crate::domain::sessions::lifecycle::RevokeError;
use crate::http::problem::{ApiError, Problem};
use crate::http::request::context::request_context;
use crate::http::request::fields::Fields;
use crate::http::request::query::query;
use crate::http::state::AppState;

/// The maximum number of sessions of an account.
const MAX_LISTED: usize = 100;
#[derive(Template)]
#[template(path = "pages/account.html")]
struct AccountPage<'a> {
    site: &'a Branding,
    username: &'a str,
    /// The first letter of the user name, instead of a picture.
    initial: String,
    created: PageTime,
    sessions: SessionList,
    /// A message about what was just done.
    done: Option<&'static str>,
    /// A message about why it was not done.
    problem: Option<&'a str>,
    has_docs: bool,
}

/// `GET /account`: the account, its sessions, and the actions on them.
pub fn account_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let who = match require_session(&state, &request, "/account").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let notice = state.notice(&request);
        let page = query(&request, "page").map_or(1, |page| page_number(&page));
        let what = Shown { page, done: notice.and_then(done_in_words), problem: None };
        let mut response = show_account(&state, &who, what).await?;
        state.clear_notice(&mut response, notice);
        Ok(response)
    })
}

/// What the account page shows in addition to the account.
struct Shown<'a> {
    /// The page number of the list of sessions.
    page: usize,
    /// A message about what was just done.
    done: Option<&'static str>,
    /// Why it was not done.
    problem: Option<&'a Problem>,
}

async fn show_account(
    state: &AppState,
    who: &AuthenticatedSession,
    what: Shown<'_>,
) -> Result<Response> {
    let account = &who.account;
    let listed = state.domain.sessions.list_sessions(&account.id, None, MAX_LISTED).await;
    let sessions = listed.map_err(ApiError::from)?.sessions;
    let username = account.username.as_str();
    let page = AccountPage {
        site: &state.site,
        username,
        initial: username.chars().take(1).collect::<String>().to_uppercase(),
        created: PageTime::day(account.created_at),
        sessions: SessionList::new(&who.session, sessions, what.page, state.domain.clock.now()),
        done: what.done,
        problem: what.problem.map(|problem| problem.detail.as_str()),
        has_docs: state.has_docs,
    };
    Ok(render(FormErrors::status(what.problem), &page))
}

fn done_in_words(notice: Notice) -> Option<&'static str> {
    match notice {
        Notice::PasswordChanged => {
            Some("Your password was changed. You are signed out everywhere else.")
        }
        Notice::SessionRevoked => Some("The session was signed out."),
        Notice::OtherSessionsRevoked => Some("You are signed out everywhere else."),
        Notice::SignedOut
        | Notice::SignedOutAndForgotten
        | Notice::Forgotten
        | Notice::AccountClosed => None, // a new session has begun since then
    }
}

/// Parses a page number. The default is 1.
fn page_number(text: &str) -> usize {
    text.parse().unwrap_or(1)
}

/// `POST /account/sessions`: ends the session with an id, or all `others`.
pub fn sessions_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let who = match require_session(&state, &request, "/account").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let mut fields = Fields::read(&request, &mut body).await?;
        let session = fields.text("session");
        let page = fields.form_only("page").map_or(1, |page| page_number(&page));
        fields.finish()?;
        let (account, sessions) = (&who.account.id, &state.domain.sessions);
        let context = request_context(&request);
        let (ended, notice) = if session == "others" {
            let ended = sessions.revoke_others(account, &who.session.id, &context).await.map(drop);
            (ended, Notice::OtherSessionsRevoked)
        } else {
            // A session that does not exist counts as ended.
            let ended = sessions.revoke_own(account, &session, &context).await.map(drop);
            (ended, Notice::SessionRevoked)
        };
        match ended {
            Ok(()) => {
                let mut response = match page {
                    0 | 1 => see_other("/account"),
                    page => see_other(&format!("/account?page={page}")),
                };
                state.leave_notice(&mut response, notice);
                Ok(response)
            }
            Err(RevokeError::TooManyAttempts { wait }) => {
                let (problem, seconds) = Problem::too_many_attempts(wait);
                let what = Shown { page, done: None, problem: Some(&problem) };
                let mut response = show_account(&state, &who, what).await?;
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                Ok(response)
            }
            Err(RevokeError::Internal(fault)) => Err(ApiError::from(fault).into()),
        }
    })
}
