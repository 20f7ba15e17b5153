//! Opens a session for a user whom the embedding service has authenticated, and sets its cookies on
//! the embedder's response.

use std::sync::Arc;

use poem::http::{HeaderValue, header};
use poem::{IntoResponse, Request, Response, Result};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaHeader, MetaResponses, Registry};
use poem_openapi::types::Type;

use super::extra_cookie::ExtraCookie;
use super::problem::{ApiError, Code};
use super::state::AppState;
use crate::core::ids::AccountId;
use crate::domain::AuthService;
use crate::domain::external_login::ExternalLogin;

/// The outcome of [`Cloakroom::sign_in`](crate::Cloakroom::sign_in).
#[derive(Debug)]
#[must_use = "the user is signed in only when the response sets the cookies"]
pub enum SignIn {
    /// The session is open. Set these cookies on the response.
    Done(SessionCookies),
    /// No account has this id: it was closed or deleted, or there never was one.
    NoSuchAccount,
    /// The operator has disabled the account.
    AccountDisabled,
}

/// The cookies of a new session: the session cookie, and the cookie that identifies the browser at
/// its next sign-in. They are secret, so `Debug` does not print them.
#[derive(Debug)]
#[must_use = "the user is signed in only when the response sets the cookies"]
pub struct SessionCookies {
    session: HeaderValue,
    device: Option<HeaderValue>,
}

impl SessionCookies {
    /// Sets the cookies on the response of an operation.
    ///
    /// ```
    /// use cloakroom::{Cloakroom, Problem, Public, SessionCookies, SignIn, WithSessionCookies};
    /// use poem::Request;
    /// use poem::http::StatusCode;
    /// use poem_openapi::payload::{Json, PlainText};
    /// use poem_openapi::{ApiResponse, OpenApi};
    ///
    /// struct Partner(Cloakroom);
    ///
    /// #[derive(ApiResponse)]
    /// enum Answer {
    ///     /// The user is signed in.
    ///     #[oai(status = 200)]
    ///     SignedIn(PlainText<&'static str>),
    ///     /// `partner_refused`: the account does not exist or is disabled.
    ///     #[oai(status = 403, content_type = "application/problem+json")]
    ///     Refused(Json<Problem>),
    /// }
    ///
    /// # fn account_of(_: &Request) -> &'static str { "" }
    /// #[OpenApi]
    /// impl Partner {
    ///     /// Sign in as a partner's user
    ///     #[oai(path = "/partner/session", method = "post", operation_id = "signInAsPartner")]
    ///     async fn sign_in(
    ///         &self,
    ///         _public: Public,
    ///         request: &Request,
    ///     ) -> poem::Result<WithSessionCookies<Answer>> {
    ///         let account = account_of(request); // verifies who the user is
    ///         Ok(match self.0.sign_in(account, request).await? {
    ///             SignIn::Done(cookies) => cookies.on(Answer::SignedIn(PlainText("Welcome"))),
    ///             SignIn::NoSuchAccount | SignIn::AccountDisabled => {
    ///                 let detail = "This account cannot sign in.";
    ///                 let problem = Problem::new(StatusCode::FORBIDDEN, "partner_refused", detail);
    ///                 WithSessionCookies::none(Answer::Refused(Json(problem)))
    ///             }
    ///         })
    ///     }
    /// }
    /// ```
    pub fn on<T>(self, response: T) -> WithSessionCookies<T> {
        WithSessionCookies { response, cookies: Some(self) }
    }

    /// Sets the cookies on the response of a page or of a poem handler.
    pub fn set_in(self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.append(header::SET_COOKIE, self.session);
        if let Some(device) = self.device {
            headers.append(header::SET_COOKIE, device);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// The response of an operation that may open a session. In the document it is the response `T`,
/// whose successful variants may have `Set-Cookie`.
#[derive(Debug)]
pub struct WithSessionCookies<T> {
    response: T,
    cookies: Option<SessionCookies>,
}

impl<T> WithSessionCookies<T> {
    /// A response that opens no session.
    pub fn none(response: T) -> Self {
        Self { response, cookies: None }
    }
}

impl<T: IntoResponse> IntoResponse for WithSessionCookies<T> {
    fn into_response(self) -> Response {
        let mut response = self.response.into_response();
        if let Some(cookies) = self.cookies {
            cookies.set_in(&mut response);
        }
        response
    }
}

impl<T: ApiResponse + IntoResponse> ApiResponse for WithSessionCookies<T> {
    fn meta() -> MetaResponses {
        let mut meta = T::meta();
        for response in &mut meta.responses {
            if response.status.is_some_and(|status| status < 400) {
                response.headers.push(set_cookie());
            }
        }
        meta
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// The header in the document.
fn set_cookie() -> MetaHeader {
    MetaHeader {
        name: "Set-Cookie".to_owned(),
        description: Some("The session cookie, with the same attributes as in `login`.".to_owned()),
        required: false,
        deprecated: false,
        schema: String::schema_ref(),
    }
}

/// Opens a session for an account, in a service of this domain. If the request already has a
/// session, that one ends.
pub async fn sign_in(
    domain: &Arc<AuthService>,
    account: &str,
    request: &Request,
) -> Result<SignIn> {
    let state = AppState::of(request)?;
    if !Arc::ptr_eq(domain, &state.domain) {
        tracing::error!("Cloakroom::sign_in got a request of another Cloakroom instance");
        return Err(ApiError::of(Code::InternalError).into());
    }
    let account = AccountId::from(account.to_owned());
    let login_context = state.login_context(request, false);
    match domain.external_logins.log_in(&account, login_context).await.map_err(ApiError::from)? {
        ExternalLogin::Done(issued) => {
            state.revoke_presented_sessions(request).await.map_err(ApiError::from)?;
            let mut session = state.session_cookie_header(&issued);
            session.set_sensitive(true);
            let device = state.device_cookie(&issued).map(|ExtraCookie(mut device)| {
                device.set_sensitive(true);
                device
            });
            Ok(SignIn::Done(SessionCookies { session, device }))
        }
        ExternalLogin::NoSuchAccount => Ok(SignIn::NoSuchAccount),
        ExternalLogin::Disabled => Ok(SignIn::AccountDisabled),
    }
}
