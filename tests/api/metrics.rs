//! The metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use cloakroom::config::{CommaList, Settings};
use poem::http::StatusCode;
use serde_json::json;

use crate::app::{PASSWORD, TestApp, private_with};

/// All samples of the page with their labels, parsed strictly.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let mut lines: Vec<&str> = page.lines().collect();
    assert_eq!(lines.pop(), Some("# EOF"));
    let mut families = Vec::new();
    let mut samples = BTreeMap::new();
    for line in lines {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            match (kind, words.next().unwrap()) {
                ("TYPE", kind) => {
                    assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                    assert!(!families.contains(&name), "twice: {line}");
                    families.push(name);
                }
                ("HELP", help) => assert!(!help.is_empty(), "{line}"),
                other => panic!("{other:?}"),
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let labels = labels.strip_suffix('}').unwrap();
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (key, value) = label.split_once('=').unwrap();
            assert!(key.bytes().all(|byte| byte.is_ascii_lowercase()), "{line}");
            let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.+".contains(c);
            assert!(value.chars().all(is_plain), "{line}");
        }
        assert!(name.starts_with(families.last().unwrap()), "{line}");
        assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "{line}");
    }
    samples
}

#[tokio::test]
async fn sessions_in_force_are_counted() {
    let mut app = TestApp::new().await;
    app.signed_in("ann").await;
    app.signed_in("bob").await.post_nothing("/logout").await;
    app.signed_in_again("bob").await;
    app.restarted().await; // counted at startup, and every half minute
    assert!(app.eventually(async || app.metrics().await.contains("cloakroom_sessions 2\n")).await);
    app.wait(Duration::from_hours(8));
    app.signed_in_again("ann").await;
    app.restarted().await;
    assert!(app.eventually(async || app.metrics().await.contains("cloakroom_sessions 1\n")).await);
}

#[tokio::test]
async fn the_counters_say_what_happened() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    // Until the revocation feed is connected, each token is looked up in the database.
    let (mut reads, hits) = (0, &app.domain.counters.hits);
    while reads < 3 || hits.get() == 0 {
        assert_eq!(ann.get("/private").await.status, StatusCode::OK);
        reads += 1;
        tokio::time::sleep(Duration::from_millis(1)).await; // the feed connects meanwhile
    }
    let (reads, found) = (f64::from(reads), f64::from(u32::try_from(hits.get()).unwrap()));
    let anonymous = app.anonymous();
    assert_eq!(anonymous.get("/private").await.status, StatusCode::UNAUTHORIZED);
    app.send(private_with(&["session=canary"])).await;
    for _ in 0..6 {
        anonymous.log_in("ann", "canary but wrong").await;
    }
    app.signed_in("bob").await.post("/login", &json!({})).await;
    assert_eq!(anonymous.get("/canary").await.status, StatusCode::NOT_FOUND);
    app.signed_in_again("bob").await.post_nothing("/logout").await;

    let page = app.metrics().await;
    for secret in ["canary", "ann", "bob", PASSWORD] {
        assert!(!page.contains(secret), "{secret} is in {page}");
    }
    let samples = samples(&page);
    for (sample, value) in [
        (r#"cloakroom_requests_total{operation="readPrivate",status="200"}"#, reads),
        (r#"cloakroom_requests_total{operation="readPrivate",status="401"}"#, 1.0),
        (r#"cloakroom_requests_total{operation="readPrivate",status="403"}"#, 1.0),
        (r#"cloakroom_requests_total{operation="register",status="201"}"#, 2.0),
        (r#"cloakroom_requests_total{operation="login",status="200"}"#, 1.0),
        (r#"cloakroom_requests_total{operation="login",status="400"}"#, 1.0),
        (r#"cloakroom_requests_total{operation="login",status="403"}"#, 5.0),
        (r#"cloakroom_requests_total{operation="login",status="429"}"#, 1.0),
        (r#"cloakroom_requests_total{operation="logout",status="204"}"#, 1.0),
        (r#"cloakroom_requests_total{operation="other",status="404"}"#, 1.0),
        (r#"cloakroom_request_seconds_count{operation="readPrivate"}"#, reads + 2.0),
        (r#"cloakroom_request_seconds_bucket{le="+Inf",operation="readPrivate"}"#, reads + 2.0),
        (r#"cloakroom_logins_total{outcome="succeeded"}"#, 1.0),
        (r#"cloakroom_logins_total{outcome="refused"}"#, 5.0),
        (r#"cloakroom_logins_total{outcome="throttled"}"#, 1.0),
        ("cloakroom_hash_queue", 0.0),
        ("cloakroom_hash_refusals_total", 0.0),
        ("cloakroom_connections", 0.0),
        ("process_start_time_seconds", 1_767_225_600.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample} in {page}");
    }
    let recognitions =
        |result| samples[&format!(r#"cloakroom_recognitions_total{{result="{result}"}}"#)];
    assert!(recognitions("hit") >= found, "{page}");
    assert!((recognitions("hit") + recognitions("miss") - reads - 1.0).abs() < 0.5, "{page}");
    assert!(samples["process_resident_memory_bytes"] > 1e6);
    let pool = if app.is_on_postgres() { "all" } else { "writer" };
    let open = |state| {
        samples[&format!(r#"cloakroom_database_connections{{pool="{pool}",state="{state}"}}"#)]
    };
    assert!(open("in_use") + open("idle") > 0.5, "it has a connection");
    if !app.is_on_postgres() {
        let waited = samples["cloakroom_database_wait_seconds_count"];
        assert!(waited > 5.0, "each sign-in writes: {waited}");
        assert!(samples["cloakroom_database_wait_seconds_sum"] > 0.0);
    }
    assert!(samples.len() < 400, "{}", samples.len());
}

#[tokio::test]
async fn att_17_12_metrics_are_answered_under_addresses_localhost_and_allowed_hosts_only() {
    let settings = Settings {
        public_url: Some("https://id.example.org".to_owned()),
        allowed_hosts: Some(CommaList::from("cloakroom, .monitoring.svc")),
        ..Settings::default()
    };
    let app = TestApp::with(settings).await;
    for (host, status) in [
        ("127.0.0.1:9100", 200),
        ("10.1.2.3:9100", 200), // Prometheus on Kubernetes uses the addresses of pods
        ("[::1]:9100", 200),
        ("localhost:9100", 200),
        ("cloakroom:9100", 200),
        ("cloakroom.monitoring.svc:9100", 200),
        ("id.example.org", 421),
        ("evil.example:9100", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 400),
    ] {
        let (answered, page) = app.metrics_at(host).await;
        assert_eq!(answered, status, "{host:?}");
        assert_eq!(page.contains("cloakroom_logins"), status == 200, "{host:?}");
    }
}
