mod visit;

use std::env;
use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use progenitor_client::{ByteStream, Error};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use visit::cloakroom::Client;
use visit::cloakroom::types::RegistrationEmail;
use visit::{connect, problem, visit};

const USERNAME: &str = "tiangolo";
const PASSWORD: &str = "secret2";

/// The status and the code of a refused call.
async fn refused<T: Debug>(answer: Result<T, Error<ByteStream>>) -> (u16, String) {
    let error = answer.expect_err("it was not refused");
    let status = error.status().map_or(0, |status| status.as_u16());
    let problem = problem(error).await.unwrap();
    assert_eq!(problem.status, i32::from(status));
    (status, problem.code.to_string())
}

/// A client that sends a token, and keeps cookies.
fn connect_with_token(url: &str, token: &str) -> Client {
    let value = format!("Bearer {token}").parse().unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    let http = reqwest::Client::builder().cookie_store(true).default_headers(headers);
    Client::new_with_client(url, http.build().unwrap())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = env::var("CLOAKROOM_URL").unwrap();
    // The code that the service sends for a wrong password.
    let wrong_password = env::var("WRONG_PASSWORD").unwrap();

    // A request without a session and a login with a wrong password are refused.
    let ann = connect(&url).unwrap();
    let answer = ann.read_private().send().await;
    assert_eq!(refused(answer).await, (401, "not_authenticated".to_owned()));
    let login = ann.login().body_map(|body| body.username(USERNAME).password("secret3"));
    assert_eq!(refused(login.send().await).await, (403, wrong_password.clone()));
    let message = visit(&url, USERNAME, "secret3").await.unwrap_err();
    let words = if wrong_password == "invalid_credentials" { "Wrong user" } else { "403 " };
    assert!(message.starts_with(words), "{message}");

    // Two devices sign in, and the second one revokes the session of the first.
    let login = ann.login().body_map(|body| body.username(USERNAME).password(PASSWORD).remember(true));
    let there = login.send().await.unwrap();
    assert!(there.ok);
    assert_eq!(*ann.read_private().send().await.unwrap().username, USERNAME);
    let here = connect(&url).unwrap();
    here.login().body_map(|body| body.username(USERNAME).password(PASSWORD)).send().await.unwrap();
    let page = here.list_sessions().send().await.unwrap();
    let listed = page.sessions.iter().find(|session| session.id == there.session.id).unwrap();
    assert!(listed.remember && !listed.current);
    let age = chrono::Utc::now() - listed.created_at;
    assert!(age.num_seconds().abs() < 60, "{age}");
    let ended = here.revoke_session().id(listed.id.as_str()).send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    let answer = here.revoke_session().id(listed.id.as_str()).send().await;
    assert_eq!(refused(answer).await, (404, "not_found".to_owned()));
    let answer = ann.read_private().send().await;
    assert_eq!(refused(answer).await, (403, "session_refused".to_owned()));
    assert_eq!(*here.read_private().send().await.unwrap().username, USERNAME);

    // The README's program revokes that session too, and its own at the end.
    assert_eq!(visit(&url, USERNAME, PASSWORD).await.unwrap(), "get some private data");
    let answer = here.read_private().send().await;
    assert_eq!(refused(answer).await, (403, "session_refused".to_owned()));

    // A new user registers, changes the password and closes the account.
    let bob = connect(&url).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let name = format!("rs-late-{now:x}");
    let old = "a long walk by the river";
    let new = "a short walk by the sea";
    let register = bob.register().body_map(|body| body.username(name.as_str()).password(old));
    let made = register.send().await.unwrap();
    assert_eq!(*made.username, name);
    let other = connect(&url).unwrap();
    let again = other.register().body_map(|body| body.username(name.as_str()).password(old));
    assert_eq!(refused(again.send().await).await, (409, "username_taken".to_owned()));
    let change = bob.change_password().body_map(|body| body.current_password(old).new_password(new));
    assert_eq!(change.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(bob.get_me().send().await.unwrap().id, made.id);

    // This user has neither of the roles that a proxy asks for.
    let roles = ["wiki-editor", "wiki-admin"].map(|role| role.parse().unwrap());
    let answer = bob.forward_auth().role(roles).send().await;
    assert_eq!(refused(answer).await, (403, "role_needed".to_owned()));

    // This user signed in too long ago, so the client confirms the session and repeats the request.
    let answer = bob.close_account().send().await;
    assert_eq!(refused(answer).await, (403, "confirmation_required".to_owned()));
    let confirm = bob.confirm_with_password().body_map(|body| body.current_password(new));
    assert!(confirm.send().await.unwrap().confirmed_until.is_some());

    // TOK-16: a program needs only the token. If a client also has a cookie, the token decides.
    let token = bob.create_api_token().body_map(|body| body.name("Nightly build"));
    let token = token.send().await.unwrap();
    let program = connect_with_token(&url, &token.token);
    assert_eq!(*program.read_private().send().await.unwrap().username, name);
    let both = connect_with_token(&url, &token.token);
    let login = both.login().body_map(|body| body.username(USERNAME).password(PASSWORD));
    assert!(login.send().await.unwrap().ok);
    assert_eq!(*both.get_me().send().await.unwrap().username, name);
    let answer = both.list_api_tokens().send().await;
    assert_eq!(refused(answer).await, (401, "token_refused".to_owned()));
    bob.revoke_api_token().id(token.id.as_str()).send().await.unwrap();
    let answer = program.read_private().send().await;
    assert_eq!(refused(answer).await, (401, "token_refused".to_owned()));
    let answer = both.get_me().send().await;
    assert_eq!(refused(answer).await, (401, "token_refused".to_owned()));
    assert_eq!(*bob.get_me().send().await.unwrap().username, name);

    // The confirmed session closes the account.
    bob.close_account().send().await.unwrap();
    let answer = bob.get_me().send().await;
    assert_eq!(refused(answer).await, (401, "not_authenticated".to_owned()));

    if let Ok(mailbox) = env::var("MAILBOX") {
        recover(&url, &mailbox, &format!("rs-{now:x}")).await;
    }
}

/// A user confirms an address with the code from a mail, and sets a new password with the link from
/// another.
async fn recover(url: &str, mailbox: &str, name: &str) {
    let (old, new) = ("a long walk by the river", "a short walk by the sea");
    let email = format!("{name}@example.org");
    let mailed = async |secret: &str| {
        reqwest::get(format!("{mailbox}/{secret}/{email}")).await.unwrap().text().await.unwrap()
    };
    let cleo = connect(url).unwrap();
    let register = cleo.register();
    let address: RegistrationEmail = email.parse().unwrap();
    let register = register.body_map(|body| body.username(name).password(old).email(address));
    assert!(register.send().await.unwrap().unconfirmed_email.is_some());
    let code = mailed("code").await;
    let confirmed = cleo.confirm_email().body_map(|body| body.code(code)).send().await.unwrap();
    assert!(confirmed.email.is_some() && confirmed.unconfirmed_email.is_none());
    let forgetful = connect(url).unwrap();
    let request = forgetful.request_password_reset().body_map(|body| body.username(email.clone()));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
    let token = mailed("token").await;
    let reset = || {
        let reset = forgetful.reset_password();
        reset.body_map(|body| body.token(token.clone()).new_password(new)).send()
    };
    assert_eq!(reset().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(refused(reset().await).await, (403, "reset_refused".to_owned()));
    let answer = cleo.get_me().send().await;
    assert_eq!(refused(answer).await, (403, "session_refused".to_owned()));
    let login = forgetful.login().body_map(|body| body.username(email.clone()).password(new));
    assert!(login.send().await.unwrap().ok);
}
