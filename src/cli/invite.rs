//! `cloakroom invite`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::user::rfc3339;
use super::{Failed, Outcome, say};
use crate::app::{self, Surroundings};
use crate::clock::{days, hours};
use crate::config::{Config, Registration};
use crate::domain::Domain;
use crate::domain::invites;

const EXAMPLES: &str = "\
Examples:
  cloakroom invite                               a link that is good for seven days and one account
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
    /// How long an invite is good for: minutes, hours or days, as in 30m, 12h or 7d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = time)]
    expires: Duration,
    /// How many invites; each is good for one account
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the invites that somebody could use, the next to expire first; not their codes, which
    /// nobody knows but whoever got them
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Take an invite back
    Revoke {
        /// The invite's id in the list
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

impl Invite {
    pub async fn run(self, config: &Config) -> Outcome {
        let domain = app::open_existing(config, Surroundings::real(config)).await?;
        let outcome = match self.command {
            None => invite(config, &domain, &self.new).await,
            Some(Command::List { json }) => list(&domain, json).await,
            Some(Command::Revoke { id }) => revoke(&domain, &id).await,
        };
        domain.close_store().await;
        outcome
    }
}

/// A time in minutes, hours or days; at most a year, so that no invite is forgotten.
fn time(text: &str) -> Result<Duration, String> {
    const MOST: Duration = days(366);
    let wrong = || "write minutes, hours or days, as in 30m, 12h or 7d; at most 366d".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    let time = match &text[digits.len()..] {
        "m" => Duration::from_mins(number.into()),
        "h" => hours(number.into()),
        "d" => days(number.into()),
        _ => return Err(wrong()),
    };
    if time.is_zero() || time > MOST { Err(wrong()) } else { Ok(time) }
}

#[derive(Serialize)]
struct NewLine<'a> {
    code: &'a str,
    url: String,
    id: String,
    expires_at: String,
}

async fn invite(config: &Config, domain: &Domain, new: &New) -> Outcome {
    let says = match config.registration {
        Registration::Invite => None,
        Registration::Open => Some("open: nobody needs an invite"),
        Registration::Closed => Some("closed: nobody can use an invite"),
    };
    if let Some(says) = says {
        tracing::warn!("registration is {says} unless registration = \"invite\" is set");
    }
    for _ in 0..new.count {
        let (code, invite) = domain.invite(new.expires).await?;
        let line = NewLine {
            code: code.expose(), // for whoever passes the invitation on
            url: format!("{}/register?invite={}", config.public_url.origin(), code.expose()),
            id: invite.id,
            expires_at: rfc3339(invite.expires_at),
        };
        if new.json {
            say(&serde_json::to_string(&line).expect("strings make JSON"))?;
        } else {
            say(&format!("{}  {}  until {}", line.code, line.url, line.expires_at))?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    created_at: String,
    expires_at: String,
}

async fn list(domain: &Domain, json: bool) -> Outcome {
    let mut behind: Option<invites::Invite> = None;
    loop {
        let mut page = domain.invites_behind(behind.as_ref()).await?;
        for invite in &page {
            let line = Line {
                id: &invite.id,
                created_at: rfc3339(invite.created_at),
                expires_at: rfc3339(invite.expires_at),
            };
            if json {
                say(&serde_json::to_string(&line).expect("strings make JSON"))?;
            } else {
                say(&format!("{}  {}  until {}", line.id, line.created_at, line.expires_at))?;
            }
        }
        let Some(last) = page.pop() else { return Ok(()) };
        behind = Some(last);
    }
}

async fn revoke(domain: &Domain, id: &str) -> Outcome {
    if domain.withdraw_invite(id).await? {
        say("took 1 invite back")
    } else {
        Err(Failed(format!("there is no invite {id:?}; it may have been used")))
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
