//! The e-mail address of a user, in the command `cloakroom user`.

use super::find_user::account;
use super::output::{CliError, Outcome, print_line};
use crate::admin::describe_invalid_email;
use crate::core::email_address::EmailAddress;
use crate::domain::AuthService;
use crate::store::SetEmailOutcome;

pub(super) async fn set_email(domain: &AuthService, name: &str, address: &str) -> Outcome {
    let address = parse_email(address)?;
    let account = account(domain, name).await?;
    match domain.email_addresses.set(&account.id, &address).await? {
        SetEmailOutcome::Done => {
            print_line(&format!("{} has the e-mail address {address}", account.username))
        }
        SetEmailOutcome::Taken => Err(describe_taken_email()),
        SetEmailOutcome::NoSuchAccount => {
            Err(CliError(format!("there is no user {}", account.username)))
        }
    }
}

pub(super) fn parse_email(text: &str) -> Result<EmailAddress, CliError> {
    EmailAddress::parse(text.trim())
        .map_err(|bad| CliError(format!("{text:?}: {}", describe_invalid_email(bad))))
}

pub(super) fn describe_taken_email() -> CliError {
    CliError("another user has this e-mail address; see `cloakroom user list`".to_owned())
}
