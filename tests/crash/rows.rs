//! Reads the database directly from its folder.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

/// SHA-256 of a session's secret: the key of its row.
pub type Digest = Vec<u8>;

/// The accounts, the sessions that have not been ended, and the entries in the revocation feed per
/// account.
#[derive(Debug, Default)]
pub struct Rows {
    /// By username: the id, the version of the password, and whether the account is disabled.
    pub accounts: HashMap<String, (String, i64, bool)>,
    /// By account id.
    pub live: HashMap<String, BTreeSet<Digest>>,
    /// By account id.
    pub revocations: HashMap<String, i64>,
}

/// Runs a future on a new runtime.
pub fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Opens the file, which recovers it after a kill or a power cut, and reads all of it.
pub fn read(file: &Path) -> Result<Rows, String> {
    block(async {
        let options = SqliteConnectOptions::new().filename(file);
        let mut db = SqliteConnection::connect_with(&options).await?;
        let ok: Vec<String> =
            sqlx::query_scalar("pragma integrity_check").fetch_all(&mut db).await?;
        if ok != ["ok"] {
            return Ok(Err(format!("integrity_check: {ok:?}")));
        }
        let strangers = sqlx::query("pragma foreign_key_check").fetch_all(&mut db).await?;
        if !strangers.is_empty() {
            return Ok(Err(format!("{} rows refer to what is not there", strangers.len())));
        }
        let mut rows = Rows::default();
        let accounts: Vec<(String, String, i64, Option<i64>)> =
            sqlx::query_as("select username, id, password_version, disabled_at from accounts")
                .fetch_all(&mut db)
                .await?;
        for (name, id, version, disabled_at) in accounts {
            rows.accounts.insert(name, (id, version, disabled_at.is_some()));
        }
        let live: Vec<(String, Digest)> =
            sqlx::query_as("select account_id, digest from sessions where ended_at is null")
                .fetch_all(&mut db)
                .await?;
        for (account, digest) in live {
            rows.live.entry(account).or_default().insert(digest);
        }
        let revocations: Vec<(String, i64)> =
            sqlx::query_as("select account_id, count(*) from revocations group by account_id")
                .fetch_all(&mut db)
                .await?;
        rows.revocations = revocations.into_iter().collect();
        db.close().await?;
        Ok(Ok(rows))
    })
    .unwrap_or_else(|error: sqlx::Error| Err(error.to_string()))
}
