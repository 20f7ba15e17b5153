//! ROL-01 and ROL-02 between processes: a role that a command gives or takes is in force on every node
//! within a second, in the sessions that exist.

use std::thread;
use std::time::{Duration, Instant};

use super::postgres::Server;
use super::service::{Client, Cluster};
use super::{BOUND, asked};

/// Whether the node shows that the session has the role.
fn has_role(node: &Client, cookie: &str) -> bool {
    let body = node.text_with("/me", cookie);
    assert!(body.contains("\"roles\":["), "the session has ended: {body}");
    body.contains("\"editor\"")
}

#[test]
#[ignore = "wants PostgreSQL: tests/e2e/nodes"]
fn rol_01_and_02_a_role_is_given_and_taken_on_three_nodes_within_a_second() {
    let server = Server::start();
    let cluster = Cluster::of_three(&super::address(&server));
    let nodes: Vec<_> = cluster.nodes.iter().map(|node| Client::of(node.at)).collect();
    let cookie = nodes[0].register("ann", 1).unwrap().1.unwrap();
    assert!(nodes.iter().all(|node| !has_role(node, &cookie)), "and each has it in its cache");
    for _ in 0..asked("ROUNDS", 5) {
        for (command, expected) in [("give", true), ("take", false)] {
            cluster.run(&["role", command, "ann", "editor"]);
            let changed_at = Instant::now();
            for node in &nodes {
                loop {
                    let asked = changed_at.elapsed();
                    if has_role(node, &cookie) == expected {
                        break;
                    }
                    assert!(asked < BOUND, "{command}: {asked:?}");
                    thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }
}
