//! The command `cloakroom token`.

use clap::Subcommand;
use serde::Serialize;

use super::find_user::account;
use super::output::{CliError, Outcome, print_line};
use super::table::{Cell, Table};
use super::terminal;
use super::times::{relative, rfc3339};
use super::user::parse_role;
use crate::admin::describe_invalid_display_name;
use crate::app::{self, Environment};
use crate::config::Config;
use crate::core::clock::Timestamp;
use crate::core::display_names::DisplayName;
use crate::core::usernames::Username;
use crate::domain::AuthService;
use crate::domain::api_tokens::{
    ApiToken, CreateApiTokenError, InvalidApiToken, MAX_API_TOKEN_DAYS, NewApiToken,
};
use crate::domain::roles::Roles;

pub(super) const EXAMPLES: &str = "\
Examples:
  cloakroom user add ci --no-password --role reader    A user for a program
  cloakroom token add ci --role reader --expires 90d   Prints the token once
  cloakroom token list                                 The API tokens of all users
  cloakroom token list ci
  cloakroom token revoke 3lKP3AXzOhw473_NNq9Nbw

A program sends its token in the header `Authorization: Bearer clk_…`. Users create their own
tokens on the page /account/tokens.";

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Create an API token for a user and print it; it cannot be shown again
    Add {
        /// The user name
        name: String,
        /// What the token is for, up to 64 characters
        #[arg(long = "for", value_name = "TEXT", default_value = "Command line")]
        purpose: String,
        /// A role of the token, which the user must have; repeat it for several roles
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// After how many days the token expires, such as 30d; at most 366d, or less if the setting
        /// `api_tokens.max_days` says so [default: 90d]
        #[arg(long, value_name = "DAYS", value_parser = number_of_days)]
        expires: Option<u32>,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the API tokens of a user, or of all users. The tokens themselves are not stored and
    /// cannot be listed
    List {
        /// The user name
        name: Option<String>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Revoke an API token; a running service applies this within one second
    Revoke {
        /// The id of the API token, as in `token list`
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

impl Token {
    pub async fn run(self, config: &Config) -> Outcome {
        let domain = app::open_existing(config, Environment::real(config)).await?;
        let outcome = match self {
            Self::Add { name, purpose, roles, expires, json } => {
                add(&domain, &name, &purpose, &roles, (expires, json)).await
            }
            Self::List { name: Some(name), json } => list_of_user(&domain, &name, json).await,
            Self::List { name: None, json } => list_all(&domain, json).await,
            Self::Revoke { id } => revoke(&domain, &id).await,
        };
        domain.close_store().await;
        outcome
    }
}

/// Parses a number of days.
fn number_of_days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').and_then(|digits| digits.parse().ok());
    days.filter(|days| (1..=MAX_API_TOKEN_DAYS).contains(days))
        .ok_or_else(|| format!("use a number and d, such as 30d; at most {MAX_API_TOKEN_DAYS}d"))
}

#[derive(Serialize)]
struct NewLine<'a> {
    token: &'a str,
    #[serde(flatten)]
    line: TokenLine<'a>,
}

async fn add(
    domain: &AuthService,
    name: &str,
    purpose: &str,
    roles: &[String],
    (days, json): (Option<u32>, bool),
) -> Outcome {
    let account = account(domain, name).await?;
    let purpose = DisplayName::parse(purpose)
        .map_err(|bad| CliError(describe_invalid_display_name(bad).to_owned()))?;
    let purpose = purpose.ok_or_else(|| CliError("--for must not be empty".to_owned()))?;
    let roles = roles.iter().map(|role| parse_role(role)).collect::<Result<Vec<_>, _>>()?;
    let roles = Roles::new(roles).map_err(|too_many| CliError(too_many.to_string()))?;
    let days = days.unwrap_or_else(|| domain.api_tokens.default_days());
    let new = NewApiToken { name: purpose, roles, days };
    let username = &account.username;
    let (secret, token) =
        domain.api_tokens.create(&account, new).await.map_err(|error| describe(username, error))?;
    let secret = secret.expose(); // for the operator, once
    if json {
        let line = TokenLine::of(username, &token);
        return print_line(&serde_json::to_string(&NewLine { token: secret, line })?);
    }
    print_line(secret)?;
    terminal::hint(&format!(
        "This is the only time that the token is shown. It expires {}; to revoke it, run \
         `cloakroom token revoke {}`",
        relative(token.expires_at, domain.clock.now()),
        token.id
    ));
    Ok(())
}

fn describe(username: &Username, error: CreateApiTokenError) -> CliError {
    CliError(match error {
        CreateApiTokenError::Off => {
            "api_tokens.max_days is 0, so there are no API tokens".to_owned()
        }
        CreateApiTokenError::Invalid(InvalidApiToken::RoleNotGiven(role)) => format!(
            "{username} does not have the role {role}; to give it, run `cloakroom role give \
             {username} {role}`"
        ),
        CreateApiTokenError::Invalid(InvalidApiToken::Lifetime { max_days }) => {
            format!("the setting api_tokens.max_days allows at most {max_days}d")
        }
        CreateApiTokenError::TooMany => {
            format!("{username} has 50 API tokens; to revoke one, run `cloakroom token revoke ID`")
        }
        CreateApiTokenError::NotSignedIn => {
            format!(
                "{username} is disabled; to enable the user, run `cloakroom user enable {username}`"
            )
        }
        CreateApiTokenError::TooManyAttempts { .. } => {
            "too many changes; try again in a minute".to_owned()
        }
        CreateApiTokenError::Internal(fault) => return fault.into(),
    })
}

/// A line of `token list --json`.
#[derive(Serialize)]
struct TokenLine<'a> {
    username: &'a str,
    id: &'a str,
    name: &'a str,
    roles: Vec<&'a str>,
    created_at: String,
    expires_at: String,
    last_used_at: Option<String>,
}

impl<'a> TokenLine<'a> {
    fn of(username: &'a Username, token: &'a ApiToken) -> Self {
        Self {
            username: username.as_str(),
            id: &token.id,
            name: token.name.as_str(),
            roles: token.roles.iter().collect(),
            created_at: rfc3339(token.created_at),
            expires_at: rfc3339(token.expires_at),
            last_used_at: token.last_used_at.map(rfc3339),
        }
    }
}

fn row(username: &Username, token: &ApiToken, now: Timestamp) -> [Cell; 6] {
    let used = token.last_used_at.map_or_else(|| "never".to_owned(), |used| relative(used, now));
    [
        (&*token.id).into(),
        username.as_str().into(),
        token.name.as_str().into(),
        token.roles.as_comma_list().replace(',', ", ").into(),
        used.into(),
        relative(token.expires_at, now).into(),
    ]
}

const COLUMNS: [&str; 6] = ["ID", "USER", "FOR", "ROLES", "LAST USED", "EXPIRES"];

async fn list_of_user(domain: &AuthService, name: &str, json: bool) -> Outcome {
    const PAGE: usize = 100; // no account has more
    let account = account(domain, name).await?;
    let tokens = domain.api_tokens.list_own(&account.id, None, PAGE).await?.tokens;
    let username = &account.username;
    if json {
        for token in &tokens {
            print_line(&serde_json::to_string(&TokenLine::of(username, token))?)?;
        }
        return Ok(());
    }
    let now = domain.clock.now();
    let rows: Vec<_> = tokens.iter().map(|token| row(username, token, now)).collect();
    Table::new(COLUMNS).print(&rows)?;
    if rows.is_empty() {
        terminal::hint(&format!(
            "{username} has no API tokens; to create one, run `cloakroom token add {username}`"
        ));
    }
    Ok(())
}

async fn list_all(domain: &AuthService, json: bool) -> Outcome {
    let mut table = Table::new(COLUMNS);
    let now = domain.clock.now();
    let mut after = String::new();
    loop {
        let page = domain.api_tokens.list_all(&after).await?;
        if json {
            for owned in &page {
                let line = TokenLine::of(&owned.username, &owned.token);
                print_line(&serde_json::to_string(&line)?)?;
            }
        } else {
            let rows = page.iter().map(|owned| row(&owned.username, &owned.token, now));
            table.print(&rows.collect::<Vec<_>>())?;
        }
        let Some(last) = page.last() else { break };
        after.clone_from(&last.token.id);
    }
    if after.is_empty() {
        terminal::hint("There are no API tokens; to create one, run `cloakroom token add NAME`");
    }
    Ok(())
}

async fn revoke(domain: &AuthService, id: &str) -> Outcome {
    if domain.api_tokens.revoke(id).await? {
        print_line("revoked 1 API token")
    } else {
        Err(CliError(format!(
            "there is no API token {id:?}; it may have been revoked, or may have expired"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_of_days_up_to_366() {
        assert_eq!(number_of_days("1d"), Ok(1));
        assert_eq!(number_of_days("366d"), Ok(366));
        for wrong in ["", "d", "0d", "367d", "-1d", "1.5d", "7", "7 d", "12h", "99999999999d"] {
            assert!(number_of_days(wrong).is_err(), "{wrong:?}");
        }
    }
}
