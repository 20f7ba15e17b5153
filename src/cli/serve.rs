//! `cloakroom serve`, and `cloakroom` alone.

use std::fmt::Write as _;
use std::future::pending;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failed, Outcome};
use crate::app::{self, DEMO_USERS, Surroundings};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::Domain;
use crate::http::{Requests, TrustedProxies};
use crate::metrics::{self, Watched};
use crate::server::{self, Edge, Limits, Tls};

/// Files that are no connections: the database's, the keys', a folder that is read.
const OWN_FILES: usize = 128;

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
        let edge = edge(config)?;
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
        warn_of_unnamed_proxy(config);
        announce(config, self.demo);
        let (domain, requests) = (Arc::new(domain), Arc::new(Requests::new()));
        if let Some(tls) = edge.tls.clone() {
            warn_of_other_names(config, &tls);
            tokio::spawn(async move { tls.watch().await });
        }
        if let Some(listener) = for_metrics {
            let watched = Watched {
                domain: Arc::clone(&domain),
                requests: Arc::clone(&requests),
                connections: Arc::clone(&edge.connections),
                started_at: domain.clock.now(),
            };
            let route = metrics::route(watched);
            tokio::spawn(server::serve(listener, route, Edge::default(), pending()));
        }
        let route = app::furnish(config, Arc::clone(&domain), self.demo, requests);
        let mut trouble = None;
        let stop = async {
            tokio::select! {
                () = asked_to_stop(Arc::clone(&domain)) => {}
                found = domain.store.unsynced() => {
                    domain.leave();
                    tracing::error!("stopping: {found}");
                    trouble = Some(found);
                }
            }
        };
        server::serve(listener, route, edge, stop).await;
        domain.close_store().await;
        if let Some(trouble) = trouble {
            return Err(trouble.into());
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// What whoever connects may take.
fn edge(config: &Config) -> Result<Edge, Failed> {
    let mut edge = Edge::default();
    if let Some(files) = &config.tls {
        edge.limits.connections = Limits::OVER_TLS;
        edge.tls = Some(Arc::new(Tls::open(&files.certificate, &files.key, Clock::System)?));
    }
    edge.limits.connections = edge.limits.connections.min(room_for_connections());
    edge.limits.proxies = TrustedProxies::new(config.trusted_proxies.clone());
    Ok(edge)
}

/// As many connections as the process may have open; the database and the keys need the rest.
/// Systems start a process with a soft limit for old programs and let it ask for more.
fn room_for_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let asked = Rlimit { current: limit.maximum, ..limit };
    let current = match setrlimit(Resource::Nofile, asked) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let most = current.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    (most / 2).max(most.saturating_sub(OWN_FILES))
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

/// Says what a proxy on this machine that nobody has named costs.
fn warn_of_unnamed_proxy(config: &Config) {
    let is_behind_one = config.listen.ip().is_loopback() && !config.public_url.is_loopback();
    if is_behind_one && config.trusted_proxies.is_empty() {
        tracing::warn!(
            "trusted_proxies is empty, so everybody comes from the proxy's own address, and no \
             address is held up for trying too often"
        );
    }
}

/// Says that clients will refuse the certificate under the name that users reach it by.
fn warn_of_other_names(config: &Config, tls: &Tls) {
    let host = config.public_url.host();
    if !tls.names(&host) {
        tracing::warn!("the certificate is not for {host}, where users reach the service");
    }
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

/// Done at SIGTERM or Ctrl-C, when it is no longer ready. A second one ends the process at once.
async fn asked_to_stop(domain: Arc<Domain>) {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT can be listened for");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    domain.leave();
    tracing::info!("stopping; answers under way are finished first");
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(1);
    });
}
