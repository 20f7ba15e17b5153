//! Calibrates the minimum time of password verifications, so that all take the same time.

use std::sync::Weak;
use std::time::Duration;

use crate::core::error::InternalError;
use crate::core::interval::Periodic;
use crate::core::secret::PasswordHash;
use crate::domain::AuthService;
use crate::domain::jobs::periodic::next_until_closing;

/// The maximum number of different hash costs that are timed. Systems from which users are imported
/// have one or two.
const MAX_COSTS: usize = 8;

/// Calibrates the minimum verification time at an interval, until the domain is dropped.
pub async fn calibrate_min_verify_time(domain: Weak<AuthService>, every: Duration) {
    let mut timed = Vec::new();
    let mut rounds = Periodic::every(every, domain);
    while let Some(domain) = next_until_closing(&mut rounds).await {
        if let Err(fault) = calibrate(&domain, &mut timed).await {
            tracing::debug!("{fault}"); // the time stays as it is; the revocation feed logs database errors
        }
    }
}

/// Sets the minimum time of password verifications to that of the most expensive hash, if costs
/// differ. So the response time does not reveal which accounts have an imported hash or one with
/// other parameters. Costs are estimates, so one hash of each cost is timed once.
async fn calibrate(
    domain: &AuthService,
    timed: &mut Vec<(i64, Duration)>,
) -> Result<(), InternalError> {
    let mut hashes = hashes_by_price(domain).await?;
    let own = domain.hasher.cost();
    if hashes.iter().all(|(price, _)| *price == own) {
        timed.clear();
        domain.hasher.set_min_verify_time(Duration::ZERO);
        return Ok(());
    }
    if hashes.iter().all(|(price, _)| *price != own) {
        hashes.push((own, None)); // unknown user names are verified against a hash with this cost
    }
    timed.retain(|(price, _)| hashes.iter().any(|(present, _)| present == price));
    let is_timed = |price: &i64| timed.iter().any(|(known, _)| known == price);
    hashes.retain(|(price, _)| !is_timed(price));
    let known = timed.iter().map(|(_, time)| *time).max().unwrap_or_default();
    // The estimate applies until the measurement is done.
    let dearest = hashes.iter().map(|(price, _)| *price).max().unwrap_or_default();
    let estimate = Duration::from_micros(u64::try_from(dearest).unwrap_or_default());
    domain.hasher.set_min_verify_time(known.max(estimate));
    for (price, hash) in &hashes {
        let Ok(time) = domain.hasher.time(hash.as_ref()).await else { return Ok(()) };
        timed.push((*price, time));
    }
    let min_verify_time = timed.iter().map(|(_, time)| *time).max().unwrap_or_default();
    domain.hasher.set_min_verify_time(min_verify_time);
    Ok(())
}

/// One hash for each cost, the most expensive first.
async fn hashes_by_price(
    domain: &AuthService,
) -> Result<Vec<(i64, Option<PasswordHash>)>, InternalError> {
    let (mut hashes, mut below) = (Vec::new(), i64::MAX);
    for _ in 0..MAX_COSTS {
        let Some((price, hash)) = domain.store.hash_priced_below(below).await? else { break };
        below = price;
        hashes.push((price, Some(hash)));
    }
    Ok(hashes)
}
