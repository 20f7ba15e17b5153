//! The pages around signing in: `/`, `/login`, `/register`, `/account`, and their forms.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{EndpointExt, Request, RequestBody, Response, Result, endpoint};

use super::{ProblemPage, next, see_other, shown};
use crate::domain::accounts::{RegisterError, Registration};
use crate::domain::sessions::{LogInError, Ticket};
use crate::fault::Fault;
use crate::http::Front;
use crate::http::accounts::{NewAccountView, unfit};
use crate::http::body::{Fields, FromFields};
use crate::http::login::CredentialsView;
use crate::http::problem::{Code, Failure, FieldError, Problem, RETRY_AFTER};
use crate::http::sessions::date_time;

/// An endpoint that a fork shares among requests.
pub type Shared = Arc<dyn DynEndpoint<Output = Response>>;

/// The form of `/login` and `/register`.
#[derive(Template)]
#[template(path = "pages/sign_in.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the template")]
struct SignInPage<'a> {
    is_registration: bool,
    /// Is there a page to make an account?
    is_open: bool,
    is_signed_out: bool,
    next: Option<&'a str>,
    username: &'a str,
    remember: bool,
    /// The code of the invite that the form asks for, if it does.
    invite: Option<&'a str>,
    problem: Option<&'a Problem>,
    /// Of a new password.
    fewest_chars: usize,
}

impl<'a> SignInPage<'a> {
    fn empty(front: &Front, is_registration: bool, next: Option<&'a str>) -> Self {
        let registration = front.domain.rules.registration;
        let takes_invite = is_registration && registration == Registration::Invite;
        Self {
            is_registration,
            is_open: registration != Registration::Closed,
            is_signed_out: false,
            next,
            username: "",
            remember: false,
            invite: takes_invite.then_some(""),
            problem: None,
            fewest_chars: front.domain.rules.passwords.fewest_chars,
        }
    }

    /// What is wrong with a field, if it is said by field.
    fn wrong(&self, field: &str) -> Option<&str> {
        let errors = self.problem?.errors.as_deref().unwrap_or_default();
        errors.iter().find(|error| error.field == field).map(|error| error.detail.as_str())
    }

    /// What is wrong with a field that has no place of its own on the page.
    fn elsewhere(&self) -> Vec<&FieldError> {
        let errors = self.problem.and_then(|problem| problem.errors.as_deref());
        let has_place =
            |error: &&FieldError| !matches!(&*error.field, "username" | "password" | "invite");
        errors.unwrap_or_default().iter().filter(has_place).collect()
    }
}

#[derive(Template)]
#[template(path = "pages/account.html")]
struct AccountPage<'a> {
    username: &'a str,
    since: String,
    until: String,
    has_docs: bool,
}

/// What was posted, beside the fields of the operation.
#[derive(Default)]
struct Posted {
    next: Option<String>,
    username: String,
    remember: bool,
    invite: String,
}

/// `GET /`: leads to the account, or to the way in.
pub fn home(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let to = match front.signed_in(&request).await {
            Ok(_) => "/account",
            Err(_) => "/login",
        };
        Ok(see_other(to))
    })
}

pub fn login_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let next = query(&request, "next").and_then(|next| next::path(&next));
        let is_signed_out = query(&request, "signed_out").is_some();
        let empty = SignInPage::empty(&front, false, next.as_deref());
        Ok(shown(StatusCode::OK, &SignInPage { is_signed_out, ..empty }))
    })
}

pub fn register_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        if front.domain.rules.registration == Registration::Closed {
            return Ok(shown(StatusCode::FORBIDDEN, &ProblemPage::of(Code::RegistrationClosed)));
        }
        let next = query(&request, "next").and_then(|next| next::path(&next));
        let invite = query(&request, "invite").map(|invite| shortened(&invite));
        let empty = SignInPage::empty(&front, true, next.as_deref());
        let invite = empty.invite.map(|none| invite.as_deref().unwrap_or(none));
        Ok(shown(StatusCode::OK, &SignInPage { invite, ..empty }))
    })
}

/// `GET /account`: who is signed in, and the way out.
pub fn account_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let who = match front.signed_in(&request).await {
            Ok(who) => who,
            Err(failure) if failure.problem.status < 500 => {
                return Ok(see_other("/login?next=/account"));
            }
            Err(failure) => return Err(failure.into()),
        };
        let page = AccountPage {
            username: who.account.username.as_str(),
            since: readable(who.session.created_at),
            until: readable(who.session.expires_at),
            has_docs: front.has_docs,
        };
        Ok(shown(StatusCode::OK, &page))
    })
}

pub fn login_posted(front: &Arc<Front>) -> Shared {
    shared(front, |front, request, mut body| async move {
        let (posted, fields) = posted::<CredentialsView>(&request, &mut body).await;
        let again = |problem: &Problem| show_again(&front, false, &posted, problem);
        let wishes = front.wishes(&request, posted.remember);
        let credentials = match fields.and_then(CredentialsView::parsed) {
            Ok(parsed) => parsed,
            Err(failure) => return Ok(again(&failure.problem)),
        };
        match front.domain.log_in(credentials, wishes).await {
            Ok(ticket) => signed_in(&front, &request, &posted, &ticket).await,
            Err(LogInError::WrongCredentials) => Ok(again(&Problem::of(Code::InvalidCredentials))),
            Err(LogInError::TooManyAttempts { wait }) => Ok(later(again, wait)),
            Err(LogInError::Busy) => Ok(again(&Problem::of(Code::Overloaded))),
            Err(LogInError::Fault(fault)) => Ok(broken(again, fault)),
        }
    })
}

pub fn register_posted(front: &Arc<Front>) -> Shared {
    shared(front, |front, request, mut body| async move {
        let (posted, fields) = posted::<NewAccountView>(&request, &mut body).await;
        let again = |problem: &Problem| show_again(&front, true, &posted, problem);
        let wishes = front.wishes(&request, posted.remember);
        let application = match fields {
            Ok(view) => view.parsed(&front),
            Err(failure) => return Ok(again(&failure.problem)),
        };
        match front.domain.register(application, wishes).await {
            Ok((_, ticket)) => signed_in(&front, &request, &posted, &ticket).await,
            Err(RegisterError::Closed) => Ok(again(&Problem::of(Code::RegistrationClosed))),
            Err(RegisterError::NotInvited) => Ok(again(&Problem::of(Code::InviteRefused))),
            Err(RegisterError::UsernameTaken) => Ok(again(&Problem::of(Code::UsernameTaken))),
            Err(RegisterError::Unfit { username, password }) => {
                let problem = Problem::of(Code::PolicyViolation);
                Ok(again(&problem.with_errors(unfit(username, password))))
            }
            Err(RegisterError::TooManyAttempts { wait }) => Ok(later(again, wait)),
            Err(RegisterError::Busy) => Ok(again(&Problem::of(Code::Overloaded))),
            Err(RegisterError::Fault(fault)) => Ok(broken(again, fault)),
        }
    })
}

pub fn logout_posted(front: &Arc<Front>) -> Shared {
    shared(front, |front, request, _| async move {
        front.end_presented(&request).await.map_err(Failure::from)?;
        let mut response = see_other("/login?signed_out=yes");
        response.headers_mut().insert(header::SET_COOKIE, front.cookie.clearing());
        Ok(response)
    })
}

/// Sets the cookie and goes on.
async fn signed_in(
    front: &Front,
    request: &Request,
    posted: &Posted,
    ticket: &Ticket,
) -> Result<Response> {
    front.end_presented(request).await.map_err(Failure::from)?;
    let mut response = see_other(posted.next.as_deref().unwrap_or("/account"));
    let set = HeaderValue::try_from(front.handing_out(ticket)).expect("a token makes a header");
    response.headers_mut().insert(header::SET_COOKIE, set);
    if let Some(device) = front.device_of(ticket) {
        response.set_data(device);
    }
    Ok(response)
}

/// The form once more, with what was wrong and what was typed; not the password.
fn show_again(
    front: &Front,
    is_registration: bool,
    posted: &Posted,
    problem: &Problem,
) -> Response {
    let empty = SignInPage::empty(front, is_registration, posted.next.as_deref());
    let page = SignInPage {
        username: &posted.username,
        remember: posted.remember,
        invite: empty.invite.map(|_| posted.invite.as_str()),
        problem: Some(problem),
        ..empty
    };
    let status = StatusCode::from_u16(problem.status).expect("a problem's status is one");
    let mut response = shown(status, &page);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.into());
    }
    response
}

/// The form once more, when it was posted too often.
fn later(again: impl Fn(&Problem) -> Response, wait: Duration) -> Response {
    let (problem, seconds) = Problem::too_many_attempts(wait);
    let mut response = again(&problem);
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

/// The form once more, when something broke here.
fn broken(again: impl Fn(&Problem) -> Response, fault: Fault) -> Response {
    let failure = Failure::from(fault);
    let mut response = again(&failure.problem);
    failure.blame(&mut response);
    response
}

/// Reads a form: what the page shows again, and the fields of the operation.
async fn posted<T: FromFields>(
    request: &Request,
    body: &mut RequestBody,
) -> (Posted, Result<T, Failure>) {
    let mut posted = Posted::default();
    let mut fields = match Fields::read(request, body).await {
        Ok(fields) => fields,
        Err(failure) => return (posted, Err(failure)),
    };
    posted.next = fields.form_only("next").and_then(|next| next::path(&next));
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
fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

fn readable(at: crate::clock::Timestamp) -> String {
    let at = date_time(at);
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

fn page<Fut>(
    front: &Arc<Front>,
    show: impl Fn(Arc<Front>, Request) -> Fut + Send + Sync + 'static,
) -> BoxEndpoint<'static>
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    let front = Arc::clone(front);
    endpoint::make(move |request| show(Arc::clone(&front), request)).map_to_response().boxed()
}

fn shared<Fut>(
    front: &Arc<Front>,
    take: impl Fn(Arc<Front>, Request, RequestBody) -> Fut + Send + Sync + 'static,
) -> Shared
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    let front = Arc::clone(front);
    Arc::new(endpoint::ToDynEndpoint(endpoint::make(move |request: Request| {
        let (request, body) = request.split();
        take(Arc::clone(&front), request, body)
    })))
}
