//! Serves the mounted endpoint: sockets, limits, metrics, and a graceful shutdown.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};

use super::error::Error;
use super::mounted::Mounted;
use super::signals::Signals;
use crate::app;
use crate::config::{self, Config};
use crate::core::clock::Clock;
use crate::core::net::TrustedProxies;
use crate::domain::login::LogInError;
use crate::domain::{AuthService, demo_users};
use crate::metrics::{self, MetricSources};
use crate::server::{self, ConnectionLimits, ServerOptions, Tls};

/// The length of the accept queue, unless the system limits it further (`net.core.somaxconn`, 4096
/// since Linux 5.4). A client that finds the queue full retries after a second.
const BACKLOG: u32 = 4096;
/// The number of files that are not connections: those of the database and the keys, and a folder
/// that is being read.
const OWN_FILES: usize = 128;

/// The bound addresses of a service, and the limits of its connections.
#[derive(Debug)]
pub struct Listeners {
    listener: TcpListener,
    for_metrics: Option<TcpListener>,
    options: ServerOptions,
}

impl Listeners {
    /// Binds the addresses in the settings, and reads the certificate.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let options = server_options(config)?;
        let listener = listen(config.listen)?;
        let for_metrics = match config.metrics_listen {
            Some(at) => Some(listen(at)?),
            None => None,
        };
        Ok(Self { listener, for_metrics, options })
    }
}

impl Mounted {
    /// Serves at the address in the settings, until SIGTERM or Ctrl-C. This uses Cloakroom's own
    /// accept loop with limits and deadlines, TLS if the settings name a certificate, and a
    /// separate address for the metrics. At the end it completes the responses in progress, and
    /// closes the database.
    pub async fn serve(self) -> Result<(), Error> {
        let listeners = Listeners::open(&self.cloakroom.config)?;
        warn_of_demo_users(&self.cloakroom.config, &self.cloakroom.domain).await?;
        self.serve_on(listeners, Signals::listen()).await
    }

    /// Serves until a stop signal, or until the disk fails to keep data.
    pub(crate) async fn serve_on(
        self,
        listeners: Listeners,
        signals: Signals,
    ) -> Result<(), Error> {
        let Self { cloakroom, endpoint, requests, document: _ } = self;
        let (config, domain) = (&cloakroom.config, cloakroom.domain);
        let Listeners { listener, for_metrics, options } = listeners;
        warn_of_unnamed_proxy(config);
        warn_of_open_apps(config);
        warn_of_missing_mail_password(config);
        if let Some(tls) = options.tls.clone() {
            warn_of_other_names(config, &tls);
            tokio::spawn(async move { tls.watch().await });
        }
        if let Some(listener) = for_metrics {
            let sources = MetricSources {
                domain: Arc::clone(&domain),
                requests,
                connections: options.connections.clone(),
                started_at: domain.clock.now(),
            };
            let route = metrics::route(sources, app::metrics_hosts(config));
            tokio::spawn(server::serve(listener, route, ServerOptions::default(), pending()));
        }
        let Signals { stop: stop_signals, reload } = signals;
        tokio::spawn(reload.follow(Arc::downgrade(&domain)));
        let mut trouble = None;
        let stop = async {
            tokio::select! {
                () = stop_signals.asked_to_stop(Arc::clone(&domain)) => {}
                found = domain.store.wait_for_sync_failure() => {
                    domain.begin_shutdown();
                    tracing::error!("shutting down because of an error: {found}");
                    trouble = Some(found);
                }
            }
        };
        server::serve(listener, endpoint, options, stop).await;
        if let Some(trouble) = trouble {
            return Err(trouble.into());
        }
        domain.close_store().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The limits and the certificate of the listener.
fn server_options(config: &Config) -> Result<ServerOptions, Error> {
    let mut options = ServerOptions::default();
    if let Some(files) = &config.tls {
        options.limits.connections = ConnectionLimits::OVER_TLS;
        options.tls = Some(Arc::new(Tls::open(&files.certificate, &files.key, Clock::System)?));
    }
    options.limits.connections = options.limits.connections.min(room_for_connections());
    options.limits.proxies = TrustedProxies::new(config.trusted_proxies.clone());
    Ok(options)
}

/// The number of connections that the process may have open, in addition to the files of the
/// database and the keys. Systems start a process with a low soft limit, for old programs, and let
/// it raise the limit.
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

fn listen(at: SocketAddr) -> Result<TcpListener, Error> {
    bind(at).map_err(|error| {
        let so = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; stop the program that listens there (`cloakroom doctor` says more), or set another `listen` address"
            }
            io::ErrorKind::AddrNotAvailable => "; set `listen` to an address of this machine",
            io::ErrorKind::PermissionDenied => {
                "; ports below 1024 require a privilege, see docs/deploying.md"
            }
            _ => "",
        };
        Error::serving(format!("cannot listen on {at}: {error}{so}"))
    })
}

fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?; // sockets of the previous process do not block the address
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

/// Whether other machines can reach the service, directly or through a proxy.
pub fn faces_a_network(config: &Config) -> bool {
    !config.listen.ip().is_loopback() || !config.public_url.is_loopback()
}

/// Refuses to start on a network with demo users, and warns about them otherwise.
pub async fn warn_of_demo_users(config: &Config, domain: &AuthService) -> Result<(), Error> {
    let found = demo_users::has_demo_users(domain).await.map_err(|error| {
        let why = match error {
            LogInError::Internal(fault) => fault.to_string(),
            _ => "the passwords could not be verified in time".to_owned(),
        };
        Error::serving(format!(
            "cannot search for demo users: {why}; run `cloakroom doctor` to find the problem"
        ))
    })?;
    if found && faces_a_network(config) {
        return Err(Error::serving(
            "the database contains demo users with publicly known passwords; set new passwords \
             with `cloakroom user passwd`, or start with another data_dir",
        ));
    }
    if found {
        tracing::warn!("the database contains demo users with publicly known passwords");
    }
    Ok(())
}

/// Warns about a proxy on this machine that is not in `trusted_proxies`.
fn warn_of_unnamed_proxy(config: &Config) {
    let is_behind_one = config.listen.ip().is_loopback() && !config.public_url.is_loopback();
    if is_behind_one && config.trusted_proxies.is_empty() {
        tracing::warn!(
            "trusted_proxies is empty, so all clients seem to have the address of the proxy, and \
             failed attempts are not limited by address; add the address of the proxy to \
             trusted_proxies"
        );
    }
}

/// Warns that everyone who registers gets access to the apps.
fn warn_of_open_apps(config: &Config) {
    if config.opens_apps_to_all() {
        tracing::warn!("registration is {}", config.who_may_register());
    }
}

/// Warns that no mail can be sent, because the mail server asks for a password.
fn warn_of_missing_mail_password(config: &Config) {
    if config.mail.as_ref().is_some_and(config::Mail::lacks_password) {
        tracing::warn!(
            "mail.server names a user, but mail.password is not set, so mail waits in the outbox"
        );
    }
}

/// Warns that clients will refuse the certificate for the host of `public_url`.
fn warn_of_other_names(config: &Config, tls: &Tls) {
    let host = config.public_url.host();
    if !tls.names(&host) {
        tracing::warn!("the certificate is not valid for {host}, the host of public_url");
    }
}
