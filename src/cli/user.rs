//! The command `cloakroom user`.

use clap::Subcommand;
use serde::Serialize;

use super::confirm::Confirmation;
use super::find_user::account;
use super::import::Import;
use super::output::{CliError, Outcome, print_line};
use super::password;
use super::table::{Cell, Table};
use super::terminal;
use super::times::{relative, rfc3339};
use super::user_email::{describe_taken_email, parse_email, set_email};
use super::user_password::{create_reset_link, describe_overload, passwd};
use crate::admin::{describe_invalid_display_name, describe_invalid_username};
use crate::app::{self, Environment};
use crate::config::Config;
use crate::core::clock::Timestamp;
use crate::core::display_names::DisplayName;
use crate::core::email_address::EmailAddress;
use crate::core::error::InternalError;
use crate::core::usernames::Username;
use crate::domain::AuthService;
use crate::domain::accounts::Account;
use crate::domain::administration::{AddUserError, Change, NewUser};
use crate::domain::roles::{Role, Roles};

pub(super) const EXAMPLES: &str = "\
Examples:
  cloakroom user add ann                        Prompts for the password twice
  pwgen 20 1 | cloakroom user passwd ann        Reads the password from standard input
  cloakroom user list --json | jq -r 'select(.disabled_at == null).username'
  cloakroom user add ann --role editor          With a role; see `cloakroom role --help`
  cloakroom user add ci --no-password           For a program; see `cloakroom token --help`
  cloakroom user reset-link ann                 A link with which ann sets a new password
  cloakroom user disable ann                    A running service applies this within one second";

#[derive(Debug, Subcommand)]
pub enum User {
    /// Add a user; the command prompts for the password or reads it from standard input, unless the
    /// user gets none
    Add {
        /// The user name: 1 to 64 letters (a to z), digits, dots, hyphens and underscores
        name: String,
        /// The name that pages and apps show for the user, up to 64 characters
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// The e-mail address of the user. It counts as confirmed, so check it before
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// A role of the user; repeat it for several roles
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Add the user without a password, for a program: nobody can sign in as this user, but
        /// the user can have API tokens
        #[arg(long)]
        no_password: bool,
    },
    /// List the users, sorted by name
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show a user and the number of active sessions
    Show {
        /// The user name
        name: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Disable a user: the user cannot sign in, and all sessions and API tokens of the user are
    /// revoked within one second
    Disable {
        /// The user name
        name: String,
    },
    /// Enable a user who was disabled
    Enable {
        /// The user name
        name: String,
    },
    /// Delete a user permanently
    ///
    /// All sessions of the user are revoked within one second. The user name is then on hold for
    /// the period in the setting `accounts.username_hold`: until this period ends, it cannot be
    /// registered, but `cloakroom user add` can use it. On a terminal, the command asks
    /// for confirmation. To lock out a user in a way that can be undone, use `cloakroom user
    /// disable`.
    Delete {
        /// The user name
        name: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Release a user name that is on hold because its account was closed or deleted, so that it
    /// can be registered again
    Release {
        /// The user name
        name: String,
    },
    /// Set the e-mail address of a user
    ///
    /// The address counts as confirmed, and no mail is sent to it: check before that it belongs to
    /// the user, who can sign in with it from then on.
    Email {
        /// The user name
        name: String,
        /// The e-mail address
        address: String,
    },
    /// Set a new password for a user, and revoke all sessions and API tokens of the user
    Passwd {
        /// The user name
        name: String,
    },
    /// Print a link with which a user without a password, or who forgot it, sets a new one
    ///
    /// The link works once, and for 24 hours. It replaces all earlier links of the user. When the
    /// user sets a password with it, all sessions and API tokens of the user are revoked. A user with
    /// an e-mail address gets a notice if the service sends mail. Hand the link over only to the user:
    /// with it, anyone can set the password.
    ResetLink {
        /// The user name
        name: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Import users from a file, with the password hashes of another system
    ///
    /// Supported hashes are Argon2, bcrypt, scrypt and PBKDF2 in the formats of PHC, Django,
    /// Devise, PocketBase and Better Auth. The command checks every row before it imports the
    /// first. Existing users are left unchanged, so that you can run an interrupted import again.
    Import(Import),
}

impl User {
    pub async fn run(self, config: &Config) -> Outcome {
        if let Self::Delete { confirmation, .. } = &self {
            confirmation.require_yes_or_terminal("deletes a user permanently");
        }
        let next_step = self.next_step(config);
        let domain = app::open_existing(config, Environment::real(config)).await?;
        let outcome = match self {
            Self::Add { name, display_name, email, roles, no_password } => {
                let user = new_user(&name, display_name.as_deref(), email.as_deref(), &roles);
                match user {
                    Ok(user) => add(&domain, user, no_password).await,
                    Err(wrong) => Err(wrong),
                }
            }
            Self::Email { name, address } => set_email(&domain, &name, &address).await,
            Self::List { json } => list(&domain, json).await,
            Self::Show { name, json } => show(&domain, &name, json).await,
            Self::Disable { name } => {
                let done = "is disabled; all sessions and API tokens of this user were revoked";
                let already = "was already disabled";
                change(&name, [done, already], async |name| domain.disable(name).await).await
            }
            Self::Enable { name } => {
                let words = ["is enabled and can sign in", "was already enabled"];
                change(&name, words, async |name| domain.enable(name).await).await
            }
            Self::Delete { name, confirmation } => delete(&domain, &name, &confirmation).await,
            Self::Release { name } => release(&domain, &name).await,
            Self::Passwd { name } => passwd(&domain, &name).await,
            Self::ResetLink { name, json } => create_reset_link(config, &domain, &name, json).await,
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
            Self::Add { name, no_password: true, .. } => Some(format!(
                "Next: run `cloakroom token add {name}` to create an API token for this user"
            )),
            Self::Add { name, .. } => Some(format!("Next: {name} can sign in at {login}")),
            Self::Passwd { name } => {
                Some(format!("Next: {name} can sign in at {login} with the new password"))
            }
            Self::Disable { name } => {
                Some(format!("To enable the user again, run `cloakroom user enable {name}`"))
            }
            Self::Enable { .. } => Some(format!("Next: the user can sign in at {login}")),
            Self::Import(_) => Some(format!(
                "Next: the users can sign in at {login} with their existing passwords; `cloakroom \
                 user list` lists all users"
            )),
            Self::Delete { name, .. } => Some(format!(
                "The user name is on hold; to allow its registration now, run `cloakroom user release {name}`"
            )),
            Self::List { .. }
            | Self::Show { .. }
            | Self::Release { .. }
            | Self::Email { .. }
            | Self::ResetLink { .. } => None,
        }
    }
}

/// Parses the arguments of `user add`.
fn new_user(
    name: &str,
    display_name: Option<&str>,
    email: Option<&str>,
    role_names: &[String],
) -> Result<NewUser, CliError> {
    let username = Username::parse(name.trim())
        .map_err(|bad| CliError(describe_invalid_username(name, bad)))?;
    let display_name = DisplayName::parse(display_name.unwrap_or_default())
        .map_err(|bad| CliError(describe_invalid_display_name(bad).to_owned()))?;
    let email = email.map(parse_email).transpose()?;
    let roles = role_names.iter().map(|name| parse_role(name)).collect::<Result<Vec<_>, _>>()?;
    let roles = Roles::new(roles).map_err(|too_many| CliError(too_many.to_string()))?;
    Ok(NewUser { username, display_name, email, roles })
}

async fn add(domain: &AuthService, user: NewUser, has_no_password: bool) -> Outcome {
    let username = user.username.clone();
    if domain.account_named(&username).await?.is_some() {
        return Err(CliError(format!("the user {username} already exists"))); // before the prompt
    }
    let password = if has_no_password {
        None
    } else {
        let rules = &domain.rules.passwords;
        Some(password::read_new(|typed| rules.check(typed, Some(&username)))?)
    };
    match domain.add_account(user, password).await {
        Ok(_) => print_line(&format!("added {username}")),
        Err(AddUserError::UsernameTaken) => {
            Err(CliError(format!("the user {username} already exists")))
        }
        Err(AddUserError::EmailTaken) => Err(describe_taken_email()),
        Err(AddUserError::Overloaded) => Err(describe_overload()),
        Err(AddUserError::Internal(fault)) => Err(fault.into()),
    }
}

async fn list(domain: &AuthService, json: bool) -> Outcome {
    let mut after = String::new();
    let mut table = Table::new(["USER", "NAME", "EMAIL", "CREATED", "STATE", "ROLES"]);
    let now = domain.clock.now();
    loop {
        let page = domain.accounts_after(&after).await?;
        let Some(last) = page.last() else { break };
        if json {
            for account in &page {
                print_line(&serde_json::to_string(&UserLine::of(account))?)?;
            }
        } else {
            table.print(&page.iter().map(|account| row(account, now)).collect::<Vec<_>>())?;
        }
        last.username.as_str().clone_into(&mut after);
    }
    if table.is_empty() && after.is_empty() {
        terminal::hint("There are no users; to add one, run `cloakroom user add NAME`");
    }
    Ok(())
}

#[derive(Serialize)]
pub(super) struct UserLine<'a> {
    username: &'a str,
    id: &'a str,
    display_name: Option<&'a str>,
    email: Option<&'a str>,
    unconfirmed_email: Option<&'a str>,
    created_at: String,
    disabled_at: Option<String>,
    roles: Vec<&'a str>,
}

impl<'a> UserLine<'a> {
    pub(super) fn of(account: &'a Account) -> Self {
        Self {
            username: account.username.as_str(),
            id: account.id.as_str(),
            display_name: account.display_name.as_ref().map(DisplayName::as_str),
            email: account.email.as_ref().map(EmailAddress::as_str),
            unconfirmed_email: account.unconfirmed_email.as_ref().map(EmailAddress::as_str),
            created_at: rfc3339(account.created_at),
            disabled_at: account.disabled_at.map(rfc3339),
            roles: account.roles.iter().collect(),
        }
    }
}

pub(super) fn row(account: &Account, now: Timestamp) -> [Cell; 6] {
    let state = match account.disabled_at {
        None => Cell::from("active"),
        Some(at) => Cell::with_style(format!("disabled {}", relative(at, now)), terminal::WARNING),
    };
    let name = account.display_name.as_ref().map_or("-", DisplayName::as_str);
    let email = account.email.as_ref().map_or("-", EmailAddress::as_str);
    let created = relative(account.created_at, now);
    let roles = account.roles.as_comma_list().replace(',', ", ");
    [
        account.username.as_str().into(),
        name.into(),
        email.into(),
        created.into(),
        state,
        roles.into(),
    ]
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
    confirmation
        .ask(&format!("Delete the user {username} and all sessions of this user permanently?"))?;
    if domain.delete(&username).await? {
        print_line(&format!("deleted {username}"))
    } else {
        Err(CliError(format!("there is no user {username}")))
    }
}

async fn release(domain: &AuthService, name: &str) -> Outcome {
    let username = Username::parse(name.trim())
        .map_err(|bad| CliError(describe_invalid_username(name, bad)))?;
    if domain.release_username(&username).await? {
        print_line(&format!("{username} is released and can be registered"))
    } else {
        Err(CliError(format!("the user name {username} is not on hold")))
    }
}

/// The output of `user show`.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    line: UserLine<'a>,
    sessions: usize,
}

async fn show(domain: &AuthService, name: &str, json: bool) -> Outcome {
    let account = account(domain, name).await?;
    // No account has more sessions.
    let sessions = domain.sessions.list_sessions(&account.id, None, 1000).await?.sessions.len();
    let line = UserLine::of(&account);
    if json {
        let shown = Shown { line, sessions };
        return print_line(&serde_json::to_string(&shown).expect("strings and numbers make JSON"));
    }
    let now = domain.clock.now();
    let both = |at| format!("{}, {}", rfc3339(at), relative(at, now));
    print_line(&format!("username    {}", line.username))?;
    print_line(&format!("name        {}", line.display_name.unwrap_or("none")))?;
    print_line(&format!("email       {}", line.email.unwrap_or("none")))?;
    if let Some(address) = line.unconfirmed_email {
        print_line(&format!("unconfirmed {address}"))?;
    }
    print_line(&format!("id          {}", line.id))?;
    print_line(&format!("created     {}", both(account.created_at)))?;
    print_line(&format!("disabled    {}", account.disabled_at.map_or("no".to_owned(), both)))?;
    let roles = account.roles.as_comma_list().replace(',', ", ");
    print_line(&format!("roles       {}", if roles.is_empty() { "none" } else { &roles }))?;
    print_line(&format!("sessions    {sessions}"))
}

/// Parses the name of a role.
pub(super) fn parse_role(name: &str) -> Result<Role, CliError> {
    Role::parse(name).map_err(|bad| CliError(format!("{name:?} is not the name of a role: {bad}")))
}
