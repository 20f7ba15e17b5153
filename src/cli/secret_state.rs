//! Where the file of a pepper or a server secret stands, as both lists show it.

use std::path::{Path, PathBuf};

use anstyle::Style;
use serde::Serialize;

use super::table::Cell;
use super::terminal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SecretState {
    /// Something needs it, and its file is not there.
    Missing,
    /// It is used for what is new.
    Current,
    Older,
    /// None is needed.
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
            Self::Missing => Cell::styled("missing", terminal::BAD),
            Self::Current => Cell::styled("current", terminal::GOOD),
            Self::Older => Cell::styled("older", Style::new()),
            Self::Without => Cell::styled("without", Style::new()),
        }
    }
}

/// The path of a file as a list shows it.
pub(super) fn show_path(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| path.display().to_string())
}
