//! The claims of all kinds of tokens.

use serde::Serialize;

use crate::core::clock::Timestamp;
use crate::core::ids::AccountId;
use crate::core::secret::Sid;
use crate::domain::roles::Roles;

/// The claims of a session token.
#[derive(Debug)]
pub struct Claims {
    pub account: AccountId,
    pub sid: Sid,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The result of verifying a session token. Whether the session is active depends on its row.
#[derive(Debug)]
pub enum VerifiedToken {
    Valid(Claims),
    /// This service has signed the token, but it was issued more than a minute in the future of
    /// this clock, which was set back.
    NotYetValid(Claims),
    /// The token of another application, or one that cannot be verified. The reason is not
    /// disclosed.
    NotOurs,
}

impl VerifiedToken {
    /// The claims, if the token is valid now.
    pub fn valid(self) -> Option<Claims> {
        match self {
            Self::Valid(claims) => Some(claims),
            Self::NotYetValid(_) | Self::NotOurs => None,
        }
    }

    /// The claims, if this service has signed the token.
    pub fn signed_here(self) -> Option<Claims> {
        match self {
            Self::Valid(claims) | Self::NotYetValid(claims) => Some(claims),
            Self::NotOurs => None,
        }
    }
}

/// The claims of a device token: this client has signed in to the account before.
#[derive(Debug)]
pub struct DeviceClaims {
    pub account: AccountId,
    /// The password version of the account for which it is valid.
    pub version: i64,
    /// The id of the device: 128 random bits.
    pub id: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The claims of an access token.
#[derive(Debug)]
pub struct AccessClaims {
    pub account: AccountId,
    /// The display name of the user, if the account has one.
    pub name: Option<String>,
    pub roles: Roles,
    pub audience: String,
    /// The id of the token: 128 random bits.
    pub id: String,
    /// When the user last showed a password or another factor. `None` if an API token bought the
    /// access token.
    pub authenticated_at: Option<Timestamp>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The claims of RFC 9068, sections 2.2 and 2.2.1.
#[derive(Debug, Serialize)]
pub(super) struct WireAccess {
    iss: String,
    aud: String,
    sub: String,
    /// The standard claim of OIDC (Core, section 5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    client_id: String,
    jti: String,
    /// RFC 9068, section 2.2.3.1. Most verifiers read an array of names.
    roles: Vec<String>,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
}

impl AccessClaims {
    /// The claims as they are signed, in a token of this issuer.
    pub(super) fn to_wire(&self, issuer: &str) -> WireAccess {
        WireAccess {
            iss: issuer.to_owned(),
            aud: self.audience.clone(),
            sub: self.account.as_str().to_owned(),
            name: self.name.clone(),
            client_id: issuer.to_owned(),
            jti: self.id.clone(),
            roles: self.roles.to_vec(),
            iat: self.issued_at.seconds(),
            exp: self.expires_at.seconds(),
            auth_time: self.authenticated_at.map(Timestamp::seconds),
        }
    }
}
