//! Stops the queries that read a session while they run, on both engines.

use std::cmp::Ordering;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex};

use cloakroom::domain::AuthService;
use cloakroom::store::Store;
use sqlx::PgConnection;
use tokio::sync::oneshot;

use crate::app::TestApp;

/// The tables for a gate on SQLite: each query that reads an account compares strings by the
/// collation `gate`, after its snapshot of the database was taken. `abs` of the smallest integer is
/// an error.
const ON_SQLITE: [&str; 4] = [
    "create table gate (fails integer not null) strict",
    "insert into gate values (0)",
    "alter table accounts rename to all_accounts",
    "create view accounts as select * from all_accounts
     where case when username = (username || '') collate gate
                then abs((select fails from gate)) end is not null",
];
const FAIL_ON_SQLITE: &str = "update gate set fails = -9223372036854775808";
const PASS_ON_SQLITE: &str = "update gate set fails = 0";

/// The same on PostgreSQL, by a function that waits for a lock. A statement times out at most once,
/// so the function waits again if the service's timeout ends the first wait.
const ON_POSTGRES: [&str; 5] = [
    "create table gate (fails boolean not null)",
    "insert into gate values (false)",
    "create function pass_gate() returns boolean language plpgsql volatile as $$ begin
         begin
             lock table gate in access share mode;
         exception when query_canceled then
             lock table gate in access share mode;
         end;
         if (select fails from gate) then raise exception 'the gate is broken'; end if;
         return true;
     end $$",
    "alter table accounts rename to all_accounts",
    "create view accounts as select * from all_accounts where pass_gate()",
];
const FAIL_ON_POSTGRES: &str = "update gate set fails = true";
const PASS_ON_POSTGRES: &str = "update gate set fails = false";
const CLOSE_ON_POSTGRES: &str = "lock table gate in access exclusive mode";
const WAITING_ON_POSTGRES: &str = "select count(*) from pg_stat_activity
     where application_name = current_setting('application_name') and wait_event_type = 'Lock'";

/// A gate that each query of this node must pass to read a session and its account.
pub struct QueryGate<'a> {
    app: &'a TestApp,
    /// The stop of the next query on SQLite.
    next: Arc<Mutex<Option<Stop>>>,
}

/// Where a query on SQLite stops.
struct Stop {
    reached: oneshot::Sender<()>,
    opened: blocking::Receiver<()>,
}

impl Stop {
    fn wait(self) {
        let _ = self.reached.send(()); // a test that failed does not wait for it
        let _ = self.opened.recv(); // until the sender is dropped
    }
}

/// A gate at which one query waits until this is dropped.
pub struct ClosedGate<'a> {
    app: &'a TestApp,
    side: Side,
}

enum Side {
    Sqlite { reached: Option<oneshot::Receiver<()>>, _open: blocking::Sender<()> },
    Postgres { _lock: PgConnection },
}

impl<'a> QueryGate<'a> {
    /// Installs an open gate in the database and in the connections of this node.
    pub async fn install(app: &'a TestApp, node: &AuthService) -> Self {
        let gate = Self { app, next: Arc::default() };
        let Store::Sqlite(pools) = &*node.store else {
            for sql in ON_POSTGRES {
                app.sql(sql).await;
            }
            return gate;
        };
        for sql in ON_SQLITE {
            app.sql(sql).await;
        }
        let mut connections = Vec::new();
        for _ in 0..pools.readers.size() {
            let (mut connection, next) = (pools.readers.acquire().await.unwrap(), gate.next());
            let compare = move |one: &str, other: &str| -> Ordering {
                let stop = next.lock().unwrap().take();
                stop.into_iter().for_each(Stop::wait);
                one.cmp(other)
            };
            connection.lock_handle().await.unwrap().create_collation("gate", compare).unwrap();
            connections.push(connection); // so that the next one is another
        }
        gate
    }

    fn next(&self) -> Arc<Mutex<Option<Stop>>> {
        Arc::clone(&self.next)
    }

    /// Closes the gate. The query that waits at it succeeds later.
    pub async fn close(&self) -> ClosedGate<'a> {
        self.close_with([PASS_ON_SQLITE, PASS_ON_POSTGRES]).await
    }

    /// Closes the gate. The query that waits at it fails later, and so does each further query.
    pub async fn close_and_fail(&self) -> ClosedGate<'a> {
        self.close_with([FAIL_ON_SQLITE, FAIL_ON_POSTGRES]).await
    }

    async fn close_with(&self, [on_sqlite, on_postgres]: [&'static str; 2]) -> ClosedGate<'a> {
        let app = self.app;
        if app.is_on_postgres() {
            app.sql(on_postgres).await;
            let lock = app.hold(CLOSE_ON_POSTGRES).await;
            return ClosedGate { app, side: Side::Postgres { _lock: lock } };
        }
        app.sql(on_sqlite).await;
        let (reached, is_reached) = oneshot::channel();
        let (open, opened) = blocking::channel();
        *self.next.lock().unwrap() = Some(Stop { reached, opened });
        ClosedGate { app, side: Side::Sqlite { reached: Some(is_reached), _open: open } }
    }
}

impl ClosedGate<'_> {
    /// Waits until a query waits at the gate. It has its snapshot of the database, and returns the
    /// rows of that time.
    pub async fn wait_for_query(&mut self) {
        match &mut self.side {
            Side::Sqlite { reached, .. } => reached.take().unwrap().await.unwrap(),
            Side::Postgres { .. } => {
                let waiting = async || self.app.count(WAITING_ON_POSTGRES).await == 1;
                assert!(self.app.eventually(waiting).await, "no query waits at the gate");
            }
        }
    }
}
