//! Checks the API token of a request.
//!
//! If a request has one, it alone decides: generated clients and Swagger UI send the session cookie
//! next to it, and a request must not do more than its token allows because of a cookie.

use poem::Request;
use poem::http::{HeaderValue, header};

use super::problem::{ApiError, Code, Problem};
use super::request::bearer::PresentedToken;
use super::state::AppState;
use crate::domain::api_tokens::TokenAuthentication;
use crate::domain::caller::AuthenticatedCaller;

/// The challenge for a request without credentials (RFC 6750, section 3).
const CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Bearer realm="cloakroom""#);
/// The challenge for a token that is refused.
const INVALID_TOKEN: HeaderValue =
    HeaderValue::from_static(r#"Bearer realm="cloakroom", error="invalid_token""#);

impl AppState {
    /// The sender of a request, for an operation that accepts sessions and API tokens. Otherwise
    /// 401 without credentials or with a token that is not valid, and 403 with a cookie that is not
    /// valid.
    pub(super) async fn caller(&self, request: &Request) -> Result<AuthenticatedCaller, ApiError> {
        match self.token_caller(request).await? {
            Some(caller) => Ok(caller),
            None => match self.signed_in(request).await {
                Ok(who) => Ok(AuthenticatedCaller::Session(who)),
                Err(failure) if failure.problem.status == 401 => {
                    Err(failure.with_header(header::WWW_AUTHENTICATE, CHALLENGE))
                }
                Err(failure) => Err(failure),
            },
        }
    }

    /// The sender of a request with an API token. `None` if it has none; 401 if it is not valid.
    pub(super) async fn token_caller(
        &self,
        request: &Request,
    ) -> Result<Option<AuthenticatedCaller>, ApiError> {
        let tokens = &self.domain.api_tokens;
        let context = || self.refusal_context(request);
        let authentication = match PresentedToken::of(request.headers()) {
            PresentedToken::None => return Ok(None),
            PresentedToken::One(text) => tokens.authenticate(text, context).await?,
            PresentedToken::Malformed => tokens.refuse(None, &context()),
        };
        match authentication {
            TokenAuthentication::Valid(who) => Ok(Some(AuthenticatedCaller::ApiToken(who))),
            TokenAuthentication::Refused => {
                let refused = ApiError::of(Code::TokenRefused);
                Err(refused.with_header(header::WWW_AUTHENTICATE, INVALID_TOKEN))
            }
        }
    }

    /// Refuses a request with an API token, valid or not, for an operation that accepts sessions
    /// only.
    pub(super) fn refuse_api_token(&self, request: &Request) -> Result<(), ApiError> {
        match PresentedToken::of(request.headers()) {
            PresentedToken::None => Ok(()),
            PresentedToken::One(_) | PresentedToken::Malformed => {
                self.domain.api_tokens.refuse(None, &self.refusal_context(request));
                let refused = ApiError::from(Problem::token_not_accepted());
                Err(refused.with_header(header::WWW_AUTHENTICATE, INVALID_TOKEN))
            }
        }
    }
}
