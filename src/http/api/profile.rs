//! The view of an account, and the changes that its user can make to it.

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use time::OffsetDateTime;

use super::field_errors::about_display_name;
use crate::core::display_names::{DisplayName, InvalidDisplayName};
use crate::domain::accounts::Account;
use crate::domain::profile::UpdateProfileError;
use crate::http::date_time::date_time;
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::FromFields;
use crate::http::request::fields::Fields;

/// An account, as its owner sees it.
#[derive(Debug, Object)]
#[oai(rename = "Account")]
pub struct AccountView {
    /// The identifier of the account: 22 characters of base64url. It never changes, and tokens
    /// contain it as `sub`.
    #[oai(validator(min_length = 22, max_length = 22, pattern = "^[A-Za-z0-9_-]{22}$"))]
    pub id: String,
    /// The user name, in lower case.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub username: String,
    /// The name to show for the user, in any script. It is absent if the user has not set one. It
    /// identifies no user, because several users can have the same one.
    #[oai(skip_serializing_if_is_none, validator(min_length = 1, max_length = 64))]
    pub display_name: Option<String>,
    /// The e-mail address that the user has proved to own, with the domain in ASCII. It is absent if
    /// the user has confirmed none. No other account has it.
    #[oai(skip_serializing_if_is_none, validator(min_length = 5, max_length = 254))]
    pub email: Option<String>,
    /// The e-mail address that a code was last requested for. It proves nothing about the user, and
    /// other accounts can have the same one.
    #[oai(skip_serializing_if_is_none, validator(min_length = 5, max_length = 254))]
    pub unconfirmed_email: Option<String>,
    /// When the account was created.
    pub created_at: OffsetDateTime,
    /// The roles of the account in alphabetical order. The operator gives them, and the
    /// applications decide what a role allows. A change takes effect in existing sessions.
    #[oai(validator(
        max_items = 32,
        min_length = 1,
        max_length = 32,
        pattern = "^[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?$"
    ))]
    pub roles: Vec<String>,
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.as_str().to_owned(),
            username: account.username.to_string(),
            display_name: account.display_name.as_ref().map(ToString::to_string),
            email: account.email.as_ref().map(ToString::to_string),
            unconfirmed_email: account.unconfirmed_email.as_ref().map(ToString::to_string),
            created_at: date_time(account.created_at),
            roles: account.roles.to_vec(),
        }
    }
}

/// The fields of the account to change. A field that is absent stays as it is.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct ProfileUpdate {
    /// The name to show for the user, in any script, up to 64 characters. White space around it is
    /// removed. Control characters, and characters that nothing shows or that change the direction
    /// of text, are not allowed. The empty string removes the name.
    #[oai(skip_serializing_if_is_none, validator(max_length = 64))]
    pub display_name: Option<String>,
}

impl Example for ProfileUpdate {
    fn example() -> Self {
        Self { display_name: Some("Alice Liddell".into()) }
    }
}

impl FromFields for ProfileUpdate {
    fn from_fields(fields: &mut Fields) -> Self {
        Self { display_name: fields.text_to_set("display_name") }
    }
}

impl ProfileUpdate {
    /// The new display name, if the update contains one.
    pub fn parse(self) -> Option<Result<Option<DisplayName>, InvalidDisplayName>> {
        self.display_name.as_deref().map(DisplayName::parse)
    }
}

#[derive(Debug, ApiResponse)]
pub enum UpdateMeAnswer {
    /// The account after the change.
    #[oai(status = 200, content_type = "application/json")]
    Updated(Json<AccountView>),
    /// `policy_violation`: the display name violates a rule. `errors` names the rule and says what
    /// to do. Nothing was changed.
    #[oai(status = 422, content_type = "application/problem+json")]
    Invalid(Json<Problem>),
    /// `too_many_attempts`: the account changed its display name too often. An account can change it
    /// 30 times at once, then once every two seconds. Nothing was changed.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

impl UpdateMeAnswer {
    pub fn invalid(bad: InvalidDisplayName) -> Self {
        let errors = vec![about_display_name(bad)];
        Self::Invalid(Json(Problem::of(Code::PolicyViolation).with_errors(errors)))
    }

    /// The response to the outcome of the change.
    pub fn of(updated: Result<Account, UpdateProfileError>) -> Result<Self, ApiError> {
        match updated {
            Ok(account) => Ok(Self::Updated(Json(AccountView::from(&account)))),
            Err(UpdateProfileError::TooManyAttempts { wait }) => {
                Ok(Problem::rate_limited(Self::TooManyAttempts, wait))
            }
            Err(UpdateProfileError::Internal(fault)) => Err(fault.into()),
        }
    }
}
