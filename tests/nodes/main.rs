//! Tests of three nodes as processes, on their own PostgreSQL server. They need Debian packages:
//! run them with `tests/e2e/nodes`.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod aborts;
mod mails;
mod migrating;
mod mounted;
mod moving;
mod postgres;
mod revocations;
mod roles;
mod service;
#[path = "../support/mod.rs"]
mod support;
mod upgrade;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Server;
use service::{Client, Cluster};
use support::program::wait_until;
use support::raw::limit;

/// Limit until every node refuses an ended session; `RECOVERED` is the limit until all nodes work
/// after an outage.
const BOUND: Duration = Duration::from_secs(1);
const RECOVERED: Duration = Duration::from_secs(5);

fn asked(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|asked| asked.parse().ok()).unwrap_or(usual)
}

fn address(server: &Server) -> String {
    format!("postgres://{}/postgres", server.host())
}

#[test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
fn who_logs_in_at_one_node_is_known_at_all_and_revoked_at_all() {
    let server = Server::start();
    let cluster = Cluster::of_three(&address(&server));
    let [one, two, three] = [0, 1, 2].map(|n| Client::of(cluster.nodes[n].at));
    let (status, first) = one.register("ann", 1).unwrap();
    assert_eq!(status, 201);
    assert_eq!(two.private(&first.unwrap()), Some(200));
    let mut waits = Vec::new();
    for _ in 0..asked("ROUNDS", 100) {
        let cookie = one.log_in("ann").unwrap().1.unwrap();
        for node in [&one, &two, &three] {
            assert_eq!(node.private(&cookie), Some(200));
        }
        assert_eq!(two.log_out(&cookie), Some(204));
        let ended = Instant::now();
        assert_eq!(two.private(&cookie), Some(403), "at once where it was ended");
        let mut asked = ended.elapsed();
        while three.private(&cookie) == Some(200) {
            assert!(asked < BOUND, "still accepted");
            asked = ended.elapsed();
        }
        waits.push(asked);
        assert_eq!(three.private(&cookie), Some(403));
    }
    waits.sort();
    let at = |share: usize| waits[(waits.len() * share / 100).min(waits.len() - 1)];
    println!(
        "{} revocations at another node are known after {:?} (median), {:?} (p99), {:?} at the most",
        waits.len(),
        at(50),
        at(99),
        waits[waits.len() - 1]
    );
}

#[test]
#[ignore = "wants PostgreSQL and nginx: tests/e2e/nodes"]
fn a_rolling_restart_under_load_fails_no_request() {
    const CLIENTS: usize = 20;
    const EACH: Duration = Duration::from_millis(40); // 500 requests a second in total
    let server = Server::start();
    let mut cluster = Cluster::of_three(&address(&server));
    cluster.start_nginx();
    let cookie = Client::of(cluster.front).register("ann", 1).unwrap().1.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, cookie, stop) =
                (Client::of(cluster.front), cookie.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                let (mut asked, mut failed, mut next) = (0_u32, Vec::new(), Instant::now());
                while !stop.load(Ordering::SeqCst) {
                    next += EACH;
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                    asked += 1;
                    // nginx repeats safe requests at the next node, but never a POST
                    let (expected, status) = match asked % 10 {
                        0 => (204, client.log_out("")),
                        _ => (200, client.private(&cookie)),
                    };
                    if status != Some(expected) {
                        failed.push(status);
                    }
                }
                (asked, failed)
            })
        })
        .collect();
    let start = Instant::now();
    for n in 0..3 {
        thread::sleep(Duration::from_millis(500));
        cluster.restart(n);
    }
    thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::SeqCst);
    let seconds = start.elapsed().as_secs_f64();
    let (mut asked, mut failed) = (0, Vec::new());
    for client in clients {
        let (of_one, of_them) = client.join().unwrap();
        asked += of_one;
        failed.extend(of_them);
    }
    println!("{asked} requests in {seconds:.1} s, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:?}");
}

/// Each acknowledged cookie, and whether its sign-out was acknowledged.
type Acknowledged = Arc<Mutex<Vec<(String, bool)>>>;

/// Sessions per account: more than a hundred would end the oldest.
const SESSIONS: usize = 60;

/// Threads that register, sign in and sign out at all nodes until they are stopped.
struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Acknowledged,
    /// The statuses of failed requests; `None` where there was no answer.
    failed: Arc<Mutex<Vec<Option<u16>>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Writers {
    fn start(cluster: &Cluster) -> Self {
        let mut writers = Self {
            stop: Arc::default(),
            acknowledged: Arc::default(),
            failed: Arc::default(),
            threads: Vec::new(),
        };
        for (w, node) in cluster.nodes.iter().chain(&cluster.nodes).enumerate() {
            let client = Client::of(node.at);
            let (stop, acknowledged, failed) = (
                Arc::clone(&writers.stop),
                Arc::clone(&writers.acknowledged),
                Arc::clone(&writers.failed),
            );
            writers.threads.push(thread::spawn(move || {
                let (mut n, mut name) = (0, None::<String>);
                while !stop.load(Ordering::SeqCst) {
                    n += 1;
                    let known = name.take();
                    let known = known.filter(|_| n % SESSIONS > 0);
                    let new = format!("user{w}n{n}");
                    let answer = match &known {
                        Some(name) => client.log_in(name),
                        None => client.register(&new, w * 100_000 + n),
                    };
                    let Some((200 | 201, Some(cookie))) = answer else {
                        failed.lock().unwrap().push(answer.map(|(status, _)| status));
                        name = known;
                        thread::sleep(Duration::from_millis(50));
                        continue;
                    };
                    name = Some(known.unwrap_or(new));
                    if n % 3 > 0 {
                        acknowledged.lock().unwrap().push((cookie, false));
                        continue;
                    }
                    // a sign-out that is not acknowledged may have happened or not
                    match client.log_out(&cookie) {
                        Some(204) => acknowledged.lock().unwrap().push((cookie, true)),
                        status => failed.lock().unwrap().push(status),
                    }
                }
            }));
        }
        writers
    }

    /// Waits until this many more writes are acknowledged. Returns the number of all of them.
    fn wait_for(&self, more: usize) -> usize {
        let count = || self.acknowledged.lock().unwrap().len();
        let enough = count() + more;
        wait_until(|| count() >= enough);
        count()
    }

    /// Stops the threads, and returns the acknowledged cookies and the statuses of failed requests.
    fn stop(self) -> (Vec<(String, bool)>, Vec<Option<u16>>) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        let failed = self.failed.lock().unwrap().clone();
        (acknowledged, failed)
    }
}

/// Counts the acknowledged writes that are lost.
fn lost(cluster: &Cluster, acknowledged: &[(String, bool)]) -> usize {
    let clients: Vec<_> = cluster.nodes.iter().map(|node| Client::of(node.at)).collect();
    let is_lost = |(n, (cookie, is_ended)): &(usize, &(String, bool))| {
        let expected = if *is_ended { 403 } else { 200 };
        clients[n % clients.len()].private(cookie) != Some(expected)
    };
    acknowledged.iter().enumerate().filter(is_lost).count()
}

/// The session of an account that probes whether a node can write: it ends its other sessions,
/// which needs no hash.
fn probe(cluster: &Cluster) -> String {
    Client::of(cluster.nodes[0].at).register("probe", 5_000_000).unwrap().1.unwrap()
}

/// Waits until every node can write again, and returns how long that took.
fn recovered(cluster: &Cluster, probe: &str) -> Duration {
    let start = Instant::now();
    for (n, node) in cluster.nodes.iter().enumerate() {
        let client = Client::of(node.at);
        loop {
            let ended = client.call("DELETE", "/sessions", &[("cookie", probe)], "");
            let (is_ready, status) = (node.is_ready(), ended.map(|(status, _)| status));
            if is_ready && status == Some(200) {
                break;
            }
            let said = format!("node {n} does not recover: ready {is_ready}, {status:?}");
            assert!(start.elapsed() < limit(4 * RECOVERED), "{said}");
            thread::sleep(Duration::from_millis(20));
        }
    }
    start.elapsed()
}

#[test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
fn r_04_a_server_that_goes_down_and_backends_that_are_killed_lose_nothing() {
    let server = Server::start();
    let mut cluster = Cluster::of_three(&address(&server));
    let probe = probe(&cluster);
    let writers = Writers::start(&cluster);
    let mut times = Vec::new();
    for second in 0..asked("SECONDS_DOWN", 12) {
        let next = Instant::now() + Duration::from_secs(1);
        server.sql(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where pid <> pg_backend_pid() and backend_type = 'client backend'",
        );
        if second % 4 == 3 {
            server.kill();
            thread::sleep(Duration::from_millis(500));
            server.resume();
            times.push(recovered(&cluster, &probe));
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    recovered(&cluster, &probe);
    writers.wait_for(20);
    let (acknowledged, failed) = writers.stop();
    let statuses: std::collections::BTreeMap<_, usize> =
        failed.iter().fold(std::collections::BTreeMap::new(), |mut counts, status| {
            *counts.entry(*status).or_default() += 1;
            counts
        });
    let lost = lost(&cluster, &acknowledged);
    println!(
        "{} acknowledged, {lost} lost; refused by status: {statuses:?}; up again after {times:?}",
        acknowledged.len()
    );
    assert_eq!(lost, 0);
    let log = cluster.logged();
    let causes: Vec<_> = log.lines().filter(|line| line.contains("\"status\":500")).collect();
    assert!(failed.iter().all(|status| *status == Some(503)), "{statuses:?}: {causes:?}");
    assert!(times.iter().all(|time| *time < limit(RECOVERED)), "{times:?}");
    assert!(cluster.is_as_started(), "no process was started again");
    let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
    assert_eq!(server.sql(open), "0");
    assert!(!cluster.logged().contains("panicked"));
}

#[test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
fn a_standby_that_is_promoted_has_all_that_was_acknowledged() {
    let primary = Server::start();
    let standby = primary.standby();
    let both = format!("postgres://{},{}/postgres", primary.host(), standby.encoded());
    let mut cluster = Cluster::of_three(&both);
    let probe = probe(&cluster);
    let writers = Writers::start(&cluster);
    let before = writers.wait_for(50);
    primary.kill();
    standby.promote();
    let up = recovered(&cluster, &probe);
    writers.wait_for(50);
    let (acknowledged, failed) = writers.stop();
    let lost = lost(&cluster, &acknowledged);
    println!(
        "{before} acknowledged before, {} after, {lost} lost, {} refused; up {up:?} after the promotion",
        acknowledged.len() - before,
        failed.len()
    );
    assert_eq!(lost, 0);
    assert!(up < limit(RECOVERED), "{up:?}");
    assert!(cluster.is_as_started(), "no process was started again");
    assert!(!cluster.logged().contains("panicked"));
}
