//! The table `mails`: the outbox, with the mails that wait to be sent and those that were given up.

use super::Store;
use super::engine::connection::Connection;
use super::engine::from_row::from_row;
use super::engine::query::Statement;
use super::errors::context;
use crate::core::error::InternalError;

/// A mail to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMailRow {
    pub id: String,
    pub kind: &'static str,
    pub recipient: String,
    /// The account that it is about. `None` if the worker looks for it, or if there is none.
    pub account_id: Option<String>,
    /// The IP address of the client that caused it.
    pub address: Option<String>,
    /// The browser of that client.
    pub browser: Option<String>,
    pub created_at: i64,
}

/// A mail that this node claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedMailRow {
    pub id: String,
    pub kind: String,
    pub recipient: String,
    pub account_id: Option<String>,
    pub address: Option<String>,
    pub browser: Option<String>,
    pub created_at: i64,
    /// The number of claims. A node whose claim has expired changes nothing: another one has a
    /// larger number.
    pub tries: i64,
    /// Why the latest try failed.
    pub reason: Option<String>,
}

from_row!(ClaimedMailRow {
    id,
    kind,
    recipient,
    account_id,
    address,
    browser,
    created_at,
    tries,
    reason
});

/// A mail in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailRow {
    pub id: String,
    pub kind: String,
    pub recipient: String,
    pub created_at: i64,
    pub due_at: i64,
    pub claimed_at: Option<i64>,
    pub tries: i64,
    pub failed_at: Option<i64>,
    pub reason: Option<String>,
}

from_row!(MailRow {
    id,
    kind,
    recipient,
    created_at,
    due_at,
    claimed_at,
    tries,
    failed_at,
    reason
});

/// The number of mails in the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MailCounts {
    pub waiting: i64,
    pub failed: i64,
}

from_row!(MailCounts { waiting, failed });

/// What a node claims: which mails, how many, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct MailClaim<'a> {
    pub now: i64,
    /// Another node may take the mails after this time.
    pub until: i64,
    /// The kinds that this program can write. A newer node may have queued others.
    pub kinds: &'a [&'static str],
    pub limit: i64,
}

/// The mails that wait and that were given up.
pub const COUNT_MAILS: &str = "select count(*) - count(failed_at) as waiting,
     count(failed_at) as failed from mails";

impl Store {
    /// Queues a mail in a transaction of its own.
    pub async fn add_mail(&self, mail: &NewMailRow) -> Result<(), InternalError> {
        self.transaction(|mut transaction| async move {
            queue_mail(&mut transaction, mail).await?;
            transaction.commit().await
        })
        .await
        .map_err(context("queuing a mail"))
    }

    /// Whether any mail is due. Reads at most one row.
    pub async fn has_due_mail(&self, now: i64) -> Result<bool, InternalError> {
        self.reader()
            .query(
                "select count(*) from (
                     select 1 from mails where failed_at is null and due_at <= $1 limit 1) due",
            )
            .bind(now)
            .fetch_value::<i64>()
            .await
            .map(|found| found > 0)
            .map_err(context("finding mail that is due"))
    }

    /// Claims mails that are due, oldest first. No other node gets them before the claim ends.
    pub async fn claim_mails(
        &self,
        claim: MailClaim<'_>,
    ) -> Result<Vec<ClaimedMailRow>, InternalError> {
        let places: Vec<_> = (4..4 + claim.kinds.len()).map(|place| format!("${place}")).collect();
        // Materialized, because PostgreSQL may run a subquery again for each row that it compares,
        // and the second time the first rows are locked: it would claim fewer mails, or more.
        // On PostgreSQL, concurrent nodes would otherwise wait for each other's rows, and then find
        // them claimed.
        let skip = match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => " for update skip locked",
        };
        let claim_sql = format!(
            "with due as materialized (
                 select id from mails
                 where failed_at is null and due_at <= $1 and kind in ({})
                 order by due_at, id limit $3{skip})
             update mails set due_at = $2, claimed_at = $1, tries = tries + 1
             where id in (select id from due) and failed_at is null and due_at <= $1
             returning id, kind, recipient, account_id, address, browser, created_at, tries, reason",
            places.join(", ")
        );
        let query = self.writer().query(Statement::Generated(claim_sql));
        let query = query.bind(claim.now).bind(claim.until).bind(claim.limit);
        let query = claim.kinds.iter().fold(query, |query, kind| query.bind(*kind));
        let mut claimed: Vec<ClaimedMailRow> =
            query.fetch_all().await.map_err(context("claiming mails"))?;
        claimed.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(claimed)
    }

    /// Removes a mail that was sent. Returns false if the claim had ended.
    pub async fn finish_mail(&self, id: &str, tries: i64) -> Result<bool, InternalError> {
        self.writer()
            .query("delete from mails where id = $1 and tries = $2")
            .bind(id)
            .bind(tries)
            .execute()
            .await
            .map(|removed| removed == 1)
            .map_err(context("removing a mail that was sent"))
    }

    /// Ends the claim of a mail, which is due again at a time. Returns false if the claim had
    /// ended.
    pub async fn postpone_mail(
        &self,
        (id, tries): (&str, i64),
        due_at: i64,
        reason: Option<&str>,
    ) -> Result<bool, InternalError> {
        self.writer()
            .query(
                "update mails set due_at = $3, claimed_at = null, reason = coalesce($4, reason)
                 where id = $1 and tries = $2",
            )
            .bind(id)
            .bind(tries)
            .bind(due_at)
            .bind(reason)
            .execute()
            .await
            .map(|changed| changed == 1)
            .map_err(context("postponing a mail"))
    }

    /// Gives a mail up. Returns false if the claim had ended.
    pub async fn fail_mail(
        &self,
        (id, tries): (&str, i64),
        failed_at: i64,
        reason: &str,
    ) -> Result<bool, InternalError> {
        self.writer()
            .query(
                "update mails set failed_at = $3, claimed_at = null, reason = $4
                 where id = $1 and tries = $2",
            )
            .bind(id)
            .bind(tries)
            .bind(failed_at)
            .bind(reason)
            .execute()
            .await
            .map(|changed| changed == 1)
            .map_err(context("giving a mail up"))
    }

    /// Lists mails, oldest first: at most `limit`, starting after the given one.
    pub async fn mails_behind(
        &self,
        (created_at, id): (i64, &str),
        limit: i64,
    ) -> Result<Vec<MailRow>, InternalError> {
        self.reader()
            .query(
                "select id, kind, recipient, created_at, due_at, claimed_at, tries, failed_at, reason
                 from mails where created_at > $1 or (created_at = $1 and id > $2)
                 order by created_at, id limit $3",
            )
            .bind(created_at)
            .bind(id)
            .bind(limit)
            .fetch_all()
            .await
            .map_err(context("listing mails"))
    }

    /// Counts the mails that wait and those that were given up.
    pub async fn count_mails(&self) -> Result<MailCounts, InternalError> {
        self.reader().query(COUNT_MAILS).fetch_one().await.map_err(context("counting mails"))
    }

    /// Makes a mail due now, as if it had been queued now, unless a node is sending it. Without an
    /// id, all mails that were given up. Returns the number of mails.
    pub async fn retry_mails(&self, id: Option<&str>, now: i64) -> Result<u64, InternalError> {
        let one =
            "update mails set created_at = $1, due_at = $1, failed_at = null, claimed_at = null
             where id = $2 and (claimed_at is null or due_at <= $1)";
        let all = "update mails set created_at = $1, due_at = $1, failed_at = null
             where failed_at is not null";
        let query = self.writer().query(if id.is_some() { one } else { all }).bind(now);
        let query = match id {
            Some(id) => query.bind(id),
            None => query,
        };
        query.execute().await.map_err(context("retrying mails"))
    }

    /// Removes a mail, or all mails that were given up. Returns the number of mails.
    pub async fn drop_mails(&self, id: Option<&str>) -> Result<u64, InternalError> {
        let query = match id {
            Some(id) => self.writer().query("delete from mails where id = $1").bind(id),
            None => self.writer().query("delete from mails where failed_at is not null"),
        };
        query.execute().await.map_err(context("removing mails"))
    }

    /// Removes the mails of a kind that were queued until a time, unless a node is sending them at
    /// the moment or has given them up. Returns how many were removed.
    pub async fn remove_old_mails(
        &self,
        kind: &str,
        until: i64,
        now: i64,
    ) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from mails where created_at <= $2 and kind = $1 and failed_at is null
                   and (claimed_at is null or due_at <= $3)",
            )
            .bind(kind)
            .bind(until)
            .bind(now)
            .execute()
            .await
            .map_err(context("removing old mails"))
    }

    /// Removes up to `limit` mails that were given up until a time. Returns how many were removed.
    pub async fn remove_failed_mails(&self, until: i64, limit: i64) -> Result<u64, InternalError> {
        self.writer()
            .query(
                "delete from mails where id in (
                     select id from mails where failed_at <= $1 limit $2)",
            )
            .bind(until)
            .bind(limit)
            .execute()
            .await
            .map_err(context("removing old mails"))
    }

    /// Removes all mails. Returns how many were removed.
    pub async fn remove_all_mails(&self) -> Result<u64, InternalError> {
        let removed = self.writer().query("delete from mails").execute().await;
        removed.map_err(context("removing the mails"))
    }
}

/// Queues a notice in the transaction of its cause, if anybody gets it.
pub async fn queue_notice(
    db: &mut impl Connection,
    notice: Option<&NewMailRow>,
) -> sqlx::Result<()> {
    match notice {
        Some(notice) => queue_mail(db, notice).await,
        None => Ok(()),
    }
}

/// Queues a mail in the transaction of its cause: both happen, or neither does.
pub async fn queue_mail(db: &mut impl Connection, mail: &NewMailRow) -> sqlx::Result<()> {
    db.query(
        "insert into mails
             (id, kind, recipient, account_id, address, browser, created_at, due_at, tries)
         values ($1, $2, $3, $4, $5, $6, $7, $7, 0)",
    )
    .bind(&mail.id)
    .bind(mail.kind)
    .bind(&mail.recipient)
    .bind(mail.account_id.as_deref())
    .bind(mail.address.as_deref())
    .bind(mail.browser.as_deref())
    .bind(mail.created_at)
    .execute()
    .await
    .map(drop)
}
