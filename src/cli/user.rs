//! The command `cloakroom user`.

use clap::Subcommand;
use serde::Serialize;

use super::confirm::Confirmation;
use super::import::Import;
use super::output::{CliError, Outcome, print_line};
use super::password;
use super::table::{Cell, Table};
use super::terminal;
use super::times::{relative, rfc3339};
use crate::admin::describe_invalid_username;
use crate::app::{self, Environment};
use crate::config::Config;
use crate::core::clock::Timestamp;
use crate::core::error::InternalError;
use crate::core::usernames::Username;
use crate::domain::AuthService;
use crate::domain::accounts::Account;
use crate::domain::administration::{Change, ResetError};
use crate::domain::registration::RegisterError;

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
    /// Remove a user for good, and all their sessions within a second. The name is held: for
    /// `accounts.username_hold` no registration gets it, `user add` does
    ///
    /// On a terminal it asks first. `user disable` keeps a user out and can be undone.
    Delete {
        /// The user's name
        name: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Let a registration get the user name of a closed or deleted account, which is held
    Release {
        /// The user name
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
        if let Self::Delete { confirmation, .. } = &self {
            confirmation.require_yes_or_terminal("deletes a user");
        }
        let next_step = self.next_step(config);
        let domain = app::open_existing(config, Environment::real(config)).await?;
        let outcome = match self {
            Self::Add { name } => add(&domain, &name).await,
            Self::List { json } => list(&domain, json).await,
            Self::Show { name, json } => show(&domain, &name, json).await,
            Self::Disable { name } => {
                let done = "is disabled; all their sessions have ended";
                let already = "is disabled already";
                change(&name, [done, already], async |name| domain.disable(name).await).await
            }
            Self::Enable { name } => {
                let words = ["may sign in", "may sign in already"];
                change(&name, words, async |name| domain.enable(name).await).await
            }
            Self::Delete { name, confirmation } => delete(&domain, &name, &confirmation).await,
            Self::Release { name } => release(&domain, &name).await,
            Self::Passwd { name } => passwd(&domain, &name).await,
            Self::Import(import) => import.run(&domain).await,
        };
        domain.close_store().await;
        if let (Ok(()), Some(next_step)) = (&outcome, next_step) {
            terminal::hint(&next_step);
        }
        outcome
    }

    /// The hint for the next step after this command.
    fn next_step(&self, config: &Config) -> Option<String> {
        let login = format!("{}/login", config.public_url.origin());
        match self {
            Self::Add { name } => Some(format!("Next: {name} signs in at {login}")),
            Self::Passwd { name } => {
                Some(format!("Next: {name} signs in at {login} with the new password"))
            }
            Self::Disable { name } => {
                Some(format!("`cloakroom user enable {name}` lets them sign in again"))
            }
            Self::Enable { .. } => Some(format!("Next: they sign in at {login}")),
            Self::Import(_) => Some(format!(
                "Next: they sign in at {login} with the passwords that they have; `cloakroom user \
                 list` shows everybody"
            )),
            Self::Delete { name, .. } => Some(format!(
                "The name is held; `cloakroom user release {name}` lets a registration get it"
            )),
            Self::List { .. } | Self::Show { .. } | Self::Release { .. } => None,
        }
    }
}

async fn add(domain: &AuthService, name: &str) -> Outcome {
    let username = Username::parse(name.trim())
        .map_err(|bad| CliError(describe_invalid_username(name, bad)))?;
    if domain.account_named(&username).await?.is_some() {
        return Err(CliError(format!("{username} exists already"))); // before the prompt
    }
    let rules = &domain.rules.passwords;
    let password = password::read_new(|typed| rules.check(typed, Some(&username)))?;
    match domain.add_account(username.clone(), password).await {
        Ok(_) => print_line(&format!("added {username}")),
        Err(RegisterError::UsernameTaken) => Err(CliError(format!("{username} exists already"))),
        Err(RegisterError::Internal(fault)) => Err(fault.into()),
        Err(
            error @ (RegisterError::Closed
            | RegisterError::NotInvited
            | RegisterError::Invalid { .. }
            | RegisterError::TooManyAttempts { .. }
            | RegisterError::Overloaded),
        ) => Err(CliError(format!("cannot add {username}: {error:?}"))),
    }
}

async fn list(domain: &AuthService, json: bool) -> Outcome {
    let mut after = String::new();
    let mut table = Table::new(["USER", "CREATED", "STATE"]);
    let now = domain.clock.now();
    loop {
        let page = domain.accounts_after(&after).await?;
        let Some(last) = page.last() else { break };
        if json {
            for account in &page {
                print_line(&serde_json::to_string(&Line::of(account))?)?;
            }
        } else {
            table.print(&page.iter().map(|account| row(account, now)).collect::<Vec<_>>())?;
        }
        last.username.as_str().clone_into(&mut after);
    }
    if table.is_empty() && after.is_empty() {
        terminal::hint("There are no users yet; `cloakroom user add NAME` adds one");
    }
    Ok(())
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

fn row(account: &Account, now: Timestamp) -> [Cell; 3] {
    let state = match account.disabled_at {
        None => Cell::from("active"),
        Some(at) => Cell::with_style(format!("disabled {}", relative(at, now)), terminal::WARNING),
    };
    [account.username.as_str().into(), relative(account.created_at, now).into(), state]
}

/// Changes a user and prints the outcome, also if nothing changed.
async fn change(
    name: &str,
    [done, already]: [&str; 2],
    act: impl AsyncFnOnce(&Username) -> Result<Change, InternalError>,
) -> Outcome {
    let username = Username::parse(name.trim())
        .map_err(|bad| CliError(describe_invalid_username(name, bad)))?;
    match act(&username).await? {
        Change::Done => print_line(&format!("{username} {done}")),
        Change::Unchanged => print_line(&format!("{username} {already}")),
        Change::NoSuchAccount => Err(CliError(format!("there is no user {username}"))),
    }
}

async fn delete(domain: &AuthService, name: &str, confirmation: &Confirmation) -> Outcome {
    let username = account(domain, name).await?.username; // before the operator is asked
    confirmation.ask(&format!("Delete {username} and all their sessions for good?"))?;
    if domain.delete(&username).await? {
        print_line(&format!("{username} is deleted"))
    } else {
        Err(CliError(format!("there is no user {username}")))
    }
}

async fn release(domain: &AuthService, name: &str) -> Outcome {
    let username = Username::parse(name.trim())
        .map_err(|bad| CliError(describe_invalid_username(name, bad)))?;
    if domain.release_username(&username).await? {
        print_line(&format!("{username} is no longer held: a registration may get it"))
    } else {
        Err(CliError(format!("{username} is not held")))
    }
}

/// The output of `user show`.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    line: Line<'a>,
    sessions: usize,
}

async fn show(domain: &AuthService, name: &str, json: bool) -> Outcome {
    let account = account(domain, name).await?;
    // No account has more sessions.
    let sessions = domain.sessions.list_sessions(&account.id, None, 1000).await?.sessions.len();
    let line = Line::of(&account);
    if json {
        let shown = Shown { line, sessions };
        return print_line(&serde_json::to_string(&shown).expect("strings and numbers make JSON"));
    }
    let now = domain.clock.now();
    let both = |at| format!("{}, {}", rfc3339(at), relative(at, now));
    print_line(&format!("username    {}", line.username))?;
    print_line(&format!("id          {}", line.id))?;
    print_line(&format!("created     {}", both(account.created_at)))?;
    print_line(&format!("disabled    {}", account.disabled_at.map_or("no".to_owned(), both)))?;
    print_line(&format!("sessions    {sessions}"))
}

/// Finds the account with this user name. It is an error if there is none.
pub(super) async fn account(domain: &AuthService, name: &str) -> Result<Account, CliError> {
    let username = Username::parse(name.trim())
        .map_err(|bad| CliError(describe_invalid_username(name, bad)))?;
    let account = domain.account_named(&username).await?;
    account.ok_or_else(|| CliError(format!("there is no user {username}")))
}

async fn passwd(domain: &AuthService, name: &str) -> Outcome {
    let username = account(domain, name).await?.username; // before the prompt
    let rules = &domain.rules.passwords;
    let password = password::read_new(|typed| rules.check(typed, Some(&username)))?;
    match domain.reset_password(&username, password).await {
        Ok(()) => {
            print_line(&format!("{username} has a new password; all their sessions have ended"))
        }
        Err(ResetError::NoSuchAccount) => Err(CliError(format!("there is no user {username}"))),
        Err(ResetError::Overloaded) => Err(CliError("the hashing is busy; try again".to_owned())),
        Err(ResetError::Internal(fault)) => Err(fault.into()),
    }
}
