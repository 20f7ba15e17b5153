//! The command line, with one file for each noun. An error is one plain sentence and an exit code.

mod arguments;
mod audit;
mod backup;
mod completions;
mod config;
mod confirm;
mod doctor;
mod find_user;
mod hardening;
mod healthcheck;
mod help;
mod import;
mod interrupt;
mod invite;
mod key;
mod log;
mod mail;
mod migrate;
mod openapi;
mod output;
mod password;
mod pepper;
mod progress;
mod restore;
mod role;
mod secret_state;
mod serve;
mod server_secret;
mod session;
mod store;
mod table;
mod terminal;
mod times;
mod token;
mod transfer;
mod user;
mod user_email;
mod user_password;

use std::io::{self, IsTerminal, Write as _};
use std::panic;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use self::arguments::{Cli, Command};
use self::output::{CliError, Outcome, print_error};
use crate::config::{Config, LogSettings, Settings};
use crate::store::QUIET_SLOW_QUERIES;

/// Runs the program. Exit codes: 0 success, 1 failure, 2 wrong usage.
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
    // These commands need no settings.
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
        // Commands may run slow queries. On a terminal the operator sees the result, so audit lines
        // are omitted.
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
            Command::Role(role) => role.run(&config).await,
            Command::Token(token) => token.run(&config).await,
            Command::Invite(invite) => invite.run(&config).await,
            Command::Mail(mail) => mail.run(&config).await,
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

/// Starts the runtime. If a thread cannot be created, tokio panics and then waits forever for its
/// other threads. So until it has started, a panic ends the process.
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
