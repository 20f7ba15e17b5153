//! The command `cloakroom serve`, and `cloakroom` without a command. It uses the library like any
//! embedder.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use clap::Args;

use super::output::{CliError, Outcome};
use crate::app::Environment;
use crate::config::Config;
use crate::domain::AuthService;
use crate::domain::demo_users;
use crate::domain::demo_users::DEMO_USERS;
use crate::domain::role_assignments::GiveRoleError;
use crate::embed::{
    Cloakroom, Listeners, ReloadSignals, Signals, faces_a_network, warn_of_demo_users,
};
use crate::http::EmbeddedApi;

#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Create two demo users with publicly known passwords, and write mail to files if the settings
    /// name no mail server. Allowed only on loopback addresses
    #[arg(long)]
    demo: bool,
    /// Allow --demo on any address. Every client that can reach the address can sign in as a demo
    /// user. Use it only in a container whose port is published on loopback
    #[arg(long, requires = "demo")]
    demo_on_any_address: bool,
}

impl Serve {
    pub async fn run(&self, config: &Config) -> Outcome {
        let is_exposed = self.demo && faces_a_network(config);
        if is_exposed && !self.demo_on_any_address {
            return Err(CliError(format!(
                "--demo creates users with publicly known passwords, and {} at {} can be reached \
                 from a network; listen on 127.0.0.1 without a public_url, or add \
                 --demo-on-any-address",
                config.listen,
                config.public_url.origin()
            )));
        }
        let _ = ReloadSignals::listen(); // must not end a starting service
        let mut config = config.clone();
        config.log.requests.get_or_insert(io::stderr().is_terminal());
        if self.demo {
            config.mail_to_files();
        }
        let config = &config;
        let listeners = Listeners::open(config)?;
        let environment = Environment::real(config);
        let cloakroom = Cloakroom::open_with(config.clone(), environment, self.demo).await?;
        if self.demo {
            add_demo_users(cloakroom.domain(), config).await?;
        } else {
            warn_of_demo_users(config, cloakroom.domain()).await?;
        }
        let mounted = cloakroom.mount_guest(EmbeddedApi::cloakroom()).endpoint()?;
        let signals = Signals::listen();
        if is_exposed {
            tracing::warn!(
                "--demo-on-any-address: every client that can reach {} can sign in as a demo user",
                config.listen
            );
        }
        announce(config, self.demo);
        Ok(mounted.serve_on(listeners, signals).await?)
    }
}

/// Adds the demo users. One of them has the role `admin`, but only as long as other machines cannot
/// reach the service.
async fn add_demo_users(domain: &AuthService, config: &Config) -> Outcome {
    let describe = |error| CliError(format!("cannot create the demo users: {error:?}"));
    demo_users::add_demo_users(domain).await.map_err(describe)?;
    if faces_a_network(config) {
        return Ok(demo_users::take_admin_role(domain).await?);
    }
    match demo_users::give_admin_role(domain).await {
        // The operator may have given it as many other roles as it may have.
        Ok(()) | Err(GiveRoleError::TooManyRoles(_)) => Ok(()),
        Err(GiveRoleError::Internal(fault)) => Err(fault.into()),
    }
}

/// Prints the URLs to open. Errors are ignored, so that the service runs without a reader.
fn announce(config: &Config, demo: bool) {
    let at = config.public_url.origin();
    let docs = if config.docs { format!("try it      {at}/docs\n  ") } else { String::new() };
    let mut text = format!(
        "Cloakroom {} serves at {at}\n  \
           {docs}\
           sign in     {at}/login\n  \
           document    {at}/openapi.json\n  \
           register    {}\n  \
           data        {}\n",
        env!("CARGO_PKG_VERSION"),
        config.who_may_register(),
        config.data_dir.display()
    );
    if let Some(folder) = config.mail.as_ref().and_then(|mail| mail.folder(&config.data_dir)) {
        let _ = writeln!(text, "  mail        {}", folder.display()); // cannot fail
    }
    if let Some(at) = config.metrics_listen {
        let _ = writeln!(text, "  metrics     http://{at}/metrics"); // cannot fail
    }
    if demo {
        text.push_str(
            "\n  DEMO: the passwords of these users are public. Do not use this data folder for\n  \
             real accounts.\n",
        );
        if faces_a_network(config) {
            let warning = format!(
                "\n  EVERY CLIENT that can reach {} can sign in as one of them (--demo-on-any-address).\n",
                config.listen
            );
            text.push_str(&warning);
        }
        for (username, password) in DEMO_USERS {
            let _ = writeln!(text, "    {username} / {password}"); // cannot fail
        }
    }
    let _ = io::stdout().write_all(text.as_bytes());
}
