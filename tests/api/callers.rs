//! Every operation of the document is tried by each kind of caller. What must happen is derived from
//! the document, so an operation that is added later is tried, too.

use cloakroom::core::clock::mins;
use poem::Request;
use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{Answer, TestApp};
use crate::completeness::{accepts, can_need_a_role, example, operations};

/// A kind of caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// Sends no credentials.
    Anonymous,
    /// Sends a session cookie that this service has not issued.
    WithForeignCookie,
    /// Has a session, and no role.
    SignedIn,
    /// Has a session that was confirmed more than 15 minutes ago, and no role.
    Unconfirmed,
    /// Sends a valid API token without a role.
    WithToken,
    /// Sends an API token that does not exist.
    WithUnknownToken,
    /// Sends an API token that does not exist, and the cookie of a session.
    SignedInWithUnknownToken,
}

const CALLERS: [Caller; 7] = [
    Caller::Anonymous,
    Caller::WithForeignCookie,
    Caller::SignedIn,
    Caller::Unconfirmed,
    Caller::WithToken,
    Caller::WithUnknownToken,
    Caller::SignedInWithUnknownToken,
];

/// What the document says about the callers of an operation.
#[expect(clippy::struct_excessive_bools, reason = "callers depend on each of these alone")]
struct Access {
    needs_session: bool,
    needs_role: bool,
    needs_confirmation: bool,
    accepts_tokens: bool,
    /// Proxies treat 401 as "sign in", so an operation for them does not answer 403 for a cookie.
    is_for_proxies: bool,
}

impl Access {
    fn of(operation: &Value) -> Self {
        let security = operation["security"].as_array().unwrap();
        let is_guarded = security.iter().any(|one| one.get("session").is_some());
        Self {
            needs_session: is_guarded && !security.contains(&json!({})),
            needs_role: operation.get("x-required-roles").is_some(),
            needs_confirmation: accepts(operation, "403", "confirmation_required"),
            // `forwardAuth` accepts them if the address of the check says so.
            accepts_tokens: security.iter().any(|one| one.get("apiToken").is_some())
                && operation["operationId"] != "forwardAuth",
            is_for_proxies: operation["operationId"] == "forwardAuth",
        }
    }

    /// The refusal of a caller, or `None` if the guard lets it in.
    fn refusal(&self, caller: Caller) -> Option<(u16, &'static str)> {
        match caller {
            Caller::Anonymous if self.needs_session => Some((401, "not_authenticated")),
            Caller::WithForeignCookie if self.needs_session && self.is_for_proxies => {
                Some((401, "not_authenticated"))
            }
            Caller::WithForeignCookie if self.needs_session => Some((403, "session_refused")),
            Caller::WithToken if self.needs_session && !self.accepts_tokens => {
                Some((401, "token_refused"))
            }
            Caller::WithUnknownToken | Caller::SignedInWithUnknownToken if self.needs_session => {
                Some((401, "token_refused"))
            }
            Caller::SignedIn | Caller::Unconfirmed | Caller::WithToken if self.needs_role => {
                Some((403, "role_needed"))
            }
            Caller::Unconfirmed if self.needs_confirmation => Some((403, "confirmation_required")),
            Caller::Anonymous
            | Caller::WithForeignCookie
            | Caller::SignedIn
            | Caller::Unconfirmed
            | Caller::WithToken
            | Caller::WithUnknownToken
            | Caller::SignedInWithUnknownToken => None,
        }
    }
}

/// The codes with which a guard refuses a request.
const OF_GUARDS: [&str; 5] = [
    "not_authenticated",
    "session_refused",
    "role_needed",
    "confirmation_required",
    "token_refused",
];

/// A token with a valid checksum that no service has created.
const UNKNOWN: &str = "Bearer clk_00000000000000000000000000000000000000000012H4qbl";

async fn try_as(caller: Caller, request: Request) -> Answer {
    // A new app for each request, because an operation may end the session or close the account.
    let app = TestApp::new().await;
    match caller {
        Caller::Anonymous => app.send(request).await,
        Caller::WithForeignCookie => {
            let mut request = request;
            request.headers_mut().insert("cookie", "session=made.up.one".parse().unwrap());
            app.send(request).await
        }
        Caller::SignedIn => app.signed_in("ann").await.send(request).await,
        Caller::Unconfirmed => {
            let ann = app.signed_in("ann").await;
            app.wait(mins(15));
            ann.send(request).await
        }
        Caller::WithToken => {
            let ann = app.signed_in("ann").await;
            let created = ann.post("/api-tokens", &json!({ "name": "x" })).await.json();
            let token = format!("Bearer {}", created["token"].as_str().unwrap());
            let mut request = request;
            request.headers_mut().insert("authorization", token.parse().unwrap());
            app.send(request).await
        }
        Caller::WithUnknownToken | Caller::SignedInWithUnknownToken => {
            let mut request = request;
            request.headers_mut().insert("authorization", UNKNOWN.parse().unwrap());
            match caller {
                Caller::WithUnknownToken => app.send(request).await,
                _ => app.signed_in("ann").await.send(request).await,
            }
        }
    }
}

#[tokio::test]
async fn each_kind_of_caller_is_let_in_or_refused_as_the_document_says() {
    for (method, path, operation) in operations() {
        let access = Access::of(operation);
        for caller in CALLERS {
            let asked = example(&method, &path, operation);
            let answer = try_as(caller, asked).await;
            let context = format!("{method} {path} by {caller:?}");
            let code = (answer.status >= StatusCode::BAD_REQUEST).then(|| answer.refusal());
            if let Some((status, name)) = access.refusal(caller) {
                assert_eq!(code, Some((status, name.into())), "{context}");
            } else {
                let code = code.map(|(_, name)| name).unwrap_or_default();
                assert!(!OF_GUARDS.contains(&code.as_str()), "{context}: {code}");
            }
        }
    }
}

#[test]
fn rol_09_only_an_operation_that_needs_a_role_has_the_code_the_sentence_and_the_extension() {
    for (method, path, operation) in operations() {
        let roles = operation["x-required-roles"].as_array();
        let by_proxy = operation["operationId"] == "forwardAuth";
        assert_eq!(can_need_a_role(operation), roles.is_some() || by_proxy, "{method} {path}");
        let description = operation["description"].as_str().unwrap_or_default();
        let says_so = description.contains("Requires the role `")
            || description.contains("Requires one of the roles `");
        assert_eq!(says_so, roles.is_some(), "{method} {path}");
        for role in roles.into_iter().flatten() {
            let named = format!("`{}`", role.as_str().unwrap());
            assert!(description.contains(&named), "{method} {path}: {named}");
        }
    }
    assert!(operations().iter().any(|(method, _, _)| method == Method::GET), "there are some");
}
