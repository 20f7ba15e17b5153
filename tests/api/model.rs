//! Random sequences of session operations, compared with a simple model.

use std::collections::BTreeMap;
use std::time::Duration;

use cloakroom::core::clock::Timestamp;
use cloakroom::domain::jobs::cleanup;
use poem::http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::app::{Answer, START, TestApp, private_with, request};

const MINUTE: u64 = 60_000;

#[derive(Debug, Clone)]
enum Step {
    LogIn { remember: bool },
    Use(usize),
    LogOut(usize),
    Revoke(usize, usize),
    RevokeOthers(usize),
    Change(usize),
    Confirm(usize),
    Wait(u64),
    Restart,
    Clean,
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0..6_usize;
    prop_oneof![
        3 => any::<bool>().prop_map(|remember| Step::LogIn { remember }),
        4 => slot.clone().prop_map(Step::Use),
        1 => slot.clone().prop_map(Step::LogOut),
        1 => (slot.clone(), slot.clone()).prop_map(|(by, which)| Step::Revoke(by, which)),
        1 => slot.clone().prop_map(Step::RevokeOthers),
        1 => slot.clone().prop_map(Step::Change),
        2 => slot.prop_map(Step::Confirm),
        3 => prop_oneof![Just(1), Just(59), Just(8 * 60 - 1), Just(8 * 60), Just(24 * 60), 0..20_000_u64]
            .prop_map(Step::Wait),
        1 => Just(Step::Restart),
        1 => Just(Step::Clean),
    ]
}

/// The model: when a session began, when it was last seen, when the user last showed the password,
/// and how long it may last.
#[derive(Debug, Clone)]
struct Live {
    began: u64,
    seen: u64,
    confirmed: u64,
    remember: bool,
    cookie: String,
    id: String,
}

impl Live {
    fn is_confirmed(&self, now: u64) -> bool {
        now < self.confirmed + 15
    }

    fn is_in_force(&self, now: u64) -> bool {
        let (idle, absolute) =
            if self.remember { (14 * 24 * 60, 30 * 24 * 60) } else { (8 * 60, 24 * 60) };
        now < self.seen + idle && now < self.began + absolute
    }
}

/// Uses a cookie of the app. The result must match the model.
async fn agrees(app: &TestApp, live: &mut BTreeMap<usize, Live>, n: usize, now: u64) -> bool {
    let expected = live.get(&n).is_some_and(|session| session.is_in_force(now));
    if let Some(session) = live.get_mut(&n) {
        let answer = app.send(private_with(&[&session.cookie])).await;
        assert_eq!(answer.status == 200, expected, "session {n}: {session:?} at {now}");
        session.seen = if expected { now } else { session.seen };
    }
    if !expected {
        live.remove(&n);
    }
    expected
}

/// Sends a request with the cookie of a session.
async fn send(
    app: &TestApp,
    session: &Live,
    (method, path, body): (Method, &str, Option<Value>),
) -> Answer {
    let request = request(method, path).header("cookie", &session.cookie);
    app.send(match body {
        Some(body) => request.content_type("application/json").body(body.to_string()),
        None => request.finish(),
    })
    .await
}

async fn log_in(app: &TestApp, password: &str, remember: bool, now: u64) -> Live {
    let body = json!({ "username": "ann", "password": password, "remember": remember });
    let client = app.anonymous();
    let answer = client.post("/login", &body).await;
    assert_eq!(answer.status, 200);
    let id = answer.json()["session"]["id"].as_str().unwrap().to_owned();
    let cookie = client.cookie().unwrap();
    Live { began: now, seen: now, confirmed: now, remember, cookie, id }
}

/// Changes the password. Returns the new session.
async fn change(app: &TestApp, session: &Live, (old, new): (&str, &str), now: u64) -> Live {
    let body = json!({ "current_password": old, "new_password": new });
    let answer = send(app, session, (Method::PUT, "/me/password", Some(body))).await;
    assert_eq!(answer.status, 204);
    let session = Live { cookie: answer.cookie().unwrap(), ..session.clone() };
    let id = send(app, &session, (Method::GET, "/session", None)).await.json()["id"].clone();
    let id = id.as_str().unwrap().to_owned();
    Live { began: now, seen: now, confirmed: now, id, ..session }
}

/// Confirms a session. Returns the former cookie.
async fn confirm(app: &TestApp, session: &mut Live, password: &str, now: u64) -> String {
    let body = json!({ "current_password": password });
    let confirm = (Method::POST, "/session/confirm/password", Some(body));
    let answer = send(app, session, confirm).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["id"], session.id);
    session.confirmed = now;
    std::mem::replace(&mut session.cookie, answer.cookie().unwrap())
}

async fn live_through(steps: Vec<Step>) {
    let mut app = TestApp::new().await;
    app.signed_in("ann").await.post_nothing("/logout").await;
    let mut password = crate::app::PASSWORD.to_owned();
    let mut live: BTreeMap<usize, Live> = BTreeMap::new();
    let mut dead: Vec<String> = Vec::new();
    // Cookies that a confirmation replaced, which still work in the same minute.
    let mut replaced: Vec<String> = Vec::new();
    let mut now = 0;
    for (n, step) in steps.into_iter().enumerate() {
        match step {
            Step::LogIn { remember } => {
                let slot = n % 6;
                live.insert(slot, log_in(&app, &password, remember, now).await);
            }
            Step::Use(n) => {
                agrees(&app, &mut live, n, now).await;
            }
            Step::LogOut(n) => {
                if let Some(session) = live.remove(&n) {
                    let answer = send(&app, &session, (Method::POST, "/logout", None)).await;
                    assert_eq!(answer.status, 204);
                    dead.push(session.cookie);
                }
            }
            Step::Revoke(by, which) => {
                if agrees(&app, &mut live, by, now).await
                    && let Some(target) = live.get(&which).cloned()
                {
                    let path = format!("/sessions/{}", target.id);
                    let answer = send(&app, &live[&by], (Method::DELETE, &path, None)).await;
                    if target.id != live[&by].id && !live[&by].is_confirmed(now) {
                        assert_eq!(answer.refusal().1, "confirmation_required");
                        continue;
                    }
                    live.remove(&which);
                    dead.push(target.cookie);
                }
            }
            Step::RevokeOthers(by) => {
                if agrees(&app, &mut live, by, now).await {
                    let answer = send(&app, &live[&by], (Method::DELETE, "/sessions", None)).await;
                    if !live[&by].is_confirmed(now) {
                        assert_eq!(answer.refusal().1, "confirmation_required");
                        continue;
                    }
                    assert_eq!(answer.status, 200);
                    let kept = live.remove(&by).unwrap();
                    dead.extend(std::mem::take(&mut live).into_values().map(|one| one.cookie));
                    live.insert(by, kept);
                }
            }
            Step::Change(by) => {
                if agrees(&app, &mut live, by, now).await {
                    let new = format!("password number {n} of the model");
                    let changed = change(&app, &live[&by], (&password, &new), now).await;
                    password = new;
                    dead.extend(std::mem::take(&mut live).into_values().map(|one| one.cookie));
                    live.insert(by, changed);
                }
            }
            Step::Confirm(by) => {
                if agrees(&app, &mut live, by, now).await {
                    replaced.push(confirm(&app, live.get_mut(&by).unwrap(), &password, now).await);
                }
            }
            Step::Wait(minutes) => {
                crate::login::settle(&app).await; // the last use is recorded
                now += minutes;
                if minutes > 0 {
                    dead.append(&mut replaced);
                }
                let at = START.plus(Duration::from_millis(now * MINUTE));
                app.clock.set(Timestamp::from_millis(at.millis()));
            }
            Step::Restart => {
                crate::login::settle(&app).await;
                app.restarted().await;
            }
            Step::Clean => cleanup::remove_ended(&app.domain).await.unwrap(),
        }
        for cookie in &dead {
            assert_eq!(app.send(private_with(&[cookie])).await.status, 403);
        }
    }
    for n in 0..6 {
        agrees(&app, &mut live, n, now).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sessions_live_and_end_as_the_model_says(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live_through(steps));
    }
}
