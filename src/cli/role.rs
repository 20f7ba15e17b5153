//! The command `cloakroom role`.

use clap::Subcommand;
use serde::Serialize;

use super::find_user::account;
use super::output::{CliError, Outcome, print_line};
use super::table::Table;
use super::terminal;
use super::times::{relative, rfc3339};
use super::user::{UserLine, parse_role, row};
use crate::app::{self, Environment};
use crate::config::Config;
use crate::domain::AuthService;
use crate::domain::role_assignments::{GiveRoleError, RoleChange};

pub(super) const EXAMPLES: &str = "\
Examples:
  cloakroom role give ann editor      A running service applies this within one second
  cloakroom role take ann editor
  cloakroom role list                 The roles, and how many users have each
  cloakroom role list ann             The roles of a user
  cloakroom role list --role editor   The users who have a role

Applications decide what a role allows. A change applies to the existing sessions of the user.";

#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Give a user a role; a running service applies this within one second
    Give {
        /// The user name
        name: String,
        /// The role: 1 to 32 small letters (a to z), digits, dots, hyphens and underscores
        role: String,
    },
    /// Take a role from a user; a running service applies this within one second
    Take {
        /// The user name
        name: String,
        /// The role
        role: String,
    },
    /// List the roles of a user, the users who have a role, or all roles that a user has
    List {
        /// The user name
        #[arg(conflicts_with = "role")]
        name: Option<String>,
        /// List the users who have this role
        #[arg(long)]
        role: Option<String>,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
}

impl RoleCommand {
    pub async fn run(self, config: &Config) -> Outcome {
        let domain = app::open_existing(config, Environment::real(config)).await?;
        let outcome = match self {
            Self::Give { name, role } => give(&domain, &name, &role).await,
            Self::Take { name, role } => take(&domain, &name, &role).await,
            Self::List { name: Some(name), json, .. } => list_of_user(&domain, &name, json).await,
            Self::List { role: Some(role), json, .. } => list_users(&domain, &role, json).await,
            Self::List { name: None, role: None, json } => list_roles(&domain, json).await,
        };
        domain.close_store().await;
        outcome
    }
}

async fn give(domain: &AuthService, name: &str, role: &str) -> Outcome {
    let role = parse_role(role)?;
    let account = account(domain, name).await?;
    let name = &account.username;
    match domain.roles.give_role(&account.id, &role).await {
        Ok(RoleChange::Done) => print_line(&format!("{name} has the role {role}")),
        Ok(RoleChange::Unchanged) => print_line(&format!("{name} already had the role {role}")),
        Ok(RoleChange::NoSuchAccount) => Err(CliError(format!("there is no user {name}"))),
        Err(GiveRoleError::TooManyRoles(too_many)) => {
            Err(CliError(format!("cannot give {name} the role {role}: {too_many}")))
        }
        Err(GiveRoleError::Internal(fault)) => Err(fault.into()),
    }
}

async fn take(domain: &AuthService, name: &str, role: &str) -> Outcome {
    let role = parse_role(role)?;
    let account = account(domain, name).await?;
    let name = &account.username;
    match domain.roles.take_role(&account.id, &role).await? {
        RoleChange::Done => print_line(&format!("{name} no longer has the role {role}")),
        RoleChange::Unchanged => print_line(&format!("{name} did not have the role {role}")),
        RoleChange::NoSuchAccount => Err(CliError(format!("there is no user {name}"))),
    }
}

/// A line of `role list NAME --json`.
#[derive(Serialize)]
struct GivenRoleLine<'a> {
    role: &'a str,
    given_at: String,
}

async fn list_of_user(domain: &AuthService, name: &str, json: bool) -> Outcome {
    let account = account(domain, name).await?;
    let roles = domain.roles.roles_of(&account.id).await?;
    if json {
        for (role, given_at) in &roles {
            let line = GivenRoleLine { role, given_at: rfc3339(*given_at) };
            print_line(&serde_json::to_string(&line)?)?;
        }
        return Ok(());
    }
    let now = domain.clock.now();
    let rows = roles
        .iter()
        .map(|(role, given_at)| [role.as_str().into(), relative(*given_at, now).into()]);
    Table::new(["ROLE", "GIVEN"]).print(&rows.collect::<Vec<_>>())?;
    if roles.is_empty() {
        let name = &account.username;
        terminal::hint(&format!(
            "{name} has no roles; to give a role, run `cloakroom role give {name} ROLE`"
        ));
    }
    Ok(())
}

async fn list_users(domain: &AuthService, role: &str, json: bool) -> Outcome {
    let role = parse_role(role)?;
    let mut table = Table::new(["USER", "NAME", "EMAIL", "CREATED", "STATE", "ROLES"]);
    let now = domain.clock.now();
    let mut after = None;
    loop {
        let mut page = domain.roles.accounts_with_role(&role, after.as_ref()).await?;
        if json {
            for account in &page {
                print_line(&serde_json::to_string(&UserLine::of(account))?)?;
            }
        } else {
            table.print(&page.iter().map(|account| row(account, now)).collect::<Vec<_>>())?;
        }
        let Some(last) = page.pop() else { break };
        after = Some(last.id);
    }
    if after.is_none() {
        terminal::hint(&format!("No user has the role {role}"));
    }
    Ok(())
}

/// A line of `role list --json`.
#[derive(Serialize)]
struct RoleLine<'a> {
    role: &'a str,
    users: u64,
}

async fn list_roles(domain: &AuthService, json: bool) -> Outcome {
    let roles = domain.roles.count_by_role().await?;
    if json {
        for (role, users) in &roles {
            print_line(&serde_json::to_string(&RoleLine { role, users: *users })?)?;
        }
        return Ok(());
    }
    let rows = roles.iter().map(|(role, users)| [role.as_str().into(), users.to_string().into()]);
    Table::new(["ROLE", "USERS"]).print(&rows.collect::<Vec<_>>())?;
    if roles.is_empty() {
        terminal::hint("No user has a role; to give one, run `cloakroom role give NAME ROLE`");
    }
    Ok(())
}
