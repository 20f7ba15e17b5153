//! Reads rows into structs by the names of their columns, on both engines.

/// Implements [`sqlx::FromRow`] for the rows of both engines: each field is the column of the same name.
/// `field as String` converts the value of the column; `..field` is a nested row, whose columns are next to
/// the others.
///
/// `#[derive(sqlx::FromRow)]` does the same, but its crate compiles sqlx, the database drivers and the TLS
/// library a second time for the procedural macro.
macro_rules! from_row {
    (@from $engine:ty;
     $row:ident { $($column:ident $(as $stored:ty)?),+ $(, ..$part:ident)* $(,)? }) => {
        impl sqlx::FromRow<'_, $engine> for $row {
            fn from_row(row: &$engine) -> sqlx::Result<Self> {
                Ok(Self {
                    $($column: {
                        let value $(: $stored)? = sqlx::Row::try_get(row, stringify!($column))?;
                        $(<$stored>::into)?(value)
                    },)+
                    $($part: sqlx::FromRow::from_row(row)?,)*
                })
            }
        }
    };
    ($row:ident { $($columns:tt)+ }) => {
        $crate::store::engine::from_row::from_row!(
            @from sqlx::sqlite::SqliteRow; $row { $($columns)+ });
        $crate::store::engine::from_row::from_row!(
            @from sqlx::postgres::PgRow; $row { $($columns)+ });
    };
}

pub(in crate::store) use from_row;
