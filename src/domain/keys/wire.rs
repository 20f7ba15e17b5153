//! The claims of session tokens and device tokens, as their JSON has them.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireClaims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub sid: String,
    pub iat: i64,
    pub exp: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireDevice {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub jti: String,
    pub ver: i64,
    pub iat: i64,
    pub exp: i64,
}
