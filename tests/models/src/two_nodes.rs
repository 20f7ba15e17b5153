//! Sign-ins and revocations on one node, requests on another, which hears of revocations by the feed.

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use shuttle::thread;

use crate::core::secret::TokenHash;
use crate::node::{Database, Fault, Node};

/// The number of sign-ins, each of which revokes the session before.
const SIGN_INS: u32 = 3;

/// One node signs in and revokes in turn. On the other, a client uses the newest token and one that
/// was revoked, while the node follows the feed.
fn sign_ins_and_revocations_across_nodes(applies_feed: bool) {
    let database = Arc::new(Database::default());
    let [here, there] = [(); 2].map(|()| Node::new(&database, Fault::None));
    let acknowledged = Arc::new(AtomicUsize::new(0)); // revocations
    let newest = Arc::new(AtomicUsize::new(0));
    database.sign_in(TokenHash(0));
    let follower = {
        let there = Arc::clone(&there);
        thread::spawn(move || {
            for _ in 0..SIGN_INS + 1 {
                if applies_feed {
                    there.follow_feed();
                }
            }
        })
    };
    let client = {
        let (there, newest) = (Arc::clone(&there), Arc::clone(&newest));
        let acknowledged = Arc::clone(&acknowledged);
        thread::spawn(move || {
            for _ in 0..SIGN_INS {
                let applied = match applies_feed {
                    true => there.applied.load(Ordering::SeqCst),
                    false => acknowledged.load(Ordering::SeqCst),
                };
                for revoked in 0..u32::try_from(applied).unwrap() {
                    assert!(
                        !there.authenticate(TokenHash(revoked)),
                        "a session was accepted whose revocation this node had heard of"
                    );
                }
                let token = u32::try_from(newest.load(Ordering::SeqCst)).unwrap();
                let is_accepted = there.authenticate(TokenHash(token));
                let is_still_newest = newest.load(Ordering::SeqCst) == token as usize
                    && acknowledged.load(Ordering::SeqCst) == token as usize;
                assert!(is_accepted || !is_still_newest, "an active session was refused");
            }
        })
    };
    for number in 0..SIGN_INS {
        database.sign_in(TokenHash(number + 1));
        newest.store(number as usize + 1, Ordering::SeqCst);
        here.revoke(TokenHash(number), || {
            acknowledged.fetch_add(1, Ordering::SeqCst);
        });
        assert!(!here.authenticate(TokenHash(number)), "a revoked session was accepted");
        assert!(here.authenticate(TokenHash(number + 1)), "a new session was refused");
    }
    follower.join().unwrap();
    client.join().unwrap();
}

#[test]
fn a_node_refuses_each_session_whose_revocation_it_has_heard_of_and_accepts_each_new_one() {
    shuttle::check_random(|| sign_ins_and_revocations_across_nodes(true), 5_000);
}

#[test]
#[should_panic(expected = "a session was accepted whose revocation this node had heard of")]
fn the_model_notices_a_node_that_does_not_follow_the_feed() {
    shuttle::check_random(|| sign_ins_and_revocations_across_nodes(false), 200_000);
}

#[test]
fn a_node_that_has_lost_the_feed_reads_the_database_for_each_request() {
    shuttle::check_random(
        || {
            let database = Arc::new(Database::default());
            let here = Node::new(&database, Fault::None);
            let there = Node::without_feed(&database);
            database.sign_in(TokenHash(0));
            let acknowledged = Arc::new(AtomicBool::new(false));
            let client = {
                let acknowledged = Arc::clone(&acknowledged);
                thread::spawn(move || {
                    for _ in 0..3 {
                        let is_revoked = acknowledged.load(Ordering::SeqCst);
                        let is_accepted = there.authenticate(TokenHash(0));
                        assert!(!(is_revoked && is_accepted), "a revoked session was accepted");
                    }
                })
            };
            here.revoke(TokenHash(0), || acknowledged.store(true, Ordering::SeqCst));
            client.join().unwrap();
        },
        5_000,
    );
}
