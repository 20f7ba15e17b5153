//! Field errors for user names and passwords that violate a rule.

use crate::core::usernames::BadUsername;
use crate::domain::passwords::rules::BadPassword;
use crate::http::problem::{FieldCode, FieldError};

/// The field errors for a user name and a password that violate a rule.
pub fn unfit(username: Option<BadUsername>, password: Option<BadPassword>) -> Vec<FieldError> {
    let username = username.map(|bad| match bad {
        BadUsername::Empty => {
            FieldError::new("username", FieldCode::TooShort, "Enter a user name.")
        }
        BadUsername::TooLong => {
            FieldError::new("username", FieldCode::TooLong, "Use at most 64 characters.")
        }
        BadUsername::NotAllowed => FieldError::new(
            "username",
            FieldCode::NotAllowed,
            "Use only the letters a to z, digits, dots, hyphens and underscores, and start and end \
             with a letter or digit.",
        ),
        BadUsername::Reserved => FieldError::new(
            "username",
            FieldCode::Reserved,
            "This user name is reserved. Choose another one.",
        ),
    });
    let password = password.map(|bad| about_password("password", bad));
    [username, password].into_iter().flatten().collect()
}

/// The error of the field `field`, which contains a new password.
pub fn about_password(field: &str, bad: BadPassword) -> FieldError {
    let code = match bad {
        BadPassword::TooShort(_) => FieldCode::TooShort,
        BadPassword::TooLong => FieldCode::TooLong,
        BadPassword::NotAllowed => FieldCode::NotAllowed,
        BadPassword::NameBased => FieldCode::NameBased,
        BadPassword::Repetitive => FieldCode::Repetitive,
        BadPassword::Sequential => FieldCode::Sequential,
        BadPassword::Common => FieldCode::Common,
        BadPassword::Unchanged => FieldCode::Unchanged,
    };
    FieldError::new(field, code, bad.to_string())
}
