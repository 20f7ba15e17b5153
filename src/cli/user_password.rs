//! The password of a user, in the command `cloakroom user`.

use serde::Serialize;

use super::find_user::account;
use super::output::{CliError, Outcome, print_line};
use super::password;
use super::terminal;
use super::times::rfc3339;
use crate::admin::describe_invalid_username;
use crate::config::Config;
use crate::core::usernames::Username;
use crate::domain::AuthService;
use crate::domain::administration::ResetError;
use crate::domain::reset_links::CreateLinkError;

pub(super) async fn passwd(domain: &AuthService, name: &str) -> Outcome {
    let username = account(domain, name).await?.username; // before the prompt
    let rules = &domain.rules.passwords;
    let password = password::read_new(|typed| rules.check(typed, Some(&username)))?;
    match domain.reset_password(&username, password).await {
        Ok(()) => print_line(&format!(
            "{username} has a new password; all sessions and API tokens of this user were revoked"
        )),
        Err(ResetError::NoSuchAccount) => Err(CliError(format!("there is no user {username}"))),
        Err(ResetError::Overloaded) => Err(describe_overload()),
        Err(ResetError::Internal(fault)) => Err(fault.into()),
    }
}

pub(super) fn describe_overload() -> CliError {
    CliError("too many passwords are being hashed at the moment; try again".to_owned())
}

#[derive(Serialize)]
struct Line<'a> {
    username: &'a str,
    url: &'a str,
    expires_at: String,
    replaced: u64,
}

/// Creates a link with which a user sets a new password, and prints it.
pub(super) async fn create_reset_link(
    config: &Config,
    domain: &AuthService,
    name: &str,
    json: bool,
) -> Outcome {
    let username = Username::parse(name.trim())
        .map_err(|bad| CliError(describe_invalid_username(name, bad)))?;
    let link = domain.reset_links.create(&username).await.map_err(|error| match error {
        CreateLinkError::NoSuchAccount => CliError(format!("there is no user {username}")),
        CreateLinkError::Disabled => CliError(format!(
            "the user {username} is disabled; run `cloakroom user enable {username}` first"
        )),
        CreateLinkError::Changed => CliError(format!(
            "the user {username} was changed at the same moment; run the command again"
        )),
        CreateLinkError::Internal(fault) => fault.into(),
    })?;
    let (origin, token) = (config.public_url.origin(), link.token.expose());
    // for the operator who hands the link over
    let url = format!("{origin}/password-reset/confirm?token={}", *token);
    if json {
        let shown = Line {
            username: username.as_str(),
            url: &url,
            expires_at: rfc3339(link.expires_at),
            replaced: link.replaced,
        };
        return print_line(&serde_json::to_string(&shown)?);
    }
    print_line(&url)?;
    let replaced = match link.replaced {
        0 => "",
        _ => " Earlier links of this user do not work any more.",
    };
    let announced = if link.is_announced { " The user is told by mail." } else { "" };
    terminal::hint(&format!(
        "Next: hand the link over to {username}. It works once, until {}. The new password ends all \
         sessions and API tokens of this user.{replaced}{announced}",
        rfc3339(link.expires_at)
    ));
    Ok(())
}
