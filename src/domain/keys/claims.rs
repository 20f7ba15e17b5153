//! What tokens say.

use crate::core::clock::Timestamp;
use crate::core::ids::AccountId;
use crate::core::secret::Sid;

/// What a session token says.
#[derive(Debug)]
pub struct Claims {
    pub account: AccountId,
    pub sid: Sid,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What verifying a session token finds. Whether its session is active, its row decides.
#[derive(Debug)]
pub enum VerifiedToken {
    Valid(Claims),
    /// This service has signed it, and it was issued more than a minute ahead of this clock, which
    /// was set back.
    NotYetValid(Claims),
    /// Another application's, or none that can be verified. Why is not said.
    NotOurs,
}

impl VerifiedToken {
    /// What it says, if it is valid now.
    pub fn valid(self) -> Option<Claims> {
        match self {
            Self::Valid(claims) => Some(claims),
            Self::NotYetValid(_) | Self::NotOurs => None,
        }
    }

    /// What it says, if this service has signed it.
    pub fn signed_here(self) -> Option<Claims> {
        match self {
            Self::Valid(claims) | Self::NotYetValid(claims) => Some(claims),
            Self::NotOurs => None,
        }
    }
}

/// What a device token says: that this client has signed in to the account.
#[derive(Debug)]
pub struct DeviceClaims {
    pub account: AccountId,
    /// The password of the account that it is good with.
    pub version: i64,
    /// 128 random bits that name the device.
    pub id: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What an access token says.
#[derive(Debug)]
pub struct AccessClaims {
    pub account: AccountId,
    pub audience: String,
    /// 128 random bits that name the token.
    pub id: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}
