//! An example of a service without accounts and sessions: it accepts access tokens that Cloakroom
//! issues for it, and verifies them with Cloakroom's public keys.
//!
//! `cargo run --example verify_only -- http://127.0.0.1:8000 https://api.example.org
//! 127.0.0.1:8002`: the arguments are Cloakroom's URL, the name of this service in
//! `tokens.audiences`, and the address to listen on.

use std::collections::HashMap;
use std::sync::RwLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use poem::{Request, Route, Server, listener::TcpListener};
use poem_openapi::auth::Bearer;
use poem_openapi::{Object, OpenApi, OpenApiService, SecurityScheme, payload::Json};
use serde::Deserialize;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The keys are fetched again after this time, as Cloakroom's response says, …
const KEPT: Duration = Duration::from_mins(5);
/// … or for an unknown key id, but at most this often, so that invalid tokens cannot cause more
/// requests.
const AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// Verifies access tokens that Cloakroom issued for this service.
struct Verifier {
    cloakroom: String,
    audience: String,
    keys: RwLock<(Instant, HashMap<String, DecodingKey>)>,
}

/// The token's header. Unknown members are refused, because they might be critical.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    typ: String,
    alg: Algorithm,
    kid: String,
}

/// The claims that this service reads. Each has one accepted type; a list, or a number in quotes,
/// is refused.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    exp: u64,
}

impl Verifier {
    fn new(cloakroom: String, audience: String) -> Result<Self, Failed> {
        let keys = RwLock::new((Instant::now(), fetch(&cloakroom)?));
        Ok(Self { cloakroom, audience, keys })
    }

    /// The account's id, if the token is valid.
    fn verify(&self, token: &str) -> Option<String> {
        let head = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next()?).ok()?;
        let head: Head = serde_json::from_slice(&head).ok()?;
        if head.typ != "at+jwt" || head.alg != Algorithm::EdDSA {
            return None;
        }
        // the library accepts a missing `iss` and a minute after `exp`, so the claims are checked
        // below
        let mut signature_alone = Validation::new(Algorithm::EdDSA);
        signature_alone.required_spec_claims.clear();
        (signature_alone.validate_exp, signature_alone.validate_aud) = (false, false);
        let key = self.key(&head.kid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &signature_alone).ok()?.claims;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let is_ours = claims.iss == self.cloakroom && claims.aud == self.audience;
        // the clocks of two machines may differ by a minute
        (is_ours && now < claims.exp && claims.iat <= now + 60).then_some(claims.sub)
    }

    fn key(&self, kid: &str) -> Option<DecodingKey> {
        let (at, known) = {
            let keys = self.keys.read().ok()?;
            (keys.0, keys.1.get(kid).cloned())
        };
        let patience = if known.is_some() { KEPT } else { AT_MOST_EVERY };
        if at.elapsed() < patience {
            return known;
        }
        let mut keys = self.keys.write().ok()?;
        if keys.0 == at {
            // no other request has fetched them meanwhile; if Cloakroom is unreachable, the known
            // keys stay in use
            let fetched = fetch(&self.cloakroom).unwrap_or_else(|_| keys.1.clone());
            *keys = (Instant::now(), fetched);
        }
        keys.1.get(kid).cloned()
    }
}

fn fetch(cloakroom: &str) -> Result<HashMap<String, DecodingKey>, Failed> {
    let at = format!("{cloakroom}/.well-known/jwks.json");
    let text = ureq::get(at).call()?.body_mut().read_to_string()?;
    let set: JwkSet = serde_json::from_str(&text)?;
    let key = |jwk: &jsonwebtoken::jwk::Jwk| {
        Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?))
    };
    Ok(set.keys.iter().filter_map(key).collect())
}

/// An access token of Cloakroom's operation `issueToken`.
#[derive(SecurityScheme)]
#[oai(ty = "bearer", bearer_format = "JWT", rename = "accessToken", checker = "caller")]
struct Caller(String);

async fn caller(request: &Request, bearer: Bearer) -> Option<String> {
    let verifier = *request.data::<&'static Verifier>()?;
    // fetching keys blocks, so it runs on a thread that may block
    tokio::task::spawn_blocking(move || verifier.verify(&bearer.token)).await.ok()?
}

/// A report.
#[derive(Object)]
struct Report {
    /// The id of the account that the report is about.
    account: String,
}

struct Reports;

#[OpenApi]
impl Reports {
    /// Read my report
    #[oai(path = "/report", method = "get", operation_id = "readReport")]
    async fn report(&self, who: Caller) -> Json<Report> {
        Json(Report { account: who.0 })
    }
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cloakroom, audience, listen] = <[String; 3]>::try_from(arguments).map_err(
        |_| "wants three arguments: Cloakroom's address, its own name there, an address",
    )?;
    let opened = tokio::task::spawn_blocking(|| Verifier::new(cloakroom, audience)).await?;
    let verifier: &'static Verifier = Box::leak(Box::new(opened?));
    let service = OpenApiService::new(Reports, "Reports", "1.0.0");
    let document = service.spec_endpoint();
    let route = Route::new().at("/openapi.json", document).nest("/", service);
    let route = poem::EndpointExt::data(route, verifier);
    Ok(Server::new(TcpListener::bind(listen)).run(route).await?) // behind a proxy
}
