//! Field errors for user names, display names, addresses and passwords that violate a rule.

use crate::core::display_names::InvalidDisplayName;
use crate::core::email_address::InvalidEmailAddress;
use crate::core::usernames::InvalidUsername;
use crate::domain::api_tokens::InvalidApiToken;
use crate::domain::login::InvalidLength;
use crate::domain::passwords::rules::InvalidPassword;
use crate::domain::registration::InvalidFields;
use crate::http::problem::{FieldCode, FieldError};

/// The field errors of a registration.
pub fn field_errors(bad: InvalidFields) -> Vec<FieldError> {
    let InvalidFields { username, display_name, email, password } = bad;
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
    let display_name = display_name.map(about_display_name);
    let email = email.map(about_email);
    [username, display_name, email, password].into_iter().flatten().collect()
}

/// The error of a field that is empty or too long.
pub fn about_length(field: &str, bad: InvalidLength) -> FieldError {
    match bad {
        InvalidLength::Empty => {
            FieldError::new(field, FieldCode::TooShort, "This field is required.")
        }
        InvalidLength::LongerThan(most) => {
            FieldError::new(field, FieldCode::TooLong, format!("Use at most {most} characters."))
        }
    }
}

/// The error of the field `email`.
pub fn about_email(bad: InvalidEmailAddress) -> FieldError {
    let (code, detail) = match bad {
        InvalidEmailAddress::Empty => (FieldCode::TooShort, "Enter an e-mail address."),
        InvalidEmailAddress::TooLong => (FieldCode::TooLong, "Use at most 254 bytes."),
        InvalidEmailAddress::NotAllowed => (
            FieldCode::NotAllowed,
            "Enter an address such as ann@example.org, without spaces, quotation marks and the \
             characters % ! / |.",
        ),
    };
    FieldError::new("email", code, detail)
}

/// The error of the field `display_name`.
pub fn about_display_name(bad: InvalidDisplayName) -> FieldError {
    about_text("display_name", bad)
}

/// The error of the field `name` of an API token. `None` if it is empty.
pub fn about_api_token_name(bad: Option<InvalidDisplayName>) -> FieldError {
    match bad {
        None => FieldError::new("name", FieldCode::TooShort, "Enter what the token is for."),
        Some(bad) => about_text("name", bad),
    }
}

/// The error of a field with text that is shown to people.
fn about_text(field: &str, bad: InvalidDisplayName) -> FieldError {
    let (code, detail) = match bad {
        InvalidDisplayName::TooLong => (FieldCode::TooLong, "Use at most 64 characters."),
        InvalidDisplayName::NotAllowed => (
            FieldCode::NotAllowed,
            "Use letters, digits, spaces, punctuation and emoji, without control characters.",
        ),
    };
    FieldError::new(field, code, detail)
}

/// The error of a field of an API token that depends on the account or on the settings.
pub fn about_api_token(bad: &InvalidApiToken) -> FieldError {
    match bad {
        InvalidApiToken::RoleNotGiven(role) => FieldError::new(
            "roles",
            FieldCode::NotAllowed,
            format!("Your account does not have the role {role:?}. Choose some of its roles."),
        ),
        InvalidApiToken::Lifetime { max_days } => FieldError::new(
            "expires_in_days",
            FieldCode::TooLong,
            format!("The operator of this service allows at most {max_days} days."),
        ),
    }
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
