//! Field errors for user names and passwords that violate a rule.

use crate::core::usernames::InvalidUsername;
use crate::domain::passwords::rules::InvalidPassword;
use crate::http::problem::{FieldCode, FieldError};

/// The field errors for a user name and a password that violate a rule.
pub fn unfit(
    username: Option<InvalidUsername>,
    password: Option<InvalidPassword>,
) -> Vec<FieldError> {
    let username = username.map(|bad| match bad {
        InvalidUsername::Empty => {
            FieldError::new("username", FieldCode::TooShort, "Enter a user name.")
        }
        InvalidUsername::TooLong => {
            FieldError::new("username", FieldCode::TooLong, "Use at most 64 characters.")
        }
        InvalidUsername::NotAllowed => FieldError::new(
            "username",
            FieldCode::NotAllowed,
            "Use only the letters a to z, digits, dots, hyphens and underscores. Start and end \
             with a letter or a digit.",
        ),
        InvalidUsername::Reserved => FieldError::new(
            "username",
            FieldCode::Reserved,
            "This user name is reserved. Choose another one.",
        ),
    });
    let password = password.map(|bad| about_password("password", bad));
    [username, password].into_iter().flatten().collect()
}

/// The error of the field `field`, which contains a new password.
pub fn about_password(field: &str, bad: InvalidPassword) -> FieldError {
    let code = match bad {
        InvalidPassword::TooShort(_) => FieldCode::TooShort,
        InvalidPassword::TooLong => FieldCode::TooLong,
        InvalidPassword::NotAllowed => FieldCode::NotAllowed,
        InvalidPassword::NameBased => FieldCode::NameBased,
        InvalidPassword::Repetitive => FieldCode::Repetitive,
        InvalidPassword::Sequential => FieldCode::Sequential,
        InvalidPassword::Common => FieldCode::Common,
        InvalidPassword::Unchanged => FieldCode::Unchanged,
    };
    FieldError::new(field, code, bad.to_string())
}
