//! The arguments of the command line: settings and commands.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    audit, backup, completions, config, doctor, healthcheck, invite, key, migrate, openapi, pepper,
    restore, serve, server_secret, session, transfer, user,
};
use crate::config::{DatabaseUrl, parse_address};

const EXAMPLES: &str = "\
Examples:
  cloakroom serve --demo              try it: two users, Swagger UI at http://127.0.0.1:8000/docs
  cloakroom user add ann              make an account; the password is asked for
  cloakroom                           serve, with the settings in cloakroom.toml
  cloakroom backup /var/backups       beside the running service
  cloakroom doctor                    what is wrong, and what to do

Each command works beside a running service, which follows within a second. `cloakroom COMMAND
--help` says more and has examples. Exit codes: 0 done, 1 failed, 2 wrong usage.";

const SERVE_EXAMPLES: &str = "\
Examples:
  cloakroom serve --demo
  cloakroom --listen 127.0.0.1:8001 --data-dir /var/lib/cloakroom serve
  CLOAKROOM_PUBLIC_URL=https://id.example.org cloakroom        behind a proxy on this machine

docs/reference/settings.md describes all settings; `cloakroom config` prints those in force.";

/// An OpenAPI-first login service: hand in your credentials, get a ticket.
///
/// Without a command it serves: it makes the data folder, the signing key and the database,
/// migrates, and prints the URLs to open.
///
/// Settings come from the settings file, then from the environment (`CLOAKROOM_LISTEN`, …;
/// `CLOAKROOM_COOKIE__NAME` for `cookie.name`; `DATABASE_URL` is honoured), then from flags. Paths in
/// the settings file start at its folder. `cloakroom config` prints the result.
#[derive(Debug, Parser)]
#[command(name = "cloakroom", version, max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub flags: Flags,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct Flags {
    /// The settings file [default: `CLOAKROOM_CONFIG`, else cloakroom.toml, else
    /// /etc/cloakroom/cloakroom.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8000]
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = parse_address)]
    pub listen: Option<SocketAddr>,
    /// Where users reach the service [default: http://, or with a certificate https://, and the
    /// address]
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// The database: sqlite://… or postgres://… [default: cloakroom.db in the data folder]
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,
    /// The folder of the database and the keys [default: cloakroom-data, next to the settings file]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Log a line for each request, as in POST /login 200 23 ms [default: true on a terminal, else
    /// false]
    #[arg(
        long,
        global = true,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide_possible_values = true
    )]
    pub log_requests: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve until SIGTERM or Ctrl-C
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(serve::Serve),
    Migrate(migrate::Migrate),
    Backup(backup::Backup),
    Restore(restore::Restore),
    /// Move everything from one database to another, and compare each row there
    Move(transfer::Move),
    /// Print the OpenAPI document; needs no database and no settings
    Openapi(openapi::Openapi),
    /// Add, import, list, disable and delete users, and give them new passwords
    #[command(subcommand, after_help = user::EXAMPLES)]
    User(user::User),
    /// List a user's sessions, and end them
    #[command(subcommand, after_help = session::EXAMPLES)]
    Session(session::Session),
    /// Invite somebody to register: print a one-time code and the link that carries it
    Invite(invite::Invite),
    /// List the signing keys, and make a new one
    #[command(subcommand, after_help = key::EXAMPLES)]
    Key(key::Key),
    Pepper(pepper::Pepper),
    ServerSecret(server_secret::ServerSecret),
    Audit(audit::Audit),
    Doctor(doctor::Doctor),
    Config(config::Show),
    /// Ask the service that runs here whether it is ready; for containers
    #[command(after_help = healthcheck::EXAMPLES)]
    Healthcheck,
    Completions(completions::Completions),
}
