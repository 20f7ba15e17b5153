//! Signing keys and claims: the only place that names jsonwebtoken.
//!
//! A session token is a JWT (RFC 7519) signed with Ed25519. The library checks the signature;
//! every other rule is checked here, by our clock, because its defaults forgive too much.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pem_rfc7468::LineEnding;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::accounts::AccountId;
use crate::clock::Timestamp;
use crate::secret::{SessionToken, Sid};

/// The type in a session token's header: no token of another kind passes for one (RFC 8725, 3.11).
const TYP: &str = "session+jwt";
/// A token is 400 bytes or so; the contract promises at most this many.
const LONGEST: usize = 1024;
/// The clocks of two nodes may differ by this much.
const AHEAD: Duration = Duration::from_mins(1);
/// The label of a PKCS#8 key (RFC 7468, section 10).
const LABEL: &str = "PRIVATE KEY";

/// The keys that sign session tokens and that verify them.
pub struct Keys {
    signing: (String, EncodingKey),
    verifying: HashMap<String, DecodingKey>,
    issuer: String,
}

/// What a session token says.
#[derive(Debug)]
pub struct Claims {
    pub account: AccountId,
    pub sid: Sid,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Why the keys cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the signing keys in {0}: {1}")]
    Unreadable(PathBuf, io::Error),
    #[error("others may read {0}, which holds a signing key; run: chmod 0600 {0}")]
    OpenToOthers(PathBuf),
    #[error("{0} is no Ed25519 key in PKCS#8 PEM form; restore it from a backup, or remove it")]
    NotAKey(PathBuf),
    #[error("cannot write a signing key to {0}: {1}")]
    Unwritable(PathBuf, io::Error),
    #[error("the signing keys in {0} are gone, but there are accounts; restore the keys")]
    Gone(PathBuf),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireHeader {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireClaims {
    iss: String,
    aud: String,
    sub: String,
    sid: String,
    iat: i64,
    exp: i64,
}

impl Keys {
    /// Reads every `*.pem` of the folder; the last one by name signs. `None` if there is none.
    pub fn read(folder: &Path, issuer: &str) -> Result<Option<Self>, KeyError> {
        let unreadable = |error| KeyError::Unreadable(folder.to_owned(), error);
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths: Vec<_> = paths.collect::<Result<_, _>>().map_err(unreadable)?;
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "pem"));
        paths.sort();

        let mut signing = None;
        let mut verifying = HashMap::new();
        for path in paths {
            let (kid, encoding, decoding) = read_key(&path)?;
            verifying.insert(kid.clone(), decoding);
            signing = Some((kid, encoding));
        }
        Ok(signing.map(|signing| Self { signing, verifying, issuer: issuer.to_owned() }))
    }

    /// Makes the folder's first key: readable by its owner alone, and on the disk when this returns.
    pub fn create(folder: &Path, now: Timestamp) -> Result<(), KeyError> {
        let path = folder.join(format!("session-{:012}.pem", now.seconds()));
        write_key(folder, &path).map_err(|error| KeyError::Unwritable(path, error))
    }

    /// Signs a token for the session.
    pub fn sign(&self, claims: &Claims) -> SessionToken {
        let (kid, key) = &self.signing;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYP.to_owned());
        header.kid = Some(kid.clone());
        let claims = WireClaims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: claims.account.as_str().to_owned(),
            sid: claims.sid.expose(), // the token is where the sid lives
            iat: claims.issued_at.seconds(),
            exp: claims.expires_at.seconds(),
        };
        let jwt = jsonwebtoken::encode(&header, &claims, key);
        SessionToken::new(jwt.expect("a key that was read can sign"))
    }

    /// What the token says, if it is one of ours and in force at `now`. Nobody is told why not.
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        let header: WireHeader = part(token.split('.').next()?)?;
        if header.alg != "EdDSA" || header.typ != TYP {
            return None;
        }
        let key = self.verifying.get(&header.kid)?;
        let mut signature_only = Validation::new(Algorithm::EdDSA);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        let claims = jsonwebtoken::decode::<WireClaims>(token, key, &signature_only).ok()?.claims;
        let is_ours = claims.iss == self.issuer && claims.aud == self.issuer;
        let is_in_force = claims.iat <= now.plus(AHEAD).seconds() && now.seconds() < claims.exp;
        if !is_ours || !is_in_force {
            return None;
        }
        Some(Claims {
            account: claims.sub.into(),
            sid: Sid::parse(&claims.sid)?,
            issued_at: Timestamp::from_millis(claims.iat.checked_mul(1000)?),
            expires_at: Timestamp::from_millis(claims.exp.checked_mul(1000)?),
        })
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("signing", &self.signing.0).finish_non_exhaustive()
    }
}

/// One part of a JWT as JSON; serde refuses repeated and unknown members.
fn part<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&json).ok()
}

fn read_key(path: &Path) -> Result<(String, EncodingKey, DecodingKey), KeyError> {
    let unreadable = |error| KeyError::Unreadable(path.to_owned(), error);
    let meta = fs::symlink_metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(KeyError::NotAKey(path.to_owned()));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(KeyError::OpenToOthers(path.to_owned()));
    }
    let pem = Zeroizing::new(fs::read(path).map_err(unreadable)?);
    let not_a_key = || KeyError::NotAKey(path.to_owned());
    let (label, der) = pem_rfc7468::decode_vec(&pem).map_err(|_| not_a_key())?;
    let der = Zeroizing::new(der);
    if label != LABEL {
        return Err(not_a_key());
    }
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| not_a_key())?;
    let public = pair.public_key().as_ref();
    let (signing, verifying) = (EncodingKey::from_ed_der(&der), DecodingKey::from_ed_der(public));
    Ok((thumbprint(public), signing, verifying))
}

fn write_key(folder: &Path, path: &Path) -> io::Result<()> {
    let refused = |_| io::Error::other("the system makes no key");
    let pkcs8 = Ed25519KeyPair::generate().map_err(refused)?;
    let der = pkcs8.to_pkcs8v1().map_err(refused)?;
    let pem = pem_rfc7468::encode_string(LABEL, LineEnding::LF, der.as_ref());
    let pem = Zeroizing::new(pem.map_err(io::Error::other)?);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

/// The key's name: its JWK thumbprint (RFC 7638, with the members of RFC 8037).
fn thumbprint(public: &[u8]) -> String {
    let x = BASE64_URL_SAFE_NO_PAD.encode(public);
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(jwk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_the_one_of_rfc_8037_appendix_a_3() {
        let public = BASE64_URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(thumbprint(&public.unwrap()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
