//! The connections and transactions that queries run on.

use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool};

use super::query::{Query, Statement};
use crate::store::file_guard::Guarded;

/// A connection pool. Each query uses one connection.
#[derive(Clone, Copy)]
pub enum Pool<'a> {
    Sqlite(&'a SqlitePool, Guarded<'a>),
    Postgres(&'a PgPool),
}

impl<'a> Pool<'a> {
    #[inline]
    pub fn query(self, statement: impl Into<Statement>) -> Query<'a> {
        match self {
            Self::Sqlite(pool, guard) => {
                Query::SqlitePool(statement.into().for_sqlite(), pool, guard)
            }
            Self::Postgres(pool) => Query::PostgresPool(statement.into().for_postgres(), pool),
        }
    }

    /// Begins a transaction for a command. Requests use `Store::transaction` instead, because their
    /// client may disconnect meanwhile.
    pub async fn begin(self) -> sqlx::Result<Transaction> {
        Ok(match self {
            Self::Sqlite(pool, _) => Transaction::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
        })
    }
}

/// A single connection, which runs its queries one after the other.
pub trait Connection: Send {
    fn query(&mut self, statement: impl Into<Statement>) -> Query<'_>;
}

/// A borrowed connection: of a pool, or of a group commit.
#[derive(Debug)]
pub enum ConnectionRef<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl ConnectionRef<'_> {
    /// Begins a transaction, or a savepoint within a transaction.
    pub async fn begin(&mut self) -> sqlx::Result<InnerTransaction<'_>> {
        Ok(match self {
            Self::Sqlite(connection) => InnerTransaction::Sqlite(connection.begin().await?),
            Self::Postgres(connection) => InnerTransaction::Postgres(connection.begin().await?),
        })
    }
}

impl Connection for ConnectionRef<'_> {
    fn query(&mut self, statement: impl Into<Statement>) -> Query<'_> {
        match self {
            Self::Sqlite(connection) => Query::Sqlite(statement.into().for_sqlite(), connection),
            Self::Postgres(connection) => {
                Query::Postgres(statement.into().for_postgres(), connection)
            }
        }
    }
}

/// A transaction on a borrowed connection, or a savepoint if the connection is in a transaction
/// already. It is rolled back unless it is committed.
#[derive(Debug)]
pub enum InnerTransaction<'c> {
    Sqlite(sqlx::Transaction<'c, Sqlite>),
    Postgres(sqlx::Transaction<'c, Postgres>),
}

impl InnerTransaction<'_> {
    pub async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}

impl Connection for InnerTransaction<'_> {
    fn query(&mut self, statement: impl Into<Statement>) -> Query<'_> {
        match self {
            Self::Sqlite(transaction) => Query::Sqlite(statement.into().for_sqlite(), transaction),
            Self::Postgres(transaction) => {
                Query::Postgres(statement.into().for_postgres(), transaction)
            }
        }
    }
}

/// A transaction with its own connection. It is rolled back unless it is committed.
#[derive(Debug)]
pub enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    pub async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }

    pub async fn rollback(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction) => transaction.rollback().await,
        }
    }
}

impl Connection for Transaction {
    fn query(&mut self, statement: impl Into<Statement>) -> Query<'_> {
        match self {
            Self::Sqlite(transaction) => Query::Sqlite(statement.into().for_sqlite(), transaction),
            Self::Postgres(transaction) => {
                Query::Postgres(statement.into().for_postgres(), transaction)
            }
        }
    }
}
