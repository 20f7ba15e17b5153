//! The problem codes, with name, status, title and detail of each. Add new codes here.

use poem::http::StatusCode;
use strum::{EnumString, IntoStaticStr, VariantNames};

/// Why a request was refused. The strings are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Code {
    InvalidRequest,
    NotAuthenticated,
    SessionRefused,
    InvalidCredentials,
    RegistrationClosed,
    InviteRefused,
    AudienceRefused,
    CrossOrigin,
    NotFound,
    MethodNotAllowed,
    UsernameTaken,
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
const EXPLANATIONS: [(Code, &str); 3] = [
    (
        Code::NotAuthenticated,
        "The request has no session cookie. Sign in, and send it again with the cookie.",
    ),
    (
        Code::SessionRefused,
        "The session cookie of the request is changed, expired, revoked or unknown, or there are two that \
         differ. Which of these is not said. Sign in again.",
    ),
    (
        Code::InvalidCredentials,
        "The password is wrong, or there is no such user, or the account is disabled. Which of these is \
         not said.",
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
            Self::NotAuthenticated => entry(401, "Sign-in needed",
                "Not authenticated"),
            Self::SessionRefused => entry(403, "Session refused",
                "Invalid authentication"),
            Self::InvalidCredentials => entry(403, "Wrong credentials",
                "Invalid user or password"),
            Self::RegistrationClosed => entry(403, "Registration closed",
                "Registration is closed. Ask the operator of this service for an account."),
            Self::InviteRefused => entry(403, "Invite refused",
                "Registration needs a valid invite code. This one is missing, mistyped, already used or \
                 expired. Ask the operator of this service for a new one."),
            Self::AudienceRefused => entry(403, "Audience refused",
                "No tokens are issued for this audience; the operator of this service can name it \
                 in `tokens.audiences`."),
            Self::CrossOrigin => entry(403, "Request from another origin",
                "A page of another origin may not do this; open this service itself."),
            Self::NotFound => entry(404, "Not found",
                "Nothing was found at this address."),
            Self::MethodNotAllowed => entry(405, "Method not allowed",
                "This path does not take this method; see the header `Allow`."),
            Self::UsernameTaken => entry(409, "User name taken",
                "This user name is taken. Choose another one."),
            Self::PayloadTooLarge => entry(413, "Body too large",
                "The body is larger than 16 KiB."),
            Self::UnsupportedMediaType => entry(415, "Media type not supported",
                "Send the body as `application/json` or as `application/x-www-form-urlencoded`."),
            Self::UnknownHost => entry(421, "Not this service",
                "This service does not answer under this `Host`; its operator can set it as `public_url`, \
                 or name it in `allowed_hosts`."),
            Self::PolicyViolation => entry(422, "Not acceptable",
                "The user name or the password does not meet the rules; see `errors`."),
            Self::TooManyAttempts => entry(429, "Too many attempts",
                "Too many attempts. Wait as many seconds as the header `Retry-After` says, then try again."),
            Self::InternalError => entry(500, "Internal error",
                "Something went wrong in this service. If it happens again, give its operator the value of the \
                 header `X-Request-Id`."),
            Self::Overloaded => entry(503, "Too busy",
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
