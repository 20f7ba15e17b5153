//! The page `/account` with its list of sessions.

use std::sync::Arc;

use askama::Template;
use poem::Response;
use poem::endpoint::BoxEndpoint;

use super::branding::Branding;
use super::confirmation::{ConfirmedSession, asks_password};
use super::endpoints::{form, page};
use super::form_errors::{FormErrors, FormResponder};
use super::notice::Notice;
use super::page_time::PageTime;
use super::render::{render, see_other};
use super::session_list::SessionList;
use super::visitor::require_session;
use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::core::secret::Password;
use crate::domain::api_tokens::MAX_API_TOKENS;
use crate::domain::sessions::lifecycle::RevokeError;
use crate::domain::sessions::{AuthenticatedSession, Session};
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
    display_name: Option<&'a str>,
    email: Option<&'a str>,
    /// What the link to the page of the address says, if the user can add an address or has one.
    email_hint: Option<&'static str>,
    /// The first letter of the name, instead of a picture.
    initial: String,
    created: PageTime,
    sessions: SessionList,
    /// A message about what was just done.
    done: Option<&'a str>,
    /// Whether the session is not confirmed, so that the forms ask for the password.
    asks_password: bool,
    /// What was to be signed out, if it was not done: the id of a session, or `others`.
    wanted: Option<&'a str>,
    /// Why it was not done.
    errors: FormErrors<'a>,
    /// Whether the operator allows API tokens.
    has_api_tokens: bool,
    has_docs: bool,
}

impl AccountPage<'_> {
    fn is_wanted(&self, session: impl AsRef<str>) -> bool {
        self.wanted == Some(session.as_ref())
    }

    /// What is wrong with the password in the form of this session.
    fn password_error(&self, session: impl AsRef<str>) -> Option<&str> {
        self.errors.wrong("current_password").filter(|_| self.is_wanted(session))
    }
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
        let sessions = list_sessions(&state, &who).await?;
        let mut done = notice.and_then(done_in_words).map(str::to_owned);
        if let (Some(done), Some(Notice::PasswordChanged)) = (&mut done, notice) {
            done.push_str(&kept_tokens_in_words(&state, &who).await?);
        }
        let shown = Shown { page, done: done.as_deref(), refused: None };
        let mut response = show_account(&state, &who, sessions, shown);
        state.clear_notice(&mut response, notice);
        Ok(response)
    })
}

/// What the account page shows in addition to the account.
#[derive(Clone, Copy)]
struct Shown<'a> {
    /// The page number of the list of sessions.
    page: usize,
    /// A message about what was just done.
    done: Option<&'a str>,
    /// What was to be signed out, and why it was not done.
    refused: Option<(&'a str, &'a Problem)>,
}

async fn list_sessions(
    state: &AppState,
    who: &AuthenticatedSession,
) -> Result<Vec<Session>, ApiError> {
    Ok(state.domain.sessions.list_sessions(&who.account.id, None, MAX_LISTED).await?.sessions)
}

fn show_account(
    state: &AppState,
    who: &AuthenticatedSession,
    sessions: Vec<Session>,
    shown: Shown<'_>,
) -> Response {
    let account = &who.account;
    let username = account.username.as_str();
    let display_name = account.display_name.as_ref().map(DisplayName::as_str);
    let (wanted, problem) = shown.refused.unzip();
    let asks_password = asks_password(state, who, problem);
    let fields: &[_] = if asks_password && problem.is_some() { &["current_password"] } else { &[] };
    let can_add_email = state.domain.outbox.has_server() || account.unconfirmed_email.is_some();
    let email_hint = match &account.email {
        Some(_) => Some("For signing in and for a forgotten password"),
        None => can_add_email.then_some("You have no confirmed address"),
    };
    let page = AccountPage {
        site: &state.site,
        username,
        display_name,
        email: account.email.as_ref().map(EmailAddress::as_str),
        email_hint,
        initial: initial_of(display_name.unwrap_or(username)),
        created: PageTime::day(account.created_at),
        sessions: SessionList::new(&who.session, sessions, shown.page, state.domain.clock.now()),
        done: shown.done,
        asks_password,
        wanted,
        errors: FormErrors { problem, fields },
        has_api_tokens: state.domain.api_tokens.are_allowed(),
        has_docs: state.has_docs,
    };
    render(FormErrors::status(problem), &page)
}

/// The first letter of a name.
fn initial_of(name: &str) -> String {
    name.chars().take(1).collect::<String>().to_uppercase()
}

fn done_in_words(notice: Notice) -> Option<&'static str> {
    match notice {
        Notice::PasswordChanged => {
            Some("Your password was changed. You are signed out everywhere else.")
        }
        Notice::ProfileUpdated => Some("Your display name was saved."),
        Notice::SessionRevoked => Some("The session was signed out."),
        Notice::OtherSessionsRevoked => Some("You are signed out everywhere else."),
        Notice::EmailConfirmed => Some("Your e-mail address was confirmed."),
        // A new session has begun since then, or another page shows the notice.
        Notice::EmailChangeRequested
        | Notice::SignedOut
        | Notice::SignedOutAndForgotten
        | Notice::Forgotten
        | Notice::AccountClosed
        | Notice::PasswordResetRequested
        | Notice::PasswordRecovered
        | Notice::ApiTokenRevoked => None,
    }
}

/// The sentence about the API tokens that a change of the password has kept, if there are any.
async fn kept_tokens_in_words(
    state: &AppState,
    who: &AuthenticatedSession,
) -> Result<String, ApiError> {
    let tokens = &state.domain.api_tokens;
    if !tokens.are_allowed() {
        return Ok(String::new());
    }
    let kept = tokens.list_own(&who.account.id, None, MAX_API_TOKENS).await?.tokens.len();
    Ok(match kept {
        0 => String::new(),
        1 => " Your API token keeps working.".to_owned(),
        _ => format!(" Your {kept} API tokens keep working."),
    })
}

/// Parses a page number. The default is 1.
fn page_number(text: &str) -> usize {
    text.parse().unwrap_or(1)
}

/// `POST /account/sessions`: ends the session with an id, or all `others`, after a confirmation if
/// necessary.
pub fn sessions_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let who = match require_session(&state, &request, "/account").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let mut fields = Fields::read(&request, &mut body).await?;
        let wanted = fields.text("session");
        let page = fields.form_only("page").map_or(1, |page| page_number(&page));
        let password = fields.form_only("current_password").map(Password::new);
        fields.finish()?;
        let listed = list_sessions(&state, &who).await?;
        let again = FormResponder(|problem: &Problem| {
            let shown = Shown { page, done: None, refused: Some((&wanted, problem)) };
            show_account(&state, &who, listed.clone(), shown)
        });
        let session = match ConfirmedSession::of(&state, &request, password).await? {
            Ok(session) => session,
            Err(reason) => return Ok(again.ask_for_confirmation(reason)),
        };
        let (account, sessions) = (&who.account.id, &state.domain.sessions);
        let context = request_context(&request);
        let (ended, notice) = if wanted == "others" {
            let ended = sessions.revoke_others(account, &who.session.id, &context).await.map(drop);
            (ended, Notice::OtherSessionsRevoked)
        } else {
            // A session that does not exist counts as ended.
            let ended = sessions.revoke_own(account, &wanted, &context).await.map(drop);
            (ended, Notice::SessionRevoked)
        };
        let response = match ended {
            Ok(()) => {
                let mut response = match page {
                    0 | 1 => see_other("/account"),
                    page => see_other(&format!("/account?page={page}")),
                };
                state.leave_notice(&mut response, notice);
                response
            }
            Err(RevokeError::TooManyAttempts { wait }) => again.later(wait),
            Err(RevokeError::Internal(fault)) => again.internal_error(fault),
        };
        Ok(session.set_cookie_in(response))
    })
}
