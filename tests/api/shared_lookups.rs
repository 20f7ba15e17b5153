//! Concurrent requests with the same session token share one look-up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloakroom::app::{self, Environment};
use cloakroom::core::error::InternalError;
use cloakroom::core::secret::{TokenHash, TokenHasher};
use cloakroom::domain::AuthService;
use cloakroom::domain::audit::context::RequestContext;
use cloakroom::domain::sessions::cache::{Generation, SessionCache};
use cloakroom::domain::sessions::shared_lookups::{Role, SharedLookups};
use cloakroom::domain::sessions::{Authentication, RefusedToken};
use cloakroom::domain::throttle::limits::Limits;
use futures_util::FutureExt;
use futures_util::future::join_all;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

use crate::app::{CHEAP, TestApp};

/// The number of requests that one browser tab sends.
const STORM: usize = 500;

/// A node without background jobs, whose cache is fresh for an hour: neither the state of the feed
/// nor a slow machine causes a look-up.
async fn quiet_node(app: &TestApp) -> Arc<AuthService> {
    let (clock, hash_cost, limits) = (app.clock.clone(), CHEAP, Limits::production());
    let environment = Environment { clock, hash_cost, limits };
    let node = app::open(&app.config, environment).await.unwrap();
    node.session_cache.feed_read(Instant::now() + Duration::from_hours(1));
    Arc::new(node)
}

/// The results of this many concurrent requests with this token.
async fn requests_at_once(
    node: &Arc<AuthService>,
    token: &str,
    count: usize,
) -> Vec<Result<Authentication, InternalError>> {
    let requests = (0..count).map(|_| {
        let (node, token) = (Arc::clone(node), token.to_owned());
        tokio::spawn(async move { node.sessions.authenticate(&token).await })
    });
    join_all(requests).await.into_iter().map(Result::unwrap).collect()
}

/// Whether a look-up answers several concurrent requests, and none after them. The database may
/// answer the first request before the second one is sent, so this tries more than once.
async fn share_one(
    node: &Arc<AuthService>,
    token: &str,
    is_expected: impl Fn(&Result<Authentication, InternalError>) -> bool,
) -> bool {
    for _ in 0..50 {
        let [_, misses, shared] = counts(node);
        for found in requests_at_once(node, token, 20).await {
            assert!(is_expected(&found), "{found:?}");
        }
        let [_, more_misses, more_shared] = counts(node);
        assert_eq!(more_misses - misses + more_shared - shared, 20);
        assert!(is_expected(&node.sessions.authenticate(token).await));
        assert_eq!(counts(node), [0, more_misses + 1, more_shared]);
        if more_shared > shared {
            return true;
        }
    }
    false
}

/// The hits, misses and shared look-ups since the start.
fn counts(node: &AuthService) -> [u64; 3] {
    [&node.counters.hits, &node.counters.misses, &node.counters.shared].map(Counter::get)
}

/// Counts every record of when a session was seen, and leaves the session unchanged, so that a
/// second record would be counted, too.
async fn count_seen_records(app: &TestApp) {
    app.sql("create table seen_records (session text not null)").await;
    if app.is_on_postgres() {
        app.sql(
            "create function count_seen() returns trigger language plpgsql as $$ begin
                     insert into seen_records values (new.id);
                     new.last_seen_at := old.last_seen_at;
                     return new;
                 end $$",
        )
        .await;
        let trigger = "create trigger count_seen before update of last_seen_at on sessions
                       for each row execute function count_seen()";
        return app.sql(trigger).await;
    }
    app.sql(
        "create trigger count_seen after update of last_seen_at on sessions begin
                 insert into seen_records values (new.id);
                 update sessions set last_seen_at = old.last_seen_at where id = new.id;
             end",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_requests_at_once_share_one_look_up_and_one_record() {
    let app = TestApp::new().await;
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    let token = cookie.split_once('=').unwrap().1;
    count_seen_records(&app).await;
    app.wait(Duration::from_mins(2)); // the next request records that the session was seen
    let node = quiet_node(&app).await;
    for storm in 1..=2 {
        for found in requests_at_once(&node, token, STORM).await {
            assert!(matches!(found, Ok(Authentication::SignedIn(_))), "{found:?}");
        }
        let [hits, misses, shared] = counts(&node);
        assert_eq!(misses, storm, "{hits} from the cache, {shared} shared");
        assert_eq!(hits + shared, storm * (STORM as u64 - 1));
        let records = async || app.count("select count(*) from seen_records").await;
        assert!(app.eventually(async || records().await >= storm.cast_signed()).await);
        assert_eq!(records().await, storm.cast_signed());
        app.wait(Duration::from_mins(1)); // the cached session is no longer fresh
    }
    assert_eq!(node.sessions.lookups.count(), 0);
}

#[tokio::test]
async fn refusals_and_failures_are_shared_by_the_requests_that_wait_and_not_kept() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let cookie = ann.cookie().unwrap();
    let token = cookie.split_once('=').unwrap().1;
    ann.post_nothing("/logout").await;
    let node = quiet_node(&app).await;
    let is_refused = |found: &Result<Authentication, InternalError>| {
        matches!(found, Ok(Authentication::Refused(RefusedToken::Recent)))
    };
    assert!(share_one(&node, token, is_refused).await);
    app.sql("alter table sessions rename to elsewhere").await;
    let is_failure = |found: &Result<Authentication, InternalError>| {
        found.as_ref().is_err_and(|fault| fault.to_string().starts_with("finding a session: "))
    };
    assert!(share_one(&node, token, is_failure).await);
    app.sql("alter table elsewhere rename to sessions").await;
    assert!(matches!(node.sessions.authenticate(token).await, Ok(Authentication::Refused(_))));
    assert_eq!(node.sessions.lookups.count(), 0);
}

/// Stops a real look-up after it has read the session, revokes the session, and sends another
/// request. How often the first request must be polled until it has read depends on the engine and
/// its pool, so this tries more than once, and leaves a slow machine more time with each try.
#[tokio::test]
async fn a_revocation_during_a_shared_look_up_counts_for_each_request_after_it() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    let node = quiet_node(&app).await;
    for attempt in 0..240_u64 {
        let cookie = app.signed_in_again("ann").await.cookie().unwrap();
        let token = cookie.split_once('=').unwrap().1;
        let mut first = Box::pin(node.sessions.authenticate(token));
        let mut is_done = false;
        for _ in 0..=attempt % 10 {
            is_done = is_done || (&mut first).now_or_never().is_some();
            // the database answers meanwhile, and no task runs
            std::thread::sleep(Duration::from_millis(10 + attempt));
        }
        if is_done {
            continue;
        }
        node.sessions.log_out(token, &RequestContext::default()).await.unwrap();
        let second = node.sessions.authenticate(token).await;
        assert!(matches!(second, Ok(Authentication::Refused(_))), "{second:?}");
        if matches!(first.await, Ok(Authentication::SignedIn(_))) {
            return; // the first had read before the revocation, and the second did not use that
        }
    }
    panic!("no look-up was held between its query and its end");
}

/// Look-ups that end when the test says so. The result is the number of the look-up, and the counts
/// before it.
#[derive(Clone, Default)]
struct Bench {
    lookups: Arc<SharedLookups<(usize, Generation)>>,
    cache: Arc<SessionCache>,
    started: Arc<AtomicUsize>,
    ends: Arc<Mutex<Vec<oneshot::Sender<()>>>>,
}

impl Bench {
    fn token(&self, token: &str) -> TokenHash {
        self.cache.hash(token)
    }

    /// Starts a request and waits until it waits. Its result contains the number of the look-up
    /// that answered it.
    async fn request(&self, token: TokenHash) -> JoinHandle<(usize, Role)> {
        let bench = self.clone();
        let request = tokio::spawn(async move {
            let start = || {
                let number = bench.started.fetch_add(1, Ordering::SeqCst) + 1;
                let (end, ended) = oneshot::channel();
                bench.ends.lock().unwrap().push(end);
                let account = "ann".to_owned().into();
                let seen = bench.cache.generation(&account, bench.cache.key_generation());
                async move {
                    ended.await.unwrap();
                    (number, seen)
                }
                .boxed()
            };
            let is_current = |found: &(usize, Generation)| bench.cache.is_current(found.1);
            let ((number, _), role) = bench.lookups.look_up(token, start, is_current).await;
            (number, role)
        });
        yield_now().await;
        request
    }

    /// Ends the oldest look-up in progress.
    async fn end_first(&self) {
        let end = self.ends.lock().unwrap().remove(0);
        end.send(()).unwrap();
        yield_now().await;
        yield_now().await;
    }
}

#[tokio::test]
async fn a_request_that_begins_after_a_revocation_is_not_answered_by_an_older_look_up() {
    let bench = Bench::default();
    bench.cache.feed_read(Instant::now() + Duration::from_hours(1));
    let token = bench.token("one");
    let first = bench.request(token).await;
    bench.cache.invalidate_account(&"ann".to_owned().into()); // and the revocation is acknowledged
    let (second, third) = (bench.request(token).await, bench.request(token).await);
    assert_eq!(bench.started.load(Ordering::SeqCst), 1, "they wait for the look-up in progress");
    bench.end_first().await;
    assert_eq!(first.await.unwrap(), (1, Role::Started), "it began before the revocation");
    assert_eq!(bench.started.load(Ordering::SeqCst), 2);
    bench.cache.invalidate_account(&"ann".to_owned().into());
    bench.end_first().await;
    // The second look-up started after both requests, so another revocation causes no third one.
    let roles = [second.await.unwrap(), third.await.unwrap()];
    assert_eq!(roles, [(2, Role::Started), (2, Role::Joined)]);
    assert_eq!(bench.lookups.count(), 0);
}

#[tokio::test]
async fn a_look_up_is_not_shared_while_revocations_of_other_nodes_are_not_heard() {
    let bench = Bench::default();
    let token = bench.token("one");
    let (first, second) = (bench.request(token).await, bench.request(token).await);
    bench.end_first().await;
    assert_eq!(first.await.unwrap(), (1, Role::Started));
    bench.end_first().await;
    assert_eq!(second.await.unwrap(), (2, Role::Started));
}

#[tokio::test]
async fn a_canceled_request_takes_no_other_request_with_it_and_leaves_nothing() {
    let bench = Bench::default();
    bench.cache.feed_read(Instant::now() + Duration::from_hours(1));
    let token = bench.token("one");
    let (first, second) = (bench.request(token).await, bench.request(token).await);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    bench.end_first().await;
    assert_eq!(second.await.unwrap(), (1, Role::Joined));

    let alone = bench.request(token).await;
    assert_eq!(bench.lookups.count(), 1);
    alone.abort();
    assert!(alone.await.unwrap_err().is_cancelled());
    assert_eq!(bench.lookups.count(), 0);
    let after = bench.request(token).await;
    drop(bench.ends.lock().unwrap().remove(0)); // that of the canceled request
    bench.end_first().await;
    assert_eq!(after.await.unwrap(), (3, Role::Started));
}

#[tokio::test]
async fn requests_of_different_tokens_share_nothing() {
    let bench = Bench::default();
    bench.cache.feed_read(Instant::now() + Duration::from_hours(1));
    let one = bench.request(bench.token("one")).await;
    let other = bench.request(bench.token("two")).await;
    assert_eq!(bench.lookups.count(), 2);
    bench.end_first().await;
    bench.end_first().await;
    assert_eq!(one.await.unwrap(), (1, Role::Started));
    assert_eq!(other.await.unwrap(), (2, Role::Started));
}

#[tokio::test]
async fn a_look_up_that_panics_is_not_joined_any_more() {
    let lookups: Arc<SharedLookups<()>> = Arc::default();
    let token = TokenHasher::random().hash("one");
    let shared = Arc::clone(&lookups);
    let request = tokio::spawn(async move {
        let start = || async { panic!("this look-up fails the hard way") }.boxed();
        shared.look_up(token, start, |()| true).await
    });
    assert!(request.await.unwrap_err().is_panic());
    assert_eq!(lookups.count(), 0);
    let start = || async {}.boxed();
    assert_eq!(lookups.look_up(token, start, |()| true).await, ((), Role::Started));
}
