//! Access tokens: short-lived tokens that tell other services which user is signed in, and that
//! these verify offline.
//!
//! An access token cannot be revoked, so its lifetime is short. It is not accepted by Cloakroom
//! itself, because its type differs from that of a session token.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::{Clock, mins};
use crate::core::secret::{AccessToken, random_id};
use crate::domain::caller::AuthenticatedCaller;
use crate::domain::keys::claims::AccessClaims;
use crate::domain::keys::tokens::KeyRing;

/// How long a service that verifies offline may accept a session that has ended.
const LIFETIME: Duration = mins(5);

/// An access token and its lifetime.
#[derive(Debug)]
pub struct Issued {
    pub token: AccessToken,
    pub expires_in: Duration,
}

/// No setting allows tokens for this audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownAudience;

/// Issues access tokens for the audiences that the operator has allowed.
#[derive(Debug)]
pub struct AccessTokens {
    keys: Arc<KeyRing>,
    clock: Clock,
    audiences: Vec<String>,
}

impl AccessTokens {
    pub fn new(keys: Arc<KeyRing>, clock: Clock, audiences: Vec<String>) -> Self {
        Self { keys, clock, audiences }
    }

    /// Issues a token that tells the service `audience` for which user the caller acts. It does not
    /// outlive the session or the API token of the request.
    pub fn issue_token(
        &self,
        who: &AuthenticatedCaller,
        audience: &str,
    ) -> Result<Issued, UnknownAudience> {
        if !self.audiences.iter().any(|known| known == audience) {
            return Err(UnknownAudience);
        }
        let issued_at = self.clock.now();
        let expires_at = issued_at.plus(LIFETIME).min(who.expires_at());
        let account = who.account();
        let token = self.keys.sign_access(&AccessClaims {
            account: account.id.clone(),
            name: account.display_name.as_ref().map(ToString::to_string),
            roles: account.roles.clone(),
            audience: audience.to_owned(),
            id: random_id(),
            authenticated_at: who.authenticated_at(),
            issued_at,
            expires_at,
        });
        Ok(Issued { token, expires_in: expires_at.since(issued_at) })
    }
}
