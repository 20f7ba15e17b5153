//! The operations `issueToken`, and `getJwks` for the public keys.

use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::tags::Tag;
use crate::domain::access_tokens::{Issued, UnknownAudience};
use crate::domain::keys::tokens::PublicKey;
use crate::http::caller::Caller;
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::{Body, FromFields};
use crate::http::request::fields::Fields;
use crate::http::state::AppState;

pub struct TokensApi(pub Arc<AppState>);

/// The service that the token is for.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
pub struct TokenRequest {
    /// The service that verifies the token. It must be identical to one of the names in the
    /// operator's setting `tokens.audiences`. The token contains it as `aud`.
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

/// An access token, in the response format of OAuth 2.0 (RFC 6749, section 5.1).
#[derive(Object)]
#[oai(rename = "AccessToken")]
pub struct AccessTokenView {
    /// The JWT. Send it as `Authorization: Bearer …`.
    #[oai(validator(max_length = 2048))]
    pub access_token: String,
    /// The authentication scheme to send the token with: `Bearer`.
    #[oai(validator(max_length = 16))]
    pub token_type: String,
    /// The number of seconds until the token expires: 300, or fewer if the session or
    /// the API token expires earlier.
    #[oai(validator(minimum(value = "0"), maximum(value = "300")))]
    pub expires_in: i64,
}

impl From<&Issued> for AccessTokenView {
    fn from(issued: &Issued) -> Self {
        Self {
            access_token: issued.token.expose().to_owned(), // the client requested it
            token_type: "Bearer".to_owned(),
            expires_in: i64::try_from(issued.expires_in.as_secs()).unwrap_or(0),
        }
    }
}

#[derive(ApiResponse)]
enum TokenAnswer {
    /// The access token.
    #[oai(status = 200, content_type = "application/json")]
    Token(Json<AccessTokenView>),
    /// `audience_refused`: the setting `tokens.audiences` does not contain this audience.
    #[oai(status = 403, content_type = "application/problem+json")]
    Refused(Json<Problem>),
}

/// The public keys of this service, as a JWK Set (RFC 7517).
#[derive(Object)]
pub struct Jwks {
    /// The public keys: the key that signs new tokens, and the keys that signed tokens before a
    /// rotation.
    #[oai(validator(max_items = 100))]
    pub keys: Vec<Jwk>,
}

/// An Ed25519 public key (RFC 8037).
#[derive(Object)]
pub struct Jwk {
    /// The key type: `OKP`.
    #[oai(validator(max_length = 8))]
    pub kty: String,
    /// The curve: `Ed25519`.
    #[oai(validator(max_length = 16))]
    pub crv: String,
    /// The public key, 32 bytes in base64url.
    #[oai(validator(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$"))]
    pub x: String,
    /// The key identifier, which tokens contain in their header: the thumbprint of the key (RFC
    /// 7638).
    #[oai(validator(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]{43}$"))]
    pub kid: String,
    /// The purpose of the key: `sig`, to verify signatures.
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
    /// The public keys.
    #[oai(status = 200, content_type = "application/json")]
    Keys(
        Json<Jwks>,
        /// Clients may cache the response for up to five minutes.
        #[oai(header = "Cache-Control")]
        String,
    ),
}

#[OpenApi]
impl TokensApi {
    /// Issue an access token for another service
    ///
    /// Issues a JWT that identifies the user of the session or of the API token to another service. That service verifies
    /// the token offline with the public keys of `getJwks`.
    ///
    /// The token is an access token according to RFC 9068. Its header contains `typ` with the value
    /// `at+jwt`, and its claims are `iss`, `aud`, `sub` (the `id` of the account), `client_id`,
    /// `jti`, `roles` (an array of the roles of the account in alphabetical order), `iat`, `exp` and
    /// `auth_time`. `client_id` has the same value as `iss`, because this service has no OAuth
    /// clients. `auth_time` is when the user last showed a password: at the sign-in, or at a
    /// confirmation. A service that wants a more recent one answers as RFC 9470 says; the client
    /// then confirms the session with `confirmWithPassword` and gets a new token. With an API token
    /// there is no `auth_time`, because the user may not be present, and `roles` contains only those
    /// roles that the token has, too. If the user has set a display
    /// name, the claim `name` contains it.
    ///
    /// A token cannot be revoked. It expires after five minutes, or earlier if the session or the API
    /// token expires earlier. Because clocks differ, a service should accept an `iat` that is up to 60 seconds in
    /// the future. Cloakroom itself does not accept the token.
    #[oai(path = "/token", method = "post", operation_id = "issueToken", tag = "Tag::Tokens")]
    async fn issue_token(
        &self,
        who: Caller,
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

    /// Get the public keys
    ///
    /// Returns the public keys with which other services verify access tokens offline. Fetch the
    /// keys again when a token names a `kid` that you do not know.
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
