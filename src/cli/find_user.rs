//! Finds the user whom an argument names.

use super::output::CliError;
use crate::admin::describe_invalid_username;
use crate::core::usernames::Username;
use crate::domain::AuthService;
use crate::domain::accounts::Account;

/// Finds the account with this user name. It is an error if there is none.
pub(super) async fn account(domain: &AuthService, name: &str) -> Result<Account, CliError> {
    let username = Username::parse(name.trim())
        .map_err(|bad| CliError(describe_invalid_username(name, bad)))?;
    let account = domain.account_named(&username).await?;
    account.ok_or_else(|| CliError(format!("there is no user {username}")))
}
