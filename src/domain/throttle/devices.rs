//! Device tokens: a client that has signed in before is not delayed by the failures of others
//! (OWASP's device cookies).

use std::sync::Arc;

use crate::core::clock::{Clock, Timestamp};
use crate::core::ids::AccountId;
use crate::core::secret::{DeviceToken, random_id};
use crate::domain::keys::claims::DeviceClaims;
use crate::domain::keys::tokens::KeyRing;
use crate::domain::requester::Requester;
use crate::domain::throttle::limits::DEVICE;

/// Issues and verifies device tokens.
#[derive(Debug)]
pub struct Devices {
    keys: Arc<KeyRing>,
    clock: Clock,
}

impl Devices {
    pub fn new(keys: Arc<KeyRing>, clock: Clock) -> Self {
        Self { keys, clock }
    }

    /// The devices that a client presents and that have signed in to the account before.
    pub fn trusted_devices(
        &self,
        account: Option<(&AccountId, i64)>,
        requester: &Requester,
        now: Timestamp,
    ) -> Vec<DeviceClaims> {
        let Some((account, version)) = account else { return Vec::new() };
        let named = requester.devices.iter().filter(|token| KeyRing::names_account(token, account));
        let claims = named.filter_map(|token| self.keys.verify_device(token, now));
        claims.filter(|device| device.account == *account && device.version == version).collect()
    }

    /// The claims of a device token, if it is valid.
    pub fn verify(&self, token: &DeviceToken, now: Timestamp) -> Option<DeviceClaims> {
        self.keys.verify_device(token, now)
    }

    /// Issues the token that identifies a client at its next login to the account, as long as the
    /// account has this password.
    pub fn issue(&self, account: &AccountId, version: i64, known: Option<String>) -> DeviceToken {
        let now = self.clock.now();
        self.keys.sign_device(&DeviceClaims {
            account: account.clone(),
            version,
            id: known.unwrap_or_else(random_id),
            issued_at: now,
            expires_at: now.plus(DEVICE),
        })
    }
}
