//! A query that is written once for both engines: a statement, its values, and the connection.

use futures_util::{StreamExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    AssertSqlSafe, Decode, Encode, FromRow, PgConnection, PgPool, Postgres, Sqlite,
    SqliteConnection, SqlitePool, Type,
};

use crate::store::file_guard::Guarded;

/// The text of a statement.
#[derive(Debug)]
pub enum Statement {
    /// The same text for both engines.
    Common(&'static str),
    /// A different text for each engine.
    PerEngine { sqlite: &'static str, postgres: &'static str },
    /// A text whose length depends on the number of values. It contains placeholders, never values.
    Generated(String),
}

impl From<&'static str> for Statement {
    fn from(sql: &'static str) -> Self {
        Self::Common(sql)
    }
}

type SqliteQuery = sqlx::query::Query<'static, Sqlite, SqliteArguments>;
type PgQuery = sqlx::query::Query<'static, Postgres, PgArguments>;

impl Statement {
    pub fn for_sqlite(self) -> SqliteQuery {
        match self {
            Self::Common(sql) | Self::PerEngine { sqlite: sql, .. } => sqlx::query(sql),
            Self::Generated(sql) => sqlx::query(AssertSqlSafe(sql)),
        }
    }

    pub fn for_postgres(self) -> PgQuery {
        match self {
            Self::Common(sql) | Self::PerEngine { postgres: sql, .. } => sqlx::query(sql),
            Self::Generated(sql) => sqlx::query(AssertSqlSafe(sql)),
        }
    }
}

/// A value that both engines accept as a parameter.
pub trait Value<'v>:
    Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres>
{
}

impl<'v, T> Value<'v> for T where
    T: Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres>
{
}

/// A row that both engines can return.
pub trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

/// A column value that both engines can return.
pub trait Column:
    for<'r> Decode<'r, Sqlite>
    + Type<Sqlite>
    + for<'r> Decode<'r, Postgres>
    + Type<Postgres>
    + Send
    + Unpin
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite>
        + Type<Sqlite>
        + for<'r> Decode<'r, Postgres>
        + Type<Postgres>
        + Send
        + Unpin
{
}

/// A statement with the values that have been bound to it, and the connection that it runs on.
#[must_use = "a query does nothing before it is executed"]
pub enum Query<'c> {
    SqlitePool(SqliteQuery, &'c SqlitePool, Guarded<'c>),
    Sqlite(SqliteQuery, &'c mut SqliteConnection),
    PostgresPool(PgQuery, &'c PgPool),
    Postgres(PgQuery, &'c mut PgConnection),
}

impl Query<'_> {
    /// Binds the next value.
    #[inline]
    pub fn bind<'v>(self, value: impl Value<'v>) -> Self {
        match self {
            Self::SqlitePool(query, pool, guard) => {
                Self::SqlitePool(query.bind(value), pool, guard)
            }
            Self::Sqlite(query, connection) => Self::Sqlite(query.bind(value), connection),
            Self::PostgresPool(query, pool) => Self::PostgresPool(query.bind(value), pool),
            Self::Postgres(query, connection) => Self::Postgres(query.bind(value), connection),
        }
    }

    /// Runs the statement and returns the number of affected rows.
    pub async fn execute(self) -> sqlx::Result<u64> {
        match self {
            Self::SqlitePool(query, pool, guard) => {
                guard.run(query.execute(pool)).await.map(|done| done.rows_affected())
            }
            Self::Sqlite(query, connection) => {
                query.execute(connection).await.map(|done| done.rows_affected())
            }
            Self::PostgresPool(query, pool) => {
                query.execute(pool).await.map(|done| done.rows_affected())
            }
            Self::Postgres(query, connection) => {
                query.execute(connection).await.map(|done| done.rows_affected())
            }
        }
    }

    /// The first row, if there is one.
    pub async fn fetch_optional<R: Row>(self) -> sqlx::Result<Option<R>> {
        match self {
            Self::SqlitePool(query, pool, guard) => {
                let row = guard.run(query.fetch_optional(pool)).await?;
                row.map(|row| R::from_row(&row)).transpose()
            }
            Self::Sqlite(query, connection) => {
                let row = query.fetch_optional(connection).await?;
                row.map(|row| R::from_row(&row)).transpose()
            }
            Self::PostgresPool(query, pool) => {
                let row = query.fetch_optional(pool).await?;
                row.map(|row| R::from_row(&row)).transpose()
            }
            Self::Postgres(query, connection) => {
                let row = query.fetch_optional(connection).await?;
                row.map(|row| R::from_row(&row)).transpose()
            }
        }
    }

    /// The first row. It is an error if there is none.
    pub async fn fetch_one<R: Row>(self) -> sqlx::Result<R> {
        self.fetch_optional().await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// All rows.
    pub async fn fetch_all<R: Row>(self) -> sqlx::Result<Vec<R>> {
        match self {
            Self::SqlitePool(query, pool, guard) => {
                let rows = query.fetch(pool).map(|row| R::from_row(&row?));
                guard.run(rows.try_collect()).await
            }
            Self::Sqlite(query, connection) => {
                query.fetch(connection).map(|row| R::from_row(&row?)).try_collect().await
            }
            Self::PostgresPool(query, pool) => {
                query.fetch(pool).map(|row| R::from_row(&row?)).try_collect().await
            }
            Self::Postgres(query, connection) => {
                query.fetch(connection).map(|row| R::from_row(&row?)).try_collect().await
            }
        }
    }

    /// The first column of the first row, if there is one.
    pub async fn fetch_optional_value<V: Column>(self) -> sqlx::Result<Option<V>> {
        self.fetch_optional().await.map(|row| row.map(|(value,)| value))
    }

    /// The first column of the first row. It is an error if there is no row.
    pub async fn fetch_value<V: Column>(self) -> sqlx::Result<V> {
        self.fetch_one().await.map(|(value,)| value)
    }

    /// The first column of all rows.
    pub async fn fetch_values<V: Column>(self) -> sqlx::Result<Vec<V>> {
        let rows = self.fetch_all().await?;
        Ok(rows.into_iter().map(|(value,)| value).collect())
    }
}
