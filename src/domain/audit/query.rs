//! Queries security events.

use crate::core::clock::Timestamp;
use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::domain::audit::event::{Event, first_id};
use crate::store::{EventRange, NamedEventRow, Store};

/// The filter of a query.
#[derive(Debug, Clone)]
pub struct AuditQuery {
    pub account: Option<AccountId>,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Only these kinds of events, or all if it is empty.
    pub events: Vec<Event>,
    /// The maximum number of events. The newest are returned.
    pub limit: usize,
}

/// Queries the events in the database. The result is ordered from oldest to newest.
pub async fn find_events(
    store: &Store,
    query: &AuditQuery,
) -> Result<Vec<NamedEventRow>, InternalError> {
    const PAGE: i64 = 1000; // a few hundred kilobytes
    let mut found = Vec::new();
    let account = query.account.as_ref().map(AccountId::as_str);
    let (from, before) = (first_id(query.since), first_id(query.until));
    let mut range = EventRange { from, before };
    while found.len() < query.limit {
        let page = store.events(account, &range, PAGE).await?;
        let Some(last) = page.last() else { break };
        range.before.clone_from(&last.event.id);
        let names: Vec<_> = query.events.iter().map(|event| event.name()).collect();
        let is_asked_for =
            |row: &NamedEventRow| names.is_empty() || names.contains(&row.event.event.as_str());
        found.extend(page.into_iter().filter(is_asked_for));
    }
    found.truncate(query.limit);
    found.reverse();
    Ok(found)
}
