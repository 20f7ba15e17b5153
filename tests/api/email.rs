//! E-mail addresses: a code proves that the mailbox belongs to the user of the session.

use std::fs;
use std::time::Duration;

use cloakroom::config::Settings;
use cloakroom::core::clock::{hours, mins};
use cloakroom::domain::throttle::limits::Limits;
use futures_util::future::join_all;
use poem::http::{Method, header};
use serde_json::{Value, json};

use crate::app::{CHEAP, Client, PASSWORD, TestApp, request};

/// An app that writes its mail to files, with the limits of production.
pub async fn app_with_mail() -> TestApp {
    limited_app_with_mail(Limits::production()).await
}

pub async fn limited_app_with_mail(limits: Limits) -> TestApp {
    TestApp::build(Settings::from_toml("mail.server = 'file'").unwrap(), CHEAP, limits).await
}

/// The mails to an address, in any order.
pub fn mails_to(app: &TestApp, address: &str) -> Vec<String> {
    let Ok(folder) = fs::read_dir(app.data("mail")) else { return Vec::new() };
    let paths = folder.map(|entry| entry.unwrap().path());
    let texts = paths
        .filter(|path| path.extension().unwrap() == "eml")
        .map(|path| fs::read_to_string(path).unwrap());
    texts.filter(|text| text.contains(&format!("\r\nTo: {address}\r\n"))).collect()
}

/// Waits until the worker has sent or dropped every mail.
pub async fn all_sent(app: &TestApp) {
    let is_empty = async || app.count("select count(*) from mails").await == 0;
    assert!(app.eventually(is_empty).await, "mail stays in the outbox");
}

/// The code in a mail.
fn code_in(mail: &str) -> String {
    let (_, rest) = mail.split_once("/account/email?code=").unwrap();
    rest.split_once("\r\n").unwrap().0.to_owned()
}

/// The codes that were mailed to an address, in any order, as soon as there are that many.
pub async fn mailed_codes(app: &TestApp, address: &str, count: usize) -> Vec<String> {
    let with_code = || {
        let mails = mails_to(app, address).into_iter();
        mails.filter(|mail| mail.contains("?code=")).collect::<Vec<_>>()
    };
    let is_there = async || with_code().len() >= count;
    assert!(app.eventually(is_there).await, "{address} got {} codes", with_code().len());
    with_code().iter().map(|mail| code_in(mail)).collect()
}

/// The only code that was mailed to an address.
pub async fn mailed_code(app: &TestApp, address: &str) -> String {
    mailed_codes(app, address, 1).await.remove(0)
}

/// Requests a code for an address.
async fn change(client: &Client<'_>, address: &str) {
    let answer = client.put("/me/email", &json!({ "email": address })).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
}

async fn confirm(client: &Client<'_>, code: &str) -> (u16, String) {
    let answer = client.post("/me/email/confirm", &json!({ "code": code })).await;
    match answer.status.as_u16() {
        200 => (200, answer.json()["email"].as_str().unwrap().to_owned()),
        _ => answer.refusal(),
    }
}

fn refused() -> (u16, String) {
    (403, "code_refused".to_owned())
}

/// Confirms an address of a signed-in user.
pub async fn set_address(app: &TestApp, client: &Client<'_>, address: &str) {
    let before = mailed_codes(app, address, 0).await;
    change(client, address).await;
    let codes = mailed_codes(app, address, before.len() + 1).await;
    let code = codes.iter().find(|code| !before.contains(code)).unwrap();
    assert_eq!(confirm(client, code).await, (200, address.to_owned()));
}

async fn addresses(client: &Client<'_>) -> [Value; 2] {
    let me = client.get("/me").await.json();
    ["email", "unconfirmed_email"].map(|field| me[field].clone())
}

#[tokio::test]
async fn an_address_counts_when_its_code_is_confirmed_and_no_earlier() {
    let app = app_with_mail().await;
    let ann = app.signed_in("ann").await;
    assert_eq!(addresses(&ann).await, [Value::Null, Value::Null]);
    change(&ann, " Ann.Lee@Bücher.example ").await;
    let address = "Ann.Lee@xn--bcher-kva.example";
    assert_eq!(addresses(&ann).await, [Value::Null, json!(address)]);
    assert_eq!(app.anonymous().log_in(address, PASSWORD).await.status, 403);
    let code = mailed_code(&app, address).await;
    assert_eq!(confirm(&ann, "00000-00000").await, refused());
    let typed = code.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
    assert_eq!(confirm(&ann, &typed).await, (200, address.to_owned()));
    assert_eq!(addresses(&ann).await, [json!(address), Value::Null]);
    assert_eq!(confirm(&ann, &code).await, refused(), "a code works once");
    for spelling in [address, "ann.lee@BÜCHER.example", " ANN.LEE@xn--bcher-kva.example "] {
        let answer = app.anonymous().log_in(spelling, PASSWORD).await;
        assert_eq!(answer.status, 200, "{spelling}: {}", answer.text);
    }
    assert_eq!(app.anonymous().log_in(address, "wrong").await.refusal().1, "invalid_credentials");
    app.domain.audit.write(&app.domain.store, app.clock.now()).await.unwrap();
    let events =
        "select count(*) from events where account_id is not null and session_id is not null
        and event in ('email_change_requested', 'email_confirmed', 'code_refused')";
    assert_eq!(app.count(events).await, 3, "refusals are counted together");
}

#[tokio::test]
async fn another_node_shows_a_confirmed_address_within_a_second() {
    let app = app_with_mail().await;
    let there = app.second_node().await;
    let ann = app.signed_in("ann").await;
    let me = async || {
        let request = request(Method::GET, "/me").header("cookie", ann.cookie().unwrap());
        there.send(request.finish()).await.json()["email"].clone()
    };
    assert_eq!(me().await, Value::Null, "now it is in the cache of the other node");
    set_address(&app, &ann, "ann@example.org").await;
    assert!(app.eventually(async || me().await == "ann@example.org").await);
}

#[tokio::test]
async fn a_registration_with_an_address_sends_a_code_to_it() {
    let app = app_with_mail().await;
    let client = app.anonymous();
    let mut account =
        json!({ "username": "ann", "password": PASSWORD, "email": "ann＠example.org" });
    let answer = client.post("/register", &account).await;
    assert_eq!(answer.errors(), [("email".to_owned(), "not_allowed".to_owned())]);
    account["email"] = "ann@example.org".into();
    let answer = client.post("/register", &account).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["unconfirmed_email"], "ann@example.org");
    let code = mailed_code(&app, "ann@example.org").await;
    assert_eq!(confirm(&client, &code).await, (200, "ann@example.org".to_owned()));
    // An empty field of a form is no address.
    let bob = json!({ "username": "bob", "password": PASSWORD, "email": " " });
    assert_eq!(app.anonymous().post("/register", &bob).await.status, 201);
}

#[tokio::test]
async fn without_a_mail_server_no_address_is_taken() {
    let app = TestApp::new().await;
    let ann = app.signed_in("ann").await;
    let email = json!({ "email": "ann@example.org" });
    assert_eq!(ann.put("/me/email", &email).await.refusal(), (403, "mail_off".to_owned()));
    let bob = json!({ "username": "bob", "password": PASSWORD, "email": "bob@example.org" });
    let answer = app.anonymous().post("/register", &bob).await;
    assert_eq!(answer.refusal(), (403, "mail_off".to_owned()));
    assert_eq!(app.count("select count(*) from accounts").await, 1);
    assert_eq!(app.count("select count(*) from mails").await, 0);
    let page = ann.get("/account/email").await;
    assert!(page.text.contains("sends no mail") && !page.text.contains("Send a code"));
}

#[tokio::test]
async fn changing_the_address_requires_a_confirmed_session_and_confirming_it_does_not() {
    let app = app_with_mail().await;
    let ann = app.signed_in("ann").await;
    change(&ann, "ann@example.org").await;
    app.wait(mins(15));
    let email = json!({ "email": "ann@example.com" });
    let answer = ann.put("/me/email", &email).await;
    assert_eq!(answer.refusal(), (403, "confirmation_required".to_owned()));
    let code = mailed_code(&app, "ann@example.org").await;
    assert_eq!(confirm(&ann, &code).await.0, 200);
}

#[tokio::test]
async fn a_code_is_refused_after_a_day_and_after_another_address_or_password() {
    let app = app_with_mail().await;
    let ann = app.signed_in("ann").await;
    change(&ann, "ann@example.org").await;
    let code = mailed_code(&app, "ann@example.org").await;
    change(&ann, "ann@example.com").await;
    assert_eq!(confirm(&ann, &code).await, refused(), "it was for another address");
    change(&ann, "ANN@example.org").await;
    assert_eq!(confirm(&ann, &code).await.0, 200, "it is the same mailbox");

    let bob = app.signed_in("bob").await;
    change(&bob, "bob@example.org").await;
    let code = mailed_code(&app, "bob@example.org").await;
    let change_password =
        json!({ "current_password": PASSWORD, "new_password": "a long walk by the river" });
    assert_eq!(bob.put("/me/password", &change_password).await.status, 204);
    assert_eq!(confirm(&bob, &code).await, refused());

    app.signed_in("eve").await;
    let just_before = hours(24).saturating_sub(Duration::from_millis(1));
    for (address, age, status) in
        [("1@example.org", hours(24), 403), ("2@example.org", just_before, 200)]
    {
        change(&app.signed_in_again("eve").await, address).await;
        let code = mailed_code(&app, address).await;
        app.wait(age);
        let eve = app.signed_in_again("eve").await;
        assert_eq!(confirm(&eve, &code).await.0, status, "{address}");
    }
}

#[tokio::test]
async fn of_two_requests_with_one_code_one_succeeds() {
    let app = limited_app_with_mail(Limits::none()).await;
    let [ann, there] = [app.signed_in("ann").await, app.signed_in_again("ann").await];
    for n in 0..20 {
        let address = format!("ann{n}@example.org");
        change(&ann, &address).await;
        let code = mailed_code(&app, &address).await;
        let both = join_all([confirm(&ann, &code), confirm(&there, &code)]).await;
        let succeeded = both.iter().filter(|(status, _)| *status == 200).count();
        assert_eq!(succeeded, 1, "{both:?}");
        assert!(both.contains(&refused()), "{both:?}");
    }
}

#[tokio::test]
async fn of_two_accounts_that_confirm_one_address_at_once_one_succeeds() {
    let app = limited_app_with_mail(Limits::none()).await;
    let [ann, bob] = [app.signed_in("ann").await, app.signed_in("bob").await];
    for n in 0..10 {
        let address = format!("both{n}@example.org");
        change(&ann, &address).await;
        let first = mailed_codes(&app, &address, 1).await.remove(0);
        change(&bob, &address).await;
        let codes = mailed_codes(&app, &address, 2).await;
        let second = codes.into_iter().find(|code| *code != first).unwrap();
        let both = join_all([confirm(&ann, &first), confirm(&bob, &second)]).await;
        let mut statuses: Vec<_> = both.iter().map(|(status, _)| *status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{both:?}");
    }
}

#[tokio::test]
async fn mail_09_the_first_of_two_accounts_with_one_address_to_confirm_it_has_it() {
    let app = app_with_mail().await;
    let register = async |name: &str| {
        let client = app.anonymous();
        let account =
            json!({ "username": name, "password": PASSWORD, "email": "Both@example.org" });
        let answer = client.post("/register", &account).await;
        (client, answer)
    };
    let (ann, first) = register("ann").await;
    let code_of_ann = mailed_code(&app, "Both@example.org").await;
    let (bob, second) = register("bob").await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
    let codes = mailed_codes(&app, "Both@example.org", 2).await;
    let code_of_bob = codes.into_iter().find(|code| *code != code_of_ann).unwrap();
    assert_eq!(confirm(&bob, &code_of_bob).await.0, 200);
    assert_eq!(confirm(&ann, &code_of_ann).await, (409, "email_taken".to_owned()));
    assert_eq!(addresses(&ann).await, [Value::Null, json!("Both@example.org")]);
    // A registration with the address tells nothing.
    let (_, third) = register("carol").await;
    assert_eq!(third.status, 201);
    assert_eq!(app.anonymous().log_in("both@EXAMPLE.org", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn mail_10_a_code_for_the_account_of_another_person_confirms_nothing() {
    let app = app_with_mail().await;
    let mallory = app.anonymous();
    let account =
        json!({ "username": "mallory", "password": PASSWORD, "email": "ann@example.org" });
    assert_eq!(mallory.post("/register", &account).await.status, 201);
    let code = mailed_code(&app, "ann@example.org").await;
    let link = format!("/account/email?code={code}");
    // Ann follows the link without a session, and then signs in as herself.
    let answer = app.anonymous().get(&link).await;
    assert_eq!(answer.status, 303);
    let sign_in = answer.header("location").unwrap();
    assert!(sign_in.starts_with("/login?next=%2Faccount%2Femail%3Fcode%3D"), "{sign_in}");
    let ann = app.signed_in("ann").await;
    assert_eq!(ann.get(&link).await.status, 200);
    assert_eq!(confirm(&ann, &code).await, refused());
    change(&ann, "ann@example.org").await;
    assert_eq!(confirm(&ann, &code).await, refused(), "it is not the code of her account");
    assert_eq!(addresses(&mallory).await, [Value::Null, json!("ann@example.org")]);
}

#[tokio::test]
async fn mail_11_ten_codes_of_an_account_are_looked_at_in_a_quarter_of_an_hour() {
    let app = app_with_mail().await;
    let ann = app.signed_in("ann").await;
    change(&ann, "ann@example.org").await;
    let code = mailed_code(&app, "ann@example.org").await;
    let mut sessions = vec![ann];
    for _ in 0..9 {
        sessions.push(app.signed_in_again("ann").await);
    }
    let mut looked_at = 0;
    for _ in 0..180 {
        let tries = sessions.iter().map(|session| confirm(session, "00000-00000"));
        for answer in join_all(tries).await {
            match answer.0 {
                403 => looked_at += 1,
                status => assert_eq!(status, 429, "{answer:?}"),
            }
        }
        app.wait(Duration::from_secs(5));
    }
    assert_eq!(looked_at, 10);
    // The right code is accepted when the account may try again.
    app.wait(mins(15));
    assert_eq!(confirm(&sessions[0], &code).await.0, 200);
    assert_eq!(confirm(&sessions[0], "00000-00000").await, refused(), "the count began again");
}

#[tokio::test]
async fn mail_12_the_former_address_counts_until_the_new_one_is_confirmed_and_is_then_told() {
    let app = app_with_mail().await;
    let ann = app.signed_in("ann").await;
    set_address(&app, &ann, "old@example.org").await;
    change(&ann, "new@example.org").await;
    let status = async |address: &str| app.anonymous().log_in(address, PASSWORD).await.status;
    assert_eq!(status("old@example.org").await, 200);
    assert_eq!(status("new@example.org").await, 403);
    let code = mailed_code(&app, "new@example.org").await;
    assert_eq!(confirm(&ann, &code).await.0, 200);
    assert_eq!(status("old@example.org").await, 403);
    assert_eq!(status("new@example.org").await, 200);
    all_sent(&app).await;
    let mut told = mails_to(&app, "old@example.org");
    told.retain(|mail| !mail.contains("Somebody signed in"));
    assert_eq!(told.len(), 2, "a code, and a notice");
    let notice = told.iter().find(|mail| !mail.contains("?code=")).unwrap();
    let fact = "This account has another e-mail address now:\r\n\r\nann\r\n";
    assert!(notice.contains(fact) && !notice.contains("new@"), "{notice}");
    let got = mails_to(&app, "new@example.org");
    assert_eq!(got.iter().filter(|mail| !mail.contains("Somebody signed in")).count(), 1);
}

#[tokio::test]
async fn mail_13_registrations_send_three_codes_to_a_mailbox_and_then_one_an_hour() {
    let limits = Limits { mailbox: Limits::production().mailbox, ..Limits::none() };
    let app = limited_app_with_mail(limits).await;
    let register = async |n: u32| {
        let client = app.anonymous();
        let email = if n.is_multiple_of(2) { "ann@example.org" } else { "ANN@example.org" };
        let account =
            json!({ "username": format!("user{n}"), "password": PASSWORD, "email": email });
        assert_eq!(client.post("/register", &account).await.status, 201);
        client
    };
    let count =
        || mails_to(&app, "ann@example.org").len() + mails_to(&app, "ANN@example.org").len();
    for n in 0..100 {
        let client = register(n).await;
        if n < 10 {
            all_sent(&app).await;
            // Closing the account does not reset the count.
            assert_eq!(client.send(request(Method::DELETE, "/me").finish()).await.status, 204);
        }
    }
    all_sent(&app).await;
    assert_eq!(count(), 3);
    app.wait(mins(59));
    register(100).await;
    all_sent(&app).await;
    assert_eq!(count(), 3);
    app.wait(mins(1));
    register(101).await;
    register(102).await;
    all_sent(&app).await;
    assert_eq!(count(), 4);
    // Other mailboxes do not wait.
    let bob = app.signed_in("bob").await;
    change(&bob, "bob@example.org").await;
    mailed_code(&app, "bob@example.org").await;
}

#[tokio::test]
async fn mail_14_nothing_that_a_stranger_chooses_is_in_the_mail_to_an_address() {
    let app = app_with_mail().await;
    let account =
        json!({ "username": "evil.example", "password": PASSWORD, "email": "ann@example.org" });
    let register = request(Method::POST, "/register")
        .content_type("application/json")
        .header(header::USER_AGENT, "http://evil.example/ (Linux)")
        .body(account.to_string());
    assert_eq!(app.send(register).await.status, 201);
    mailed_code(&app, "ann@example.org").await;
    let mail = mails_to(&app, "ann@example.org").remove(0);
    assert!(!mail.contains("evil"), "{mail}");
    assert!(mail.contains("127.0.0.1:8000/account/email?code="), "{mail}");
}

#[tokio::test]
async fn mail_16_the_database_does_not_contain_a_code_that_was_mailed() {
    let app = app_with_mail().await;
    let ann = app.signed_in("ann").await;
    change(&ann, "ann@example.org").await;
    let code = mailed_code(&app, "ann@example.org").await;
    let rows = "select count(*) from proofs where account_id = (select id from accounts)";
    assert_eq!(app.count(rows).await, 1);
    if app.is_on_postgres() {
        return; // the files belong to the server
    }
    for name in ["cloakroom.db", "cloakroom.db-wal"] {
        let bytes = fs::read(app.data(name)).unwrap();
        assert!(bytes.windows(15).any(|bytes| bytes == b"ann@example.org") || name.len() == 12);
        for secret in [code.clone(), code.replace('-', "")] {
            let is_there = bytes.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
            assert!(!is_there, "{name} contains a code");
        }
    }
}

#[tokio::test]
async fn mail_22_failures_of_a_user_name_are_not_counted_for_the_address_of_the_account() {
    let app = app_with_mail().await;
    let ann = app.signed_in("ann").await;
    set_address(&app, &ann, "ann@example.org").await;
    let log_in = async |name: &str| app.anonymous().log_in(name, "wrong").await.refusal();
    for _ in 0..5 {
        assert_eq!(log_in("ann").await.0, 403);
    }
    assert_eq!(log_in("ann").await.0, 429);
    for name in ["ann@example.org", "nobody@example.org"] {
        assert_eq!(log_in(name).await, (403, "invalid_credentials".to_owned()), "{name}");
    }
    // An address has a count of its own, in all its spellings.
    for name in ["ANN@example.org", "ann@EXAMPLE.org", "Ann@example.org", "aNN@example.org"] {
        assert_eq!(log_in(name).await.0, 403);
    }
    assert_eq!(log_in("ann@example.org").await.0, 429);
}

#[tokio::test]
async fn the_page_of_the_address_requests_and_confirms_a_code_without_scripts() {
    let app = app_with_mail().await;
    let ann = app.signed_in("ann").await;
    let page = ann.get("/account/email").await;
    assert!(page.text.contains("autocomplete=\"email\"") && !page.text.contains("name=\"code\""));
    let wrong = ann.submit("/account/email", &[("email", "ann")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("value=\"ann\"") && wrong.text.contains("email-wrong"));
    let sent = ann.submit("/account/email", &[("email", "ann@example.org")]).await;
    assert_eq!((sent.status.as_u16(), sent.header("location")), (303, Some("/account/email")));
    let page = ann.get("/account/email").await;
    assert!(page.text.contains("A mail with a code is on its way"), "{}", page.text);
    let code = mailed_code(&app, "ann@example.org").await;
    for _ in 0..3 {
        let page = ann.get(&format!("/account/email?code={code}")).await;
        assert!(page.text.contains(&format!("value=\"{code}\"")), "{}", page.text);
        assert!(page.text.contains("autocomplete=\"one-time-code\""));
    }
    let refused = ann.submit("/account/email/confirm", &[("code", "00000-00000")]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("code-wrong"), "{}", refused.text);
    let done = ann.submit("/account/email/confirm", &[("code", &code)]).await;
    assert_eq!((done.status.as_u16(), done.header("location")), (303, Some("/account")));
    let account = ann.get("/account").await;
    assert!(account.text.contains("Your e-mail address was confirmed."));
    assert!(account.text.contains("ann@example.org"));

    // The session is no longer confirmed: the form asks for the password.
    app.wait(mins(15));
    let page = ann.get("/account/email").await;
    assert!(page.text.contains("name=\"current_password\""));
    let fields = [("email", "ann@example.com"), ("current_password", "wrong")];
    assert_eq!(ann.submit("/account/email", &fields).await.status, 403);
    let fields = [("email", "ann@example.com"), ("current_password", PASSWORD)];
    assert_eq!(ann.submit("/account/email", &fields).await.status, 303);
    let anonymous = app.anonymous().submit("/account/email", &fields).await;
    assert_eq!(anonymous.header("location"), Some("/login?next=%2Faccount%2Femail"));
}

#[tokio::test]
async fn the_sign_in_page_names_addresses_if_there_is_mail_and_the_registration_asks_for_one() {
    let app = app_with_mail().await;
    let page = app.anonymous().get("/login").await;
    assert!(page.text.contains("User name or e-mail address"));
    let page = app.anonymous().get("/register").await;
    assert!(page.text.contains("type=\"email\"") && page.text.contains(">User name<"));
    let client = app.anonymous();
    let fields = [("username", "ann"), ("password", PASSWORD), ("email", "ann@example")];
    let again = client.submit("/register", &fields).await;
    assert_eq!(again.status, 422);
    assert!(again.text.contains("value=\"ann@example\"") && again.text.contains("email-wrong"));
    let without = TestApp::new().await;
    let page = without.anonymous().get("/login").await;
    assert!(page.text.contains(">User name<") && !page.text.contains("e-mail"));
    assert!(!without.anonymous().get("/register").await.text.contains("type=\"email\""));
}
