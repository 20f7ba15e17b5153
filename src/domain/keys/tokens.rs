//! Signs and verifies tokens. No other module names jsonwebtoken.
//!
//! A session token is a JWT (RFC 7519) that is signed with Ed25519. The library verifies the
//! signature. All other rules are checked here, with our clock, because the library's defaults are
//! too lenient.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::core::clock::Timestamp;
use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::core::secret::{AccessToken, DeviceToken, SessionToken, Sid, random_bytes, random_id};
use crate::domain::keys::claims::{AccessClaims, Claims, DeviceClaims, VerifiedToken};
use crate::domain::keys::files::KeyError;
use crate::domain::keys::folder::{KeyFile, KeyFileContent, KeyFolder, Reread};
use crate::domain::keys::wire::{WireClaims, WireDevice};
use crate::domain::keys::{files, folder};

/// The type in the header of a session token. It prevents that a token of another kind is accepted
/// as one (RFC 8725, section 3.11).
const SESSION: &str = "session+jwt";
const DEVICE: &str = "device+jwt";
/// The type of an access token (RFC 9068, section 2.1). Cloakroom itself never accepts one.
const ACCESS: &str = "at+jwt";
/// How far the `iat` of a token may be in the future, because the clocks of nodes differ. Whether
/// the session is active depends on its row.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(1);
/// The maximum length of a token, which the API contract promises. A token has about 400 bytes.
const MAX_TOKEN_LENGTH: usize = 1024;
/// The lines around a PKCS#8 key in PEM format (RFC 7468, section 10).
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// The file extension.
const ENDING: &str = files::PEM;

/// The signing keys of a folder when it was last read.
pub struct KeyRing {
    issuer: String,
    set: RwLock<Arc<KeySet>>,
}

/// The keys of a folder, all of which verify tokens.
struct KeySet {
    folder: KeyFolder<SigningKey>,
    /// The key that signs: the last one by name. If all keys were removed, it is the last one that
    /// existed; then no token that it signs would verify, and `can_sign` returns false.
    signing: Arc<KeyFile<SigningKey>>,
}

struct SigningKey {
    kid: String,
    public: Vec<u8>,
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// A public key.
#[derive(Debug, Clone)]
pub struct PublicKey {
    pub kid: String,
    /// The 32 bytes of the Ed25519 public key, in base64url.
    pub x: String,
    pub signs: bool,
    pub path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireHeader {
    alg: String,
    typ: String,
    kid: String,
}

impl KeyRing {
    /// Whether the folder has any signing keys, valid or not.
    pub fn are_in(folder: &Path) -> Result<bool, KeyError> {
        folder::has_any::<SigningKey>(folder)
    }

    /// Reads all `*.pem` files of the folder. Returns `None` if there are none.
    pub fn read(folder: &Path, issuer: &str) -> Result<Option<Self>, KeyError> {
        let folder = KeyFolder::<SigningKey>::read(folder)?;
        let Some(signing) = folder.files.last().map(Arc::clone) else { return Ok(None) };
        let set = RwLock::new(Arc::new(KeySet { folder, signing }));
        Ok(Some(Self { issuer: issuer.to_owned(), set }))
    }

    /// Reads the changes in the folder: removed keys are no longer trusted, and added ones are, if
    /// they are valid. Returns whether keys were added or removed, and the problems.
    pub fn reload(&self) -> Result<(bool, Vec<KeyError>), KeyError> {
        let before = self.set();
        let Reread { changed, mut refused } = before.folder.reread()?;
        let has_changed = changed.is_some();
        if let Some(folder) = changed {
            let signing = Arc::clone(folder.files.last().unwrap_or(&before.signing));
            let set = Arc::new(KeySet { folder, signing });
            *self.set.write().expect("nobody panics while writing") = set;
        }
        if !self.can_sign() {
            refused.push(KeyError::Gone(before.folder.folder().to_owned()));
        }
        Ok((has_changed, refused))
    }

    /// Whether there is a key. A service whose keys were all removed accepts no token and signs
    /// none.
    pub fn can_sign(&self) -> bool {
        !self.set().folder.files.is_empty()
    }

    /// Returns a transient error if there is no signing key.
    pub fn require_signing_key(&self) -> Result<(), InternalError> {
        if self.can_sign() {
            return Ok(());
        }
        let folder = self.set().folder.folder().to_owned();
        Err(InternalError::transient("signing a token", KeyError::Gone(folder)))
    }

    /// The public keys, oldest first.
    pub fn public(&self) -> Vec<PublicKey> {
        let set = self.set();
        let keys = set.folder.files.iter().map(|file| PublicKey {
            kid: file.content.kid.clone(),
            x: BASE64_URL_SAFE_NO_PAD.encode(&file.content.public),
            signs: Arc::ptr_eq(file, &set.signing),
            path: file.path.clone(),
        });
        keys.collect()
    }

    fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.set.read().expect("nobody panics while writing"))
    }

    /// Creates a signing key, which is used from now on. Only its owner can read the file, which is
    /// on the disk when this returns. Running services use it within a second.
    pub fn create(folder: &Path, now: Timestamp) -> Result<PathBuf, KeyError> {
        let path = folder.join(format!("session-{:015}-{}.{ENDING}", now.millis(), random_id()));
        let text = generate_pem()
            .map_err(|why| KeyError::Unwritable(path.clone(), io::Error::other(why)))?;
        files::write(folder, &path, &text, "key rotate")?;
        Ok(path)
    }

    /// Signs a session token.
    pub fn sign(&self, claims: &Claims) -> SessionToken {
        let claims = WireClaims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: claims.account.as_str().to_owned(),
            sid: claims.sid.expose(), // only the token contains the sid
            iat: claims.issued_at.seconds(),
            exp: claims.expires_at.seconds(),
        };
        SessionToken::new(self.encode(SESSION, &claims))
    }

    /// Verifies a session token. It does not check whether the session is active.
    pub fn verify(&self, token: &str, now: Timestamp) -> VerifiedToken {
        match self.read_claims(token) {
            Some(claims) if is_ahead(claims.issued_at, now) => VerifiedToken::NotYetValid(claims),
            Some(claims) => VerifiedToken::Valid(claims),
            None => VerifiedToken::NotOurs,
        }
    }

    fn read_claims(&self, token: &str) -> Option<Claims> {
        let claims: WireClaims = self.decode(SESSION, token)?;
        if !self.is_ours(&claims.iss, &claims.aud) {
            return None;
        }
        Some(Claims {
            account: claims.sub.into(),
            sid: Sid::parse(&claims.sid)?,
            issued_at: Timestamp::from_millis(claims.iat.checked_mul(1000)?),
            expires_at: Timestamp::from_millis(claims.exp.checked_mul(1000)?),
        })
    }

    /// Signs a device token.
    pub fn sign_device(&self, claims: &DeviceClaims) -> DeviceToken {
        let claims = WireDevice {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: claims.account.as_str().to_owned(),
            jti: claims.id.clone(),
            ver: claims.version,
            iat: claims.issued_at.seconds(),
            exp: claims.expires_at.seconds(),
        };
        DeviceToken::new(self.encode(DEVICE, &claims))
    }

    /// Verifies a device token. Returns its claims if this service has signed it and it is valid.
    pub fn verify_device(&self, token: &DeviceToken, now: Timestamp) -> Option<DeviceClaims> {
        let claims: WireDevice = self.decode(DEVICE, token.expose())?; // to verify it
        let issued_at = Timestamp::from_millis(claims.iat.checked_mul(1000)?);
        let is_valid = !is_ahead(issued_at, now) && now.seconds() < claims.exp;
        if !self.is_ours(&claims.iss, &claims.aud) || !is_valid {
            return None;
        }
        Some(DeviceClaims {
            account: claims.sub.into(),
            version: claims.ver,
            id: claims.jti,
            issued_at,
            expires_at: Timestamp::from_millis(claims.exp.checked_mul(1000)?),
        })
    }

    /// Whether this token claims to be a device of the account. Nothing is verified: a client may
    /// send many tokens, most of them planted by others, and verifying a signature takes 50 times
    /// as long.
    pub fn names_account(token: &DeviceToken, account: &AccountId) -> bool {
        #[derive(Deserialize)]
        struct Subject {
            sub: String,
        }
        let token = token.expose(); // to read the claims
        if token.len() > MAX_TOKEN_LENGTH {
            return false;
        }
        let subject = token.split('.').nth(1).and_then(decode_segment::<Subject>);
        subject.is_some_and(|claims| claims.sub == account.as_str())
    }

    /// Signs an access token. Its `client_id` is this service: there are no registered clients.
    pub fn sign_access(&self, claims: &AccessClaims) -> AccessToken {
        AccessToken::new(self.encode(ACCESS, &claims.to_wire(&self.issuer)))
    }

    fn encode(&self, typ: &str, claims: &impl Serialize) -> String {
        let set = self.set();
        let key = &set.signing.content;
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(typ.to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, claims, &key.signing).expect("a key that was read can sign")
    }

    /// Verifies the signature and type of a token, and returns its claims.
    fn decode<T: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<T> {
        if token.len() > MAX_TOKEN_LENGTH {
            return None;
        }
        let header: WireHeader = decode_segment(token.split('.').next()?)?;
        if header.alg != "EdDSA" || header.typ != typ {
            return None;
        }
        let set = self.set();
        let mut keys = set.folder.files.iter().map(|file| &file.content);
        let key = &keys.find(|key| key.kid == header.kid)?.verifying;
        let mut signature_only = Validation::new(Algorithm::EdDSA);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        Some(jsonwebtoken::decode::<T>(token, key, &signature_only).ok()?.claims)
    }

    fn is_ours(&self, issuer: &str, audience: &str) -> bool {
        issuer == self.issuer && audience == self.issuer
    }
}

impl KeyFileContent for SigningKey {
    fn is_named(name: &Path) -> bool {
        name.extension().is_some_and(|own| own == ENDING)
    }

    fn read(folder: &Path, name: &Path) -> Result<(PathBuf, Self), KeyError> {
        read_key(folder, name)
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = self.set();
        f.debug_struct("KeyRing").field("folder", &set.folder.folder()).finish_non_exhaustive()
    }
}

/// Whether the token was issued later than any clock of this service's nodes can be.
fn is_ahead(issued_at: Timestamp, now: Timestamp) -> bool {
    issued_at > now.plus(MAX_CLOCK_SKEW)
}

/// Decodes one part of a JWT as JSON. serde refuses repeated and unknown members.
fn decode_segment<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&json).ok()
}

fn read_key(folder: &Path, name: &Path) -> Result<(PathBuf, SigningKey), KeyError> {
    let (path, pem) = files::read(folder, name, KeyError::NotAKey)?;
    let not_a_key = || KeyError::NotAKey(path.clone());
    let der = decode_pem(&pem).ok_or_else(not_a_key)?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| not_a_key())?;
    let seed = pair.seed().and_then(|seed| seed.as_be_bytes());
    let seed: Curve25519SeedBin<'_> = seed.map_err(|_| not_a_key())?;
    if seed.as_ref().iter().all(|byte| *byte == seed.as_ref()[0]) {
        return Err(KeyError::Weak(path));
    }
    let public = pair.public_key().as_ref();
    let key = SigningKey {
        kid: thumbprint(public),
        public: public.to_vec(),
        signing: EncodingKey::from_ed_der(&der),
        verifying: DecodingKey::from_ed_der(public),
    };
    Ok((path, key))
}

/// Generates a key in PEM format.
fn generate_pem() -> Result<Zeroizing<String>, &'static str> {
    // The seed comes from the operating system: the library would first spend 40 ms on initializing
    // its own generator.
    let seed = Zeroizing::new(random_bytes::<32>());
    let refused = "the system makes no key";
    let pkcs8 = Ed25519KeyPair::from_seed_unchecked(&seed[..]).map_err(|_| refused)?;
    let der = pkcs8.to_pkcs8v1().map_err(|_| refused)?;
    // An Ed25519 key is 48 bytes, which fill one line.
    let line = Zeroizing::new(BASE64_STANDARD.encode(der.as_ref()));
    Ok(Zeroizing::new(format!("{BEGIN}\n{}\n{END}\n", *line)))
}

/// Decodes the one private key of a PEM file (RFC 7468). Text before it is ignored.
fn decode_pem(pem: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (_, key) = str::from_utf8(pem).ok()?.split_once(BEGIN)?;
    let base64 = key.trim_end().strip_suffix(END)?;
    let base64 = Zeroizing::new(base64.split_ascii_whitespace().collect::<String>());
    BASE64_STANDARD.decode(base64.as_bytes()).ok().map(Zeroizing::new)
}

/// The key id: the JWK thumbprint (RFC 7638, with the members of RFC 8037).
fn thumbprint(public: &[u8]) -> String {
    let x = BASE64_URL_SAFE_NO_PAD.encode(public);
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(jwk))
}

#[cfg(test)]
mod tests {
    use crate::domain::keys::tokens::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    #[test]
    fn a_key_file_is_standard_pem_and_is_read_with_either_line_ends() {
        let pem = generate_pem().unwrap().to_string();
        let (label, der) = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap();
        assert_eq!(label, "PRIVATE KEY");
        let wrapped = pem.replace(&pem[40..50], &format!("{}\n{}", &pem[40..45], &pem[45..50]));
        for same in [&pem, &wrapped, &pem.replace('\n', "\r\n"), &format!("made by us\n{pem}")] {
            assert_eq!(*decode_pem(same.as_bytes()).unwrap(), der, "{same}");
        }
        for other in ["", &pem[..60], &pem.repeat(2), &pem.replace("PRIVATE", "PUBLIC")] {
            assert_eq!(decode_pem(other.as_bytes()), None, "{other}");
        }
        assert_eq!(decode_pem(&pem.replace(&pem[40..41], "*").into_bytes()), None);
    }

    #[test]
    fn keys_in_debug_output_say_where_they_are_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        KeyRing::create(folder.path(), NOW).unwrap();
        let keys = KeyRing::read(folder.path(), "x").unwrap().unwrap();
        assert_eq!(format!("{keys:?}"), format!("KeyRing {{ folder: {:?}, .. }}", folder.path()));
    }

    #[test]
    fn a_device_is_known_where_it_was_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        KeyRing::create(folder.path(), NOW).unwrap();
        let [here, elsewhere] = ["https://id.example.org", "https://id.example.net"]
            .map(|issuer| KeyRing::read(folder.path(), issuer).unwrap().unwrap());
        let second = Duration::from_secs(1);
        let token = here.sign_device(&DeviceClaims {
            account: "ann".to_owned().into(),
            version: 1,
            id: "device".to_owned(),
            issued_at: NOW,
            expires_at: NOW.plus(second),
        });
        assert!(here.verify_device(&token, NOW).is_some());
        let minute = Duration::from_mins(1);
        assert!(here.verify_device(&token, NOW.minus(minute)).is_some(), "clocks differ");
        let ahead = NOW.minus(minute + second);
        assert!(here.verify_device(&token, ahead).is_none(), "its clock was ahead");
        assert!(here.verify_device(&token, NOW.plus(second)).is_none());
        assert!(elsewhere.verify_device(&token, NOW).is_none());
    }

    #[test]
    fn a_token_of_a_kilobyte_is_read_and_a_longer_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        KeyRing::create(folder.path(), NOW).unwrap();
        let keys = KeyRing::read(folder.path(), "https://id.example.org").unwrap().unwrap();
        let mut lengths = Vec::new();
        for length in 400..600 {
            let account = "x".repeat(length).into();
            let sid = Sid::random();
            let token = keys.sign(&Claims { account, sid, issued_at: NOW, expires_at: NOW });
            let length = token.expose().len();
            assert_eq!(
                keys.verify(token.expose(), NOW).valid().is_some(),
                length <= 1024,
                "{length}"
            );
            lengths.push(length);
        }
        assert!(lengths.contains(&1024) && lengths.iter().any(|length| *length > 1024));
    }

    #[test]
    fn a_thumbprint_is_the_one_of_rfc_8037_appendix_a_3() {
        let public = BASE64_URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(thumbprint(&public.unwrap()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
