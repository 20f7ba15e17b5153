//! The shutdown of the service: background jobs end, and log no errors.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom::domain::jobs;
use tracing::Level;

use crate::app::TestApp;

/// Collects the log as text.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn att_19_19_nothing_complains_of_a_database_that_is_closed_at_the_end() {
    const OFTEN: Duration = Duration::from_millis(1);
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(Level::WARN);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let _logged_here = tracing::subscriber::set_default(subscriber);
    tracing::warn!("this is seen");
    assert!(log.text().contains("this is seen"));
    log.0.lock().unwrap().clear();

    let app = TestApp::new().await;
    app.signed_in("ann").await;
    app.domain.close_store().await;
    let domain = || Arc::downgrade(&app.domain);
    let all = async {
        tokio::join!(
            jobs::revocations::follow_revocations(domain()),
            jobs::cleanup::run_cleanup(domain(), OFTEN),
            jobs::hashes::calibrate_min_verify_time(domain(), OFTEN),
            jobs::count_sessions(domain()),
            jobs::keys::follow_keys(domain()),
            jobs::write_audit_log(domain()),
        )
    };
    tokio::time::timeout(Duration::from_mins(2), Box::pin(all)).await.expect("each of them ends");
    assert_eq!(log.text(), "");
}
