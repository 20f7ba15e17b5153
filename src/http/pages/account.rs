//! The pages of somebody's own account: `/account`, its sessions, its password, its end.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::BoxEndpoint;
use poem::http::header;
use poem::{Request, RequestBody, Response, Result};

use super::moment::Moment;
use super::notice::Notice;
use super::said::{Again, Said};
use super::session_list::SessionList;
use super::sign_in::query;
use super::site::Site;
use super::visitor::Visitor;
use super::{form, page, see_other, shown};
use crate::domain::accounts::ChangeError;
use crate::domain::sessions::{LogInError, Remember, RevokeError, SignedInAs};
use crate::http::api::accounts::{Closing, PasswordChange, about_password};
use crate::http::problem::{Code, Failure, Problem};
use crate::http::request::body::FromFields;
use crate::http::request::fields::Fields;
use crate::http::state::Front;

/// As many sessions are shown as an account may have.
const MOST_SHOWN: usize = 100;
const SECONDS_A_DAY: u64 = 86_400;

#[derive(Template)]
#[template(path = "pages/account.html")]
struct AccountPage<'a> {
    site: &'a Site,
    username: &'a str,
    /// The first letter of the name, in place of a picture.
    initial: String,
    created: Moment,
    sessions: SessionList,
    /// What was just done, in words.
    done: Option<&'static str>,
    /// Why it was not done, in words.
    problem: Option<&'a str>,
    has_docs: bool,
}

#[derive(Template)]
#[template(path = "pages/password.html")]
struct PasswordPage<'a> {
    site: &'a Site,
    username: &'a str,
    said: Said<'a>,
    fewest_chars: usize,
}

impl PasswordPage<'_> {
    fn is_focused(&self, field: &str) -> bool {
        self.said.first_wrong().unwrap_or("current_password") == field
    }
}

#[derive(Template)]
#[template(path = "pages/close.html")]
struct ClosePage<'a> {
    site: &'a Site,
    username: &'a str,
    /// For how many days nobody can register the user name again.
    username_hold: u64,
    said: Said<'a>,
}

/// `GET /account`: who is signed in, where else, and what to do about it.
pub fn account_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let who = match who(&front, &request, "/account").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let notice = front.notice(&request);
        let page = query(&request, "page").map_or(1, |page| page_number(&page));
        let what = Shown { page, done: notice.and_then(done_in_words), problem: None };
        let mut response = show_account(&front, &who, what).await?;
        front.clear_notice(&mut response, notice);
        Ok(response)
    })
}

/// What the page of the account shows beside the account itself.
struct Shown<'a> {
    /// The page of the list of sessions.
    page: usize,
    /// What was just done, in words.
    done: Option<&'static str>,
    /// Why it was not done.
    problem: Option<&'a Problem>,
}

async fn show_account(front: &Front, who: &SignedInAs, what: Shown<'_>) -> Result<Response> {
    let account = &who.account;
    let listed = front.domain.list_sessions(&account.id, None, MOST_SHOWN).await;
    let sessions = listed.map_err(Failure::from)?.sessions;
    let username = account.username.as_str();
    let page = AccountPage {
        site: &front.site,
        username,
        initial: username.chars().take(1).collect::<String>().to_uppercase(),
        created: Moment::day(account.created_at),
        sessions: SessionList::new(&who.session, sessions, what.page, front.domain.clock.now()),
        done: what.done,
        problem: what.problem.map(|problem| problem.detail.as_str()),
        has_docs: front.has_docs,
    };
    Ok(shown(Said::status(what.problem), &page))
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
        | Notice::AccountClosed => None, // and signed in again since
    }
}

/// The number of a page, of the first one if it is none.
fn page_number(text: &str) -> usize {
    text.parse().unwrap_or(1)
}

/// `POST /account/sessions`: ends one by its id, or `others`.
pub fn sessions_posted(front: &Arc<Front>) -> BoxEndpoint<'static> {
    form(front, |front, request, mut body| async move {
        let who = match who(&front, &request, "/account").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let mut fields = Fields::read(&request, &mut body).await?;
        let session = fields.text("session");
        let page = fields.form_only("page").map_or(1, |page| page_number(&page));
        fields.finish()?;
        let account = &who.account.id;
        let (ended, notice) = if session == "others" {
            let ended = front.domain.end_others(account, &who.session.id).await.map(drop);
            (ended, Notice::OtherSessionsRevoked)
        } else {
            // one that is not there has ended as well
            let ended = front.domain.revoke_own(account, &session).await.map(drop);
            (ended, Notice::SessionRevoked)
        };
        match ended {
            Ok(()) => {
                let mut response = match page {
                    0 | 1 => see_other("/account"),
                    page => see_other(&format!("/account?page={page}")),
                };
                front.leave_notice(&mut response, notice);
                Ok(response)
            }
            Err(RevokeError::TooManyAttempts { wait }) => {
                let (problem, seconds) = Problem::too_many_attempts(wait);
                let what = Shown { page, done: None, problem: Some(&problem) };
                let mut response = show_account(&front, &who, what).await?;
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
                Ok(response)
            }
            Err(RevokeError::Fault(fault)) => Err(Failure::from(fault).into()),
        }
    })
}

/// `GET /account/password`
pub fn password_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let who = who(&front, &request, "/account/password").await?;
        Ok(who.map_or_else(|sign_in| sign_in, |who| show_password(&front, &who, None)))
    })
}

/// `POST /account/password`: what `changePassword` does.
pub fn password_posted(front: &Arc<Front>) -> BoxEndpoint<'static> {
    form(front, |front, request, mut body| async move {
        let who = match who(&front, &request, "/account/password").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let again = Again(|problem: &Problem| show_password(&front, &who, Some(problem)));
        let PasswordChange { current_password, new_password } =
            match read::<PasswordChange>(&request, &mut body).await {
                Ok(view) => view,
                Err(failure) => return Ok(again.with(&failure.problem)),
            };
        let rules = &front.domain.rules.passwords;
        let new = rules.check(&new_password.0, Some(&who.account.username));
        let wishes = front.wishes(&request, who.session.remember == Remember::Yes);
        match front.domain.change_password(&who, current_password.0, new, wishes).await {
            Ok(ticket) => {
                let mut response = see_other("/account");
                front.hand_out(&mut response, &ticket);
                front.leave_notice(&mut response, Notice::PasswordChanged);
                Ok(response)
            }
            Err(ChangeError::Unfit(bad)) => {
                let errors = vec![about_password("new_password", bad)];
                Ok(again.with(&Problem::of(Code::PolicyViolation).with_errors(errors)))
            }
            Err(ChangeError::NotVerified(error)) => Ok(again.after(error)),
        }
    })
}

fn show_password(front: &Front, who: &SignedInAs, problem: Option<&Problem>) -> Response {
    let page = PasswordPage {
        site: &front.site,
        username: who.account.username.as_str(),
        said: Said { problem, places: &["current_password", "new_password"] },
        fewest_chars: front.domain.rules.passwords.fewest_chars,
    };
    shown(Said::status(problem), &page)
}

/// `GET /account/close`
pub fn close_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let who = who(&front, &request, "/account/close").await?;
        Ok(who.map_or_else(|sign_in| sign_in, |who| show_close(&front, &who, None)))
    })
}

/// `POST /account/close`: what `closeAccount` does.
pub fn close_posted(front: &Arc<Front>) -> BoxEndpoint<'static> {
    form(front, |front, request, mut body| async move {
        let who = match who(&front, &request, "/account/close").await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let again = Again(|problem: &Problem| show_close(&front, &who, Some(problem)));
        let Closing { current_password } = match read::<Closing>(&request, &mut body).await {
            Ok(view) => view,
            Err(failure) => return Ok(again.with(&failure.problem)),
        };
        let caller = front.caller(&request);
        let closed: Result<(), LogInError> =
            front.domain.close(&who, current_password.0, &caller).await;
        if let Err(error) = closed {
            return Ok(again.after(error));
        }
        let mut response = see_other("/signed-out");
        response.headers_mut().insert(header::SET_COOKIE, front.cookie.clearing());
        front.leave_notice(&mut response, Notice::AccountClosed);
        Ok(response)
    })
}

fn show_close(front: &Front, who: &SignedInAs, problem: Option<&Problem>) -> Response {
    let page = ClosePage {
        site: &front.site,
        username: who.account.username.as_str(),
        username_hold: front.domain.rules.username_hold.as_secs().div_ceil(SECONDS_A_DAY),
        said: Said { problem, places: &["current_password"] },
    };
    shown(Said::status(problem), &page)
}

/// Who is signed in; for everybody else the way to the sign-in page, which leads back `here`.
async fn who(
    front: &Front,
    request: &Request,
    here: &str,
) -> Result<std::result::Result<Arc<SignedInAs>, Response>> {
    Ok(match Visitor::of(front, request).await? {
        Visitor::SignedIn(who) => Ok(who),
        Visitor::Anonymous(stale) => {
            Err(stale.delete_in(see_other(&format!("/login?next={here}"))))
        }
    })
}

async fn read<T: FromFields>(request: &Request, body: &mut RequestBody) -> Result<T, Failure> {
    let mut fields = Fields::read(request, body).await?;
    let view = T::from_fields(&mut fields);
    fields.finish().map(|()| view)
}
