//! `getJwks`: the public halves of the signing keys.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::problem::Failure;
use super::{Front, Tag};
use crate::domain::tokens::PublicKey;

pub struct TokensApi(pub Arc<Front>);

/// The public keys of this service, as a JWK Set (RFC 7517).
#[derive(Object)]
pub struct Jwks {
    /// One key signs; the others verify what they signed before a rotation.
    #[oai(validator(max_items = 100))]
    pub keys: Vec<Jwk>,
}

/// An Ed25519 public key (RFC 8037).
#[derive(Object)]
pub struct Jwk {
    /// The type of the key: `OKP`.
    #[oai(validator(max_length = 8))]
    pub kty: String,
    /// The curve: `Ed25519`.
    #[oai(validator(max_length = 16))]
    pub crv: String,
    /// The public key, 32 bytes in base64url.
    #[oai(validator(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$"))]
    pub x: String,
    /// The key's name in a token's header: its thumbprint (RFC 7638).
    #[oai(validator(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$"))]
    pub kid: String,
    /// What it is for: `sig`.
    #[oai(rename = "use", validator(max_length = 8))]
    pub used_for: String,
    /// The algorithm: `EdDSA`.
    #[oai(validator(max_length = 16))]
    pub alg: String,
}

impl From<PublicKey> for Jwk {
    fn from(key: PublicKey) -> Self {
        Self {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: key.x,
            kid: key.kid,
            used_for: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
        }
    }
}

#[derive(ApiResponse)]
enum JwksAnswer {
    /// The keys.
    #[oai(status = 200, content_type = "application/json")]
    Keys(
        Json<Jwks>,
        /// Keep it for five minutes at the most.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[OpenApi]
impl TokensApi {
    /// The public keys
    ///
    /// For services that verify this one's tokens offline. Look again when a token names a `kid`
    /// that is not here.
    #[oai(
        path = "/.well-known/jwks.json",
        method = "get",
        operation_id = "getJwks",
        tag = "Tag::Keys"
    )]
    async fn get_jwks(&self) -> Result<JwksAnswer, Failure> {
        let keys = self.0.domain.keys.public().into_iter().map(Jwk::from).collect();
        Ok(JwksAnswer::Keys(Json(Jwks { keys }), "public, max-age=300".to_owned()))
    }
}
