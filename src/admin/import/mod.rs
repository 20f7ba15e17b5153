//! Users of another system, from a file of CSV or JSON Lines.

mod error;
mod fields;
mod format;
mod rows;
#[cfg(test)]
mod tests;
mod users;

pub use self::error::ImportError;
pub(crate) use self::fields::describe_bad_username;
pub use self::format::ImportFormat;
pub(crate) use self::users::import_into;
pub use self::users::{ImportEvent, ImportOptions, ImportReport, RefusedRow, import_users};

/// What a fuzz target reads, see `fuzz/`. No other build has it.
#[cfg(fuzzing)]
pub mod fuzzing {
    use std::path::Path;

    use super::format::ImportFormat;
    use super::rows::Rows;
    use crate::domain::imports::ImportedUser;

    /// The user, or why the row is refused.
    pub type Entry = Result<ImportedUser, String>;

    /// The rows of a file with their lines; or why it is no such file.
    pub fn import(path: &Path, is_csv: bool) -> Result<Vec<(u64, Entry)>, String> {
        let format = if is_csv { ImportFormat::Csv } else { ImportFormat::Jsonl };
        let rows = Rows::open(path, format).map_err(|error| error.to_string())?;
        rows.map(|row| match row {
            Ok(row) => Ok((row.line, row.user)),
            Err(error) => Err(error.to_string()),
        })
        .collect()
    }
}
