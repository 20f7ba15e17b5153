//! Limits the number of connections, in total and per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::core::net::TrustedProxies;

/// The maximum numbers of open connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// The total. Further connections wait in the system's accept queue.
    pub connections: usize,
    /// Per address. Further connections are closed immediately. Loopback addresses and trusted
    /// proxies are not limited, because many clients share them.
    pub per_address: u32,
    pub proxies: TrustedProxies,
}

impl ConnectionLimits {
    /// An idle connection over TLS takes about 32 KiB, or 39 on HTTP/2, so this limit keeps the
    /// total near that of clear text.
    pub const OVER_TLS: usize = 6 * 1024;
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        // A connection takes about 17 KiB, and 4 KiB when it is idle: 280 MiB in total.
        Self { connections: 16 * 1024, per_address: 256, proxies: TrustedProxies::default() }
    }
}

/// Counts the open connections, in total and per address.
#[derive(Debug)]
pub struct ConnectionLimiter {
    free: Arc<Semaphore>,
    limits: ConnectionLimits,
    taken: Arc<Taken>,
}

type Taken = Mutex<HashMap<IpAddr, u32>>;

/// The permit for a connection. Dropping it releases it.
#[derive(Debug)]
pub struct ConnectionPermit {
    address: Option<IpAddr>,
    taken: Arc<Taken>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionLimiter {
    pub fn new(limits: ConnectionLimits) -> Self {
        let free = Arc::new(Semaphore::new(limits.connections));
        Self { free, limits, taken: Arc::default() }
    }

    /// Waits until the total limit allows another connection.
    pub async fn free(&self) -> OwnedSemaphorePermit {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        permit.expect("nobody closes it")
    }

    /// Turns the permit into one for this client, unless its address has reached its limit.
    pub fn take(&self, permit: OwnedSemaphorePermit, peer: IpAddr) -> Option<ConnectionPermit> {
        let peer = peer.to_canonical();
        let is_counted = !peer.is_loopback() && !self.limits.proxies.contains(peer);
        let address = is_counted.then(|| network(peer));
        if let Some(address) = address {
            let mut taken = lock(&self.taken);
            let count = taken.entry(address).or_default();
            if *count >= self.limits.per_address {
                return None;
            }
            *count += 1;
        }
        Some(ConnectionPermit { address, taken: Arc::clone(&self.taken), _permit: permit })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut taken = lock(&self.taken);
        let Some(count) = taken.get_mut(&address) else { return };
        *count -= 1;
        if *count == 0 {
            taken.remove(&address);
        }
    }
}

fn lock(taken: &Taken) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
    taken.lock().expect("nobody panics while holding it")
}

/// An IPv6 customer has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_address: u32) -> ConnectionLimiter {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        ConnectionLimiter::new(ConnectionLimits { connections: 100, per_address, proxies })
    }

    #[tokio::test]
    async fn dos_10_an_address_has_its_share_and_no_more() {
        let limiter = limiter(2);
        let take = async |from: &str| limiter.take(limiter.free().await, from.parse().unwrap());
        let (one, two) = (take("192.0.2.1").await, take("::ffff:192.0.2.1").await);
        assert!(one.is_some() && two.is_some());
        assert!(take("192.0.2.1").await.is_none());
        assert!(take("192.0.2.2").await.is_some(), "another address has its own");
        drop(one);
        assert!(take("192.0.2.1").await.is_some(), "a place was given back");

        let (_one, _two) = (take("2001:db8::1").await, take("2001:db8::2").await);
        assert!(take("2001:db8::3").await.is_none(), "a /64 is one customer");
        assert!(take("2001:db8:0:1::3").await.is_some());

        let mut many = Vec::new();
        for from in ["127.0.0.1", "127.0.0.1", "127.0.0.1", "::1", "::1", "::1", "10.1.2.3"] {
            many.push(take(from).await.expect("everybody comes from a proxy's address"));
        }
        drop((two, many));
        assert_eq!(lock(&limiter.taken).len(), 1, "who is gone is forgotten");
        assert_eq!(limiter.free.available_permits(), 98);
    }
}
