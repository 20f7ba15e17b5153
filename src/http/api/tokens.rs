//! `issueToken`, and `getJwks`: the public halves of the signing keys.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::tags::Tag;
use crate::domain::access_tokens::{Issued, UnknownAudience};
use crate::domain::keys::tokens::PublicKey;
use crate::http::guard::SignedIn;
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::{Body, FromFields};
use crate::http::request::fields::Fields;
use crate::http::state::AppState;

pub struct TokensApi(pub Arc<AppState>);

/// Whom a token is for.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
pub struct TokenRequest {
    /// The service that will verify the token, by the name that the operator gave it in
    /// `tokens.audiences`, to the letter; the token has it as `aud`.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub audience: String,
}

impl Example for TokenRequest {
    fn example() -> Self {
        Self { audience: "https://api.example.org".to_owned() }
    }
}

impl FromFields for TokenRequest {
    fn from_fields(fields: &mut Fields) -> Self {
        Self { audience: fields.text("audience") }
    }
}

/// A token for another service, as OAuth 2.0 answers one (RFC 6749, section 5.1).
#[derive(Object)]
#[oai(rename = "AccessToken")]
pub struct AccessTokenView {
    /// A JWT; send it as `Authorization: Bearer …`.
    #[oai(validator(max_length = 2048))]
    pub access_token: String,
    /// How to send it: `Bearer`.
    #[oai(validator(max_length = 16))]
    pub token_type: String,
    /// Seconds for which it is good: 300, or less when the session ends before.
    #[oai(validator(minimum(value = "0"), maximum(value = "300")))]
    pub expires_in: i64,
}

impl From<&Issued> for AccessTokenView {
    fn from(issued: &Issued) -> Self {
        Self {
            access_token: issued.token.expose().to_owned(), // it was asked for
            token_type: "Bearer".to_owned(),
            expires_in: i64::try_from(issued.expires_in.as_secs()).unwrap_or(0),
        }
    }
}

#[derive(ApiResponse)]
enum TokenAnswer {
    /// The token.
    #[oai(status = 200, content_type = "application/json")]
    Token(Json<AccessTokenView>),
    /// `audience_refused`: the settings of this service do not name this audience.
    #[oai(status = 403, content_type = "application/problem+json")]
    Refused(Json<Problem>),
}

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
    /// A token for another service
    ///
    /// Issues a JWT that says who is signed in, for a service that verifies it offline by the keys
    /// of `getJwks`. It is an access token in the form of RFC 9068: the header's `typ` is `at+jwt`,
    /// and the claims are `iss`, `aud`, `sub` (the account's `id`), `client_id`, `jti`, `iat` and
    /// `exp`. `client_id` is this service itself, as `iss` is: no OAuth client is registered here. A
    /// token cannot be taken back; it ends after five minutes, and with the session at the latest.
    /// Accept an `iat` of up to 60 seconds ahead, since clocks differ. This service itself does not accept the token.
    #[oai(path = "/token", method = "post", operation_id = "issueToken", tag = "Tag::Tokens")]
    async fn issue_token(
        &self,
        who: SignedIn,
        body: Body<TokenRequest>,
    ) -> Result<TokenAnswer, ApiError> {
        self.0.domain.keys.require_signing_key()?;
        match self.0.domain.access_tokens.issue_token(&who.0, &body.0.audience) {
            Ok(issued) => Ok(TokenAnswer::Token(Json(AccessTokenView::from(&issued)))),
            Err(UnknownAudience) => {
                Ok(TokenAnswer::Refused(Json(Problem::of(Code::AudienceRefused))))
            }
        }
    }

    /// The public keys
    ///
    /// For services that verify this one's tokens offline. Look again when a token names a `kid`
    /// that is not here.
    #[oai(
        path = "/.well-known/jwks.json",
        method = "get",
        operation_id = "getJwks",
        tag = "Tag::Tokens"
    )]
    async fn get_jwks(&self) -> Result<JwksAnswer, ApiError> {
        let keys = self.0.domain.keys.public().into_iter().map(Jwk::from).collect();
        Ok(JwksAnswer::Keys(Json(Jwks { keys }), "public, max-age=300".to_owned()))
    }
}
