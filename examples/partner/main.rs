//! A service whose users also come from a partner: the partner's server has authenticated the user,
//! and sends the browser here with a short-lived token.
//!
//! ```sh
//! PARTNER_SECRET=at-least-32-bytes-of-a-shared-secret cargo run --example partner
//! ```
//!
//! A user links the partner's account once, while signed in (`POST /partner/link`). From then on,
//! a token of the partner opens a session (`POST /partner/session`).

use std::collections::HashMap;
use std::sync::Mutex;

use cloakroom::{Cloakroom, Problem, Public, Settings, SignIn, SignedIn, WithSessionCookies};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use poem::Request;
use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

/// The name of this service in the partner's tokens.
const AUDIENCE: &str = "https://shop.example.org";

/// A token of the partner.
#[derive(Object)]
struct PartnerToken {
    /// A JWT with `sub`, `aud` and `exp`, signed with the shared secret (HS256).
    #[oai(validator(max_length = 2048))]
    token: String,
}

#[derive(ApiResponse)]
enum LinkAnswer {
    /// The accounts are linked.
    #[oai(status = 204)]
    Linked,
    /// `partner_refused`: the token is not valid.
    #[oai(status = 422, content_type = "application/problem+json")]
    Refused(Json<Problem>),
}

#[derive(ApiResponse)]
enum SessionAnswer {
    /// The user is signed in.
    #[oai(status = 204)]
    SignedIn,
    /// `partner_refused`: the token is not valid, or no account that can sign in is linked to it.
    #[oai(status = 403, content_type = "application/problem+json")]
    Refused(Json<Problem>),
}

/// The claims that this service reads.
#[derive(Deserialize)]
struct Claims {
    sub: String,
}

struct Partner {
    cloakroom: Cloakroom,
    key: DecodingKey,
    /// Which account belongs to which user of the partner: a table in a real service.
    accounts: Mutex<HashMap<String, String>>,
}

#[OpenApi]
impl Partner {
    /// Link my account with the partner's
    #[oai(path = "/partner/link", method = "post", operation_id = "linkPartner")]
    async fn link(&self, who: SignedIn, body: Json<PartnerToken>) -> LinkAnswer {
        let Some(user) = self.user_of(&body.token) else {
            return LinkAnswer::Refused(refused(StatusCode::UNPROCESSABLE_ENTITY));
        };
        let mut accounts = self.accounts.lock().expect("no holder panics");
        accounts.insert(user, who.account_id().to_owned());
        LinkAnswer::Linked
    }

    /// Sign in with a token of the partner
    #[oai(path = "/partner/session", method = "post", operation_id = "signInAsPartner")]
    async fn sign_in(
        &self,
        _public: Public,
        request: &Request,
        body: Json<PartnerToken>,
    ) -> poem::Result<WithSessionCookies<SessionAnswer>> {
        let refused = || SessionAnswer::Refused(refused(StatusCode::FORBIDDEN));
        let Some(account) = self.user_of(&body.token).and_then(|user| self.account_of(&user))
        else {
            return Ok(WithSessionCookies::none(refused()));
        };
        Ok(match self.cloakroom.sign_in(&account, request).await? {
            SignIn::Done(cookies) => cookies.on(SessionAnswer::SignedIn),
            SignIn::NoSuchAccount | SignIn::AccountDisabled => WithSessionCookies::none(refused()),
        })
    }
}

impl Partner {
    /// The partner's user, if the token is valid for this service.
    fn user_of(&self, token: &str) -> Option<String> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["sub", "aud", "exp"]);
        decode::<Claims>(token, &self.key, &rules).ok().map(|token| token.claims.sub)
    }

    fn account_of(&self, user: &str) -> Option<String> {
        self.accounts.lock().expect("no holder panics").get(user).cloned()
    }
}

fn refused(status: StatusCode) -> Json<Problem> {
    let detail = "This token does not sign anyone in. Sign in with your password, and link it.";
    Json(Problem::new(status, "partner_refused", detail))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = std::env::var("PARTNER_SECRET").ok().filter(|secret| secret.len() >= 32);
    let secret = secret.ok_or("set PARTNER_SECRET to a secret of at least 32 bytes")?;
    let cloakroom = Cloakroom::open(Settings::load()?).await?;
    let partner = Partner {
        cloakroom: cloakroom.clone(),
        key: DecodingKey::from_secret(secret.as_bytes()),
        accounts: Mutex::default(),
    };
    Ok(cloakroom.mount(partner, "Shop", "1.0.0").serve().await?)
}
