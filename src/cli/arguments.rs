//! The arguments of the command line: settings and commands.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    audit, backup, completions, config, doctor, healthcheck, invite, key, mail, migrate, openapi,
    pepper, restore, role, serve, server_secret, session, token, transfer, user,
};
use crate::config::{DatabaseUrl, parse_address};

const EXAMPLES: &str = "\
Examples:
  cloakroom serve --demo              Try the service: two demo users, Swagger UI at
                                      http://127.0.0.1:8000/docs
  cloakroom user add ann              Create an account; prompts for the password
  cloakroom                           Start the service with the settings in cloakroom.toml
  cloakroom backup /var/backups       Create a backup while the service runs
  cloakroom doctor                    Find problems, and see how to fix them

You can run commands while the service runs; the service applies changes within one second. For
details and examples of a command, run `cloakroom COMMAND --help`. The exit code is 0 for success,
1 for a failure, and 2 for wrong usage.";

const SERVE_EXAMPLES: &str = "\
Examples:
  cloakroom serve --demo
  cloakroom --listen 127.0.0.1:8001 --data-dir /var/lib/cloakroom serve
  CLOAKROOM_PUBLIC_URL=https://id.example.org cloakroom        Behind a proxy on this machine

docs/reference/settings.md describes all settings. `cloakroom config` prints the current settings.";

/// An OpenAPI-first login service: hand in your credentials, get a ticket.
///
/// Without a command, the program starts the service: it creates the data folder, the signing key
/// and the database if they do not exist, migrates the database, and prints the URLs to open.
///
/// Settings come from the settings file, from environment variables (`CLOAKROOM_LISTEN`,
/// `CLOAKROOM_COOKIE__NAME` for `cookie.name`, …; and `DATABASE_URL`), and from flags. Environment
/// variables override the settings file, and flags override both. Relative paths in the settings
/// file are relative to its folder. `cloakroom config` prints the resulting settings.
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
    /// The settings file [default: the value of `CLOAKROOM_CONFIG`; otherwise cloakroom.toml in the
    /// current folder or /etc/cloakroom/cloakroom.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The IP address and the port to listen on [default: 127.0.0.1:8000]
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = parse_address)]
    pub listen: Option<SocketAddr>,
    /// The URL at which users reach the service [default: the listen address, with https:// if a
    /// certificate is set, otherwise with http://]
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// The URL of the database: sqlite://… or postgres://… [default: cloakroom.db in the data
    /// folder]
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<DatabaseUrl>,
    /// The data folder, which contains the database and the keys [default: cloakroom-data in the
    /// folder of the settings file, or in the current folder if there is no settings file]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Whether to log a line for each request, such as: POST /login 200 23 ms [default: true on a
    /// terminal, otherwise false]
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
    /// Start the service; it stops at SIGTERM or Ctrl-C
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(serve::Serve),
    Migrate(migrate::Migrate),
    Backup(backup::Backup),
    Restore(restore::Restore),
    /// Copy all data from one database to another, and compare every row
    Move(transfer::Move),
    /// Print the OpenAPI document; requires no database and no settings
    Openapi(openapi::Openapi),
    /// Add, import, list, disable and delete users, and set their passwords
    #[command(subcommand, after_help = user::EXAMPLES)]
    User(user::User),
    /// Give roles to users, take them, and list them
    #[command(subcommand, after_help = role::EXAMPLES)]
    Role(role::RoleCommand),
    /// List and revoke the sessions of a user
    #[command(subcommand, after_help = session::EXAMPLES)]
    Session(session::Session),
    /// Create API tokens for programs, list them, and revoke them
    #[command(subcommand, after_help = token::EXAMPLES)]
    Token(token::Token),
    /// Create invites: each is a link with a one-time code to register an account
    Invite(invite::Invite),
    /// Send a test mail, and list, retry and remove the mails of the outbox
    #[command(subcommand, after_help = mail::EXAMPLES)]
    Mail(mail::Mail),
    /// List the signing keys, and create a new one
    #[command(subcommand, after_help = key::EXAMPLES)]
    Key(key::Key),
    Pepper(pepper::Pepper),
    ServerSecret(server_secret::ServerSecret),
    Audit(audit::Audit),
    Doctor(doctor::Doctor),
    Config(config::Show),
    /// Check whether the service on this machine is ready; for containers
    #[command(after_help = healthcheck::EXAMPLES)]
    Healthcheck,
    Completions(completions::Completions),
}
