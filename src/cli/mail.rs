//! The command `cloakroom mail`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{CliError, Outcome, print_line};
use super::table::{Cell, Table};
use super::terminal;
use super::times::{relative, rfc3339};
use crate::app::{self, Environment};
use crate::config::Config;
use crate::core::clock::{Clock, Timestamp};
use crate::core::email_address::EmailAddress;
use crate::domain::AuthService;
use crate::domain::mail::new_mail::NewMail;
use crate::domain::mail::outbox::Outbox;
use crate::domain::mail::server::MailServer;
use crate::store::MailRow;

pub(super) const EXAMPLES: &str = "\
Examples:
  cloakroom mail test ops@example.org            Send a mail now, and print what the server says
  cloakroom mail test ops@example.org --queued   Let the running service send it
  cloakroom mail list                            Mails that wait, and mails that were given up
  cloakroom mail retry --all                     Try again after a problem was fixed
  cloakroom mail drop 3lKP3AXzOhw473_NNq9Nbw";

#[derive(Debug, Subcommand)]
pub enum Mail {
    /// Send a test mail, and print what the mail server says; a failure names the step
    Test {
        /// The address to send it to
        #[arg(value_parser = address)]
        address: EmailAddress,
        /// Queue the mail for the running service, which tries again if it fails
        #[arg(long)]
        queued: bool,
    },
    /// List the mails that wait to be sent, and those that were given up in the last seven days
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Send a mail as soon as possible, as if it had been queued now
    #[command(override_usage = "cloakroom mail retry [OPTIONS] <ID|--all>")]
    Retry(Which),
    /// Remove a mail without sending it
    #[command(override_usage = "cloakroom mail drop [OPTIONS] <ID|--all>")]
    Drop(Which),
}

#[derive(Debug, Args)]
pub struct Which {
    /// The id of the mail, as in `mail list`
    #[arg(required_unless_present = "all", allow_hyphen_values = true)]
    id: Option<String>,
    /// All mails that were given up
    #[arg(long, conflicts_with = "id")]
    all: bool,
}

fn address(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text)
        .map_err(|_| "use an address such as ops@example.org, without a name".to_owned())
}

impl Mail {
    pub async fn run(self, config: &Config) -> Outcome {
        if let Self::Test { address, queued: false } = self {
            return send_test(config, address).await;
        }
        let domain = app::open_existing(config, Environment::real(config)).await?;
        let outcome = match self {
            Self::Test { address, .. } => queue_test(&domain, address).await,
            Self::List { json } => list(&domain, json).await,
            Self::Retry(which) => retry(&domain, which.id.as_deref()).await,
            Self::Drop(which) => drop_mails(&domain, which.id.as_deref()).await,
        };
        domain.close_store().await;
        outcome
    }
}

fn no_server() -> CliError {
    CliError("mail.server is not set, so the service sends no mail; see docs/e-mail.md".to_owned())
}

/// Sends directly, without the database: an operator can try the settings before the first start.
async fn send_test(config: &Config, address: EmailAddress) -> Outcome {
    let mailer = app::mailer(config).ok_or_else(no_server)?;
    let sent = Outbox::send_test(&mailer, address, Clock::System.now()).await;
    let said = sent.map_err(|error| CliError(error.failure().to_string()))?;
    print_line(&match mailer.server {
        MailServer::Folder(_) => format!("written to {said}"),
        MailServer::Smtp(server) => format!("{server} accepted the mail: {said}"),
    })
}

async fn queue_test(domain: &AuthService, recipient: EmailAddress) -> Outcome {
    if !domain.outbox.has_server() {
        return Err(no_server());
    }
    let id = domain.outbox.queue(&NewMail::test(recipient)).await?;
    print_line(&format!("queued the mail {id}"))?;
    terminal::hint(
        "A running service sends it within seconds; `cloakroom mail list` shows if it fails",
    );
    Ok(())
}

/// What happens to a mail.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Waiting,
    Sending,
    Failed,
}

fn state(mail: &MailRow, now: Timestamp) -> State {
    match mail {
        MailRow { failed_at: Some(_), .. } => State::Failed,
        MailRow { claimed_at: Some(_), due_at, .. } if *due_at > now.millis() => State::Sending,
        MailRow { .. } => State::Waiting,
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    kind: &'a str,
    recipient: &'a str,
    state: State,
    created_at: String,
    due_at: Option<String>,
    tries: i64,
    failed_at: Option<String>,
    reason: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(mail: &'a MailRow, now: Timestamp) -> Self {
        let state = state(mail, now);
        let due_at = match state {
            State::Waiting => Some(rfc3339(Timestamp::from_millis(mail.due_at))),
            State::Sending | State::Failed => None,
        };
        Self {
            id: &mail.id,
            kind: &mail.kind,
            recipient: &mail.recipient,
            state,
            created_at: rfc3339(Timestamp::from_millis(mail.created_at)),
            due_at,
            tries: mail.tries,
            failed_at: mail.failed_at.map(|at| rfc3339(Timestamp::from_millis(at))),
            reason: mail.reason.as_deref(),
        }
    }
}

fn row(mail: &MailRow, now: Timestamp) -> [Cell; 5] {
    let at = |millis| relative(Timestamp::from_millis(millis), now);
    let state = match state(mail, now) {
        State::Waiting if mail.due_at > now.millis() => format!("next try {}", at(mail.due_at)),
        State::Waiting => "due".to_owned(),
        State::Sending => "being sent".to_owned(),
        State::Failed => format!("given up {}", at(mail.failed_at.unwrap_or_default())),
    };
    let state = match &mail.reason {
        Some(reason) => format!("{state}: {reason}"),
        None => state,
    };
    [
        (&*mail.id).into(),
        (&*mail.kind).into(),
        (&*mail.recipient).into(),
        at(mail.created_at).into(),
        state.into(),
    ]
}

async fn list(domain: &AuthService, json: bool) -> Outcome {
    let mut table = Table::new(["ID", "KIND", "TO", "QUEUED", "STATE"]);
    let now = domain.clock.now();
    let mut behind: Option<MailRow> = None;
    loop {
        let mut page = domain.outbox.list_mails(behind.as_ref()).await?;
        if json {
            for mail in &page {
                print_line(&serde_json::to_string(&Line::of(mail, now))?)?;
            }
        } else {
            table.print(&page.iter().map(|mail| row(mail, now)).collect::<Vec<_>>())?;
        }
        let Some(last) = page.pop() else { break };
        behind = Some(last);
    }
    if behind.is_none() {
        terminal::hint("No mail waits, and none was given up");
    }
    Ok(())
}

fn count(verb: &str, mails: u64) -> Outcome {
    print_line(&if mails == 1 { format!("{verb} 1 mail") } else { format!("{verb} {mails} mails") })
}

async fn retry(domain: &AuthService, id: Option<&str>) -> Outcome {
    match (domain.outbox.retry_mails(id).await?, id) {
        (0, Some(id)) => Err(CliError(format!(
            "no mail {id:?} waits; it was sent or removed, or it is being sent now"
        ))),
        (mails, _) => count("queued", mails),
    }
}

async fn drop_mails(domain: &AuthService, id: Option<&str>) -> Outcome {
    match (domain.outbox.drop_mails(id).await?, id) {
        (0, Some(id)) => Err(CliError(format!("there is no mail {id:?}; it may have been sent"))),
        (mails, _) => count("removed", mails),
    }
}
