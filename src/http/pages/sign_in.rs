//! The pages around signing in: `/`, `/login`, `/register`, `/signed-out`, and their forms.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Request, RequestBody, Response, Result};

use super::apps::Apps;
use super::next_step::NextStep;
use super::notice::Notice;
use super::said::{Again, Said};
use super::signed_out::{Done, SignedOutPage};
use super::site::Site;
use super::visitor::{Visitor, refuse_conflicting_cookies};
use super::{ProblemPage, Shared, page, see_other, shared, shown};
use crate::domain::accounts::{RegisterError, Registration};
use crate::domain::sessions::Ticket;
use crate::http::api::accounts::{NewAccountView, unfit};
use crate::http::api::login::{CredentialsView, LogoutOptions};
use crate::http::cookie::Presented;
use crate::http::problem::{Code, Failure, Problem};
use crate::http::request::body::{FromFields, read_optional};
use crate::http::request::fields::Fields;
use crate::http::state::Front;

/// The form of `/login` and `/register`.
#[derive(Template)]
#[template(path = "pages/sign_in.html")]
struct SignInPage<'a> {
    site: &'a Site,
    is_registration: bool,
    /// Who may make an account: the page offers no way that is closed.
    registration: Registration,
    next: Option<&'a str>,
    /// The host of the app that `next` leads to.
    app: Option<String>,
    /// The user name of the session that registering would end.
    signed_in: Option<&'a str>,
    username: &'a str,
    remember: bool,
    /// The code of the invite that the form asks for, if it does.
    invite: Option<&'a str>,
    said: Said<'a>,
    /// Of a new password.
    fewest_chars: usize,
}

impl<'a> SignInPage<'a> {
    fn empty(front: &'a Front, is_registration: bool, next: Option<&'a str>) -> Self {
        let registration = front.domain.rules.registration;
        let takes_invite = is_registration && registration == Registration::Invite;
        Self {
            site: &front.site,
            is_registration,
            registration,
            next,
            app: next.and_then(Apps::host_of),
            signed_in: None,
            username: "",
            remember: false,
            invite: takes_invite.then_some(""),
            said: Said { problem: None, places: &["invite", "username", "password"] },
            fewest_chars: front.domain.rules.passwords.fewest_chars,
        }
    }

    /// Is this where one goes on typing: at what is wrong, or at what is empty?
    fn is_focused(&self, field: &str) -> bool {
        let empty = match (self.invite, self.username) {
            (Some(""), _) => "invite",
            (_, "") => "username",
            _ => "password",
        };
        self.said.first_wrong().unwrap_or(empty) == field
    }
}

/// Leads on to an app after a form was posted. A redirect would not do: browsers hold every redirect
/// that answers a form against `form-action`, those of the app included, and an app may redirect to
/// any origin.
#[derive(Template)]
#[template(path = "pages/lead_on.html")]
struct LeadOnPage<'a> {
    site: &'a Site,
    next: &'a str,
    app: &'a str,
}

/// For who is signed in already and came from an app.
#[derive(Template)]
#[template(path = "pages/go_on.html")]
struct GoOnPage<'a> {
    site: &'a Site,
    username: &'a str,
    next: &'a str,
    app: &'a str,
}

/// What was posted, beside the fields of the operation.
#[derive(Default)]
struct Posted {
    next: Option<String>,
    username: String,
    remember: bool,
    invite: String,
    /// Is it a form of this service's page, which sets a cookie to find out whether that comes back?
    checks_cookies: bool,
}

impl Posted {
    /// Does the browser keep cookies, as far as can be said? A browser that keeps none would have a
    /// session that it cannot use, and land on an empty form without a word.
    fn has_working_cookies(&self, front: &Front, request: &Request) -> bool {
        !self.checks_cookies
            || front.cookie.is_checked(request)
            || front.cookie.of(request) != Presented::Nothing
    }
}

/// `GET /`: leads to the account, or to the way in.
pub fn home(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        Ok(match Visitor::of(&front, &request).await? {
            Visitor::SignedIn(_) => see_other("/account"),
            Visitor::Anonymous(stale) => stale.delete_in(see_other("/login")),
        })
    })
}

/// `GET /login`. Who is signed in already goes on at once; but to an app by a link, since one that
/// cannot read the session would send everybody back for ever.
pub fn login_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let next = query(&request, "next").and_then(|next| front.apps.next(&next));
        let next = next.as_deref();
        let who = match Visitor::of(&front, &request).await? {
            Visitor::SignedIn(who) => who,
            Visitor::Anonymous(stale) => {
                let page = SignInPage::empty(&front, false, next);
                let page = shown(StatusCode::OK, &page);
                return Ok(stale.delete_in(front.check_cookies(&request, page)));
            }
        };
        let Some((next, app)) = next.and_then(|next| Some((next, Apps::host_of(next)?))) else {
            return Ok(see_other(next.unwrap_or("/account")));
        };
        let username = who.account.username.as_str();
        let page = GoOnPage { site: &front.site, username, next, app: &app };
        Ok(shown(StatusCode::OK, &page))
    })
}

/// Instead of a form that cannot be sent.
fn show_closed(front: &Front, signed_in: Option<&str>) -> Response {
    let closed = Problem::of(Code::RegistrationClosed);
    let next_step = Some(match signed_in {
        Some(_) => NextStep::account(),
        None => NextStep::sign_in(None),
    });
    let page = ProblemPage { next_step, ..ProblemPage::of(&front.site, &closed) };
    shown(StatusCode::FORBIDDEN, &page)
}

/// `GET /register`. A user who is signed in already is told so, and may still create another account.
pub fn register_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let visitor = Visitor::of(&front, &request).await?;
        if front.domain.rules.registration == Registration::Closed {
            return Ok(show_closed(&front, visitor.username()));
        }
        let next = query(&request, "next").and_then(|next| front.apps.next(&next));
        let next = next.as_deref();
        let invite = query(&request, "invite").map(|invite| shortened(&invite));
        let empty = SignInPage::empty(&front, true, next);
        let invite = empty.invite.map(|none| invite.as_deref().unwrap_or(none));
        let signed_in = visitor.username();
        let page = shown(StatusCode::OK, &SignInPage { signed_in, invite, ..empty });
        Ok(visitor.delete_stale_cookie_in(front.check_cookies(&request, page)))
    })
}

/// What the page says that a notice was left for.
fn what_was_done(notice: Notice) -> Option<Done> {
    match notice {
        Notice::SignedOut => Some(Done::SignedOut),
        Notice::SignedOutAndForgotten => Some(Done::SignedOutAndForgotten),
        Notice::Forgotten => Some(Done::Forgotten),
        Notice::AccountClosed => Some(Done::AccountClosed),
        Notice::PasswordChanged | Notice::SessionRevoked | Notice::OtherSessionsRevoked => None,
    }
}

/// `GET /signed-out`: where signing out leads.
pub fn signed_out_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let stale = match Visitor::of(&front, &request).await? {
            Visitor::SignedIn(_) => return Ok(see_other("/account")),
            Visitor::Anonymous(stale) => stale,
        };
        let notice = front.notice(&request);
        let page = SignedOutPage { site: &front.site, done: notice.and_then(what_was_done) };
        let mut response = stale.delete_in(shown(StatusCode::OK, &page));
        front.clear_notice(&mut response, notice);
        Ok(response)
    })
}

pub fn login_posted(front: &Arc<Front>) -> Shared {
    shared(front, |front, request, mut body| async move {
        refuse_conflicting_cookies(&front, &request)?;
        let (posted, fields) = posted::<CredentialsView>(&front.apps, &request, &mut body).await;
        let again = Again(|problem: &Problem| {
            let page = SignInPage::empty(&front, false, posted.next.as_deref());
            front.check_cookies(&request, show_again(page, &posted, problem))
        });
        let wishes = front.wishes(&request, posted.remember);
        if !posted.has_working_cookies(&front, &request) {
            return Ok(again.with(&cookies_blocked()));
        }
        let credentials = match fields.and_then(CredentialsView::parsed) {
            Ok(parsed) => parsed,
            Err(failure) => return Ok(again.with(&failure.problem)),
        };
        match front.domain.log_in(credentials, wishes).await {
            Ok(ticket) => signed_in(&front, &request, &posted, &ticket).await,
            Err(error) => Ok(again.after(error)),
        }
    })
}

pub fn register_posted(front: &Arc<Front>) -> Shared {
    shared(front, |front, request, mut body| async move {
        refuse_conflicting_cookies(&front, &request)?;
        let (posted, fields) = posted::<NewAccountView>(&front.apps, &request, &mut body).await;
        let who = front.signed_in(&request).await.ok();
        let username = who.as_ref().map(|who| who.account.username.as_str());
        let again = Again(|problem: &Problem| {
            let page = SignInPage::empty(&front, true, posted.next.as_deref());
            let page = SignInPage { signed_in: username, ..page };
            front.check_cookies(&request, show_again(page, &posted, problem))
        });
        let wishes = front.wishes(&request, posted.remember);
        if !posted.has_working_cookies(&front, &request) {
            return Ok(again.with(&cookies_blocked()));
        }
        let application = match fields {
            Ok(view) => view.parsed(&front),
            Err(failure) => return Ok(again.with(&failure.problem)),
        };
        match front.domain.register(application, wishes).await {
            Ok((_, ticket)) => signed_in(&front, &request, &posted, &ticket).await,
            Err(RegisterError::Closed) => Ok(show_closed(&front, username)),
            Err(RegisterError::NotInvited) => Ok(again.of(Code::InviteRefused)),
            Err(RegisterError::UsernameTaken) => Ok(again.of(Code::UsernameTaken)),
            Err(RegisterError::Unfit { username, password }) => {
                let problem = Problem::of(Code::PolicyViolation);
                Ok(again.with(&problem.with_errors(unfit(username, password))))
            }
            Err(RegisterError::TooManyAttempts { wait }) => Ok(again.later(wait)),
            Err(RegisterError::Busy) => Ok(again.of(Code::Overloaded)),
            Err(RegisterError::Fault(fault)) => Ok(again.broken(fault)),
        }
    })
}

pub fn logout_posted(front: &Arc<Front>) -> Shared {
    shared(front, |front, request, mut body| async move {
        let options = read_optional::<LogoutOptions>(&request, &mut body).await?;
        let forgotten = front.log_out(&request, options.unwrap_or_default()).await;
        let forgotten = forgotten.map_err(Failure::from)?;
        let mut response = see_other("/signed-out");
        response.headers_mut().insert(header::SET_COOKIE, front.cookie.clearing());
        let had_session = front.cookie.of(&request) != Presented::Nothing;
        let notice = match (had_session, &forgotten) {
            (true, None) => Some(Notice::SignedOut),
            (true, Some(_)) => Some(Notice::SignedOutAndForgotten),
            (false, Some(_)) => Some(Notice::Forgotten),
            (false, None) => None,
        };
        if let Some(notice) = notice {
            front.leave_notice(&mut response, notice);
        }
        if let Some(forgotten) = forgotten {
            response.set_data(forgotten);
        }
        Ok(response)
    })
}

/// What is said to a browser that did not send back the cookie of the form.
fn cookies_blocked() -> Problem {
    let detail = "Your browser did not keep the cookie that this page set, and signing in needs cookies. \
                  Your user name and password were not checked. Allow cookies for this site in the \
                  settings of your browser, then send the form again.";
    Problem { detail: detail.to_owned(), ..Problem::of(Code::InvalidRequest) }
}

/// Sets the cookie and goes on: to a path of this service by a redirect, to an app by a page.
async fn signed_in(
    front: &Front,
    request: &Request,
    posted: &Posted,
    ticket: &Ticket,
) -> Result<Response> {
    front.end_presented(request).await.map_err(Failure::from)?;
    let next = posted.next.as_deref().unwrap_or("/account");
    let mut response = match Apps::host_of(next) {
        Some(app) => {
            let page = LeadOnPage { site: &front.site, next, app: &app };
            shown(StatusCode::OK, &page)
        }
        None => see_other(next),
    };
    front.hand_out(&mut response, ticket);
    Ok(response)
}

impl Front {
    /// Sets the cookie by which a form that signs in finds out whether the browser keeps cookies.
    fn check_cookies(&self, request: &Request, mut response: Response) -> Response {
        if !self.cookie.is_checked(request) {
            response.headers_mut().append(header::SET_COOKIE, self.cookie.set_check());
        }
        response
    }

    /// Sets the cookies of a ticket.
    pub fn hand_out(&self, response: &mut Response, ticket: &Ticket) {
        let set = HeaderValue::try_from(self.handing_out(ticket)).expect("a token makes a header");
        response.headers_mut().insert(header::SET_COOKIE, set);
        if let Some(device) = self.device_of(ticket) {
            response.set_data(device);
        }
    }
}

/// The form once more, with what was wrong and what was typed; not the password.
fn show_again(empty: SignInPage<'_>, posted: &Posted, problem: &Problem) -> Response {
    let page = SignInPage {
        username: &posted.username,
        remember: posted.remember,
        invite: empty.invite.map(|_| posted.invite.as_str()),
        said: Said { problem: Some(problem), ..empty.said },
        ..empty
    };
    shown(Said::status(Some(problem)), &page)
}

/// Reads a form: what the page shows again, and the fields of the operation.
async fn posted<T: FromFields>(
    apps: &Apps,
    request: &Request,
    body: &mut RequestBody,
) -> (Posted, Result<T, Failure>) {
    let mut posted = Posted::default();
    let mut fields = match Fields::read(request, body).await {
        Ok(fields) => fields,
        Err(failure) => return (posted, Err(failure)),
    };
    posted.checks_cookies = fields.form_only("cookie_check").is_some();
    posted.next = fields.form_only("next").and_then(|next| apps.next(&next));
    posted.username = shortened(fields.peek("username").unwrap_or_default());
    posted.invite = shortened(fields.peek("invite").unwrap_or_default());
    posted.remember = fields.peek("remember").is_some();
    let view = T::from_fields(&mut fields);
    (posted, fields.finish().map(|()| view))
}

/// A text as it was typed, as far as a page shows it again.
fn shortened(text: &str) -> String {
    text.chars().take(256).collect()
}

/// One parameter of the query.
pub fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}
