//! The problem codes, with name, status, title and detail of each. Add new codes here.

use poem::http::StatusCode;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// Why a request was refused. The strings are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Code {
    InvalidRequest,
    NotAuthenticated,
    TokenRefused,
    SessionRefused,
    RoleNeeded,
    ConfirmationRequired,
    InvalidCredentials,
    RegistrationClosed,
    InviteRefused,
    MailOff,
    CodeRefused,
    ResetRefused,
    AudienceRefused,
    ApiTokensOff,
    CrossOrigin,
    NotFound,
    MethodNotAllowed,
    UsernameTaken,
    TooManyTokens,
    EmailTaken,
    PayloadTooLarge,
    UnsupportedMediaType,
    UnknownHost,
    PolicyViolation,
    TooManyAttempts,
    InternalError,
    Overloaded,
    Unavailable,
}

/// Longer explanations of codes whose `detail` the contract keeps short.
const EXPLANATIONS: [(Code, &str); 4] = [
    (
        Code::NotAuthenticated,
        "The request has no active session. Sign in, then send the request again with the session \
         cookie.",
    ),
    (
        Code::TokenRefused,
        "The API token in the header `Authorization` is malformed, unknown, expired or revoked, its \
         account is disabled, or the operation does not accept API tokens. For security reasons, \
         the response does not say which token is unknown and which has expired. Create another one \
         on the page `/account/tokens`.",
    ),
    (
        Code::SessionRefused,
        "The session cookie is invalid, expired, revoked or unknown, or the request has two \
         different session cookies. For security reasons, the response does not say which. Sign \
         in again.",
    ),
    (
        Code::InvalidCredentials,
        "The user does not exist, the password is wrong, or the account is disabled. For security \
         reasons, the response does not say which.",
    ),
];

/// The contract of a code: its status, title and detail.
struct Entry {
    status: u16,
    title: &'static str,
    detail: &'static str,
}

impl Code {
    #[rustfmt::skip]
    fn entry(self) -> Entry {
        let entry = |status, title, detail| Entry { status, title, detail };
        match self {
            Self::InvalidRequest => entry(400, "Invalid request",
                "The request is malformed or does not match the API's schema."),
            Self::NotAuthenticated => entry(401, "Sign-in required",
                "Not authenticated"),
            Self::TokenRefused => entry(401, "API token refused",
                "The API token is malformed, unknown, expired or revoked. Create another one on the \
                 page `/account/tokens`."),
            Self::SessionRefused => entry(403, "Session refused",
                "Invalid authentication"),
            Self::RoleNeeded => entry(403, "Role needed",
                "This requires a role that your account does not have. Ask the operator of this \
                 service to give your account the role."),
            Self::ConfirmationRequired => entry(403, "Confirmation required",
                "The session was not confirmed in the last 15 minutes. Confirm it with the current \
                 password, then try again. Programs call `POST /session/confirm/password`."),
            Self::InvalidCredentials => entry(403, "Invalid credentials",
                "Invalid user or password"),
            Self::RegistrationClosed => entry(403, "Registration closed",
                "Registration is closed. Ask the operator of this service for an account."),
            Self::InviteRefused => entry(403, "Invite refused",
                "Registration requires a valid invite code. The code is missing, mistyped, \
                 already used or expired. Ask the operator of this service for a new invite."),
            Self::MailOff => entry(403, "No mail",
                "This service sends no mail, so it can neither confirm an e-mail address nor send a \
                 link for a new password. The operator can set `mail.server`."),
            Self::CodeRefused => entry(403, "Code refused",
                "The code is wrong or has expired, or belongs to another account or address. Check \
                 it, or request a new one."),
            Self::ResetRefused => entry(403, "Link refused",
                "The link for a new password is incomplete, was used or has expired, or the account \
                 has changed since. Request another one, or ask the operator of this service for one."),
            Self::AudienceRefused => entry(403, "Audience refused",
                "The service does not issue tokens for this audience. The operator can add it to \
                 the setting `tokens.audiences`."),
            Self::ApiTokensOff => entry(403, "API tokens are off",
                "The operator of this service allows no API tokens. Sign in instead."),
            Self::CrossOrigin => entry(403, "Request from another origin",
                "A page of another origin sent this request, and this origin is not allowed. Open this service directly and try again."),
            Self::NotFound => entry(404, "Not found",
                "There is nothing at this URL, or no longer. Check the URL."),
            Self::MethodNotAllowed => entry(405, "Method not allowed",
                "This path does not support the method of the request. The header `Allow` lists the supported methods."),
            Self::UsernameTaken => entry(409, "User name taken",
                "This user name is taken. Choose another one."),
            Self::TooManyTokens => entry(409, "Too many API tokens",
                "The account has 50 API tokens. Revoke one that you do not need, then try again."),
            Self::EmailTaken => entry(409, "Address taken",
                "Another account has this e-mail address. Sign in to that account, or use another \
                 address."),
            Self::PayloadTooLarge => entry(413, "Body too large",
                "The body is larger than 16 KiB."),
            Self::UnsupportedMediaType => entry(415, "Unsupported media type",
                "Send the body as `application/json` or as `application/x-www-form-urlencoded`."),
            Self::UnknownHost => entry(421, "Not this service",
                "The header `Host` does not name this service. The operator can set this host as \
                 `public_url`, or add it to `allowed_hosts`."),
            Self::PolicyViolation => entry(422, "Rule violated",
                "A field violates a rule. `errors` names the field, and says which rule and what to do."),
            Self::TooManyAttempts => entry(429, "Too many attempts",
                "Too many attempts. Try again after the number of seconds in the header `Retry-After`."),
            Self::InternalError => entry(500, "Internal error",
                "The service failed to process the request. If this happens again, send the value \
                 of the header `X-Request-Id` to the operator."),
            Self::Overloaded => entry(503, "Overloaded",
                "Too many users are signing in right now. Try again in a moment."),
            Self::Unavailable => entry(503, "Unavailable",
                "The service is temporarily unavailable. Try again in a moment."),
        }
    }

    pub fn name(self) -> &'static str {
        self.into()
    }

    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.entry().status).expect("the table holds statuses")
    }

    /// What is wrong and what to do, for people.
    pub fn detail(self) -> &'static str {
        self.entry().detail
    }

    /// The text for the page of the problem's `type`, where the detail is too short.
    pub fn explanation(self) -> &'static str {
        let found = EXPLANATIONS.iter().find(|(code, _)| *code == self);
        found.map_or(self.detail(), |(_, explanation)| explanation)
    }

    pub fn title(self) -> &'static str {
        self.entry().title
    }
}
