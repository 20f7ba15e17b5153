//! R-15 between processes: a session that is ended at one node is refused by the others, however it
//! was ended.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::core::clock::Clock;
use cloakroom::core::secret::{Sid, random_id};
use cloakroom::domain::keys::claims::Claims;
use cloakroom::domain::keys::tokens::KeyRing;
use sqlx::postgres::PgPool;

use super::postgres::Server;
use super::service::{Client, Cluster, PASSWORD};
use super::{BOUND, asked};

/// The number of threads that end sessions and check them concurrently.
const LANES: usize = 3;

/// An account with two sessions.
struct Person {
    name: String,
    /// The token of the session that is ended, that session's public id, and the token of the other
    /// session.
    ends: String,
    id: String,
    other: String,
}

/// Accounts with the same password, with sessions signed by the nodes' own key. Logins would create
/// the same, but with a hash for each.
async fn people(cluster: &Cluster, database: &str, count: usize) -> Vec<Person> {
    Client::of(cluster.nodes[0].at).register("first", 1).unwrap();
    let issuer = format!("http://{}", cluster.front);
    let keys =
        KeyRing::read(&cluster.folder().join("cloakroom-data/keys"), &issuer).unwrap().unwrap();
    let now = Clock::System.now();
    let ends_at = now.plus(Duration::from_hours(8));
    let (mut people, mut names, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let (mut digests, mut listed, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..count {
        let account = random_id();
        let mut session = |id: &str| {
            let sid = Sid::random();
            digests.push(sid.digest().as_bytes().to_vec());
            listed.push(id.to_owned());
            owners.push(account.clone());
            let account = account.clone().into();
            let token = keys.sign(&Claims { account, sid, issued_at: now, expires_at: ends_at });
            format!("session={}", token.expose()) // as a client sends it
        };
        let (id, other) = (random_id(), random_id());
        let (ends, other) = (session(&id), session(&other));
        people.push(Person { name: format!("person{n}"), ends, id, other });
        names.push(format!("person{n}"));
        ids.push(account);
    }
    let pool = PgPool::connect(database).await.unwrap();
    sqlx::query(
        "insert into accounts (id, username, password_hash, created_at)
         select new.id, name, password_hash, $3
         from unnest($1::text[], $2::text[]) new (id, name), accounts where username = 'first'",
    )
    .bind(ids)
    .bind(names)
    .bind(now.millis())
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query(
        "insert into sessions (digest, id, account_id, remember, created_at, last_seen_at, expires_at)
         select digest, id, owner, 0, $4, $4, $5
         from unnest($1::bytea[], $2::text[], $3::text[]) new (digest, id, owner)",
    )
    .bind(digests)
    .bind(listed)
    .bind(owners)
    .bind(now.millis())
    .bind(ends_at.millis())
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    people
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    LogOut,
    Revoke,
    RevokeOthers,
    ChangePassword,
    Disable,
}

impl Way {
    /// One in a hundred changes the password, and one is disabled through the command line; both
    /// are slow because of hashing or starting a process.
    fn of(round: usize) -> Self {
        match round % 100 {
            7 => Self::ChangePassword,
            57 => Self::Disable,
            n if n % 3 == 0 => Self::LogOut,
            n if n % 3 == 1 => Self::Revoke,
            _ => Self::RevokeOthers,
        }
    }
}

/// Ends a session at one node, and returns how long the others accepted it after the end was
/// acknowledged.
fn end(
    cluster: &Cluster,
    clients: &[Client],
    round: usize,
    person: &Person,
) -> (Way, Vec<Duration>) {
    let at = round % clients.len();
    for client in clients {
        assert_eq!(client.private(&person.ends), Some(200), "{}", person.name);
    }
    let (client, way) = (&clients[at], Way::of(round));
    let cookie = [("cookie", person.other.as_str())];
    match way {
        Way::LogOut => assert_eq!(client.log_out(&person.ends), Some(204)),
        Way::Revoke => {
            let path = format!("/sessions/{}", person.id);
            assert_eq!(client.call("DELETE", &path, &cookie, "").unwrap().0, 204);
        }
        Way::RevokeOthers => {
            assert_eq!(client.call("DELETE", "/sessions", &cookie, "").unwrap().0, 200);
        }
        Way::ChangePassword => {
            let new = "canary quite another battery";
            let changed = client.change_password(&person.other, PASSWORD, new);
            assert_eq!(changed.unwrap().0, 204);
        }
        Way::Disable => drop(cluster.run(&["user", "disable", &person.name])),
    }
    let ended = Instant::now();
    // the start of the last request that each node accepted; the nodes are checked in turn
    let mut accepted: Vec<_> = clients.iter().map(|client| (client, Duration::ZERO)).collect();
    if way != Way::Disable {
        // an operator's command disables the account, so no node knows it first
        let (client, _) = accepted.remove(at);
        assert_eq!(client.private(&person.ends), Some(403), "at once where it was ended: {way:?}");
    }
    let mut left: Vec<_> = (0..accepted.len()).collect();
    while !left.is_empty() {
        left.retain(|n| {
            let (client, last) = &mut accepted[*n];
            let asked = ended.elapsed();
            match client.private(&person.ends) {
                Some(200) if asked < 5 * BOUND => *last = asked,
                Some(403) => return false,
                status => panic!("{way:?}: {status:?} after {asked:?}"),
            }
            true
        });
    }
    let waits = accepted.into_iter().map(|(_, last)| last).collect();
    (way, waits)
}

#[tokio::test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
async fn r_15_what_ends_at_a_node_is_refused_at_the_others() {
    let rounds = usize::try_from(asked("ROUNDS", 600)).unwrap();
    let server = Server::start();
    let database = super::address(&server);
    let cluster = Cluster::of_three(&database);
    let people = people(&cluster, &database, rounds).await;
    let waits = Mutex::new(Vec::new());
    let start = Instant::now();
    thread::scope(|scope| {
        for lane in 0..LANES {
            let (cluster, people, waits) = (&cluster, &people, &waits);
            scope.spawn(move || {
                let clients: Vec<_> =
                    cluster.nodes.iter().map(|node| Client::of(node.at)).collect();
                for round in (lane..rounds).step_by(LANES) {
                    let took = end(cluster, &clients, round, &people[round]);
                    waits.lock().unwrap().push(took);
                }
            });
        }
    });
    let took = start.elapsed();
    let mut waits = waits.into_inner().unwrap();
    waits.sort();
    let mut all: Vec<_> = waits.iter().flat_map(|(_, waits)| waits.clone()).collect();
    all.sort();
    let at = |share: usize| all[(all.len() * share / 1000).min(all.len() - 1)];
    let stale = all.iter().filter(|wait| **wait > BOUND).count();
    println!(
        "R-15: {rounds} revocations in {took:.0?}, asked for at {} other nodes: {stale} accepted after {BOUND:?}; \
         accepted for {:.1?} (median), {:.1?} (p99), {:.1?} (p99.9), {:.1?} (the most)",
        all.len(),
        at(500),
        at(990),
        at(999),
        all[all.len() - 1]
    );
    for ways in waits.chunk_by(|(one, _), (other, _)| one == other) {
        let most = ways.iter().flat_map(|(_, waits)| waits).max().unwrap();
        println!(
            "  {:?}: {} revocations, accepted for {most:.1?} at the most",
            ways[0].0,
            ways.len()
        );
    }
    assert_eq!(stale, 0);
    assert_eq!(waits.len(), rounds);
    assert!(!cluster.logged().contains("panicked"));
}
