//! `cloakroom user`.

use clap::Subcommand;
use serde::Serialize;

use super::import::Import;
use super::{Failed, Outcome, password, say};
use crate::app::{self, Surroundings};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::domain::Domain;
use crate::domain::accounts::{
    Account, Application, BadUsername, RegisterError, ResetError, Username,
};
use crate::fault::Fault;

pub(super) const EXAMPLES: &str = "\
Examples:
  cloakroom user add ann                        asks for the password, twice
  pwgen 20 1 | cloakroom user passwd ann        takes it from the standard input
  cloakroom user list --json | jq -r 'select(.disabled_at == null).username'
  cloakroom user disable ann                    and a running service refuses her within a second";

#[derive(Debug, Subcommand)]
pub enum User {
    /// Add a user; the password is asked for, or read from the standard input
    Add {
        /// 1 to 64 letters, digits, dots, hyphens and underscores
        name: String,
    },
    /// List the users by name
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show a user, and how many sessions they have
    Show {
        /// The user's name
        name: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Keep a user from signing in, and end all their sessions within a second
    Disable {
        /// The user's name
        name: String,
    },
    /// Let a user sign in again
    Enable {
        /// The user's name
        name: String,
    },
    /// Remove a user for good, and all their sessions within a second; the name is free again
    Delete {
        /// The user's name
        name: String,
    },
    /// Give a user a new password, which ends all their sessions
    Passwd {
        /// The user's name
        name: String,
    },
    /// Add the users of a file, with the password hashes of the system that they come from
    ///
    /// Argon2, bcrypt, scrypt and PBKDF2 are taken as PHC, Django, Devise, PocketBase and Better Auth
    /// write them. Every row is checked before any is imported; a user who is there already stays
    /// as they are, so an import that was interrupted goes on when it is run again.
    Import(Import),
}

impl User {
    pub async fn run(self, config: &Config) -> Outcome {
        let domain = app::open_existing(config, Surroundings::real(config)).await?;
        let outcome = match self {
            Self::Add { name } => add(&domain, &name).await,
            Self::List { json } => list(&domain, json).await,
            Self::Show { name, json } => show(&domain, &name, json).await,
            Self::Disable { name } => {
                done(&name, "is disabled; all their sessions have ended", async |username| {
                    domain.disable(username).await
                })
                .await
            }
            Self::Enable { name } => {
                done(&name, "may sign in", async |username| domain.enable(username).await).await
            }
            Self::Delete { name } => {
                done(&name, "is deleted", async |username| domain.delete(username).await).await
            }
            Self::Passwd { name } => passwd(&domain, &name).await,
            Self::Import(import) => import.run(&domain).await,
        };
        domain.close_store().await;
        outcome
    }
}

async fn add(domain: &Domain, name: &str) -> Outcome {
    let username = Username::parse(name).map_err(|bad| Failed(about_name(name, bad)))?;
    if domain.account_named(&username).await?.is_some() {
        return Err(Failed(format!("{username} exists already"))); // before anybody types for nothing
    }
    let typed = password::read_new()?;
    let checked = domain.rules.passwords.check(&typed, Some(&username));
    let application =
        Application { username: Ok(username.clone()), password: checked, invite: None };
    match domain.add_account(application).await {
        Ok(_) => say(&format!("added {username}")),
        Err(RegisterError::UsernameTaken) => Err(Failed(format!("{username} exists already"))),
        Err(RegisterError::Unfit { password: Some(bad), .. }) => Err(Failed(bad.to_string())),
        Err(RegisterError::Fault(fault)) => Err(fault.into()),
        Err(
            error @ (RegisterError::Closed
            | RegisterError::NotInvited
            | RegisterError::Unfit { .. }
            | RegisterError::TooManyAttempts { .. }
            | RegisterError::Busy),
        ) => Err(Failed(format!("cannot add {username}: {error:?}"))),
    }
}

async fn list(domain: &Domain, json: bool) -> Outcome {
    let mut after = String::new();
    loop {
        let page = domain.accounts_after(&after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        for account in &page {
            say(&line(account, json))?;
        }
        last.username.as_str().clone_into(&mut after);
    }
}

#[derive(Serialize)]
struct Line<'a> {
    username: &'a str,
    id: &'a str,
    created_at: String,
    disabled_at: Option<String>,
}

impl<'a> Line<'a> {
    fn of(account: &'a Account) -> Self {
        Self {
            username: account.username.as_str(),
            id: account.id.as_str(),
            created_at: rfc3339(account.created_at),
            disabled_at: account.disabled_at.map(rfc3339),
        }
    }
}

fn line(account: &Account, json: bool) -> String {
    let line = Line::of(account);
    if json {
        return serde_json::to_string(&line).expect("strings make JSON");
    }
    let state = if line.disabled_at.is_some() { "disabled" } else { "" };
    format!("{:<24} {}  {state}", line.username, line.created_at).trim_end().to_owned()
}

pub(super) fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339()
}

/// Does something to the user of this name and says so.
async fn done(
    name: &str,
    what: &str,
    act: impl AsyncFnOnce(&Username) -> Result<bool, Fault>,
) -> Outcome {
    let username = Username::parse(name).map_err(|bad| Failed(about_name(name, bad)))?;
    if act(&username).await? {
        say(&format!("{username} {what}"))
    } else {
        Err(Failed(format!("there is no user {username}")))
    }
}

/// What is shown of a user.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    sessions: usize,
}

async fn show(domain: &Domain, name: &str, json: bool) -> Outcome {
    let account = account(domain, name).await?;
    // no account has more
    let sessions = domain.list_sessions(&account.id, None, 1000).await?.sessions.len();
    let line = Line::of(&account);
    if json {
        let shown = Shown { line, sessions };
        return say(&serde_json::to_string(&shown).expect("strings and numbers make JSON"));
    }
    say(&format!("username    {}", line.username))?;
    say(&format!("id          {}", line.id))?;
    say(&format!("created     {}", line.created_at))?;
    say(&format!("disabled    {}", line.disabled_at.as_deref().unwrap_or("no")))?;
    say(&format!("sessions    {sessions}"))
}

/// The account of this name, or that there is none.
pub(super) async fn account(domain: &Domain, name: &str) -> Result<Account, Failed> {
    let username = Username::parse(name).map_err(|bad| Failed(about_name(name, bad)))?;
    let account = domain.account_named(&username).await?;
    account.ok_or_else(|| Failed(format!("there is no user {username}")))
}

async fn passwd(domain: &Domain, name: &str) -> Outcome {
    let username = account(domain, name).await?.username; // before anybody types for nothing
    let typed = password::read_new()?;
    let checked = domain.rules.passwords.check(&typed, Some(&username));
    let checked = checked.map_err(|bad| Failed(bad.to_string()))?;
    match domain.reset_password(&username, checked).await {
        Ok(()) => say(&format!("{username} has a new password; all their sessions have ended")),
        Err(ResetError::NoSuchAccount) => Err(Failed(format!("there is no user {username}"))),
        Err(ResetError::Busy) => Err(Failed("the hashing is busy; try again".to_owned())),
        Err(ResetError::Fault(fault)) => Err(fault.into()),
    }
}

pub(super) fn about_name(name: &str, bad: BadUsername) -> String {
    let rule = match bad {
        BadUsername::Empty => "a user name must not be empty",
        BadUsername::TooLong => "a user name has at most 64 characters",
        BadUsername::NotAllowed => {
            "a user name has letters a to z, digits, dots, hyphens and underscores only, and \
             begins and ends with a letter or digit"
        }
        BadUsername::Reserved => "it is reserved",
    };
    let shown: String = name.chars().take(64).collect();
    let more = if shown.len() < name.len() { "…" } else { "" };
    format!("{shown:?}{more} cannot be a user name: {rule}")
}
