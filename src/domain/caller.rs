//! Who sends a request: a user with a session, or a program with an API token.

use std::sync::Arc;

use crate::core::clock::Timestamp;
use crate::core::ids::SessionId;
use crate::domain::accounts::Account;
use crate::domain::api_tokens::AuthenticatedToken;
use crate::domain::audit::context::Credential;
use crate::domain::sessions::AuthenticatedSession;

/// The authenticated sender of a request.
#[derive(Debug, Clone)]
pub enum AuthenticatedCaller {
    Session(Arc<AuthenticatedSession>),
    ApiToken(Arc<AuthenticatedToken>),
}

impl AuthenticatedCaller {
    /// The account, with the roles that are in force for the request.
    pub fn account(&self) -> &Account {
        match self {
            Self::Session(who) => &who.account,
            Self::ApiToken(who) => &who.account,
        }
    }

    /// The session, if the request has one.
    pub fn session_id(&self) -> Option<&SessionId> {
        match self {
            Self::Session(who) => Some(&who.session.id),
            Self::ApiToken(_) => None,
        }
    }

    /// What authenticates the request, for security events.
    pub fn credential(&self) -> Credential<'_> {
        match self {
            Self::Session(who) => Credential::Session(&who.session.id),
            Self::ApiToken(who) => Credential::ApiToken(&who.token.id),
        }
    }

    /// When the session or the API token expires.
    pub fn expires_at(&self) -> Timestamp {
        match self {
            Self::Session(who) => who.session.expires_at,
            Self::ApiToken(who) => who.token.expires_at,
        }
    }

    /// When the user last showed the password. `None` for an API token, which says nothing about
    /// the user being present.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        match self {
            Self::Session(who) => Some(who.session.authenticated_at),
            Self::ApiToken(_) => None,
        }
    }
}
