//! Fuzzes session and device tokens. The first line of the input is a header and the rest the
//! claims, signed with the service's own key: everything that is not exactly as the contract says
//! is refused. Then one byte of a valid token is changed, and it is refused too.

#![no_main]

use std::sync::LazyLock;

use cloakroom::core::clock::Timestamp;
use cloakroom::core::secret::{DeviceToken, Sid};
use cloakroom::domain::keys::claims::{Claims, DeviceClaims};
use cloakroom::domain::keys::tokens::KeyRing;
use cloakroom_fuzz::Members;
use jsonwebtoken::{Algorithm, EncodingKey};
use libfuzzer_sys::fuzz_target;

const ISSUER: &str = "https://id.example.org";
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const TOMORROW: Timestamp = Timestamp::from_millis(1_767_312_000_000);
/// Maximum bytes of a token.
const MAX_LENGTH: usize = 1024;

struct House {
    keys: KeyRing,
    kid: String,
    signing: EncodingKey,
    session: String,
}

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = KeyRing::create(folder.path(), NOW).expect("a key");
    let keys = KeyRing::read(folder.path(), ISSUER).expect("it can be read").expect("it is there");
    let pem = std::fs::read(path).expect("it can be read");
    let (_, der) = pem_rfc7468::decode_vec(&pem).expect("it is PEM");
    let signing = EncodingKey::from_ed_der(&der);
    let kid = keys.public()[0].kid.clone();
    let claims = Claims {
        account: "somebody".to_owned().into(),
        sid: Sid::random(),
        issued_at: NOW,
        expires_at: TOMORROW,
    };
    let session = keys.sign(&claims).expose().to_owned();
    House { keys, kid, signing, session }
});

/// Checks that this is the header of a token of this type.
fn is_header(header: &[u8], typ: &str) -> bool {
    Members::of(header).is_some_and(|header| {
        header.are(&["alg", "typ", "kid"])
            && header.text("alg") == Some("EdDSA")
            && header.text("typ") == Some(typ)
            && header.text("kid") == Some(&HOUSE.kid)
    })
}

/// Checks the claims that every token of the service has.
fn are_ours(claims: &Members) -> bool {
    claims.text("iss") == Some(ISSUER)
        && claims.text("aud") == Some(ISSUER)
        && claims.text("sub").is_some()
        && claims
            .number("iat")
            .is_some_and(|at| at <= NOW.seconds() + 60 && at.checked_mul(1000).is_some())
        && claims.number("exp").is_some_and(|at| at.checked_mul(1000).is_some())
}

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (header, claims) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    // serde also reads an array as a struct's fields in order; the service never signs arrays, and
    // others cannot sign
    let is_array = |json: &[u8]| json.trim_ascii_start().starts_with(b"[");
    if is_array(header) || is_array(claims) {
        return;
    }
    // puts the key's id in, which the fuzzer cannot guess
    let header = String::from_utf8_lossy(header).replace("KID", &HOUSE.kid).into_bytes();
    let message = format!("{}.{}", base64(&header), base64(claims));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &HOUSE.signing, Algorithm::EdDSA);
    let token = format!("{message}.{}", signature.expect("it signs whatever there is"));

    let is_short = token.len() <= MAX_LENGTH;
    let members = Members::of(claims);
    let is_session = is_short
        && is_header(&header, "session+jwt")
        && members.as_ref().is_some_and(|claims| {
            claims.are(&["iss", "aud", "sub", "sid", "iat", "exp"])
                && are_ours(claims)
                && claims.text("sid").and_then(Sid::parse).is_some()
        });
    let is_device = is_short
        && is_header(&header, "device+jwt")
        && members.as_ref().is_some_and(|claims| {
            claims.are(&["iss", "aud", "sub", "jti", "ver", "iat", "exp"])
                && are_ours(claims)
                && claims.text("jti").is_some()
                && claims.number("ver").is_some()
                && claims.number("exp").is_some_and(|exp| NOW.seconds() < exp)
        });
    let session = HOUSE.keys.verify(&token, NOW).valid();
    let device = HOUSE.keys.verify_device(&DeviceToken::new(token), NOW);
    assert_eq!(session.is_some(), is_session);
    assert_eq!(device.is_some(), is_device);

    // the claims of a valid token are the same when they are signed again
    if let Some(claims) = session {
        let again = HOUSE.keys.verify(HOUSE.keys.sign(&claims).expose(), NOW);
        let again = again.valid().expect("it is ours");
        assert_eq!(again.account, claims.account);
        assert_eq!(again.sid.expose(), claims.sid.expose());
        assert_eq!((again.issued_at, again.expires_at), (claims.issued_at, claims.expires_at));
    }
    if let Some(claims) = device {
        let DeviceClaims { version, id, .. } = &claims;
        let again = HOUSE.keys.verify_device(&HOUSE.keys.sign_device(&claims), NOW);
        let again = again.expect("it is ours");
        assert_eq!((&again.version, &again.id), (version, id));
    }

    // changes one byte of a valid token
    let (Some(at), Some(byte)) = (data.first_chunk::<2>(), data.get(2)) else { return };
    let mut other = HOUSE.session.clone().into_bytes();
    let at = usize::from(u16::from_be_bytes(*at)) % other.len();
    if other[at] != *byte {
        other[at] = *byte;
        let other = String::from_utf8_lossy(&other).into_owned();
        assert!(HOUSE.keys.verify(&other, NOW).signed_here().is_none(), "{other}");
    }
});

/// Base64url without padding (RFC 7515, section 2).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = bytes.chunks(3).flat_map(|three| {
        let [a, b, c] = [0, 1, 2].map(|at| u32::from(*three.get(at).unwrap_or(&0)));
        let bits = a << 16 | b << 8 | c;
        (0..=three.len()).map(move |digit| ALPHABET[(bits >> (18 - 6 * digit)) as usize & 63])
    });
    digits.map(char::from).collect()
}
