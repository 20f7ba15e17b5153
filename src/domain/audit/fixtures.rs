//! Fixtures for the tests of the audit log.

use std::path::Path;

use crate::core::clock::{Timestamp, days};
use crate::core::ids::AccountId;
use crate::domain::audit::event::Event;
use crate::domain::audit::journal::{AuditRecord, OUTSIDE_REQUESTS};
use crate::domain::audit::query::{AuditQuery, find_events};
use crate::store::{EventRow, Store};

pub const NOON: Timestamp = Timestamp::from_millis(1_796_000_000_000);

pub async fn open_store(folder: &Path) -> Store {
    Store::open_file(&folder.join("events.db")).await.unwrap()
}

pub fn record_of(event: Event, account: &AccountId) -> AuditRecord<'_> {
    AuditRecord { account: Some(account), ..AuditRecord::new(event, &OUTSIDE_REQUESTS) }
}

/// All events in the database, oldest first.
pub async fn rows(store: &Store) -> Vec<EventRow> {
    let question = AuditQuery {
        account: None,
        since: Timestamp::from_millis(0),
        until: NOON.plus(days(1)),
        events: Vec::new(),
        limit: usize::MAX,
    };
    let rows = find_events(store, &question).await.unwrap();
    rows.into_iter().map(|row| row.event).collect()
}

/// The names and counts of all events in the database.
pub async fn names_and_counts(store: &Store) -> Vec<(String, i64)> {
    rows(store).await.into_iter().map(|row| (row.event, row.count)).collect()
}
