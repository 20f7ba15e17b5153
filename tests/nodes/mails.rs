//! MAIL-20: nodes that are killed while they send mail, to a server that counts what it accepts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::postgres::Server;
use super::service::Cluster;
use super::{address, asked};
use crate::support::raw::{LONG, limit};

/// The claims of a node end after ten minutes. The test ends them earlier, which is still longer
/// than a batch takes.
const LEASE: Duration = Duration::from_secs(5);

/// How often each mail was accepted, by its `Message-ID`.
type Accepted = Arc<Mutex<HashMap<String, usize>>>;

/// An SMTP server that accepts every mail.
struct Relay {
    at: SocketAddr,
    accepted: Accepted,
}

impl Relay {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let accepted = Accepted::default();
        let counts = Arc::clone(&accepted);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, counts) = (stream.unwrap(), Arc::clone(&counts));
                // a killed node breaks its connection
                thread::spawn(move || talk(&stream, &counts).ok());
            }
        });
        Self { at, accepted }
    }

    /// The number of mails that were accepted, and how many more times than once.
    fn counts(&self) -> (usize, usize) {
        let accepted = self.accepted.lock().unwrap();
        (accepted.len(), accepted.values().map(|times| times - 1).sum())
    }
}

/// Speaks SMTP (RFC 5321) on a connection until it ends.
fn talk(stream: &TcpStream, accepted: &Accepted) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut answer = stream;
    answer.write_all(b"220 relay\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let said = match line.split(' ').next().unwrap_or_default() {
            "DATA" => {
                answer.write_all(b"354 go on\r\n")?;
                let mut id = None;
                loop {
                    let Some(line) = lines.next().transpose()? else { return Ok(()) };
                    if line == "." {
                        break;
                    }
                    id = id.or_else(|| line.strip_prefix("Message-ID: ").map(str::to_owned));
                }
                // It is accepted before the answer, so a node that is killed here sends it again.
                *accepted.lock().unwrap().entry(id.expect("a Message-ID")).or_default() += 1;
                "250 queued"
            }
            "QUIT" => "221 bye",
            _ => "250 relay",
        };
        answer.write_all(format!("{said}\r\n").as_bytes())?;
    }
    Ok(())
}

#[test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
fn mail_20_nodes_that_are_killed_lose_no_mail_and_send_at_most_one_twice_each_time() {
    let (server, relay) = (Server::start(), Relay::start());
    let mail = [
        ("CLOAKROOM_MAIL__SERVER", format!("smtp://{}", relay.at)),
        ("CLOAKROOM_MAIL__FROM", "no-reply@id.example.org".to_owned()),
    ];
    let mut cluster = Cluster::with(&mail, 3, &address(&server));
    let mails = asked("MAILS", 300);
    let queued = format!(
        "insert into mails (id, kind, recipient, created_at, due_at, tries)
         select 'mail' || n, 'test', 'user' || n || '@example.org', now, now, 0
         from generate_series(1, {mails}) n, (select extract(epoch from now())::bigint * 1000 now) t"
    );
    server.sql(&queued);
    let end_claims = format!(
        "update mails set due_at = claimed_at
         where claimed_at < extract(epoch from now()) * 1000 - {} and due_at > claimed_at",
        LEASE.as_millis()
    );
    let (started, mut kills) = (Instant::now(), 0);
    while server.sql("select count(*) from mails") != "0" {
        let next = Instant::now() + Duration::from_millis(asked("KILL_MILLIS", 300));
        // The one after the last is not killed, so that there is always one that sends.
        if relay.counts().0 < usize::try_from(mails).unwrap() {
            cluster.kill_and_start(kills % 3);
            kills += 1;
        }
        server.sql(&end_claims);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        assert!(started.elapsed() < limit(10 * LONG), "{:?} of {mails} are sent", relay.counts());
    }
    let (sent, duplicates) = relay.counts();
    println!(
        "{mails} mails, {kills} kills: {} lost, {duplicates} sent twice, in {:.1} s",
        usize::try_from(mails).unwrap() - sent,
        started.elapsed().as_secs_f64()
    );
    assert_eq!(sent, usize::try_from(mails).unwrap());
    assert!(duplicates <= kills, "{duplicates} sent twice, {kills} kills");
    assert!(kills > 0, "no node was killed meanwhile");
    assert!(!cluster.logged().contains("panicked"));
}
