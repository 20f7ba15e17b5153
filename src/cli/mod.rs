//! The command line: one file a noun. An error is one plain sentence and an exit code.

mod audit;
mod backup;
mod completions;
mod config;
mod confirm;
mod doctor;
mod hardening;
mod healthcheck;
mod help;
mod import;
mod interrupt;
mod invite;
mod key;
mod log;
mod migrate;
mod openapi;
mod output;
mod password;
mod pepper;
mod progress;
mod restore;
mod secret_state;
mod serve;
mod server_secret;
mod session;
mod store;
mod table;
mod terminal;
mod times;
mod transfer;
mod user;

use std::io::{self, IsTerminal, Write as _};
use std::net::SocketAddr;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::output::{CliError, Outcome, print_error};
use crate::config::{Config, DatabaseUrl, LogSettings, Settings, parse_address};
use crate::store::QUIET_SLOW_QUERIES;

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

All settings are in the README; `cloakroom config` prints those in force.";

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
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
struct Flags {
    /// The settings file [default: `CLOAKROOM_CONFIG`, else cloakroom.toml, else
    /// /etc/cloakroom/cloakroom.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8000]
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = parse_address)]
    listen: Option<SocketAddr>,
    /// Where users reach the service [default: http://, or with a certificate https://, and the
    /// address]
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// The database: sqlite://… or postgres://… [default: cloakroom.db in the data folder]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
    /// The folder of the database and the keys [default: cloakroom-data, next to the settings file]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
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
    log_requests: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum Command {
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

/// Runs the program: 0 done, 1 failed, 2 wrong usage.
pub fn main() -> ExitCode {
    hardening::keep_private();
    let mut matches = help::with_settings_once(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit());
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError(sentence)) => {
            print_error(&sentence);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Outcome {
    let Cli { flags, command } = cli;
    let command = command.unwrap_or(Command::Serve(serve::Serve::default()));
    // these need no settings
    match command {
        Command::Openapi(openapi) => return openapi.run(),
        Command::Completions(completions) => return completions.run(&mut Cli::command()),
        _ => {}
    }
    let (file, named) = (flags.config.clone(), flags.data_dir.clone());
    let settings = Settings {
        listen: flags.listen,
        public_url: flags.public_url,
        database_url: flags.database_url,
        data_dir: flags.data_dir,
        log: LogSettings { requests: flags.log_requests, ..LogSettings::default() },
        ..Settings::default()
    };
    let config = match (Config::load(file.as_deref(), settings), &command) {
        (Err(error), Command::Doctor(doctor)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            return runtime.block_on(doctor.run(Err(error)));
        }
        (loaded, _) => loaded?,
    };
    let usual = match &command {
        Command::Serve(_) => "warn,cloakroom=info".to_owned(),
        // a command may ask for what takes long; who typed it at a terminal sees what it did, and
        // keeps no log
        _ if io::stderr().is_terminal() => format!("warn,{QUIET_SLOW_QUERIES},audit=off"),
        _ => format!("warn,{QUIET_SLOW_QUERIES},cloakroom=info"),
    };
    log::start(config.log.format, &usual);
    let runtime = runtime()?;
    runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve.run(&config).await,
            Command::Migrate(migrate) => migrate.run(&config).await,
            Command::Backup(backup) => backup.run(&config).await,
            Command::Restore(restore) => restore.run(&config).await,
            Command::Move(transfer) => transfer.run(&config).await,
            Command::User(user) => user.run(&config).await,
            Command::Session(session) => session.run(&config).await,
            Command::Invite(invite) => invite.run(&config).await,
            Command::Key(key) => key.run(&config, named.as_deref()).await,
            Command::Pepper(pepper) => pepper.run(&config, named.as_deref()).await,
            Command::ServerSecret(secret) => secret.run(&config, named.as_deref()).await,
            Command::Audit(audit) => audit.run(&config).await,
            Command::Doctor(doctor) => doctor.run(Ok(&config)).await,
            Command::Config(show) => show.run(&config),
            Command::Healthcheck => healthcheck::run(&config).await,
            Command::Openapi(openapi) => openapi.run(),
            Command::Completions(completions) => completions.run(&mut Cli::command()),
        }
    })
}

/// What runs everything. When there is no thread to be had, tokio panics, and then waits for ever for
/// those that it has: so a panic ends the process until it is there.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(|panic| {
        let why = panic.payload_as_str().unwrap_or("the threads did not start");
        let _ = writeln!(io::stderr(), "cloakroom: {why}");
        std::process::exit(1)
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    panic::set_hook(usual);
    runtime
}
