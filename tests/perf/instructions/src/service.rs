//! The measured server: a bare poem endpoint and the whole service, both behind Cloakroom's own
//! accept loop.
//!
//! The service is that of the release build with these differences, so that only answering is
//! counted:
//!
//! - The background tasks (audit log, cleaning, key files, revocation feed) do not run, and the
//!   cache is told that it has read the revocation feed until tomorrow.
//! - Passwords are hashed with the cheapest parameters of Argon2id: 8 KiB, one pass.
//! - Attempts are counted as usual, but none is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom::app::{self, Environment};
use cloakroom::config::{Config, Settings};
use cloakroom::domain::passwords::cost::Argon2Params;
use cloakroom::domain::throttle::limits::Limits;
use cloakroom::server::{self, ServerOptions};
use poem::EndpointExt;
use tokio::net::TcpListener;

const CHEAPEST: Argon2Params = Argon2Params { memory_kib: 8, passes: 1, lanes: 1 };
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Serves until the process is killed. Prints the addresses of the bare endpoint and of the
/// service.
pub fn serve(folder: &str) {
    // one worker: with two, the number of instructions depends on which of them is awake
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (hello, hello_at) = listen().await;
        let (service, service_at) = listen().await;
        let endpoint = poem::endpoint::make(|_| async { "hello" }).map_to_response().boxed();
        let hello =
            server::serve(hello, endpoint, ServerOptions::default(), std::future::pending());
        let mut settings = Settings {
            data_dir: Some(folder.into()),
            public_url: Some(format!("http://{service_at}")),
            ..Settings::default()
        };
        settings.passwords.threads = Some(1);
        let config = Config::check(settings).expect("settings that are valid");
        let real = Environment::real(&config);
        let cheap = Environment { hash_cost: CHEAPEST, limits: Limits::none(), ..real };
        let domain = app::open(&config, cheap).await.expect("a new database");
        domain.session_cache.feed_read(Instant::now() + DAY);
        let endpoint = app::build_endpoint(&config, Arc::new(domain), false, Arc::default());
        let service =
            server::serve(service, endpoint, ServerOptions::default(), std::future::pending());
        tokio::spawn(hello);
        println!("{hello_at} {service_at}");
        service.await;
    });
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a socket has an address").to_string();
    (listener, address)
}
