//! Password hashes from other systems: parsed and checked against limits before they take memory or
//! time, and replaced after the first successful login.
//!
//! These systems hash the password as it was typed, so it is verified without normalization.

use std::num::NonZeroU32;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::pbkdf2;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::core::secret::{Password, PasswordHash};
use crate::domain::passwords::cost::Argon2Params;
use crate::domain::passwords::scratch::Scratch;

/// The maximum time to verify a hash on one core, in microseconds, so that a thread is not occupied
/// for longer.
const MAX_COST_MICROS: i64 = 1_000_000;
/// The maximum memory to verify a hash, in bytes. More is refused before it is allocated.
const MAX_MEMORY_BYTES: u64 = 256 << 20;
/// The valid lengths of the output. Shorter ones could be guessed, and no system produces longer
/// ones.
const OUTPUT_BYTES: std::ops::RangeInclusive<usize> = 16..=64;
/// The maximum length of a salt, in bytes.
const MAX_SALT_LENGTH: usize = 256;

/// The prefix of imported hashes in the database, which keeps them apart from our own hashes.
const IMPORTED: &str = "imported:";

/// A hash from another system that is within the limits.
#[derive(Debug)]
pub struct ImportedHash {
    kind: Kind,
    micros: i64,
}

/// Why a text cannot be imported as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidHash {
    /// It has none of the supported formats.
    Unknown,
    /// It starts like one of the formats, but is not valid.
    Malformed,
    /// Verifying it would take too much time or memory.
    TooExpensive,
}

enum Kind {
    Argon2 { argon2: Argon2<'static>, salt: Vec<u8>, output: Vec<u8> },
    Bcrypt { hash: String, of: BcryptInput },
    Pbkdf2 { algorithm: pbkdf2::Algorithm, iterations: NonZeroU32, salt: Vec<u8>, output: Vec<u8> },
    Scrypt { params: scrypt::Params, salt: Vec<u8>, output: Vec<u8>, form: Normalization },
}

/// The input of bcrypt. It reads only 72 bytes, so some systems hash a digest.
#[derive(Debug, Clone, Copy)]
enum BcryptInput {
    Typed,
    /// The hexadecimal SHA-256 of the password.
    Sha256,
}

/// The Unicode normalization before hashing.
#[derive(Debug, Clone, Copy)]
enum Normalization {
    Typed,
    Nfkc,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Argon2 { .. } => "Argon2(…)",
            Self::Bcrypt { .. } => "Bcrypt(…)",
            Self::Pbkdf2 { .. } => "Pbkdf2(…)",
            Self::Scrypt { .. } => "Scrypt(…)",
        })
    }
}

impl ImportedHash {
    /// Parses a hash by its prefix.
    ///
    /// | made by | begins with |
    /// |---|---|
    /// | PHC | `$argon2id$`, `$argon2i$`, `$argon2d$`, `$scrypt$`, `$pbkdf2-sha256$` and its sisters |
    /// | Devise, PocketBase, htpasswd | `$2a$`, `$2b$`, `$2y$` |
    /// | Django | `pbkdf2_sha256$`, `pbkdf2_sha1$`, `argon2$`, `bcrypt_sha256$`, `bcrypt$`, `scrypt$` |
    /// | Better Auth | 32 hexadecimal digits and a colon |
    pub fn parse(text: &str) -> Result<Self, InvalidHash> {
        let (kind, micros) = match text.split_once('$') {
            Some(("", _)) => modular(text)?,
            Some(("argon2", rest)) => argon2_phc(&format!("${rest}"))?,
            Some(("bcrypt", rest)) => bcrypt_text(rest, BcryptInput::Typed)?,
            Some(("bcrypt_sha256", rest)) => bcrypt_text(rest, BcryptInput::Sha256)?,
            Some(("pbkdf2_sha256", rest)) => django_pbkdf2(pbkdf2::PBKDF2_HMAC_SHA256, rest)?,
            Some(("pbkdf2_sha1", rest)) => django_pbkdf2(pbkdf2::PBKDF2_HMAC_SHA1, rest)?,
            Some(("scrypt", rest)) => django_scrypt(rest)?,
            Some(_) => return Err(InvalidHash::Unknown),
            None => better_auth(text)?,
        };
        if micros > MAX_COST_MICROS {
            return Err(InvalidHash::TooExpensive);
        }
        Ok(Self { kind, micros })
    }

    /// The estimated time to verify it on one core, in microseconds.
    pub fn micros(&self) -> i64 {
        self.micros
    }

    /// The form in which it is stored. None of our own hashes starts like this.
    pub fn add_marker(text: &str) -> PasswordHash {
        format!("{IMPORTED}{text}").into()
    }

    /// The original text of a hash that is stored as imported.
    pub(crate) fn strip_marker(stored: &str) -> Option<&str> {
        stored.strip_prefix(IMPORTED)
    }

    /// Whether the hash covers the whole password. bcrypt reads only the first 72 bytes: a user
    /// with a typing error after them is signed in, but the mistyped password must not become the
    /// new one.
    pub(crate) fn covers_whole_password(&self, password: &Password) -> bool {
        match &self.kind {
            Kind::Bcrypt { of: BcryptInput::Typed, .. } => password.expose().len() <= 72, // for its length
            Kind::Bcrypt { of: BcryptInput::Sha256, .. }
            | Kind::Argon2 { .. }
            | Kind::Pbkdf2 { .. }
            | Kind::Scrypt { .. } => true,
        }
    }

    /// Whether it is the hash of this password.
    pub(crate) fn matches(&self, password: &Password, memory: &mut Scratch) -> bool {
        let typed = password.expose(); // computes the hash
        match &self.kind {
            Kind::Argon2 { argon2, salt, output } => {
                let mut computed = vec![0; output.len()];
                memory.hash(argon2, typed, salt, &mut computed);
                verify_slices_are_equal(&computed, output).is_ok()
            }
            Kind::Bcrypt { hash, of: BcryptInput::Typed } => {
                bcrypt::verify(typed, hash).is_ok_and(|same| same)
            }
            Kind::Bcrypt { hash, of: BcryptInput::Sha256 } => {
                bcrypt::verify(&*hex_digest(typed), hash).is_ok_and(|same| same)
            }
            Kind::Pbkdf2 { algorithm, iterations, salt, output } => {
                pbkdf2::verify(*algorithm, *iterations, salt, typed.as_bytes(), output).is_ok()
            }
            Kind::Scrypt { params, salt, output, form } => {
                let typed: Zeroizing<String> = Zeroizing::new(match form {
                    Normalization::Typed => typed.to_owned(),
                    Normalization::Nfkc => typed.nfkc().collect(),
                });
                let mut computed = vec![0; output.len()];
                scrypt::scrypt(typed.as_bytes(), salt, params, &mut computed)
                    .expect("its length was looked at when the hash was read");
                verify_slices_are_equal(&computed, output).is_ok()
            }
        }
    }
}

fn hex_digest(text: &str) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(text);
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Zeroizing::new(digits.map(|digit| DIGITS[usize::from(digit)]).collect())
}

type Read = Result<(Kind, i64), InvalidHash>;

/// Parses a hash that starts with a dollar sign: modular crypt format or PHC.
fn modular(text: &str) -> Read {
    let parts: Vec<&str> = text.split('$').collect();
    match parts[..] {
        ["", "argon2id" | "argon2i" | "argon2d", ..] => argon2_phc(text),
        ["", "2a" | "2b" | "2y", ..] => bcrypt_text(text, BcryptInput::Typed),
        ["", "scrypt", parameters, salt, output] => {
            let [log_n, r, p] = numbers(parameters, ["ln", "r", "p"])?;
            let params = (log_n.ok_or(InvalidHash::Malformed)?, r, p);
            scrypt_hash(params, bytes(salt)?, bytes(output)?, Normalization::Typed)
        }
        ["", name, parameters, salt, output] => {
            let algorithm = match name {
                "pbkdf2" | "pbkdf2-sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
                "pbkdf2-sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
                "pbkdf2-sha512" => pbkdf2::PBKDF2_HMAC_SHA512,
                _ => return Err(InvalidHash::Unknown),
            };
            // passlib writes only the number.
            let iterations = match number(parameters) {
                Some(iterations) => Some(iterations),
                None => numbers(parameters, ["i", "l"])?[0],
            };
            pbkdf2_hash(algorithm, iterations, bytes(salt)?, bytes(output)?)
        }
        _ => Err(InvalidHash::Unknown),
    }
}

fn argon2_phc(text: &str) -> Read {
    let hash = phc::PasswordHash::new(text).map_err(|_| InvalidHash::Malformed)?;
    let algorithm = match hash.algorithm.as_str() {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        "argon2d" => Algorithm::Argon2d,
        _ => return Err(InvalidHash::Unknown),
    };
    let version = match hash.version {
        Some(0x13) => Version::V0x13,
        Some(0x10) | None => Version::V0x10,
        Some(_) => return Err(InvalidHash::Malformed),
    };
    let parameter = |name| hash.params.get_decimal(name).ok_or(InvalidHash::Malformed);
    let cost = Argon2Params {
        memory_kib: parameter("m")?,
        passes: parameter("t")?,
        lanes: parameter("p")?,
    };
    let salt = hash.salt.ok_or(InvalidHash::Malformed)?.as_ref().to_vec();
    let output = hash.hash.ok_or(InvalidHash::Malformed)?.as_bytes().to_vec();
    if !OUTPUT_BYTES.contains(&output.len()) {
        return Err(InvalidHash::Malformed); // the PHC parser checks the length of the salt
    }
    if !cost.is_bounded() {
        return Err(InvalidHash::TooExpensive);
    }
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(output.len()));
    let params = params.map_err(|_| InvalidHash::Malformed)?;
    let argon2 = Argon2::new(algorithm, version, params);
    Ok((Kind::Argon2 { argon2, salt, output }, cost.micros()))
}

fn bcrypt_text(text: &str, of: BcryptInput) -> Read {
    let is_known = ["$2a$", "$2b$", "$2y$"].iter().any(|start| text.starts_with(start));
    let parts: bcrypt::HashParts = text.parse().map_err(|_| InvalidHash::Malformed)?;
    if !is_known {
        return Err(InvalidHash::Malformed); // the parser also accepts `$2x$`
    }
    match parts.get_cost() {
        cost @ 4..=31 => Ok((Kind::Bcrypt { hash: text.to_owned(), of }, 64 << cost)),
        _ => Err(InvalidHash::Malformed),
    }
}

fn django_pbkdf2(algorithm: pbkdf2::Algorithm, rest: &str) -> Read {
    let parts: Vec<&str> = rest.split('$').collect();
    let [iterations, salt, output] = parts[..] else { return Err(InvalidHash::Malformed) };
    let output = BASE64_STANDARD.decode(output).map_err(|_| InvalidHash::Malformed)?;
    pbkdf2_hash(algorithm, number(iterations), salt.as_bytes().to_vec(), output)
}

fn pbkdf2_hash(
    algorithm: pbkdf2::Algorithm,
    iterations: Option<u32>,
    salt: Vec<u8>,
    output: Vec<u8>,
) -> Read {
    let iterations = iterations.and_then(NonZeroU32::new).ok_or(InvalidHash::Malformed)?;
    are_sized(&salt, &output)?;
    // The bytes that an iteration produces, and the nanoseconds that it takes.
    let (block, nanos) = if algorithm == pbkdf2::PBKDF2_HMAC_SHA512 {
        (64, 700)
    } else if algorithm == pbkdf2::PBKDF2_HMAC_SHA256 {
        (32, 350)
    } else {
        (20, 300)
    };
    let blocks = i64::try_from(output.len().div_ceil(block)).expect("a small number");
    let micros = i64::from(iterations.get()) * blocks * nanos / 1000;
    Ok((Kind::Pbkdf2 { algorithm, iterations, salt, output }, micros))
}

fn django_scrypt(rest: &str) -> Read {
    let parts: Vec<&str> = rest.split('$').collect();
    let [n, salt, r, p, output] = parts[..] else { return Err(InvalidHash::Malformed) };
    let n = number(n).filter(|n| n.is_power_of_two()).ok_or(InvalidHash::Malformed)?;
    let output = BASE64_STANDARD.decode(output).map_err(|_| InvalidHash::Malformed)?;
    let params = (n.ilog2(), number(r), number(p));
    scrypt_hash(params, salt.as_bytes().to_vec(), output, Normalization::Typed)
}

/// Better Auth uses the salt's hexadecimal digits as the salt, not the decoded bytes.
fn better_auth(text: &str) -> Read {
    let (salt, output) = text.split_once(':').ok_or(InvalidHash::Unknown)?;
    let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if salt.len() != 32 || output.len() != 128 || !is_hex(salt) || !is_hex(output) {
        return Err(InvalidHash::Unknown);
    }
    let output = (0..64).map(|at| u8::from_str_radix(&output[2 * at..2 * at + 2], 16));
    let output = output.collect::<Result<_, _>>().expect("they are digits");
    scrypt_hash((14, Some(16), Some(1)), salt.as_bytes().to_vec(), output, Normalization::Nfkc)
}

fn scrypt_hash(
    (log_n, r, p): (u32, Option<u32>, Option<u32>),
    salt: Vec<u8>,
    output: Vec<u8>,
    form: Normalization,
) -> Read {
    let (Some(r @ 1..), Some(p @ 1..), log_n @ 1..) = (r, p, log_n) else {
        return Err(InvalidHash::Malformed);
    };
    are_sized(&salt, &output)?;
    // 2^21 blocks are the maximum memory. Within these limits, neither product can overflow.
    if log_n > 21 || r > 1024 || p > 1024 {
        return Err(InvalidHash::TooExpensive);
    }
    let blocks = (1_u64 << log_n) * u64::from(r);
    if blocks * 128 > MAX_MEMORY_BYTES {
        return Err(InvalidHash::TooExpensive);
    }
    let log_n = u8::try_from(log_n).expect("it is at most 21");
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| InvalidHash::Malformed)?;
    let micros = i64::try_from(blocks * u64::from(p) * 3 / 10).expect("it is far below");
    Ok((Kind::Scrypt { params, salt, output, form }, micros))
}

fn are_sized(salt: &[u8], output: &[u8]) -> Result<(), InvalidHash> {
    let are = salt.len() <= MAX_SALT_LENGTH && OUTPUT_BYTES.contains(&output.len());
    are.then_some(()).ok_or(InvalidHash::Malformed)
}

/// Parses a number in its canonical notation.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

/// Parses `name=value` pairs. An unknown name is an error.
fn numbers<const N: usize>(text: &str, names: [&str; N]) -> Result<[Option<u32>; N], InvalidHash> {
    let mut found = [None; N];
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=').ok_or(InvalidHash::Malformed)?;
        let at = names.iter().position(|known| *known == name).ok_or(InvalidHash::Malformed)?;
        let value = number(value).ok_or(InvalidHash::Malformed)?;
        if found[at].replace(value).is_some() {
            return Err(InvalidHash::Malformed);
        }
    }
    Ok(found)
}

/// Base64 without padding. passlib writes a dot instead of a plus.
fn bytes(text: &str) -> Result<Vec<u8>, InvalidHash> {
    BASE64_STANDARD_NO_PAD.decode(text.replace('.', "+")).map_err(|_| InvalidHash::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::domain::passwords::imported::*;

    /// Hashes of this password by Django 5.2, passlib 1.7, argon2-cffi 25.1, bcrypt 5.0 for Python
    /// and Better Auth, with cheap parameters where they can be chosen.
    const PASSWORD: &str = "Pässwörter sind 15+ lang";
    const HASHES: [&str; 18] = [
        "pbkdf2_sha256$1000$seasalt2$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE=",
        "pbkdf2_sha1$1000$seasalt2$NEjWNAXb+iIqAek1kKmbXBhMLYo=",
        "argon2$argon2id$v=19$m=512,t=2,p=2$c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y",
        "bcrypt_sha256$$2b$04$i2kyNSfkdRMGnMFdkh1A1.mXJOtdMlVRcgzmVCAqVkU4FjKIBlI.e",
        "bcrypt$$2b$04$17GRRPUFRXcuB/at8S7mvOvcr8pkgQHR2Vbuk.J4Xgo92A41QxU1S",
        "scrypt$1024$seasalt2$8$5$aQKZS8o3Wnln11Z6rE+RoU4Wx3ewnp2x6rWrhQ1O/uRnsGDIw/G12rtwdNHXQoblPepj5Pv/nEBNee2SliLQtw==",
        "$pbkdf2-sha256$1000$yPlfC6G09n5PSUkp5fz/Pw$l5F.SZYgfsQ8b9fmeT841K7gX9iubhi/FujAW/dYAOE",
        "$pbkdf2-sha256$i=1000,l=32$yPlfC6G09n5PSUkp5fz/Pw$l5F+SZYgfsQ8b9fmeT841K7gX9iubhi/FujAW/dYAOE",
        "$pbkdf2-sha512$1000$olTK2Xtv7X3v/V9r7T1n7A$Zo343zOhac3zUFKj1JO/E0Xe6dXT49dp3qn/9wXP5E2E/UrBhs.ilYBhdyVUEIfZndlXnHvI9h1bGjMS7sS7iA",
        "$pbkdf2$1000$DSGEkNJ6jzEGoLR2jnEOgQ$btjx8Myp91lg1tKyIcWmBd2HLAI",
        "$scrypt$ln=10,r=8,p=1$LcW4F2IMYexdaw2BsBbiXA$HHkHm97arMjt3MDyYq/6HYwsklvZM/8AKVSmGJuB+XM",
        "$argon2id$v=19$m=512,t=2,p=1$rmjYO0Lxo3snT0PmfaXSpg$vPurAKHGLDyYhR8d3R7qWk9Yctu0OUnyXM17OQNUIX0",
        "$argon2i$v=19$m=512,t=2,p=1$uS73ueqmZNcgA2X5ZO+t9A$eMRHYpHf2VvFvgBgwN24hN8L8BMH7N7kht569kU1UMY",
        "$argon2d$v=19$m=512,t=2,p=1$Zja0X4XaJZ3QHMsj62yenw$Pj7lrjay1U1+SMqEgYZTAUetNzZweczmoO+3hDe4UKE",
        "$2a$04$2oKAseClTefSnttBzURIcOdEA5f/nH22dgDLmFy/hZ1WwA3ZEfH5i",
        "$2b$04$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi",
        "$2y$04$LwyijVkhGlcPCPgJew9Qwuq/GfcHVdSXW5GbxN34d18yj5475TEjy",
        "0faefff5b370571e22faee4c11ea1438:44051a9dd192cdddecf8112a90bd42b8e279b01872e13f2a22dbe32e1dbd665527fa27696d26e81f95361e4b337240f3488f2b31e1c992de67cd19d6f31b57a6",
    ];

    fn matches(hash: &str, password: &str) -> bool {
        let hash = ImportedHash::parse(hash).unwrap_or_else(|bad| panic!("{hash}: {bad:?}"));
        let mut memory = Scratch::for_params(Argon2Params::DEFAULT);
        hash.matches(&Password::new(password.to_owned()), &mut memory)
    }

    #[test]
    fn each_format_knows_its_password_and_no_other() {
        for hash in HASHES {
            assert!(matches(hash, PASSWORD), "{hash}");
            for wrong in ["Pässwörter sind 15+ lanG", "Pa\u{308}sswo\u{308}rter sind 15+ lang", "x"]
            {
                let composed = hash.contains(':') && wrong.nfkc().eq(PASSWORD.chars());
                assert_eq!(matches(hash, wrong), composed, "{hash}");
            }
        }
    }

    #[test]
    fn better_auth_hashes_what_unicode_calls_compatible() {
        let hash = "f2c2b636c176d71d300029fddb9338ac:182a636ef2cb4cc2e273ed5d6435ac368ef5b0b3642ddef63f89e80cf4026b15eb250874cf29fc7b683db8b40d4feb5f0ec5d392cbc7617bbe1ac4d623366726";
        assert!(matches(hash, "ﬁne Å passwords are long"));
        assert!(matches(hash, "fine A\u{30a} passwords are long"));
    }

    #[test]
    fn bcrypt_reads_72_bytes_here_as_it_does_elsewhere() {
        let hash = "$2a$04$h/0Os89rHPg9/UCs7rqNBu6WE8/BX3wU1/zdHRqlqzJpa9Unqbr5u";
        assert!(matches(hash, &("ö".repeat(40) + "the end")));
        assert!(matches(hash, &"ö".repeat(36)));
        assert!(!matches(hash, &"ö".repeat(35)));
    }

    #[test]
    fn what_would_cost_too_much_is_refused_when_it_is_read() {
        let django = "s$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE=";
        let phc = "c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y";
        for dear in [
            format!("pbkdf2_sha256$4000001${django}"),
            format!("pbkdf2_sha256$4294967295${django}"),
            format!("$pbkdf2-sha512$4000001${phc}"),
            format!("$argon2id$v=19$m=4194304,t=2,p=1${phc}"),
            format!("$argon2id$v=19$m=262144,t=10,p=1${phc}"),
            format!("$argon2d$v=19$m=19456,t=2147483648,p=1${phc}"),
            format!("argon2$argon2id$v=19$m=19456,t=2,p=9${phc}"),
            format!("$scrypt$ln=22,r=8,p=1${phc}"),
            format!("$scrypt$ln=31,r=8,p=1${phc}"),
            format!("$scrypt$ln=14,r=8,p=100${phc}"),
            format!("$scrypt$ln=1,r=4294967295,p=4294967295${phc}"),
            "$2b$15$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi".to_owned(),
            "$2b$31$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi".to_owned(),
        ] {
            assert_eq!(
                ImportedHash::parse(&dear).map(drop),
                Err(InvalidHash::TooExpensive),
                "{dear}"
            );
        }
    }

    #[test]
    fn what_verifying_costs_is_told_by_the_parameters() {
        let output = |bytes: usize| BASE64_STANDARD.encode(vec![7; bytes]);
        let phc = "c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y";
        let bcrypt = "lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi";
        for (text, micros) in [
            (format!("pbkdf2_sha1$1000$s${}", output(20)), 300),
            (format!("pbkdf2_sha256$1000$s${}", output(32)), 350),
            (format!("pbkdf2_sha256$1000$s${}", output(33)), 700), // a second block
            (format!("$pbkdf2-sha512$1000${phc}"), 700),
            (format!("$argon2id$v=19$m=1000,t=3,p=2${phc}"), 1800),
            (format!("$scrypt$ln=10,r=8,p=1${phc}"), 2457),
            (format!("$scrypt$ln=10,r=8,p=4${phc}"), 9830),
            (format!("$2b$04${bcrypt}"), 1024),
            (format!("$2b$05${bcrypt}"), 2048),
        ] {
            assert_eq!(ImportedHash::parse(&text).unwrap().micros(), micros, "{text}");
        }
    }

    #[test]
    fn a_second_256_mib_and_each_number_are_taken_to_the_last_and_no_further() {
        let django = "s$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE=";
        let phc = "c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y";
        for (most, more) in [
            // a million microseconds, and one more
            (format!("pbkdf2_sha256$2857143${django}"), format!("pbkdf2_sha256$2857146${django}")),
            // 2^21 blocks of 128 bytes, and 1.5 times as many, which would take less than a second
            (format!("$scrypt$ln=18,r=8,p=1${phc}"), format!("$scrypt$ln=20,r=3,p=1${phc}")),
            (format!("$scrypt$ln=21,r=1,p=1${phc}"), format!("$scrypt$ln=22,r=1,p=1${phc}")),
            (format!("$scrypt$ln=21,r=1,p=1${phc}"), format!("$scrypt$ln=64,r=1,p=1${phc}")),
            (format!("$scrypt$ln=1,r=1024,p=1${phc}"), format!("$scrypt$ln=1,r=1025,p=1${phc}")),
            (format!("$scrypt$ln=1,r=1,p=1024${phc}"), format!("$scrypt$ln=1,r=1,p=1025${phc}")),
        ] {
            assert!(ImportedHash::parse(&most).is_ok(), "{most}");
            assert_eq!(
                ImportedHash::parse(&more).map(drop),
                Err(InvalidHash::TooExpensive),
                "{more}"
            );
        }
    }

    #[test]
    fn a_hash_in_debug_output_says_its_kind_and_no_more() {
        for (hash, kind) in [
            (HASHES[0], "Pbkdf2(…)"),
            (HASHES[2], "Argon2(…)"),
            (HASHES[4], "Bcrypt(…)"),
            (HASHES[5], "Scrypt(…)"),
        ] {
            let shown = format!("{:?}", ImportedHash::parse(hash).unwrap());
            assert!(shown.contains(kind), "{shown}");
            assert!(!shown.contains("salt") && !shown.contains('$'), "{shown}");
        }
    }

    #[test]
    fn what_the_systems_make_by_default_is_within_the_bounds() {
        let django = "s$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE=";
        let phc = "c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y";
        let bcrypt = "lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi";
        for usual in [
            format!("pbkdf2_sha256$1000000${django}"), // Django 5.2
            format!("pbkdf2_sha256$1500000${django}"),
            format!("argon2$argon2id$v=19$m=102400,t=2,p=8${phc}"), // Django
            format!("$argon2id$v=19$m=65536,t=3,p=4${phc}"),        // argon2-cffi
            format!("$scrypt$ln=16,r=8,p=1${phc}"),                 // passlib
            format!("$scrypt$ln=17,r=8,p=1${phc}"),                 // OWASP
            format!("$2a$10${bcrypt}"),                             // PocketBase
            format!("$2a$12${bcrypt}"),                             // Devise
            format!("$2b$13${bcrypt}"),
        ] {
            assert!(ImportedHash::parse(&usual).is_ok(), "{usual}");
        }
    }

    #[test]
    fn better_auths_are_told_by_their_lengths_and_their_digits() {
        let good = HASHES[17];
        let (salt, output) = good.split_once(':').unwrap();
        assert!(ImportedHash::parse(good).is_ok());
        for other in [
            format!("{}:{output}", &salt[2..]),
            format!("{salt}:{}", &output[2..]),
            format!("{}:{output}", salt.to_uppercase()),
            format!("{salt}:{}g", &output[1..]),
        ] {
            assert_eq!(ImportedHash::parse(&other).map(drop), Err(InvalidHash::Unknown), "{other}");
        }
    }

    #[test]
    fn what_is_none_of_the_formats_is_refused() {
        for (text, bad) in [
            ("", InvalidHash::Unknown),
            ("5f4dcc3b5aa765d61d8327deb882cf99", InvalidHash::Unknown),
            ("sha1$salt$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8", InvalidHash::Unknown),
            ("$1$salt$qJH7.N4xYta3aEG/dfqo/0", InvalidHash::Unknown),
            ("$6$salt$x", InvalidHash::Unknown),
            ("$2x$04$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi", InvalidHash::Unknown),
            ("$2b$04$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXT", InvalidHash::Malformed),
            (
                "$2b$99$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi",
                InvalidHash::Malformed,
            ),
            ("bcrypt$lTgx8WiQgMykhI5xmgqi6u", InvalidHash::Malformed),
            (
                "pbkdf2_sha256$0$s$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE=",
                InvalidHash::Malformed,
            ),
            (
                "pbkdf2_sha256$+1$s$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE=",
                InvalidHash::Malformed,
            ),
            ("pbkdf2_sha256$1000$s$", InvalidHash::Malformed),
            ("pbkdf2_sha256$1000$s", InvalidHash::Malformed),
            ("scrypt$1024$s$8$1", InvalidHash::Malformed),
            (
                "$scrypt$ln=4,r=8,p=1,r=8$c2FsdA$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE",
                InvalidHash::Malformed,
            ),
            (
                "argon2$argon2x$v=19$m=512,t=2,p=1$c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y",
                InvalidHash::Unknown,
            ),
            (
                "scrypt$1000$s$8$1$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE=",
                InvalidHash::Malformed,
            ),
            (
                "$scrypt$ln=4,r=8$c2FsdA$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE",
                InvalidHash::Malformed,
            ),
            ("$argon2id$v=19$m=512,t=2,p=1$c2Vhc2FsdDI", InvalidHash::Malformed),
            // A salt of seven bytes, and an output of ten.
            (
                "$argon2id$v=19$m=512,t=2,p=1$c2Vhc2Fsdw$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y",
                InvalidHash::Malformed,
            ),
            ("$argon2id$v=19$m=512,t=2,p=1$c2Vhc2FsdDI$hLHg43quEJ9fMA", InvalidHash::Malformed),
            (
                "bcrypt$$2x$04$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi",
                InvalidHash::Malformed,
            ),
            (
                "bcrypt$$2b$04$lTgx8WiQgMykhI5xmgqi6uFYjB94UzEArIN4EMQ4IDKILJ8VhRXTi.",
                InvalidHash::Malformed,
            ),
            (
                "$argon2id$v=7$m=512,t=2,p=1$c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y",
                InvalidHash::Malformed,
            ),
        ] {
            assert_eq!(ImportedHash::parse(text).map(drop), Err(bad), "{text}");
        }
    }

    #[test]
    fn an_argon2_without_a_version_is_of_the_first_one() {
        let of_version = |version: &str| {
            let text = format!(
                "$argon2id{version}$m=512,t=2,p=1$c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y"
            );
            match ImportedHash::parse(&text).unwrap().kind {
                Kind::Argon2 { argon2, salt, output } => {
                    let mut computed = vec![0; output.len()];
                    Scratch::for_params(Argon2Params::DEFAULT).hash(
                        &argon2,
                        "x",
                        &salt,
                        &mut computed,
                    );
                    computed
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(of_version(""), of_version("$v=16"));
        assert_ne!(of_version(""), of_version("$v=19"));
    }

    #[test]
    fn a_salt_has_256_bytes_at_the_most() {
        let salted = |length| {
            let salt = "s".repeat(length);
            let text =
                format!("pbkdf2_sha256$1000${salt}$PjQINa9dbaTdd4o8YX3lhb4miqbbj1XpHPhNM4kSaYE=");
            ImportedHash::parse(&text).map(drop)
        };
        assert_eq!((salted(256), salted(257)), (Ok(()), Err(InvalidHash::Malformed)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,120}") {
            let _ = ImportedHash::parse(&text);
        }

        #[test]
        fn a_hash_with_a_part_changed_is_bounded_or_refused(
            hash in prop::sample::select(&HASHES[..]),
            at in any::<prop::sample::Index>(),
            part in "[0-9]{1,11}|[a-z]{0,3}=?[0-9]{0,11}|[./A-Za-z0-9+=]{0,90}",
        ) {
            let mut parts: Vec<&str> = hash.split(['$', ',']).collect();
            let at = at.index(parts.len());
            parts[at] = &part;
            if let Ok(read) = ImportedHash::parse(&parts.join("$")) {
                prop_assert!((0..=MAX_COST_MICROS).contains(&read.micros()));
            }
        }

        #[test]
        fn numbers_between_the_bounds_never_overflow(
            name in prop::sample::select(vec!["$scrypt$ln=A,r=B,p=C$", "$argon2id$v=19$m=A,t=B,p=C$", "$pbkdf2-sha512$A$"]),
            (a, b, c) in (any::<u32>(), any::<u32>(), any::<u32>()),
            (x, y, z) in (0_u32..33, 0_u32..33, 0_u32..33),
        ) {
            let numbered = name
                .replace('A', &a.checked_shr(x).unwrap_or(0).to_string())
                .replace('B', &b.checked_shr(y).unwrap_or(0).to_string())
                .replace('C', &c.checked_shr(z).unwrap_or(0).to_string());
            let text = format!("{numbered}c2Vhc2FsdDI$hLHg43quEJ9fMP/cYjBu3AKvSMKa1aBj4Fx51ZaST7Y");
            if let Ok(read) = ImportedHash::parse(&text) {
                prop_assert!((0..=MAX_COST_MICROS).contains(&read.micros()));
            }
        }
    }
}
