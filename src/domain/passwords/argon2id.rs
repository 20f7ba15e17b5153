//! Argon2id, the algorithm of Cloakroom's own hashes (RFC 9106), in PHC string format.

use std::sync::Arc;

use argon2::password_hash::phc::{self, Output, Salt};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::core::secret::{Password, Pepper, random_bytes};
use crate::domain::passwords::cost::Argon2Params;
use crate::domain::passwords::scratch::Scratch;
use crate::store::HashRow;

/// The parameter of a PHC string that contains the id of the pepper.
const KEY_ID: &str = "keyid";
/// 256 bits of output and 128 of salt, as RFC 9106 recommends.
pub(super) const OUTPUT: usize = 32;
const SALT: usize = 16;
/// The maximum length of a salt in a PHC string, in bytes.
const MAX_SALT_LENGTH: usize = 64;

/// The parts of one of our hashes.
pub(super) struct Argon2id {
    pub cost: Argon2Params,
    params: Params,
    pub pepper: Option<Arc<Pepper>>,
    salt: Vec<u8>,
    pub output: Output,
}

impl Argon2id {
    /// A hash that is to be computed, with a random salt.
    pub fn new(cost: Argon2Params, pepper: Option<Arc<Pepper>>) -> Self {
        let output = Output::new(&[0; OUTPUT]).expect("32 bytes are an output");
        let params = params(cost).expect("our own parameters are within bounds");
        Self { cost, params, pepper, salt: random_bytes::<SALT>().to_vec(), output }
    }

    /// The decoy for unknown users: the same work, and never a match.
    pub fn decoy(cost: Argon2Params) -> Self {
        Self::new(cost, None)
    }

    /// Parses a hash. Returns it with the id of the pepper that it needs.
    pub fn read(text: &str) -> Option<(Self, Option<String>)> {
        let hash = phc::PasswordHash::new(text).ok()?;
        let is_ours = hash.algorithm.as_str() == "argon2id" && hash.version == Some(0x13);
        let output = hash.hash.filter(|output| is_ours && output.as_bytes().len() == OUTPUT)?;
        let cost = Argon2Params {
            memory_kib: hash.params.get_decimal("m")?,
            passes: hash.params.get_decimal("t")?,
            lanes: hash.params.get_decimal("p")?,
        };
        let salt = hash.salt?.as_ref().to_vec();
        let is_salt = (argon2::MIN_SALT_LEN..=MAX_SALT_LENGTH).contains(&salt.len());
        let pepper = hash.params.get_str(KEY_ID).map(str::to_owned);
        let read = Self { cost, params: params(cost)?, pepper: None, salt, output };
        is_salt.then_some((read, pepper))
    }

    /// Hashes a password with the parameters, salt and pepper of this hash.
    pub fn output_of(&self, password: &Password, memory: &mut Scratch) -> Output {
        let (version, params) = (Version::V0x13, self.params.clone());
        let argon2 = match &self.pepper {
            None => Argon2::new(Algorithm::Argon2id, version, params),
            // computes the hash
            Some(pepper) => {
                Argon2::new_with_secret(pepper.expose(), Algorithm::Argon2id, version, params)
                    .expect("a pepper is short")
            }
        };
        let mut output = [0; OUTPUT];
        memory.hash(&argon2, password.expose(), &self.salt, &mut output); // computes the hash
        Output::new(&output).expect("32 bytes are an output")
    }

    /// Whether it uses the current pepper, or none if there is no current one.
    pub fn is_peppered_by(&self, current: Option<&Arc<Pepper>>) -> bool {
        let id = |pepper: Option<&Arc<Pepper>>| pepper.map(|pepper| pepper.id());
        id(self.pepper.as_ref()) == id(current)
    }

    /// The row of this hash, with the given output.
    pub fn row(&self, output: &Output) -> HashRow {
        let Argon2Params { memory_kib, passes, lanes } = self.cost;
        let salt = Salt::new(&self.salt).expect("16 bytes are a salt");
        let pepper = self.pepper.as_ref().map(|pepper| pepper.id());
        let key = pepper.as_ref().map(|id| format!(",{KEY_ID}={id}")).unwrap_or_default();
        let hash =
            format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}{key}${salt}${output}");
        HashRow { hash: hash.into(), cost: self.cost.micros(), pepper }
    }
}

/// The Argon2 parameters for this cost, if it is within the limits for stored hashes.
fn params(cost: Argon2Params) -> Option<Params> {
    let Argon2Params { memory_kib, passes, lanes } = cost;
    let params = Params::new(memory_kib, passes, lanes, Some(OUTPUT)).ok()?;
    cost.is_bounded().then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Argon2Params = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };

    #[test]
    fn a_peppered_hash_is_argon2s_own_with_a_secret() {
        // Computed by libargon2's `argon2id_ctx` with `secret` and `secretlen`.
        let pepper = Pepper::parse("0123456789abcdef".repeat(4).as_bytes()).unwrap();
        let own = Argon2id {
            cost: CHEAP,
            params: params(CHEAP).unwrap(),
            pepper: Some(Arc::new(pepper)),
            salt: b"sixteen bytes ok".to_vec(),
            output: Output::new(&[0; OUTPUT]).unwrap(),
        };
        let output = own.output_of(
            &Password::new("correct horse battery".to_owned()),
            &mut Scratch::for_params(CHEAP),
        );
        assert_eq!(output.to_string(), "obd16okcx48rqUwoQBl/o2/uzWvj4k2bsyyxkbbAVA0");
    }
}
