//! The table `events`: security events.

use std::sync::Arc;

use super::Store;
use super::engine::connection::Connection;
use super::engine::from_row::from_row;
use super::errors::context;
use super::group_commit::RollbackScope;
use crate::core::error::InternalError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Starts with the time, so that the newest event has the largest id.
    pub id: Vec<u8>,
    pub at: i64,
    pub event: String,
    pub refusal: i64,
    pub account_id: Option<String>,
    pub session_id: Option<String>,
    pub thing: Option<String>,
    pub count: i64,
    pub address: Option<String>,
    pub request_id: Option<String>,
}

from_row!(EventRow {
    id,
    at,
    event,
    refusal,
    account_id,
    session_id,
    thing,
    count,
    address,
    request_id
});

/// An event, with the user name of its account if the account still exists.
#[derive(Debug, Clone)]
pub struct NamedEventRow {
    pub event: EventRow,
    pub username: Option<String>,
}

from_row!(NamedEventRow { username, ..event });

/// The range of a page of events: `from` is included, `before` is not.
#[derive(Debug, Clone)]
pub struct EventRange {
    pub from: Vec<u8>,
    pub before: Vec<u8>,
}

impl Store {
    /// Adds events. An event that exists already stays as it is.
    pub async fn add_events(&self, rows: Arc<Vec<EventRow>>) -> Result<(), InternalError> {
        self.write(RollbackScope::Own, move |mut db| {
            Box::pin(async move {
                let mut all = db.begin().await?;
                for row in rows.iter() {
                    insert_event(&mut all, row).await?;
                }
                all.commit().await
            })
        })
        .await
        .map_err(context("writing audit events"))
    }

    /// Lists the newest events of a range, newest first: those of one account, or all.
    pub async fn events(
        &self,
        account: Option<&str>,
        range: &EventRange,
        limit: i64,
    ) -> Result<Vec<NamedEventRow>, InternalError> {
        let of_all = "select events.*, username
             from events left join accounts on accounts.id = account_id
             where events.id >= $1 and events.id < $2
             order by events.id desc limit $3";
        let of_one = "select events.*, username
             from events left join accounts on accounts.id = account_id
             where account_id = $4 and events.id >= $1 and events.id < $2
             order by events.id desc limit $3";
        let query = self.reader().query(if account.is_some() { of_one } else { of_all });
        let query = query.bind(&range.from).bind(&range.before).bind(limit);
        let query = match account {
            Some(account) => query.bind(account),
            None => query,
        };
        query.fetch_all().await.map_err(context("reading events"))
    }

    /// Lists the accounts that have events from this id on.
    pub async fn accounts_with_events(&self, from: &[u8]) -> Result<Vec<String>, InternalError> {
        self.reader()
            .query(
                "select distinct account_id from events where id >= $1 and account_id is not null",
            )
            .bind(from)
            .fetch_values()
            .await
            .map_err(context("finding accounts with events"))
    }

    /// The id of the newest event of an account and kind that has `most` newer ones, if there is
    /// one. It takes at most `most` index steps.
    pub async fn event_of_account_behind(
        &self,
        account: &str,
        refusal: bool,
        most: i64,
    ) -> Result<Option<Vec<u8>>, InternalError> {
        self.reader()
            .query(
                "select id from events where account_id = $1 and refusal = $2
                 order by id desc limit 1 offset $3",
            )
            .bind(account)
            .bind(i64::from(refusal))
            .bind(most)
            .fetch_optional_value()
            .await
            .map_err(context("counting the audit events of an account"))
    }

    /// Removes up to `limit` events of an account and kind up to an id, oldest first.
    pub async fn remove_events_of_account(
        &self,
        account: &str,
        refusal: bool,
        until: &[u8],
        limit: i64,
    ) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from events where id in (
                     select id from events where account_id = $1 and refusal = $2 and id <= $3
                     order by id limit $4)",
            )
            .bind(account)
            .bind(i64::from(refusal))
            .bind(until)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing old audit events of an account"))
    }

    /// The id of the newest event of a kind that has `most` newer ones, if there is one.
    pub async fn event_behind(
        &self,
        refusal: bool,
        most: i64,
    ) -> Result<Option<Vec<u8>>, InternalError> {
        self.reader()
            .query("select id from events where refusal = $1 order by id desc limit 1 offset $2")
            .bind(i64::from(refusal))
            .bind(most)
            .fetch_optional_value()
            .await
            .map_err(context("counting events"))
    }

    /// Removes up to `limit` events of a kind up to an id, oldest first.
    pub async fn remove_events(
        &self,
        refusal: bool,
        until: &[u8],
        limit: i64,
    ) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from events where id in (
                     select id from events where refusal = $1 and id <= $2 order by id limit $3)",
            )
            .bind(i64::from(refusal))
            .bind(until)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing old audit events"))
    }
}

/// Inserts an event, unless it exists already.
async fn insert_event(db: &mut impl Connection, row: &EventRow) -> sqlx::Result<()> {
    db.query(
        "insert into events (id, at, event, refusal, account_id, session_id, thing,
                             count, address, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (id) do nothing",
    )
    .bind(&row.id)
    .bind(row.at)
    .bind(&row.event)
    .bind(row.refusal)
    .bind(&row.account_id)
    .bind(&row.session_id)
    .bind(&row.thing)
    .bind(row.count)
    .bind(&row.address)
    .bind(&row.request_id)
    .execute()
    .await
    .map(drop)
}
