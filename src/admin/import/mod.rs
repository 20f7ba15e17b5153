//! Imports users of another system from a CSV or JSON Lines file.

mod error;
mod fields;
mod format;
mod rows;
#[cfg(test)]
mod tests;
mod users;

pub use self::error::ImportError;
pub(crate) use self::fields::{
    describe_invalid_display_name, describe_invalid_email, describe_invalid_username,
};
pub use self::format::ImportFormat;
pub(crate) use self::users::import_into;
pub use self::users::{ImportEvent, ImportOptions, ImportReport, RefusedRow, import_users};

/// Functions for the fuzz targets in `fuzz/`. No other build contains them.
#[cfg(fuzzing)]
pub mod fuzzing {
    use std::path::Path;

    use super::format::ImportFormat;
    use super::rows::Rows;
    use crate::domain::imports::ImportedUser;

    /// The user, or the reason why the row is refused.
    pub type Entry = Result<ImportedUser, String>;

    /// The rows of a file with their line numbers, or the reason why the file is refused.
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
