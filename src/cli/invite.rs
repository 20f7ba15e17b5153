//! The command `cloakroom invite`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{CliError, Outcome, print_line};
use super::table::{Cell, Table};
use super::terminal;
use super::times::{relative, rfc3339};
use crate::app::{self, Environment};
use crate::config::{Config, Registration};
use crate::core::clock::{Timestamp, days, hours};
use crate::domain::AuthService;
use crate::domain::invites;

const EXAMPLES: &str = "\
Examples:
  cloakroom invite                               Create a link for one account, valid for seven days
  cloakroom invite --expires 12h --count 20 --json | jq -r .url
  cloakroom invite list
  cloakroom invite revoke 37Fd2fA3iLvVc7xTJ9Gvjg";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Invite {
    #[command(flatten)]
    new: New,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct New {
    /// How long the invites are valid: a number and m (minutes), h (hours) or d (days), such as
    /// 30m, 12h or 7d; at most 366d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = time)]
    expires: Duration,
    /// The number of invites to create; each invite creates one account
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the unused invites, sorted by expiry. Their codes are not stored and cannot be listed
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Revoke an invite
    Revoke {
        /// The id of the invite, as in `invite list`
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

impl Invite {
    pub async fn run(self, config: &Config) -> Outcome {
        let domain = app::open_existing(config, Environment::real(config)).await?;
        let outcome = match self.command {
            None => invite(config, &domain, &self.new).await,
            Some(Command::List { json }) => list(&domain, json).await,
            Some(Command::Revoke { id }) => revoke(&domain, &id).await,
        };
        domain.close_store().await;
        outcome
    }
}

/// Parses a duration in minutes, hours or days, up to 366 days.
fn time(text: &str) -> Result<Duration, String> {
    const MAX_VALIDITY: Duration = days(366);
    let wrong = || "use a number and m, h or d, such as 30m, 12h or 7d; at most 366d".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    let time = match &text[digits.len()..] {
        "m" => Duration::from_mins(number.into()),
        "h" => hours(number.into()),
        "d" => days(number.into()),
        _ => return Err(wrong()),
    };
    if time.is_zero() || time > MAX_VALIDITY { Err(wrong()) } else { Ok(time) }
}

#[derive(Serialize)]
struct NewLine<'a> {
    code: &'a str,
    url: String,
    id: String,
    expires_at: String,
}

async fn invite(config: &Config, domain: &AuthService, new: &New) -> Outcome {
    let says = match config.registration {
        Registration::Invite => None,
        Registration::Open => Some("open, so users do not need an invite"),
        Registration::Closed => Some("closed, so invites cannot be used"),
    };
    if let Some(says) = says {
        terminal::warn(&format!(
            "registration is {says}; set registration = \"invite\" to require invites"
        ));
    }
    let mut table = Table::new(["EXPIRES", "LINK"]);
    for _ in 0..new.count {
        let (code, invite) = domain.invites.invite(new.expires).await?;
        let code = code.expose(); // for the operator who passes the invite on
        let url = format!("{}/register?invite={code}", config.public_url.origin());
        if new.json {
            let expires_at = rfc3339(invite.expires_at);
            let line = NewLine { code, url, id: invite.id, expires_at };
            print_line(&serde_json::to_string(&line)?)?;
        } else {
            let expires = relative(invite.expires_at, domain.clock.now());
            // The link is printed immediately, so that it is not lost if the next invite fails.
            table.print(&[[expires.into(), url.into()]])?;
        }
    }
    if !new.json {
        terminal::hint(
            "Next: send one link to each person that you invite. The link ends with the invite \
             code. `cloakroom invite list` lists the unused invites",
        );
    }
    Ok(())
}

#[derive(Serialize)]
struct InviteLine<'a> {
    id: &'a str,
    created_at: String,
    expires_at: String,
}

impl<'a> InviteLine<'a> {
    fn of(invite: &'a invites::Invite) -> Self {
        Self {
            id: &invite.id,
            created_at: rfc3339(invite.created_at),
            expires_at: rfc3339(invite.expires_at),
        }
    }
}

fn row(invite: &invites::Invite, now: Timestamp) -> [Cell; 3] {
    [
        (&*invite.id).into(),
        relative(invite.created_at, now).into(),
        relative(invite.expires_at, now).into(),
    ]
}

async fn list(domain: &AuthService, json: bool) -> Outcome {
    let mut table = Table::new(["ID", "CREATED", "EXPIRES"]);
    let now = domain.clock.now();
    let mut behind: Option<invites::Invite> = None;
    loop {
        let mut page = domain.invites.list_invites(behind.as_ref()).await?;
        if json {
            for invite in &page {
                print_line(&serde_json::to_string(&InviteLine::of(invite))?)?;
            }
        } else {
            table.print(&page.iter().map(|invite| row(invite, now)).collect::<Vec<_>>())?;
        }
        let Some(last) = page.pop() else { break };
        behind = Some(last);
    }
    if behind.is_none() {
        terminal::hint("There are no unused invites; to create one, run `cloakroom invite`");
    }
    Ok(())
}

async fn revoke(domain: &AuthService, id: &str) -> Outcome {
    if domain.invites.withdraw_invite(id).await? {
        print_line("revoked 1 invite")
    } else {
        Err(CliError(format!(
            "there is no unused invite {id:?}; it may have been used or revoked, or may have expired"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        assert_eq!(time("30m"), Ok(Duration::from_mins(30)));
        assert_eq!(time("12h"), Ok(hours(12)));
        assert_eq!(time("366d"), Ok(days(366)));
        for wrong in ["", "7", "d", "0d", "367d", "-1d", "1.5d", "7 d", "7w", "7D", "99999999999d"]
        {
            assert!(time(wrong).is_err(), "{wrong:?}");
        }
    }
}
