//! The form of `/login` and `/register`: shows it, reads it, and redirects after it.

use askama::Template;
use poem::http::{StatusCode, header};
use poem::{Request, RequestBody, Response, Result};

use super::branding::Branding;
use super::form_errors::FormErrors;
use super::redirect_targets::RedirectTargets;
use super::render::{render, see_other};
use crate::domain::accounts::Registration;
use crate::domain::sessions::IssuedSession;
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::FromFields;
use crate::http::request::cookie::CookieLookup;
use crate::http::request::fields::Fields;
use crate::http::state::AppState;

/// The form of `/login` and `/register`.
#[derive(Template)]
#[template(path = "pages/sign_in.html")]
pub struct SignInPage<'a> {
    pub site: &'a Branding,
    pub is_registration: bool,
    /// Who may register, so that the page does not offer a closed registration.
    pub registration: Registration,
    pub next: Option<&'a str>,
    /// The host of the app that `next` leads to.
    pub app: Option<String>,
    /// The user name of the session that a registration would end.
    pub signed_in: Option<&'a str>,
    pub username: &'a str,
    pub display_name: &'a str,
    /// The address, if the form has a field for it: if the service sends mail.
    pub email: Option<&'a str>,
    /// The label of the field for the name: an account can have an address if there is mail.
    pub name_label: &'static str,
    /// The page that requests a link for a new password, if the service sends mail.
    pub reset_page: Option<&'static str>,
    pub remember: bool,
    /// Whether the user can choose to stay signed in.
    pub offers_remember: bool,
    /// The invite code, if the form has a field for it.
    pub invite: Option<&'a str>,
    pub errors: FormErrors<'a>,
    /// The minimum length of a new password.
    pub min_length: usize,
}

impl<'a> SignInPage<'a> {
    pub fn empty(state: &'a AppState, is_registration: bool, next: Option<&'a str>) -> Self {
        let registration = state.domain.rules.registration;
        let takes_invite = is_registration && registration == Registration::Invite;
        let has_mail = state.domain.outbox.has_server();
        Self {
            site: &state.site,
            is_registration,
            registration,
            next,
            app: next.and_then(RedirectTargets::host_of),
            signed_in: None,
            username: "",
            display_name: "",
            email: (is_registration && has_mail).then_some(""),
            name_label: match (is_registration, has_mail) {
                (false, true) => "User name or e-mail address",
                (true, _) | (_, false) => "User name",
            },
            reset_page: (!is_registration && has_mail).then_some("/password-reset"),
            remember: false,
            offers_remember: state.domain.rules.sessions.remembered.is_some(),
            invite: takes_invite.then_some(""),
            errors: FormErrors {
                problem: None,
                fields: &["invite", "username", "display_name", "email", "password"],
            },
            min_length: state.domain.rules.passwords.min_length,
        }
    }

    /// Whether the field gets the focus: the first wrong field, or the first empty one.
    fn is_focused(&self, field: &str) -> bool {
        let empty = match (self.invite, self.username) {
            (Some(""), _) => "invite",
            (_, "") => "username",
            _ => "password",
        };
        self.errors.first_wrong().unwrap_or(empty) == field
    }
}

/// Leads to an app after a form was submitted. A redirect is not possible: browsers apply
/// `form-action` to every redirect after a form, including those of the app, and an app may
/// redirect to any origin.
#[derive(Template)]
#[template(path = "pages/lead_on.html")]
struct LeadOnPage<'a> {
    site: &'a Branding,
    next: &'a str,
    app: &'a str,
}

/// The fields of a submitted form in addition to those of the operation.
#[derive(Default)]
pub struct SubmittedForm {
    pub next: Option<String>,
    pub username: String,
    pub display_name: String,
    pub email: String,
    pub remember: bool,
    pub invite: String,
    /// Whether the form comes from this service's page, which sets a cookie to test whether the
    /// browser returns it.
    pub checks_cookies: bool,
}

impl SubmittedForm {
    /// Whether the browser keeps cookies, as far as the service can tell. A browser without cookies
    /// could not use its session, and would see the empty form again.
    pub fn has_working_cookies(&self, state: &AppState, request: &Request) -> bool {
        !self.checks_cookies
            || state.cookie.is_checked(request)
            || state.cookie.of(request) != CookieLookup::Missing
    }
}

/// The message to a browser that did not return the form's cookie.
pub fn cookies_blocked() -> Problem {
    let detail = "You cannot sign in because your browser did not store the cookie of this page. \
                  Your user name and password were not checked. Allow cookies for this site in \
                  the settings of your browser, then send the form again.";
    Problem { detail: detail.to_owned(), ..Problem::of(Code::InvalidRequest) }
}

/// Sets the cookies and continues: with a redirect to a path of this service, or with a page that
/// leads to an app.
pub async fn signed_in(
    state: &AppState,
    request: &Request,
    posted: &SubmittedForm,
    issued: &IssuedSession,
) -> Result<Response> {
    state.revoke_presented_sessions(request).await.map_err(ApiError::from)?;
    let next = posted.next.as_deref().unwrap_or("/account");
    let mut response = match RedirectTargets::host_of(next) {
        Some(app) => {
            let page = LeadOnPage { site: &state.site, next, app: &app };
            render(StatusCode::OK, &page)
        }
        None => see_other(next),
    };
    state.set_session_cookies(&mut response, issued);
    Ok(response)
}

impl AppState {
    /// Sets the cookie with which the form tests whether the browser keeps cookies.
    pub fn check_cookies(&self, request: &Request, mut response: Response) -> Response {
        if !self.cookie.is_checked(request) {
            response.headers_mut().append(header::SET_COOKIE, self.cookie.set_check());
        }
        response
    }
}

/// Shows the form again, with the errors and the values except the password.
pub fn show_again(empty: SignInPage<'_>, posted: &SubmittedForm, problem: &Problem) -> Response {
    let page = SignInPage {
        username: &posted.username,
        display_name: &posted.display_name,
        email: empty.email.map(|_| posted.email.as_str()),
        remember: posted.remember,
        invite: empty.invite.map(|_| posted.invite.as_str()),
        errors: FormErrors { problem: Some(problem), ..empty.errors },
        ..empty
    };
    render(FormErrors::status(Some(problem)), &page)
}

/// Reads a form: the values that the page shows again, and the fields of the operation.
pub async fn read_submitted<T: FromFields>(
    apps: &RedirectTargets,
    request: &Request,
    body: &mut RequestBody,
) -> (SubmittedForm, Result<T, ApiError>) {
    let mut posted = SubmittedForm::default();
    let mut fields = match Fields::read(request, body).await {
        Ok(fields) => fields,
        Err(failure) => return (posted, Err(failure)),
    };
    posted.checks_cookies = fields.form_only("cookie_check").is_some();
    posted.next = fields.form_only("next").and_then(|next| apps.next(&next));
    posted.username = shorten(fields.peek("username").unwrap_or_default());
    posted.display_name = shorten(fields.peek("display_name").unwrap_or_default());
    posted.email = shorten(fields.peek("email").unwrap_or_default());
    posted.invite = shorten(fields.peek("invite").unwrap_or_default());
    posted.remember = fields.peek("remember").is_some();
    let view = T::from_fields(&mut fields);
    (posted, fields.finish().map(|()| view))
}

/// Cuts a text to the length that a page shows again.
pub fn shorten(text: &str) -> String {
    text.chars().take(256).collect()
}
