//! The operations `listApiTokens`, `createApiToken` and `revokeApiToken`.

use std::sync::Arc;

use poem::Request;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use time::OffsetDateTime;

use super::cursor::{cursor_behind, read_cursor};
use super::field_errors::{about_api_token, about_api_token_name};
use super::tags::Tag;
use crate::core::api_token_secret::ApiTokenSecret;
use crate::core::display_names::DisplayName;
use crate::domain::api_tokens::{
    ApiToken, CreateApiTokenError, InvalidApiToken, MAX_API_TOKEN_DAYS, NewApiToken,
    RevokeApiTokenError,
};
use crate::domain::roles::{MAX_ROLES, Role, Roles};
use crate::domain::sessions::RefusedToken;
use crate::http::date_time::date_time;
use crate::http::guard::{Confirmed, SignedIn};
use crate::http::problem::{ApiError, Code, FieldError, Problem};
use crate::http::request::body::{Body, FromFields};
use crate::http::request::context::request_context;
use crate::http::request::fields::Fields;
use crate::http::state::AppState;

pub struct ApiTokensApi(pub Arc<AppState>);

/// A new API token.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ApiTokenRequest {
    /// What the token is for, in any script, up to 64 characters. Only you see it.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub name: String,
    /// The roles of the token: some of the roles of your account, or none. A role that is later
    /// taken from your account is without effect in the token.
    #[oai(
        default,
        validator(
            max_items = 32,
            min_length = 1,
            max_length = 32,
            pattern = "^[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?$"
        )
    )]
    pub roles: Vec<String>,
    /// The number of days after which the token expires. The default is 90, or the longest lifetime
    /// that the operator allows if that is shorter.
    #[oai(skip_serializing_if_is_none, validator(minimum(value = "1"), maximum(value = "366")))]
    pub expires_in_days: Option<u32>,
}

impl Example for ApiTokenRequest {
    fn example() -> Self {
        Self { name: "Nightly build".to_owned(), roles: Vec::new(), expires_in_days: Some(30) }
    }
}

impl FromFields for ApiTokenRequest {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.text("name"),
            roles: fields.texts("roles", MAX_ROLES),
            expires_in_days: fields.number("expires_in_days", 1..=MAX_API_TOKEN_DAYS),
        }
    }
}

impl ApiTokenRequest {
    /// Checks the request, except for what depends on the account and on the settings.
    pub fn parse(self, default_days: u32) -> Result<NewApiToken, Vec<FieldError>> {
        let mut errors = Vec::new();
        let name = match DisplayName::parse(&self.name) {
            Ok(Some(name)) => Some(name),
            Ok(None) => {
                errors.push(about_api_token_name(None));
                None
            }
            Err(bad) => {
                errors.push(about_api_token_name(Some(bad)));
                None
            }
        };
        let parsed: Vec<Role> =
            self.roles.iter().filter_map(|role| Role::parse(role).ok()).collect();
        if let Some(unknown) = self.roles.iter().find(|role| Role::parse(role).is_err()) {
            errors.push(about_api_token(&InvalidApiToken::RoleNotGiven(unknown.clone())));
        }
        let days = self.expires_in_days.unwrap_or(default_days);
        match (name, Roles::new(parsed)) {
            (Some(name), Ok(roles)) if errors.is_empty() => Ok(NewApiToken { name, roles, days }),
            _ => Err(errors),
        }
    }
}

/// An API token, without the token itself.
#[derive(Debug, Object)]
#[oai(rename = "ApiToken")]
pub struct ApiTokenView {
    /// The identifier of the token in lists: 22 characters of base64url. It is not a secret and does
    /// not authorize requests.
    #[oai(validator(min_length = 22, max_length = 22, pattern = "^[A-Za-z0-9_-]{22}$"))]
    pub id: String,
    /// What the token is for.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub name: String,
    /// The roles of the token in alphabetical order. Those that the account no longer has are
    /// without effect.
    #[oai(validator(
        max_items = 32,
        min_length = 1,
        max_length = 32,
        pattern = "^[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?$"
    ))]
    pub roles: Vec<String>,
    /// When the token was created.
    pub created_at: OffsetDateTime,
    /// When the token expires.
    pub expires_at: OffsetDateTime,
    /// When the token was last used, accurate to one minute. It is absent if it was never used.
    #[oai(skip_serializing_if_is_none)]
    pub last_used_at: Option<OffsetDateTime>,
}

impl From<&ApiToken> for ApiTokenView {
    fn from(token: &ApiToken) -> Self {
        Self {
            id: token.id.clone(),
            name: token.name.to_string(),
            roles: token.roles.to_vec(),
            created_at: date_time(token.created_at),
            expires_at: date_time(token.expires_at),
            last_used_at: token.last_used_at.map(date_time),
        }
    }
}

/// A new API token, with the token itself.
#[derive(Object)]
pub struct ApiTokenWithSecret {
    /// The token: send it as `Authorization: Bearer clk_…`. Store it now: it cannot be read again.
    #[oai(validator(min_length = 53, max_length = 53, pattern = "^clk_[0-9A-Za-z]{49}$"))]
    pub token: String,
    /// The identifier of the token in lists: 22 characters of base64url. It is not a secret and does
    /// not authorize requests.
    #[oai(validator(min_length = 22, max_length = 22, pattern = "^[A-Za-z0-9_-]{22}$"))]
    pub id: String,
    /// What the token is for.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub name: String,
    /// The roles of the token in alphabetical order.
    #[oai(validator(
        max_items = 32,
        min_length = 1,
        max_length = 32,
        pattern = "^[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?$"
    ))]
    pub roles: Vec<String>,
    /// When the token was created.
    pub created_at: OffsetDateTime,
    /// When the token expires.
    pub expires_at: OffsetDateTime,
}

impl ApiTokenWithSecret {
    fn of(secret: &ApiTokenSecret, token: &ApiToken) -> Self {
        let ApiTokenView { id, name, roles, created_at, expires_at, .. } = token.into();
        Self {
            token: secret.expose().to_owned(), // the client asked for it, and gets it once
            id,
            name,
            roles,
            created_at,
            expires_at,
        }
    }
}

/// A page of API tokens, newest first.
#[derive(Object)]
pub struct ApiTokenPage {
    /// The API tokens of this page.
    #[oai(validator(max_items = 100))]
    pub api_tokens: Vec<ApiTokenView>,
    /// The `cursor` of the next page. It is absent on the last page.
    #[oai(skip_serializing_if_is_none, validator(max_length = 41))]
    pub next_cursor: Option<String>,
}

#[derive(ApiResponse)]
enum ListAnswer {
    /// A page of API tokens.
    #[oai(status = 200, content_type = "application/json")]
    Tokens(Json<ApiTokenPage>),
}

#[derive(ApiResponse)]
enum CreateAnswer {
    /// The new API token. Only this response contains it.
    #[oai(status = 201, content_type = "application/json")]
    Created(Json<ApiTokenWithSecret>),
    /// `api_tokens_off`: the operator of the service allows no API tokens.
    #[oai(status = 403, content_type = "application/problem+json")]
    Off(Json<Problem>),
    /// `too_many_tokens`: the account has 50 active API tokens. No token was created.
    #[oai(status = 409, content_type = "application/problem+json")]
    TooMany(Json<Problem>),
    /// `policy_violation`: the name is empty or has characters that are not allowed, your account
    /// does not have a role in `roles`, or the operator allows only a shorter lifetime. `errors`
    /// names the field and says what to do. No token was created.
    #[oai(status = 422, content_type = "application/problem+json")]
    Invalid(Json<Problem>),
    /// `too_many_attempts`: the account made too many changes. An account can make 30 changes at
    /// once, then one every two seconds. No token was created.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(ApiResponse)]
enum RevokeAnswer {
    /// The API token was revoked. It is refused from now on, on other nodes within a second.
    #[oai(status = 204)]
    Revoked,
    /// `not_found`: the account has no API token with this `id`.
    #[oai(status = 404, content_type = "application/problem+json")]
    NoSuchToken(Json<Problem>),
    /// `too_many_attempts`: the account made too many changes. An account can make 30 changes at
    /// once, then one every two seconds. The token was not revoked.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[OpenApi]
impl ApiTokensApi {
    /// List the API tokens
    ///
    /// Returns the active API tokens of the account in pages, newest first. The tokens themselves
    /// are not part of the response, because the service does not store them.
    #[oai(
        path = "/api-tokens",
        method = "get",
        operation_id = "listApiTokens",
        tag = "Tag::ApiTokens"
    )]
    async fn list_api_tokens(
        &self,
        who: SignedIn,
        /// The maximum number of API tokens in the page.
        #[oai(default = "fifty", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
        /// The `next_cursor` of the previous page. Omit it to get the first page.
        #[oai(validator(
            min_length = 24,
            max_length = 41,
            pattern = "^[0-9]{1,18}[.][A-Za-z0-9_-]{22}$"
        ))]
        cursor: Query<Option<String>>,
    ) -> Result<ListAnswer, ApiError> {
        let after = cursor.0.as_deref().map(read_cursor).transpose()?;
        let limit = usize::try_from(limit.0).unwrap_or(1);
        let account = &who.0.account.id;
        let page = self.0.domain.api_tokens.list_own(account, after.as_ref(), limit).await?;
        let api_tokens = page.tokens.iter().map(ApiTokenView::from).collect();
        let next_cursor = page.next.as_ref().map(cursor_behind);
        Ok(ListAnswer::Tokens(Json(ApiTokenPage { api_tokens, next_cursor })))
    }

    /// Create an API token
    ///
    /// Creates a token with which a program calls the operations that have the security scheme
    /// `apiToken`. It acts for your account with the roles in `roles`, until it expires or you
    /// revoke it. It cannot change your password, your sessions or your tokens.
    ///
    /// The response contains the token; store it at once, because it cannot be read again. Changing
    /// the password does not revoke API tokens.
    #[oai(
        path = "/api-tokens",
        method = "post",
        operation_id = "createApiToken",
        tag = "Tag::ApiTokens"
    )]
    async fn create_api_token(
        &self,
        who: Confirmed,
        request: &Request,
        body: Body<ApiTokenRequest>,
    ) -> Result<CreateAnswer, ApiError> {
        let tokens = &self.0.domain.api_tokens;
        let invalid = |errors| {
            let problem = Problem::of(Code::PolicyViolation).with_errors(errors);
            Ok(CreateAnswer::Invalid(Json(problem)))
        };
        let new = match body.0.parse(tokens.default_days()) {
            Ok(new) => new,
            Err(errors) if tokens.are_allowed() => return invalid(errors),
            Err(_) => return Ok(CreateAnswer::Off(Json(Problem::of(Code::ApiTokensOff)))),
        };
        match tokens.create_own(&who.0, new, &self.0.requester(request)).await {
            Ok((secret, token)) => {
                Ok(CreateAnswer::Created(Json(ApiTokenWithSecret::of(&secret, &token))))
            }
            Err(CreateApiTokenError::Off) => {
                Ok(CreateAnswer::Off(Json(Problem::of(Code::ApiTokensOff))))
            }
            Err(CreateApiTokenError::Invalid(bad)) => invalid(vec![about_api_token(&bad)]),
            Err(CreateApiTokenError::TooMany) => {
                Ok(CreateAnswer::TooMany(Json(Problem::of(Code::TooManyTokens))))
            }
            Err(CreateApiTokenError::NotSignedIn) => {
                Err(self.0.session_refused(RefusedToken::Recent))
            }
            Err(CreateApiTokenError::TooManyAttempts { wait }) => {
                Ok(Problem::rate_limited(CreateAnswer::TooManyAttempts, wait))
            }
            Err(CreateApiTokenError::Internal(fault)) => Err(fault.into()),
        }
    }

    /// Revoke an API token
    ///
    /// Revokes one API token of the account. When the response arrives, the token is already
    /// refused.
    #[oai(
        path = "/api-tokens/:id",
        method = "delete",
        operation_id = "revokeApiToken",
        tag = "Tag::ApiTokens"
    )]
    async fn revoke_api_token(
        &self,
        who: SignedIn,
        /// The `id` of the API token, as in the list.
        id: Path<String>,
        request: &Request,
    ) -> Result<RevokeAnswer, ApiError> {
        let context = request_context(request);
        match self.0.domain.api_tokens.revoke_own(&who.0, &id.0, &context).await {
            Ok(true) => Ok(RevokeAnswer::Revoked),
            Ok(false) => Ok(RevokeAnswer::NoSuchToken(Json(Problem::of(Code::NotFound)))),
            Err(RevokeApiTokenError::TooManyAttempts { wait }) => {
                Ok(Problem::rate_limited(RevokeAnswer::TooManyAttempts, wait))
            }
            Err(RevokeApiTokenError::Internal(fault)) => Err(fault.into()),
        }
    }
}

fn fifty() -> u32 {
    50
}
