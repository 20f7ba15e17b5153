//! The table `session_data`: application data of sessions, which is deleted together with the
//! session.

use super::Store;
use super::engine::connection::Connection;
use super::engine::from_row::from_row;
use super::errors::context;
use super::group_commit::RollbackScope;
use crate::core::error::InternalError;

/// The session data of one type, and the number of its changes.
#[derive(Debug, Clone)]
pub struct DataRow {
    pub value: String,
    pub version: i64,
}

from_row!(DataRow { value, version });

/// A session, and the name of one type of data in it.
#[derive(Debug, Clone, Copy)]
pub struct DataPlace<'a> {
    pub session_id: &'a str,
    pub name: &'a str,
    pub now: i64,
}

impl DataPlace<'_> {
    /// All session ids have the same length, so no two places have the same key.
    fn key(&self) -> String {
        format!("{}{}", self.session_id, self.name)
    }
}

impl Store {
    /// Reads the data. The outer `None` means that the session has ended, the inner one that there
    /// is no data yet.
    pub async fn session_data(
        &self,
        place: DataPlace<'_>,
    ) -> Result<Option<Option<DataRow>>, InternalError> {
        struct Found {
            value: Option<String>,
            version: Option<i64>,
        }
        from_row!(Found { value, version });
        let found: Option<Found> = self
            .reader()
            .query(
                "select value, version
                 from sessions join accounts on accounts.id = account_id
                 left join session_data on session_id = sessions.id and key = $2
                 where sessions.id = $1 and ended_at is null and expires_at > $3
                   and disabled_at is null",
            )
            .bind(place.session_id)
            .bind(place.key())
            .bind(place.now)
            .fetch_optional()
            .await
            .map_err(context("reading session data"))?;
        Ok(found.map(|Found { value, version }| {
            value.zip(version).map(|(value, version)| DataRow { value, version })
        }))
    }

    /// Writes the data unconditionally. Returns false if the session has ended.
    pub async fn keep_session_data(
        &self,
        place: DataPlace<'_>,
        value: String,
    ) -> Result<bool, InternalError> {
        let (key, session_id, now) = (place.key(), place.session_id.to_owned(), place.now);
        self.write(RollbackScope::Own, move |mut db| {
            Box::pin(async move {
                let kept = db
                    .query(
                        "insert into session_data (key, session_id, value, version)
                 select $1, id, $3, 1 from sessions
                 where id = $2 and ended_at is null and expires_at > $4
                 on conflict (key) do update
                 set value = excluded.value, version = session_data.version + 1",
                    )
                    .bind(key)
                    .bind(session_id)
                    .bind(value)
                    .bind(now)
                    .execute()
                    .await?;
                Ok(kept == 1)
            })
        })
        .await
        .map_err(context("storing session data"))
    }

    /// Writes the data, provided that the present data has this version, or that there is none if
    /// `version` is `None`. Returns false if that is not the case, or if the session has ended.
    pub async fn change_session_data(
        &self,
        place: DataPlace<'_>,
        version: Option<i64>,
        value: String,
    ) -> Result<bool, InternalError> {
        let (key, session_id, now) = (place.key(), place.session_id.to_owned(), place.now);
        self.write(RollbackScope::Own, move |mut db| {
            Box::pin(async move {
                let sql = match version {
                    Some(_) => {
                        "update session_data set value = $3, version = version + 1
                     where key = $1 and version = $5 and exists (
                         select 1 from sessions
                         where id = $2 and ended_at is null and expires_at > $4)"
                    }
                    None => {
                        "insert into session_data (key, session_id, value, version)
                     select $1, id, $3, $5 + 1 from sessions
                     where id = $2 and ended_at is null and expires_at > $4
                     on conflict (key) do nothing"
                    }
                };
                let changed = db
                    .query(sql)
                    .bind(key)
                    .bind(session_id)
                    .bind(value)
                    .bind(now)
                    .bind(version.unwrap_or(0))
                    .execute()
                    .await?;
                Ok(changed == 1)
            })
        })
        .await
        .map_err(context("changing session data"))
    }
}

/// Moves the data of a session to the session that replaces it.
pub async fn take_over_data(db: &mut impl Connection, old: &str, new: &str) -> sqlx::Result<()> {
    db.query(
        "update session_data
         set session_id = $2, key = $2 || substr(key, length(session_id) + 1)
         where session_id = $1",
    )
    .bind(old)
    .bind(new)
    .execute()
    .await
    .map(drop)
}
