//! The session cache, and when it must not be used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom::domain::jobs::cleanup;
use cloakroom::domain::sessions::Authentication;
use cloakroom::domain::sessions::cache::SessionCache;

use crate::app::TestApp;

/// After this long without reading the revocation feed, the cache is stale.
const DEAF: Duration = Duration::from_secs(1);
/// A reading of the feed that keeps the cache fresh, however slow the machine is.
const LATER: Duration = Duration::from_hours(1);

#[tokio::test]
async fn what_is_kept_counts_while_endings_are_heard_of_and_until_there_is_one() {
    let app = TestApp::new().await;
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    let token = cookie.split_once('=').unwrap().1;
    let Authentication::SignedIn(who) = app.domain.sessions.authenticate(token).await.unwrap()
    else {
        unreachable!("she has just signed in");
    };
    let kept = SessionCache::default();
    let token = kept.hash(token);
    let file = || {
        kept.insert(
            token,
            Arc::clone(&who),
            kept.generation(&who.account.id, kept.key_generation()),
        );
    };
    let is_known = || kept.get(&token).is_some();

    file();
    assert!(!is_known(), "nobody has heard anything yet");
    let heard = Instant::now();
    kept.feed_read(heard + LATER);
    assert!(is_known());
    kept.invalidate_account(&who.account.id);
    assert!(!is_known(), "a session of this account");
    file();
    assert!(is_known());
    kept.invalidate_all();
    assert!(!is_known(), "the keys");
    file();
    kept.remove_stale();
    assert!(is_known(), "nothing has ended");
    assert_eq!(kept.entry_count(), 1);
    kept.invalidate_account(&who.account.id);
    kept.remove_stale();
    assert_eq!(kept.entry_count(), 0, "it takes no memory");
    file();
    assert!(is_known());

    kept.feed_read(heard);
    tokio::time::sleep(DEAF).await;
    assert!(!is_known(), "what has ended meanwhile?");
    kept.feed_read(heard);
    assert!(!is_known(), "that is old news");
    kept.feed_read(Instant::now() + LATER);
    assert!(is_known(), "it is heard of again");
}

#[tokio::test]
async fn who_has_signed_out_is_forgotten_with_what_has_ended() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    for client in [&ann, &bob] {
        assert_eq!(client.get("/private").await.status, 200);
    }
    assert_eq!(app.domain.session_cache.entry_count(), 2);
    ann.post_nothing("/logout").await;
    cleanup::remove_ended(&app.domain).await.unwrap();
    assert!(app.domain.session_cache.entry_count() < 2, "rarely both are of one slot");
}
