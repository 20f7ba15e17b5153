//! A request that starts after a revocation was acknowledged never gets the cached session.

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;

use crate::core::secret::TokenHash;
use crate::node::{Database, Fault, Node};

const TOKEN: TokenHash = TokenHash(7);

/// Two clients send requests with one token while its session is revoked.
fn requests_during_a_revocation(fault: Fault) {
    let database = Arc::new(Database::default());
    database.sign_in(TOKEN);
    let node = Node::new(&database, fault);
    let acknowledged = Arc::new(AtomicBool::new(false));
    let clients = [(); 2].map(|()| {
        let (node, acknowledged) = (Arc::clone(&node), Arc::clone(&acknowledged));
        thread::spawn(move || {
            for _ in 0..2 {
                let is_revoked = acknowledged.load(Ordering::SeqCst);
                let is_accepted = node.authenticate(TOKEN);
                assert!(!(is_revoked && is_accepted), "a revoked session was accepted");
            }
        })
    });
    node.revoke(TOKEN, || acknowledged.store(true, Ordering::SeqCst));
    assert!(!node.authenticate(TOKEN), "a revoked session was accepted");
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn no_request_after_a_revocation_is_accepted() {
    shuttle::check_random(|| requests_during_a_revocation(Fault::None), 5_000);
}

#[test]
#[should_panic(expected = "a revoked session was accepted")]
fn the_model_notices_a_generation_that_is_read_too_late() {
    shuttle::check_random(|| requests_during_a_revocation(Fault::GenerationAfterRow), 200_000);
}

#[test]
#[should_panic(expected = "a revoked session was accepted")]
fn the_model_notices_a_revocation_that_is_acknowledged_too_early() {
    shuttle::check_random(|| requests_during_a_revocation(Fault::AcknowledgedFirst), 200_000);
}
