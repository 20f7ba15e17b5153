//! The command line: one file a noun. An error is one plain sentence and an exit code.

mod config;
mod healthcheck;
mod import;
mod invite;
mod key;
mod log;
mod migrate;
mod moving;
mod openapi;
mod password;
mod serve;
mod session;
mod user;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[cfg(fuzzing)]
pub use self::import::fuzzing;
use crate::config::{Config, DatabaseUrl, Settings};

/// An OpenAPI-first login service: hand in your credentials, get a ticket.
///
/// Without a command it serves: it makes the data folder, the signing key and the database,
/// migrates, and prints the URLs to open.
///
/// Settings come from cloakroom.toml, then from the environment (`CLOAKROOM_LISTEN`, …;
/// `CLOAKROOM_COOKIE__NAME` for `cookie.name`; `DATABASE_URL` is honoured), then from flags.
#[derive(Debug, Parser)]
#[command(name = "cloakroom", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Flags {
    /// The settings file [default: cloakroom.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:8000]
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where users reach the service [default: http://, or with a certificate https://, and the
    /// address]
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// The database: sqlite://… or postgres://… [default: cloakroom.db in the data folder]
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<DatabaseUrl>,
    /// The folder of the database and the signing keys [default: cloakroom-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C
    Serve(serve::Serve),
    /// Bring the database's schema up to date and say where it stands
    Migrate,
    /// Move everything from one database to another, and compare each row there
    Move(moving::Move),
    /// Print the OpenAPI document; needs no database and no settings
    Openapi(openapi::Openapi),
    /// Add, import, list, disable and delete users, and give them new passwords
    #[command(subcommand)]
    User(user::User),
    /// List a user's sessions, and end them
    #[command(subcommand)]
    Session(session::Session),
    /// Invite somebody to register: print a one-time code and the link that carries it
    Invite(invite::Invite),
    /// List the signing keys, and make a new one
    #[command(subcommand)]
    Key(key::Key),
    /// Print the settings in force, secrets masked
    Config,
    /// Ask the service that runs here whether it is ready; for containers
    Healthcheck,
}

/// Why a command failed: one sentence for whoever typed it.
#[derive(Debug)]
struct Failed(String);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

type Outcome = Result<(), Failed>;

/// Prints a line. Nobody reads on: then the rest is not wanted.
fn say(line: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        printed => Ok(printed?),
    }
}

/// Runs the program: 0 done, 1 failed, 2 wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(sentence)) => {
            eprintln!("cloakroom: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Outcome {
    let Cli { flags, command } = cli;
    let command = command.unwrap_or(Command::Serve(serve::Serve::default()));
    if let Command::Openapi(openapi) = command {
        return openapi.run();
    }
    let file = flags.config.clone();
    let settings = Settings {
        listen: flags.listen,
        public_url: flags.public_url,
        database_url: flags.database_url,
        data_dir: flags.data_dir,
        ..Settings::default()
    };
    let config = Config::load(file.as_deref(), settings)?;
    let usual = match &command {
        Command::Serve(_) => "warn,cloakroom=info",
        // who typed a command at a terminal sees what it did, and keeps no log
        _ if io::stderr().is_terminal() => "warn,audit=off",
        _ => "warn,cloakroom=info",
    };
    log::start(config.log.format, usual);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve.run(&config).await,
            Command::Migrate => migrate::run(&config).await,
            Command::Move(moving) => moving.run(&config).await,
            Command::User(user) => user.run(&config).await,
            Command::Session(session) => session.run(&config).await,
            Command::Invite(invite) => invite.run(&config).await,
            Command::Key(key) => key.run(&config),
            Command::Config => config::run(&config),
            Command::Healthcheck => healthcheck::run(&config).await,
            Command::Openapi(openapi) => openapi.run(),
        }
    })
}
