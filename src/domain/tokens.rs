//! Signing keys and claims: the only place that names jsonwebtoken.
//!
//! A session token is a JWT (RFC 7519) signed with Ed25519. The library checks the signature;
//! every other rule is checked here, by our clock, because its defaults forgive too much.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pem_rfc7468::LineEnding;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::accounts::AccountId;
use crate::clock::Timestamp;
use crate::secret::{AccessToken, DeviceToken, SessionToken, Sid, random_bytes, random_id};

/// The type in a session token's header: no token of another kind passes for one (RFC 8725, 3.11).
const SESSION: &str = "session+jwt";
const DEVICE: &str = "device+jwt";
/// An access token (RFC 9068, section 2.1). Nothing here ever takes one.
const ACCESS: &str = "at+jwt";
/// A token is 400 bytes or so; the contract promises at most this many.
const LONGEST: usize = 1024;
/// The label of a PKCS#8 key (RFC 7468, section 10).
const LABEL: &str = "PRIVATE KEY";

/// The folder of the keys that sign and verify session tokens, as it was last read.
pub struct Keys {
    folder: PathBuf,
    issuer: String,
    set: RwLock<Arc<KeySet>>,
}

/// The keys of a folder.
struct KeySet {
    /// The last one by name signs.
    signing: usize,
    keys: Vec<Key>,
    /// What the folder looked like, to notice a change.
    listing: Listing,
}

struct Key {
    kid: String,
    path: PathBuf,
    public: Vec<u8>,
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// The names, sizes and times of the key files.
type Listing = Vec<(PathBuf, u64, i64, i64)>;

/// A key as anybody may see it.
#[derive(Debug, Clone)]
pub struct PublicKey {
    pub kid: String,
    /// The 32 bytes of the Ed25519 public key, in base64url.
    pub x: String,
    pub signs: bool,
    pub path: PathBuf,
}

/// What a session token says.
#[derive(Debug)]
pub struct Claims {
    pub account: AccountId,
    pub sid: Sid,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
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

/// Why the keys cannot be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the signing keys in {0}: {1}")]
    Unreadable(PathBuf, io::Error),
    #[error("others may read {0}, which holds a signing key; run: chmod 0600 {0}")]
    OpenToOthers(PathBuf),
    #[error("{0} is no Ed25519 key in PKCS#8 PEM form; restore it from a backup, or remove it")]
    NotAKey(PathBuf),
    #[error(
        "others may read {0}, which holds a signing key; mount the secret with defaultMode 0400, and \
         with the pod's fsGroup if it does not run as root"
    )]
    OpenMount(PathBuf),
    #[error(
        "{0} is a link that leads out of its folder, or through one that others may write to; put the \
         key itself there"
    )]
    Strays(PathBuf),
    #[error(
        "{0} is mounted read-only: make the key in another folder, by `cloakroom --data-dir FOLDER key \
         rotate`, and add its file to the secret that is mounted; the older keys stay in it"
    )]
    ReadOnly(PathBuf),
    #[error("{0} belongs to somebody else; run: chown $(id -u) {0}")]
    OfSomebodyElse(PathBuf),
    #[error("{0} holds a key that anybody can guess; remove it, and run: cloakroom key rotate")]
    Weak(PathBuf),
    #[error("cannot write a signing key to {0}: {1}")]
    Unwritable(PathBuf, io::Error),
    #[error(
        "the signing keys in {0} are gone, but there are accounts; restore the keys from a backup, or run \
         `cloakroom key rotate`, which makes one and signs everybody out"
    )]
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDevice {
    iss: String,
    aud: String,
    sub: String,
    jti: String,
    ver: i64,
    iat: i64,
    exp: i64,
}

/// RFC 9068, section 2.2.
#[derive(Serialize)]
struct WireAccess {
    iss: String,
    aud: String,
    sub: String,
    client_id: String,
    jti: String,
    iat: i64,
    exp: i64,
}

impl Keys {
    /// Waits until nobody else reads or makes the keys of the folder; for as long as the file is held.
    /// Where nobody can make any there is nothing to wait for.
    pub fn hold(folder: &Path) -> Result<Option<File>, KeyError> {
        let path = folder.join("lock");
        let held = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        match held.and_then(|file| file.lock().map(|()| file)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(None),
            Err(error) => Err(KeyError::Unwritable(path, error)),
        }
    }

    /// Are there any in the folder, whatever they are good for?
    pub fn are_in(folder: &Path) -> Result<bool, KeyError> {
        Ok(!listing(folder)?.is_empty())
    }

    /// Reads every `*.pem` of the folder. `None` if there is none.
    pub fn read(folder: &Path, issuer: &str) -> Result<Option<Self>, KeyError> {
        let Some(set) = KeySet::read(folder)? else { return Ok(None) };
        let set = RwLock::new(Arc::new(set));
        Ok(Some(Self { folder: folder.to_owned(), issuer: issuer.to_owned(), set }))
    }

    /// Reads the folder again if it has changed; true if it has.
    pub fn reread(&self) -> Result<bool, KeyError> {
        if listing(&self.folder)? == self.set().listing {
            return Ok(false);
        }
        let read =
            KeySet::read(&self.folder)?.ok_or_else(|| KeyError::Gone(self.folder.clone()))?;
        *self.set.write().expect("nobody panics while writing") = Arc::new(read);
        Ok(true)
    }

    /// The public halves, the oldest first.
    pub fn public(&self) -> Vec<PublicKey> {
        let set = self.set();
        let keys = set.keys.iter().enumerate().map(|(n, key)| PublicKey {
            kid: key.kid.clone(),
            x: BASE64_URL_SAFE_NO_PAD.encode(&key.public),
            signs: n == set.signing,
            path: key.path.clone(),
        });
        keys.collect()
    }

    fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.set.read().expect("nobody panics while writing"))
    }

    /// Makes a key, which signs from now on: readable by its owner alone, and on the disk when this
    /// returns. Running services take it up within a second.
    pub fn create(folder: &Path, now: Timestamp) -> Result<PathBuf, KeyError> {
        let path = folder.join(format!("session-{:015}-{}.pem", now.millis(), random_id()));
        match write_key(folder, &path) {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Err(KeyError::ReadOnly(folder.to_owned()))
            }
            Err(error) => Err(KeyError::Unwritable(path, error)),
        }
    }

    /// Signs a token for the session.
    pub fn sign(&self, claims: &Claims) -> SessionToken {
        let claims = WireClaims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: claims.account.as_str().to_owned(),
            sid: claims.sid.expose(), // the token is where the sid lives
            iat: claims.issued_at.seconds(),
            exp: claims.expires_at.seconds(),
        };
        SessionToken::new(self.signed(SESSION, &claims))
    }

    /// What the token says, if it is one of ours; not if it is still in force. Nobody is told why not.
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let claims: WireClaims = self.opened(SESSION, token)?;
        if !self.is_ours(&claims.iss, &claims.aud) || claims.iat > now.seconds() {
            return None;
        }
        Some(Claims {
            account: claims.sub.into(),
            sid: Sid::parse(&claims.sid)?,
            issued_at: Timestamp::from_millis(claims.iat.checked_mul(1000)?),
            expires_at: Timestamp::from_millis(claims.exp.checked_mul(1000)?),
        })
    }

    /// Signs a token for the device.
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
        DeviceToken::new(self.signed(DEVICE, &claims))
    }

    /// What the device token says, if it is one of ours and in force.
    pub fn verify_device(&self, token: &DeviceToken, now: Timestamp) -> Option<DeviceClaims> {
        let claims: WireDevice = self.opened(DEVICE, token.expose())?; // to verify it
        let is_in_force = claims.iat <= now.seconds() && now.seconds() < claims.exp;
        if !self.is_ours(&claims.iss, &claims.aud) || !is_in_force {
            return None;
        }
        Some(DeviceClaims {
            account: claims.sub.into(),
            version: claims.ver,
            id: claims.jti,
            issued_at: Timestamp::from_millis(claims.iat.checked_mul(1000)?),
            expires_at: Timestamp::from_millis(claims.exp.checked_mul(1000)?),
        })
    }

    /// Signs an access token. Its `client_id` is this service: people sign in here, and no other
    /// client is registered that a token could be issued to.
    pub fn sign_access(&self, claims: &AccessClaims) -> AccessToken {
        let claims = WireAccess {
            iss: self.issuer.clone(),
            aud: claims.audience.clone(),
            sub: claims.account.as_str().to_owned(),
            client_id: self.issuer.clone(),
            jti: claims.id.clone(),
            iat: claims.issued_at.seconds(),
            exp: claims.expires_at.seconds(),
        };
        AccessToken::new(self.signed(ACCESS, &claims))
    }

    fn signed(&self, typ: &str, claims: &impl Serialize) -> String {
        let set = self.set();
        let key = &set.keys[set.signing];
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(typ.to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, claims, &key.signing).expect("a key that was read can sign")
    }

    /// The claims of a token that one of our keys signed, as a token of this type.
    fn opened<T: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<T> {
        if token.len() > LONGEST {
            return None;
        }
        let header: WireHeader = part(token.split('.').next()?)?;
        if header.alg != "EdDSA" || header.typ != typ {
            return None;
        }
        let set = self.set();
        let key = &set.keys.iter().find(|key| key.kid == header.kid)?.verifying;
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

impl KeySet {
    fn read(folder: &Path) -> Result<Option<Self>, KeyError> {
        let listing = listing(folder)?;
        let keys = listing.iter().map(|(path, ..)| read_key(folder, path));
        let keys: Vec<Key> = keys.collect::<Result<_, _>>()?;
        let Some(signing) = keys.len().checked_sub(1) else { return Ok(None) };
        Ok(Some(Self { signing, keys, listing }))
    }
}

/// What the folder holds, in the order of the names.
fn listing(folder: &Path) -> Result<Listing, KeyError> {
    let unreadable = |error| KeyError::Unreadable(folder.to_owned(), error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Listing::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "pem") {
            let meta = fs::metadata(&path).map_err(unreadable)?; // of what a link leads to
            found.push((path, meta.size(), meta.mtime(), meta.ctime_nsec()));
        }
    }
    found.sort();
    Ok(found)
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// One part of a JWT as JSON; serde refuses repeated and unknown members.
fn part<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_slice(&json).ok()
}

/// The file that holds the key: no link, or what it leads to if nobody else can turn it elsewhere. A
/// mounted secret (Kubernetes) is made of links within its folder.
fn file_of(folder: &Path, path: &Path) -> Result<PathBuf, KeyError> {
    let unreadable = |error| KeyError::Unreadable(path.to_owned(), error);
    if !fs::symlink_metadata(path).map_err(unreadable)?.is_symlink() {
        return Ok(path.to_owned());
    }
    let folder = fs::canonicalize(folder).map_err(unreadable)?;
    let file = fs::canonicalize(path).map_err(unreadable)?;
    let within = file.ancestors().skip(1).take_while(|between| between.starts_with(&folder));
    let mut is_within = false;
    for between in within {
        let meta = fs::symlink_metadata(between).map_err(unreadable)?;
        if !is_ours_or_roots(&meta) || (meta.mode() & 0o022 != 0 && !is_read_only(between)) {
            return Err(KeyError::Strays(path.to_owned()));
        }
        is_within = true;
    }
    if is_within { Ok(file) } else { Err(KeyError::Strays(path.to_owned())) }
}

fn is_ours_or_roots(meta: &fs::Metadata) -> bool {
    is_trusted(meta.uid(), rustix::process::geteuid().as_raw())
}

/// Can nobody who sees this mount write to it?
fn is_read_only(path: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    statvfs(path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn read_key(folder: &Path, name: &Path) -> Result<Key, KeyError> {
    let path = &file_of(folder, name)?;
    let unreadable = |error| KeyError::Unreadable(path.to_owned(), error);
    let meta = fs::symlink_metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(KeyError::NotAKey(path.to_owned()));
    }
    let is_mounted = is_read_only(path);
    if is_open(meta.mode(), meta.uid(), is_mounted) {
        let open = if is_mounted { KeyError::OpenMount } else { KeyError::OpenToOthers };
        return Err(open(path.to_owned()));
    }
    if !is_ours_or_roots(&meta) {
        return Err(KeyError::OfSomebodyElse(path.to_owned()));
    }
    let pem = Zeroizing::new(fs::read(path).map_err(unreadable)?);
    let not_a_key = || KeyError::NotAKey(path.to_owned());
    let (label, der) = pem_rfc7468::decode_vec(&pem).map_err(|_| not_a_key())?;
    let der = Zeroizing::new(der);
    if label != LABEL {
        return Err(not_a_key());
    }
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| not_a_key())?;
    let seed = pair.seed().and_then(|seed| seed.as_be_bytes());
    let seed: Curve25519SeedBin<'_> = seed.map_err(|_| not_a_key())?;
    if seed.as_ref().iter().all(|byte| *byte == seed.as_ref()[0]) {
        return Err(KeyError::Weak(path.to_owned()));
    }
    let public = pair.public_key().as_ref();
    Ok(Key {
        kid: thumbprint(public),
        path: path.to_owned(),
        public: public.to_vec(),
        signing: EncodingKey::from_ed_der(&der),
        verifying: DecodingKey::from_ed_der(public),
    })
}

/// Can others read a key of this mode? The group of one that is mounted for reading is that of those whom
/// it was mounted for, if root put it there.
fn is_open(mode: u32, owner: u32, is_mounted: bool) -> bool {
    let others = if is_mounted && owner == 0 { 0o037 } else { 0o077 };
    mode & others != 0
}

/// May this owner's key sign here? Root can put any key anywhere.
fn is_trusted(owner: u32, me: u32) -> bool {
    owner == 0 || owner == me
}

fn write_key(folder: &Path, path: &Path) -> io::Result<()> {
    let refused = "the system makes no key";
    // the system's random bytes: the library would first spend 40 ms on a generator of its own
    let seed = Zeroizing::new(random_bytes::<32>());
    let pkcs8 =
        Ed25519KeyPair::from_seed_unchecked(&seed[..]).map_err(|_| io::Error::other(refused))?;
    let der = pkcs8.to_pkcs8v1().map_err(|_| io::Error::other(refused))?;
    let pem = pem_rfc7468::encode_string(LABEL, LineEnding::LF, der.as_ref());
    let pem = Zeroizing::new(pem.map_err(io::Error::other)?);
    // complete before it has its name, so that nobody ever reads half a key
    let unnamed = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unnamed)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    let named = fs::hard_link(&unnamed, path);
    fs::remove_file(&unnamed)?;
    named?;
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
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    #[test]
    fn a_folder_that_is_not_there_has_no_keys_and_one_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Keys::read(&folder.path().join("none"), "x").unwrap().is_none());
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let read = Keys::read(&file, "x").map(drop);
        assert!(matches!(read, Err(KeyError::Unreadable(path, _)) if path == file));
    }

    #[test]
    fn keys_are_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = Keys::hold(folder.path()).unwrap();
        std::thread::scope(|threads| {
            let (holds, is_held) = mpsc::channel();
            threads.spawn(move || holds.send(Keys::hold(folder.path()).unwrap()));
            assert!(is_held.recv_timeout(Duration::from_millis(50)).is_err(), "beside another");
            drop(held);
            is_held.recv_timeout(Duration::from_secs(9)).unwrap();
        });
    }

    #[test]
    fn where_no_key_can_be_written_the_path_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        let held = Keys::hold(&none).map(drop);
        assert!(matches!(held, Err(KeyError::Unwritable(path, _)) if path.starts_with(&none)));
        let made = Keys::create(&none, NOW).map(drop);
        assert!(matches!(made, Err(KeyError::Unwritable(path, _)) if path.starts_with(&none)));
    }

    #[test]
    fn the_group_of_a_mounted_key_may_read_it_if_it_is_roots() {
        for (mode, owner, is_mounted, open) in [
            (0o100_600, 0, false, false),
            (0o100_600, 7, true, false),
            (0o100_640, 0, true, false),
            (0o100_640, 0, false, true),
            (0o100_640, 7, true, true),
            (0o100_660, 0, true, true),
            (0o100_604, 0, true, true),
            (0o100_604, 7, false, true),
        ] {
            assert_eq!(is_open(mode, owner, is_mounted), open, "{mode:o} {owner} {is_mounted}");
        }
    }

    #[test]
    fn keys_in_debug_output_say_where_they_are_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        Keys::create(folder.path(), NOW).unwrap();
        let keys = Keys::read(folder.path(), "x").unwrap().unwrap();
        assert_eq!(format!("{keys:?}"), format!("Keys {{ folder: {:?}, .. }}", folder.path()));
    }

    #[test]
    fn a_key_of_somebody_else_is_refused() {
        assert!(is_trusted(0, 1000) && is_trusted(1000, 1000) && is_trusted(0, 0));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0));
        let folder = tempfile::tempdir().unwrap();
        let key = Keys::create(folder.path(), NOW).unwrap();
        // only root can give a file away
        if std::os::unix::fs::chown(&key, Some(65_534), None).is_ok() {
            let read = Keys::read(folder.path(), "x").map(drop);
            assert!(matches!(read, Err(KeyError::OfSomebodyElse(path)) if path == key));
        }
    }

    #[test]
    fn a_device_is_known_where_it_was_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        Keys::create(folder.path(), NOW).unwrap();
        let [here, elsewhere] = ["https://id.example.org", "https://id.example.net"]
            .map(|issuer| Keys::read(folder.path(), issuer).unwrap().unwrap());
        let second = Duration::from_secs(1);
        let token = here.sign_device(&DeviceClaims {
            account: "ann".to_owned().into(),
            version: 1,
            id: "device".to_owned(),
            issued_at: NOW,
            expires_at: NOW.plus(second),
        });
        assert!(here.verify_device(&token, NOW).is_some());
        assert!(here.verify_device(&token, NOW.before(second)).is_none(), "its clock was ahead");
        assert!(here.verify_device(&token, NOW.plus(second)).is_none());
        assert!(elsewhere.verify_device(&token, NOW).is_none());
    }

    #[test]
    fn a_token_of_a_kilobyte_is_read_and_a_longer_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        Keys::create(folder.path(), NOW).unwrap();
        let keys = Keys::read(folder.path(), "https://id.example.org").unwrap().unwrap();
        let mut lengths = Vec::new();
        for length in 400..600 {
            let account = "x".repeat(length).into();
            let sid = Sid::random();
            let token = keys.sign(&Claims { account, sid, issued_at: NOW, expires_at: NOW });
            let length = token.expose().len();
            assert_eq!(keys.verify(token.expose(), NOW).is_some(), length <= 1024, "{length}");
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
