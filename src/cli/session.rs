//! The command `cloakroom session`.

use clap::Subcommand;
use serde::Serialize;

use super::find_user::account;
use super::output::{CliError, Outcome, print_line};
use super::table::{Cell, Table};
use super::terminal;
use super::times::{relative, rfc3339};
use crate::app::{self, Environment};
use crate::config::Config;
use crate::core::clock::Timestamp;
use crate::domain::AuthService;
use crate::domain::sessions;

pub(super) const EXAMPLES: &str = "\
Examples:
  cloakroom session list ann
  cloakroom session revoke ann 3lKP3AXzOhw473_NNq9Nbw
  cloakroom session revoke ann --all";

#[derive(Debug, Subcommand)]
pub enum Session {
    /// List the active sessions of a user, newest first
    List {
        /// The user name
        name: String,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Revoke a session of a user, or all sessions; a running service applies this within one
    /// second
    #[command(override_usage = "cloakroom session revoke [OPTIONS] <NAME> <ID|--all>")]
    Revoke {
        /// The user name
        name: String,
        /// The id of the session, as in `session list`
        #[arg(required_unless_present = "all", allow_hyphen_values = true)]
        id: Option<String>,
        /// Revoke all sessions of the user
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

impl Session {
    pub async fn run(self, config: &Config) -> Outcome {
        let domain = app::open_existing(config, Environment::real(config)).await?;
        let outcome = match self {
            Self::List { name, json } => list(&domain, &name, json).await,
            Self::Revoke { name, id: Some(id), .. } => revoke(&domain, &name, &id).await,
            Self::Revoke { name, id: None, .. } => revoke_all(&domain, &name).await,
        };
        domain.close_store().await;
        outcome
    }
}

async fn list(domain: &AuthService, name: &str, json: bool) -> Outcome {
    const PAGE: usize = 100;
    let account = account(domain, name).await?;
    let mut table = Table::new(["ID", "SIGNED IN", "LAST SEEN", "EXPIRES", "FROM"]);
    let now = domain.clock.now();
    let mut behind = None;
    loop {
        let page = domain.sessions.list_sessions(&account.id, behind.as_ref(), PAGE).await?;
        if json {
            for session in &page.sessions {
                print_line(&serde_json::to_string(&SessionLine::of(session))?)?;
            }
        } else {
            table.print(&page.sessions.iter().map(|one| row(one, now)).collect::<Vec<_>>())?;
        }
        behind = page.next;
        if behind.is_none() {
            break;
        }
    }
    if !json {
        let name = &account.username;
        terminal::hint(&if table.is_empty() {
            format!("{name} has no active sessions")
        } else {
            format!(
                "To revoke a session, run `cloakroom session revoke {name} ID`; to revoke all sessions, use --all instead of ID"
            )
        });
    }
    Ok(())
}

#[derive(Serialize)]
struct SessionLine<'a> {
    id: &'a str,
    created_at: String,
    last_seen_at: String,
    expires_at: String,
    address: Option<&'a str>,
    browser: Option<&'a str>,
}

impl<'a> SessionLine<'a> {
    fn of(session: &'a sessions::Session) -> Self {
        Self {
            id: session.id.as_str(),
            created_at: rfc3339(session.created_at),
            last_seen_at: rfc3339(session.last_seen_at),
            expires_at: rfc3339(session.expires_at),
            address: session.client.address.as_deref(),
            browser: session.client.browser.as_deref(),
        }
    }
}

fn row(session: &sessions::Session, now: Timestamp) -> [Cell; 5] {
    let origin = &session.client;
    let from = [origin.address.as_deref(), origin.browser.as_deref()];
    [
        session.id.as_str().into(),
        relative(session.created_at, now).into(),
        relative(session.last_seen_at, now).into(),
        relative(session.expires_at, now).into(),
        from.into_iter().flatten().collect::<Vec<_>>().join(", ").into(),
    ]
}

async fn revoke(domain: &AuthService, name: &str, id: &str) -> Outcome {
    let account = account(domain, name).await?;
    if domain.sessions.revoke(&account.id, id).await? {
        print_line("revoked 1 session")
    } else {
        Err(CliError(format!("{} has no active session {id:?}", account.username)))
    }
}

async fn revoke_all(domain: &AuthService, name: &str) -> Outcome {
    let account = account(domain, name).await?;
    match domain.sessions.revoke_all(&account.id).await? {
        1 => print_line("revoked 1 session"),
        ended => print_line(&format!("revoked {ended} sessions")),
    }
}
