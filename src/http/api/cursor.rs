//! The cursors of lists that are in the order of creation.

use crate::core::ids::SessionId;
use crate::domain::sessions::Cursor;
use crate::http::problem::{ApiError, Code, FieldCode, FieldError, Problem};

/// The cursor: the creation time and the id of the last entry of a page. Clients return it
/// unchanged.
pub fn cursor_behind(last: &Cursor) -> String {
    format!("{}.{}", last.created_at, last.id)
}

pub fn read_cursor(text: &str) -> Result<Cursor, ApiError> {
    let read = || {
        let (created_at, id) = text.split_once('.').filter(|(_, id)| SessionId::is_valid(id))?;
        Some(Cursor { created_at: created_at.parse().ok()?, id: id.to_owned() })
    };
    read().ok_or_else(|| {
        let wrong = FieldError::new(
            "cursor",
            FieldCode::NotAllowed,
            "Send the `next_cursor` of the previous page unchanged.",
        );
        Problem::of(Code::InvalidRequest).with_errors(vec![wrong]).into()
    })
}
