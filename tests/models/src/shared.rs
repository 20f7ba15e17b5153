//! Concurrent requests that share one look-up, some of which are canceled.

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use shuttle::future;
use shuttle::sync::atomic::{AtomicBool, Ordering};

use crate::core::secret::TokenHash;
use crate::domain::sessions::cache::Generation;
use crate::domain::sessions::shared_lookups::{LookupPart, SharedLookups};
use crate::node::{Database, Fault, Node};

const TOKEN: TokenHash = TokenHash(7);

#[derive(Clone)]
struct Found {
    is_active: bool,
    seen: Generation,
}

/// A request, in the steps of `Sessions::look_up`.
async fn request(node: &Arc<Node>, lookups: &Arc<SharedLookups<Found>>, checks: bool) -> bool {
    if node.cache.get(&TOKEN).is_some() {
        return true;
    }
    let start = || {
        let node = Arc::clone(node);
        async move {
            future::yield_now().await; // the query takes its time
            let (is_active, seen) = node.load(TOKEN);
            future::yield_now().await;
            Found { is_active, seen }
        }
        .boxed()
    };
    let is_current = |found: &Found| !checks || node.cache.is_current(found.seen);
    let (found, part) = lookups.look_up(TOKEN, start, is_current).await;
    assert!(matches!(part, LookupPart::Started | LookupPart::Joined));
    found.is_active
}

/// Requests share look-ups while the session is revoked, and one of them is canceled on the way.
fn requests_that_share(checks: bool) {
    let database = Arc::new(Database::default());
    database.sign_in(TOKEN);
    let node = Node::new(&database, Fault::None);
    let lookups = Arc::new(SharedLookups::default());
    let acknowledged = Arc::new(AtomicBool::new(false));
    let canceled = {
        let (node, lookups) = (Arc::clone(&node), Arc::clone(&lookups));
        future::spawn(async move {
            let mut request = pin!(request(&node, &lookups, checks));
            let _ = futures_util::poll!(request.as_mut()); // and then it is dropped
        })
    };
    let requests = [(); 3].map(|()| {
        let (node, lookups) = (Arc::clone(&node), Arc::clone(&lookups));
        let acknowledged = Arc::clone(&acknowledged);
        future::spawn(async move {
            for _ in 0..3 {
                let is_revoked = acknowledged.load(Ordering::SeqCst);
                let is_accepted = request(&node, &lookups, checks).await;
                assert!(!(is_revoked && is_accepted), "a revoked session was accepted");
                future::yield_now().await;
            }
        })
    });
    let revocation = {
        let node = Arc::clone(&node);
        future::spawn(async move {
            node.revoke(TOKEN, || acknowledged.store(true, Ordering::SeqCst));
        })
    };
    future::block_on(async {
        canceled.await.unwrap();
        revocation.await.unwrap();
        for request in requests {
            request.await.unwrap(); // no canceled request leaves it waiting
        }
    });
    assert_eq!(lookups.count(), 0, "a finished look-up is still in the map");
}

#[test]
fn no_request_after_a_revocation_is_answered_by_an_older_look_up() {
    shuttle::check_random(|| requests_that_share(true), 20_000);
}

#[test]
#[should_panic(expected = "a revoked session was accepted")]
fn the_model_notices_a_shared_result_that_is_not_checked() {
    shuttle::check_random(|| requests_that_share(false), 200_000);
}
