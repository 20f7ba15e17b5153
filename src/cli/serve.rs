//! `cloakroom serve`, and `cloakroom` alone.

use std::fmt::Write as _;
use std::future::pending;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failed, Outcome};
use crate::app::{self, DEMO_USERS, Surroundings};
use crate::config::Config;
use crate::domain::Domain;
use crate::http::Requests;
use crate::metrics::{self, Connections, Watched};
use crate::server;

#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Add the two demo users with their well-known passwords (loopback addresses only)
    #[arg(long)]
    demo: bool,
}

impl Serve {
    pub async fn run(&self, config: &Config) -> Outcome {
        if self.demo && faces_a_network(config) {
            return Err(Failed(format!(
                "--demo adds users whose passwords everybody knows, and {} at {} faces a network; \
                 listen on 127.0.0.1, without a public_url",
                config.listen,
                config.public_url.origin()
            )));
        }
        let listener = listen(config.listen).await?;
        let for_metrics = match config.metrics_listen {
            Some(at) => Some(listen(at).await?),
            None => None,
        };
        let domain = app::open(config, Surroundings::real(config)).await?;
        if self.demo {
            app::add_demo_users(&domain)
                .await
                .map_err(|error| Failed(format!("cannot add the demo users: {error:?}")))?;
        } else {
            warn_of_demo_users(config, &domain).await?;
        }
        announce(config, self.demo);
        let (domain, requests) = (Arc::new(domain), Arc::new(Requests::new()));
        let connections = Arc::new(Connections::default());
        if let Some(listener) = for_metrics {
            let watched = Watched {
                domain: Arc::clone(&domain),
                requests: Arc::clone(&requests),
                connections: Arc::clone(&connections),
                started_at: domain.clock.now(),
            };
            let route = metrics::route(watched);
            tokio::spawn(server::serve(listener, route, Arc::default(), pending()));
        }
        let route = app::furnish(config, domain, self.demo, requests);
        server::serve(listener, route, connections, asked_to_stop()).await;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn listen(at: SocketAddr) -> Result<TcpListener, Failed> {
    let bound = TcpListener::bind(at).await;
    bound.map_err(|error| Failed(format!("cannot listen on {at}: {error}")))
}

/// Can anybody but this machine reach it, directly or by a proxy?
fn faces_a_network(config: &Config) -> bool {
    !config.listen.ip().is_loopback() || !config.public_url.is_loopback()
}

/// A data folder that was used for a demonstration must not face a network.
async fn warn_of_demo_users(config: &Config, domain: &Domain) -> Outcome {
    let found = app::has_demo_users(domain)
        .await
        .map_err(|error| Failed(format!("cannot look for demo users: {error:?}")))?;
    if found && faces_a_network(config) {
        return Err(Failed(
            "this database has demo users, whose passwords everybody knows; start with another \
             data_dir, or give them new passwords with `cloakroom user passwd`"
                .to_owned(),
        ));
    }
    if found {
        tracing::warn!("this database has demo users, whose passwords everybody knows");
    }
    Ok(())
}

/// Tells whoever started it what to open; it serves on when nobody reads that.
fn announce(config: &Config, demo: bool) {
    let at = config.public_url.origin();
    let docs = if config.docs { format!("try it      {at}/docs\n  ") } else { String::new() };
    let mut text = format!(
        "Cloakroom {} serves at {at}\n  \
           {docs}\
           sign in     {at}/login\n  \
           document    {at}/openapi.json\n  \
           data        {}\n",
        env!("CARGO_PKG_VERSION"),
        config.data_dir.display()
    );
    if let Some(at) = config.metrics_listen {
        let _ = writeln!(text, "  metrics     http://{at}/metrics"); // a string takes everything
    }
    if demo {
        text.push_str(
            "\n  DEMO: everybody knows the passwords of these users. Never use this data folder\n  \
             for anything real.\n",
        );
        for (username, password) in DEMO_USERS {
            let _ = writeln!(text, "    {username} / {password}"); // a string takes everything
        }
    }
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Done at SIGTERM or Ctrl-C. A second one ends the process at once.
async fn asked_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; answers under way are finished first");
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(1);
    });
}
