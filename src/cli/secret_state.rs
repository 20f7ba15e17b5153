//! The state of a pepper or a server secret in a list.

use std::path::{Path, PathBuf};

use anstyle::Style;
use serde::Serialize;

use super::table::Cell;
use super::terminal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SecretState {
    /// It is needed, but its file is missing.
    Missing,
    /// It is used for new hashes or rows.
    Current,
    Older,
    /// No pepper or secret is needed.
    Without,
}

impl SecretState {
    pub(super) fn new(path: Option<&Path>, is_current: bool) -> Self {
        match path {
            None => Self::Missing,
            Some(_) if is_current => Self::Current,
            Some(_) => Self::Older,
        }
    }

    pub(super) fn cell(self) -> Cell {
        match self {
            Self::Missing => Cell::with_style("missing", terminal::BAD),
            Self::Current => Cell::with_style("current", terminal::GOOD),
            Self::Older => Cell::with_style("older", Style::new()),
            Self::Without => Cell::with_style("without", Style::new()),
        }
    }
}

/// Formats the path of a file for a list.
pub(super) fn show_path(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| path.display().to_string())
}
