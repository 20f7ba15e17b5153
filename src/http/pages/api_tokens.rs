//! The page `/account/tokens`, which lists, creates and revokes API tokens.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::BoxEndpoint;
use poem::http::StatusCode;
use poem::{Request, RequestBody, Response, Result};

use super::branding::Branding;
use super::confirmation::{ConfirmedSession, asks_password};
use super::endpoints::{form, page};
use super::form_errors::{FormErrors, FormResponder};
use super::notice::Notice;
use super::page_time::PageTime;
use super::render::{render, see_other};
use super::sign_in::shorten;
use super::visitor::require_session;
use crate::core::clock::Timestamp;
use crate::core::display_names::MAX_DISPLAY_NAME_LENGTH;
use crate::core::secret::Password;
use crate::domain::api_tokens::{
    ApiToken, CreateApiTokenError, MAX_API_TOKENS, NewApiToken, RevokeApiTokenError,
};
use crate::domain::roles::Roles;
use crate::domain::sessions::{AuthenticatedSession, RefusedToken};
use crate::http::api::api_tokens::ApiTokenRequest;
use crate::http::api::field_errors::about_api_token;
use crate::http::problem::{ApiError, Code, FieldError, Problem};
use crate::http::request::body::FromFields;
use crate::http::request::context::request_context;
use crate::http::request::fields::Fields;
use crate::http::state::AppState;

const PATH: &str = "/account/tokens";

/// The fields of the form in their order on the page.
const FIELDS: [&str; 4] = ["name", "roles", "expires_in_days", "current_password"];

#[derive(Template)]
#[template(path = "pages/api_tokens.html")]
struct ApiTokensPage<'a> {
    site: &'a Branding,
    username: &'a str,
    tokens: Vec<TokenLine<'a>>,
    /// Whether the operator allows API tokens.
    are_allowed: bool,
    /// Whether the account has as many tokens as it may have.
    is_full: bool,
    max_days: u32,
    /// The roles that the account can give to a token.
    roles: &'a Roles,
    typed: &'a TypedToken,
    /// Whether the session is not confirmed, so that the form asks for the password.
    asks_password: bool,
    /// A message about what was just done.
    done: Option<&'static str>,
    errors: FormErrors<'a>,
}

impl ApiTokensPage<'_> {
    fn days_hint(&self) -> String {
        format!("From 1 to {}.", self.max_days)
    }

    /// The form is not the first thing on its page, so only a refused form has the focus.
    fn is_focused(&self, field: &str) -> bool {
        let waits_for_password = || {
            let needed = Code::ConfirmationRequired.name();
            self.errors.problem.is_some_and(|problem| problem.code.0 == needed)
        };
        match self.errors.first_wrong() {
            Some(wrong) => wrong == field,
            None => field == "current_password" && waits_for_password(),
        }
    }
}

/// The page that shows a new token once.
#[derive(Template)]
#[template(path = "pages/api_token_created.html")]
struct CreatedPage<'a> {
    site: &'a Branding,
    username: &'a str,
    token: &'a str,
    line: TokenLine<'a>,
}

/// A token in the list.
struct TokenLine<'a> {
    id: &'a str,
    name: &'a str,
    /// The roles that have an effect, with commas in between.
    roles: String,
    /// The roles that the account no longer has.
    former_roles: String,
    created: PageTime,
    expires: PageTime,
    last_used: Option<PageTime>,
}

impl<'a> TokenLine<'a> {
    fn new(token: &'a ApiToken, account_roles: &Roles, now: Timestamp) -> Self {
        let (given, former): (Vec<_>, Vec<_>) =
            token.roles.iter().partition(|role| account_roles.contains(role));
        Self {
            id: &token.id,
            name: token.name.as_str(),
            roles: given.join(", "),
            former_roles: former.join(", "),
            created: PageTime::ago(token.created_at, now),
            expires: PageTime::day(token.expires_at),
            last_used: token.last_used_at.map(|used| PageTime::ago(used, now)),
        }
    }
}

/// What is in the fields of the form.
struct TypedToken {
    name: String,
    roles: Vec<String>,
    days: String,
}

impl TypedToken {
    fn new(default_days: u32) -> Self {
        Self { name: String::new(), roles: Vec::new(), days: default_days.to_string() }
    }

    fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|chosen| chosen == role)
    }
}

/// Everything that the page shows except its form.
struct TokenList<'a> {
    state: &'a AppState,
    who: &'a AuthenticatedSession,
    tokens: Vec<ApiToken>,
}

impl<'a> TokenList<'a> {
    async fn load(state: &'a AppState, who: &'a AuthenticatedSession) -> Result<Self, ApiError> {
        let own = state.domain.api_tokens.list_own(&who.account.id, None, MAX_API_TOKENS).await?;
        Ok(Self { state, who, tokens: own.tokens })
    }

    fn show(&self, typed: &TypedToken, done: Option<&'static str>) -> Response {
        self.render(typed, done, None)
    }

    /// The page with a refused form. It asks for the password only if `asks_password`.
    fn show_again(&self, typed: &TypedToken, asks_password: bool, problem: &Problem) -> Response {
        self.render(typed, None, Some((problem, asks_password)))
    }

    fn render(
        &self,
        typed: &TypedToken,
        done: Option<&'static str>,
        refused: Option<(&Problem, bool)>,
    ) -> Response {
        let (state, account) = (self.state, &self.who.account);
        let (problem, asks) = refused.unzip();
        let asks_password = asks.unwrap_or_else(|| asks_password(state, self.who, None));
        let now = state.domain.clock.now();
        let line = |token| TokenLine::new(token, &account.roles, now);
        let tokens = &state.domain.api_tokens;
        let is_full = self.tokens.len() >= MAX_API_TOKENS;
        let fields: &[_] = match (tokens.are_allowed() && !is_full, asks_password) {
            (true, true) => &FIELDS,
            (true, false) => &FIELDS[..3],
            (false, _) => &[], // there is no form
        };
        let page = ApiTokensPage {
            site: &state.site,
            username: account.username.as_str(),
            tokens: self.tokens.iter().map(line).collect(),
            are_allowed: tokens.are_allowed(),
            is_full,
            max_days: tokens.max_days(),
            roles: &account.roles,
            typed,
            asks_password,
            done,
            errors: FormErrors { problem, fields },
        };
        render(FormErrors::status(problem), &page)
    }
}

/// `GET /account/tokens`
pub fn tokens_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let who = match require_session(&state, &request, PATH).await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let notice = state.notice(&request);
        let is_revoked = notice == Some(Notice::ApiTokenRevoked);
        let typed = TypedToken::new(state.domain.api_tokens.default_days());
        let list = TokenList::load(&state, &who).await?;
        let mut response = list.show(&typed, is_revoked.then_some("The API token was revoked."));
        state.clear_notice(&mut response, notice);
        Ok(response)
    })
}

/// `POST /account/tokens`: the same as `createApiToken`, after a confirmation if necessary. The
/// response shows the token, because no later one can.
pub fn tokens_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, body| async move {
        match require_session(&state, &request, PATH).await? {
            Ok(who) => create_token(&state, &who, &request, body).await,
            Err(sign_in) => Ok(sign_in),
        }
    })
}

async fn create_token(
    state: &AppState,
    who: &AuthenticatedSession,
    request: &Request,
    mut body: RequestBody,
) -> Result<Response> {
    let list = TokenList::load(state, who).await?;
    let mut fields = Fields::read(request, &mut body).await?;
    let days = shorten(fields.peek("expires_in_days").unwrap_or_default());
    let password = fields.form_only("current_password").map(Password::new);
    let view = ApiTokenRequest::from_fields(&mut fields);
    let typed = TypedToken { name: shorten(&view.name), roles: view.roles.clone(), days };
    let again = FormResponder(|problem: &Problem| {
        list.show_again(&typed, asks_password(state, who, Some(problem)), problem)
    });
    if let Err(failure) = fields.finish() {
        return Ok(again.with(&failure.problem));
    }
    let tokens = &state.domain.api_tokens;
    if !tokens.are_allowed() {
        return Ok(again.of(Code::ApiTokensOff)); // before it asks for the password
    }
    let new = match view.parse(tokens.default_days()) {
        Ok(new) => new,
        Err(errors) => return Ok(again.with(&policy_violation(errors))),
    };
    let session = match ConfirmedSession::of(state, request, password).await? {
        Ok(session) => session,
        Err(reason) => return Ok(again.ask_for_confirmation(reason)),
    };
    // From here on, the session is confirmed.
    let again = FormResponder(|problem: &Problem| list.show_again(&typed, false, problem));
    let response = create_confirmed(state, (&session.who, request), new, &again).await?;
    Ok(session.set_cookie_in(response))
}

async fn create_confirmed(
    state: &AppState,
    (who, request): (&AuthenticatedSession, &Request),
    new: NewApiToken,
    again: &FormResponder<impl Fn(&Problem) -> Response>,
) -> Result<Response, ApiError> {
    let created = state.domain.api_tokens.create_own(who, new, &state.requester(request)).await;
    Ok(match created {
        Ok((secret, token)) => {
            let page = CreatedPage {
                site: &state.site,
                username: who.account.username.as_str(),
                token: secret.expose(), // the user asked for it, and sees it once
                line: TokenLine::new(&token, &who.account.roles, state.domain.clock.now()),
            };
            render(StatusCode::OK, &page)
        }
        Err(CreateApiTokenError::Off) => again.of(Code::ApiTokensOff),
        Err(CreateApiTokenError::Invalid(bad)) => {
            again.with(&policy_violation(vec![about_api_token(&bad)]))
        }
        Err(CreateApiTokenError::TooMany) => again.of(Code::TooManyTokens),
        Err(CreateApiTokenError::NotSignedIn) => {
            return Err(state.session_refused(RefusedToken::Recent));
        }
        Err(CreateApiTokenError::TooManyAttempts { wait }) => again.later(wait),
        Err(CreateApiTokenError::Internal(fault)) => again.internal_error(fault),
    })
}

fn policy_violation(errors: Vec<FieldError>) -> Problem {
    Problem::of(Code::PolicyViolation).with_errors(errors)
}

/// `POST /account/tokens/revoke`: the same as `revokeApiToken`.
pub fn revoke_posted(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    form(state, |state, request, mut body| async move {
        let who = match require_session(&state, &request, PATH).await? {
            Ok(who) => who,
            Err(sign_in) => return Ok(sign_in),
        };
        let mut fields = Fields::read(&request, &mut body).await?;
        let id = fields.text("id");
        fields.finish()?;
        let list = TokenList::load(&state, &who).await?;
        let tokens = &state.domain.api_tokens;
        let typed = TypedToken::new(tokens.default_days());
        let again = FormResponder(|problem: &Problem| {
            list.show_again(&typed, asks_password(&state, &who, Some(problem)), problem)
        });
        Ok(match tokens.revoke_own(&who, &id, &request_context(&request)).await {
            // A token that does not exist counts as revoked.
            Ok(_) => {
                let mut response = see_other(PATH);
                state.leave_notice(&mut response, Notice::ApiTokenRevoked);
                response
            }
            Err(RevokeApiTokenError::TooManyAttempts { wait }) => again.later(wait),
            Err(RevokeApiTokenError::Internal(fault)) => again.internal_error(fault),
        })
    })
}
