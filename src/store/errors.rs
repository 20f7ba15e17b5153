//! The meaning of database errors.

use crate::core::error::InternalError;

/// Turns a database error into an [`InternalError`] that says what was being done.
pub fn context(doing: &'static str) -> impl FnOnce(sqlx::Error) -> InternalError {
    move |error| {
        if is_transient(&error) {
            InternalError::transient(doing, error)
        } else {
            InternalError::new(doing, error)
        }
    }
}

/// Whether the error comes from the present state of the database, and not from our query.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Io(_)
        // A server that goes down can cut a message short, fail a TLS handshake, or end the
        // connection between BEGIN and its answer.
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // SQLite's primary result codes, in the low byte of the extended ones: BUSY 5, LOCKED
            // 6, READONLY 8, IOERR 10, CORRUPT 11, FULL 13, CANTOPEN 14, NOTADB 26.
            Some(code) if code.len() < 5 => code
                .parse::<u32>()
                .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 11 | 13 | 14 | 26)),
            // PostgreSQL's classes: connection 08, transaction rollback 40, resources 53, operator
            // intervention 57; and 25006, a read-only server such as a standby.
            Some("25006") => true,
            Some(state) => ["08", "40", "53", "57"].iter().any(|class| state.starts_with(class)),
            None => false,
        },
        _ => false,
    }
}

/// Whether SQLite reports the file as CORRUPT or NOTADB.
pub fn is_damage(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| matches!(code, 11 | 26))
}

/// SQLite's primary result code, which is the low byte of the extended one.
pub fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code)?;
    if code.len() > 4 {
        return None; // codes of PostgreSQL have five characters
    }
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_breaks_is_transient_and_a_wrong_query_is_not() {
        for broken in [
            sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()),
            sqlx::Error::Protocol("unexpected end of the connection".to_owned()),
            sqlx::Error::Tls("the server closed the connection".into()),
            sqlx::Error::BeginFailed,
            sqlx::Error::PoolTimedOut,
        ] {
            assert!(is_transient(&broken), "{broken:?}");
        }
        for wrong in [sqlx::Error::RowNotFound, sqlx::Error::ColumnNotFound("name".to_owned())] {
            assert!(!is_transient(&wrong), "{wrong:?}");
        }
    }
}
