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
use cloakroom::domain::sessions::shared_lookups::{LookupPart, SharedLookups};
use cloakroom::domain::sessions::{Authentication, RefusedToken};
use cloakroom::domain::throttle::limits::Limits;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;

use crate::app::{CHEAP, TestApp};
use crate::query_gate::{ClosedGate, QueryGate};

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
    let requests = (0..count).map(|_| tokio::spawn(request(node, token)));
    join_all(requests).await.into_iter().map(Result::unwrap).collect()
}

/// A request with this token.
fn request(
    node: &Arc<AuthService>,
    token: &str,
) -> BoxFuture<'static, Result<Authentication, InternalError>> {
    let (node, token) = (Arc::clone(node), token.to_owned());
    async move { node.sessions.authenticate(&token).await }.boxed()
}

/// The results of 20 requests with this token, of which 19 begin while the query of the first one
/// waits at the gate.
async fn share_one(
    (node, token): (&Arc<AuthService>, &str),
    mut gate: ClosedGate<'_>,
) -> Vec<Result<Authentication, InternalError>> {
    let [_, misses, shared] = counts(node);
    let first = tokio::spawn(request(node, token));
    gate.wait_for_query().await;
    let mut others: Vec<_> = (1..20).map(|_| request(node, token)).collect();
    for other in &mut others {
        assert!(other.now_or_never().is_none(), "it waits for the look-up in progress");
    }
    drop(gate);
    let mut all = join_all(others).await;
    all.push(first.await.unwrap());
    assert_eq!(counts(node), [0, misses + 1, shared + 19]);
    all
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
    let gate = QueryGate::install(&app, &node).await;
    for found in share_one((&node, token), gate.close().await).await {
        assert!(matches!(found, Ok(Authentication::Refused(RefusedToken::Recent))), "{found:?}");
    }
    for found in share_one((&node, token), gate.close_and_fail().await).await {
        let fault = found.unwrap_err().to_string();
        assert!(fault.starts_with("finding a session: "), "{fault}");
    }
    for found in share_one((&node, token), gate.close().await).await {
        assert!(matches!(found, Ok(Authentication::Refused(RefusedToken::Recent))), "{found:?}");
    }
    assert_eq!(node.sessions.lookups.count(), 0);
}

#[tokio::test]
async fn a_revocation_during_a_shared_look_up_counts_for_each_request_after_it() {
    let app = TestApp::new().await;
    let cookie = app.signed_in("ann").await.cookie().unwrap();
    let token = cookie.split_once('=').unwrap().1;
    let node = quiet_node(&app).await;
    let mut gate = QueryGate::install(&app, &node).await.close().await;
    let first = tokio::spawn(request(&node, token));
    gate.wait_for_query().await; // it reads the session as it was before the revocation
    node.sessions.log_out(token, &RequestContext::default()).await.unwrap();
    let mut second = request(&node, token);
    assert!((&mut second).now_or_never().is_none(), "it waits for the look-up in progress");
    drop(gate);
    let first = first.await.unwrap();
    assert!(matches!(first, Ok(Authentication::SignedIn(_))), "{first:?}");
    for after in [second.await, node.sessions.authenticate(token).await] {
        assert!(matches!(after, Ok(Authentication::Refused(_))), "{after:?}");
    }
    assert_eq!(counts(&node), [0, 3, 0], "no request after the revocation shared the look-up");
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

    /// A request, which begins when it is polled. Its result contains the number of the look-up
    /// that answered it.
    fn request(&self, token: TokenHash) -> BoxFuture<'static, (usize, LookupPart)> {
        let bench = self.clone();
        async move {
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
        }
        .boxed()
    }

    /// A request that has begun and waits for a look-up.
    fn waiting_request(&self, token: TokenHash) -> BoxFuture<'static, (usize, LookupPart)> {
        let mut request = self.request(token);
        keep_waiting(&mut request);
        request
    }

    /// Ends the oldest look-up in progress.
    fn end_first(&self) {
        self.ends.lock().unwrap().remove(0).send(()).unwrap();
    }
}

/// Lets a request continue until it waits for a look-up again.
fn keep_waiting(request: &mut BoxFuture<'static, (usize, LookupPart)>) {
    assert_eq!(request.now_or_never(), None, "the look-up has not ended");
}

#[tokio::test]
async fn a_request_that_begins_after_a_revocation_is_not_answered_by_an_older_look_up() {
    let bench = Bench::default();
    bench.cache.feed_read(Instant::now() + Duration::from_hours(1));
    let token = bench.token("one");
    let first = bench.waiting_request(token);
    bench.cache.invalidate_account(&"ann".to_owned().into()); // and the revocation is acknowledged
    let (mut second, mut third) = (bench.waiting_request(token), bench.waiting_request(token));
    assert_eq!(bench.started.load(Ordering::SeqCst), 1, "they wait for the look-up in progress");
    bench.end_first();
    assert_eq!(first.await, (1, LookupPart::Started), "it began before the revocation");
    keep_waiting(&mut second);
    keep_waiting(&mut third);
    assert_eq!(bench.started.load(Ordering::SeqCst), 2);
    bench.cache.invalidate_account(&"ann".to_owned().into());
    bench.end_first();
    // The second look-up started after both requests, so another revocation causes no third one.
    assert_eq!([second.await, third.await], [(2, LookupPart::Started), (2, LookupPart::Joined)]);
    assert_eq!(bench.lookups.count(), 0);
}

#[tokio::test]
async fn a_look_up_is_not_shared_while_revocations_of_other_nodes_are_not_heard() {
    let bench = Bench::default();
    let token = bench.token("one");
    let (first, mut second) = (bench.waiting_request(token), bench.waiting_request(token));
    bench.end_first();
    assert_eq!(first.await, (1, LookupPart::Started));
    keep_waiting(&mut second);
    bench.end_first();
    assert_eq!(second.await, (2, LookupPart::Started));
}

#[tokio::test]
async fn a_canceled_request_takes_no_other_request_with_it_and_leaves_nothing() {
    let bench = Bench::default();
    bench.cache.feed_read(Instant::now() + Duration::from_hours(1));
    let token = bench.token("one");
    let (first, second) = (bench.waiting_request(token), bench.waiting_request(token));
    drop(first);
    bench.end_first();
    assert_eq!(second.await, (1, LookupPart::Joined));

    let alone = bench.waiting_request(token);
    assert_eq!(bench.lookups.count(), 1);
    drop(alone);
    assert_eq!(bench.lookups.count(), 0);
    let after = bench.waiting_request(token);
    drop(bench.ends.lock().unwrap().remove(0)); // that of the canceled request
    bench.end_first();
    assert_eq!(after.await, (3, LookupPart::Started));
}

#[tokio::test]
async fn requests_of_different_tokens_share_nothing() {
    let bench = Bench::default();
    bench.cache.feed_read(Instant::now() + Duration::from_hours(1));
    let one = bench.waiting_request(bench.token("one"));
    let other = bench.waiting_request(bench.token("two"));
    assert_eq!(bench.lookups.count(), 2);
    bench.end_first();
    bench.end_first();
    assert_eq!(one.await, (1, LookupPart::Started));
    assert_eq!(other.await, (2, LookupPart::Started));
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
    assert_eq!(lookups.look_up(token, start, |()| true).await, ((), LookupPart::Started));
}
