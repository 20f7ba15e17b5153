//! Registration.

use cloakroom::config::{PasswordSettings, Registration, Settings};
use cloakroom::core::usernames::RESERVED;
use poem::http::Method;
use serde_json::json;

use crate::app::{Answer, PASSWORD, TestApp, request};
use crate::races::rounds;

#[tokio::test]
async fn registering_makes_an_account_and_signs_it_in() {
    let app = TestApp::new().await;
    let client = app.anonymous();
    let body = json!({ "username": "Ann", "password": PASSWORD });
    let answer = client.post("/register", &body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json()["username"], "ann");
    assert_eq!(answer.json()["created_at"], "2026-01-01T00:00:00Z");
    assert_eq!(client.get("/me").await.json(), answer.json());
}

#[tokio::test]
async fn a_name_is_given_once_whatever_its_capitals() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for name in ["ann", "Ann", "ANN"] {
        let body = json!({ "username": name, "password": "another long password" });
        let answer = app.anonymous().post("/register", &body).await;
        assert_eq!(answer.refusal(), (409, "username_taken".into()));
        assert!(answer.header("set-cookie").is_none());
    }
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn pwd_09_of_many_who_want_one_name_at_once_one_gets_it() {
    let app = TestApp::new().await;
    for round in 0..rounds(10) {
        let body = json!({ "username": format!("ann{round}"), "password": PASSWORD });
        let clients: Vec<_> = (0..32).map(|_| app.anonymous()).collect();
        let answers = clients.iter().map(|client| client.post("/register", &body));
        let answers = futures_util::future::join_all(answers).await;
        let of = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((of(201), of(409)), (1, 31));
        let accounts = app.count("select count(*) from accounts").await;
        assert_eq!(usize::try_from(accounts).unwrap(), round + 1);
    }
}

#[tokio::test]
async fn what_breaks_a_rule_is_said_field_by_field() {
    let app = TestApp::new().await;
    let long = "x".repeat(257);
    let wide = "x".repeat(65);
    for (username, password, errors) in [
        ("ann", "short", vec![("password", "too_short")]),
        ("ann", "fourteen chars", vec![("password", "too_short")]),
        ("ann", &long, vec![("password", "too_long")]),
        ("ann", "a bell \u{7} rings in here", vec![("password", "not_allowed")]),
        ("", PASSWORD, vec![("username", "too_short")]),
        (&wide, PASSWORD, vec![("username", "too_long")]),
        ("ann lee", PASSWORD, vec![("username", "not_allowed")]),
        (" ", PASSWORD, vec![("username", "too_short")]),
        (&format!("{:65}", "ann"), PASSWORD, vec![("username", "too_long")]),
        ("аnn", PASSWORD, vec![("username", "not_allowed")]),
        ("a\0nn", "x", vec![("username", "not_allowed"), ("password", "too_short")]),
    ] {
        let body = json!({ "username": username, "password": password });
        let answer = app.anonymous().post("/register", &body).await;
        assert_eq!(answer.refusal(), (422, "policy_violation".into()), "{body}");
        let expected: Vec<_> =
            errors.into_iter().map(|(field, code)| (field.to_owned(), code.to_owned())).collect();
        assert_eq!(answer.errors(), expected, "{body}");
        assert!(!answer.text.contains(PASSWORD));
    }
}

#[tokio::test]
async fn pwd_02_a_password_of_1024_bytes_is_taken_and_one_more_is_not() {
    let app = TestApp::new().await;
    let longest: String = "🦀🦞🦐🦑🐙🐚🪸🪼".chars().cycle().take(256).collect();
    let body = json!({ "username": "ann", "password": longest });
    assert_eq!(app.anonymous().post("/register", &body).await.status, 201);
    assert_eq!(app.anonymous().log_in("ann", &longest).await.status, 200);
    let body = json!({ "username": "bob", "password": format!("{longest}x") });
    assert_eq!(app.anonymous().post("/register", &body).await.errors()[0].1, "too_long");
}

#[tokio::test]
async fn pwd_03_a_password_is_the_same_however_its_letters_are_composed() {
    let app = TestApp::new().await;
    let body = json!({ "username": "ann", "password": "Åströmåströmåström" });
    assert_eq!(app.anonymous().post("/register", &body).await.status, 201);
    let decomposed = "A\u{30a}stro\u{308}ma\u{30a}stro\u{308}ma\u{30a}stro\u{308}m";
    assert_eq!(app.anonymous().log_in("ann", decomposed).await.status, 200);
}

#[tokio::test]
async fn pwd_03_the_length_of_a_password_is_that_of_its_composed_form() {
    let app = TestApp::new().await;
    let body = json!({ "username": "ann", "password": "Åström".repeat(40) });
    assert_eq!(app.anonymous().post("/register", &body).await.status, 201);
    let decomposed = "A\u{30a}stro\u{308}m".repeat(40); // 320 characters as typed
    assert_eq!(app.anonymous().log_in("ann", &decomposed).await.status, 200);
    let eight = json!({ "username": "bob", "password": "e\u{301}".repeat(8) });
    assert_eq!(app.anonymous().post("/register", &eight).await.errors()[0].1, "too_short");
}

#[tokio::test]
async fn nobody_registers_where_registration_is_closed() {
    let settings = Settings { registration: Some(Registration::Closed), ..Settings::default() };
    let app = TestApp::with(settings).await;
    let body = json!({ "username": "ann", "password": PASSWORD });
    let answer = app.anonymous().post("/register", &body).await;
    assert_eq!(answer.refusal(), (403, "registration_closed".into()));
    assert_eq!(app.anonymous().log_in("ann", PASSWORD).await.status, 403);
}

#[tokio::test]
async fn what_guessers_try_first_is_refused_with_a_code_and_a_sentence() {
    let app = TestApp::new().await;
    for (password, code, sentence) in [
        ("john.smith 12345", "name_based", "Choose a few unrelated words"),
        ("Cloakroom-123456", "name_based", "the name of this service"),
        ("127.0.0.1 127.0.0.1", "name_based", "the name of this service"),
        ("aaaaaaaaaaaaaaaa", "repetitive", "repeats the same few characters"),
        ("qwertyuiop12345", "sequential", "a keyboard"),
        ("WillSkateForFood", "common", "This password is widely used"),
    ] {
        let body = json!({ "username": "John.Smith", "password": password });
        let answer = app.anonymous().post("/register", &body).await;
        assert_eq!(answer.refusal(), (422, "policy_violation".into()), "{password}");
        assert_eq!(answer.errors(), [("password".into(), code.into())], "{password}");
        let detail = answer.json()["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(sentence), "{detail}");
    }
    let client = app.signed_in("john.smith").await;
    for (new, code) in [
        ("john.smith 12345", "name_based"),
        ("WillSkateForFood", "common"),
        (PASSWORD, "unchanged"),
        ("too short", "too_short"),
    ] {
        let body = json!({ "current_password": PASSWORD, "new_password": new });
        let answer = client.put("/me/password", &body).await;
        assert_eq!(answer.refusal(), (422, "policy_violation".into()), "{new}");
        assert_eq!(answer.errors(), [("new_password".into(), code.into())], "{new}");
    }
    assert_eq!(app.anonymous().log_in("john.smith", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn the_fewest_characters_are_a_setting_that_the_served_document_states() {
    for (fewest, too_short, enough) in [
        (8, "7 chars", "8 chars!"),
        (15, "fourteen chars", "fifteen chars!!"),
        (40, "correct horse battery staple", "correct horse battery staple and a raven"),
    ] {
        let passwords = PasswordSettings { min_length: Some(fewest), ..Default::default() };
        let app = TestApp::with(Settings { passwords, ..Settings::default() }).await;
        let document = app.anonymous().get("/openapi.json").await.json();
        let page = app.anonymous().get("/register").await.text;
        assert!(page.contains(&format!("At least {fewest} characters")));
        for (schema, field) in [("Registration", "password"), ("PasswordChange", "new_password")] {
            let schema = &document["components"]["schemas"][schema];
            assert_eq!(schema["properties"][field]["minLength"], fewest);
            let example = schema["example"][field].as_str().unwrap();
            assert!(example.chars().count() >= fewest, "{example}");
        }
        let register = async |password: &str| {
            let body = json!({ "username": "ann", "password": password });
            app.anonymous().post("/register", &body).await
        };
        let refused = register(too_short).await;
        assert_eq!(refused.errors(), [("password".into(), "too_short".into())]);
        assert!(refused.text.contains(&format!("at least {fewest} characters")));
        assert_eq!(register("password").await.status, 422);
        assert_eq!(register(enough).await.status, 201);
        let example = &document["components"]["schemas"]["Registration"]["example"];
        assert_eq!(app.anonymous().post("/register", example).await.status, 201);
    }
}

#[tokio::test]
async fn at_eight_characters_the_whole_list_of_common_passwords_is_in_force() {
    let passwords = PasswordSettings { min_length: Some(8), ..Default::default() };
    let app = TestApp::with(Settings { passwords, ..Settings::default() }).await;
    for common in ["Football", "sunshine", "trustno1", "P@ssw0rd", "iloveyou2", "starwars"] {
        let body = json!({ "username": "ann", "password": common });
        let answer = app.anonymous().post("/register", &body).await;
        assert_eq!(answer.errors(), [("password".into(), "common".into())], "{common}");
    }
}

async fn register(app: &TestApp, username: &str) -> Answer {
    let body = json!({ "username": username, "password": PASSWORD });
    app.anonymous().post("/register", &body).await
}

#[tokio::test]
async fn pwd_04_a_nul_is_refused_and_never_cuts_anything_off() {
    let app = TestApp::new().await;
    let body = json!({ "username": "ann", "password": format!("{PASSWORD}\0 and more") });
    let answer = app.anonymous().post("/register", &body).await;
    assert_eq!(answer.errors(), [("password".into(), "not_allowed".into())]);
    let answer = register(&app, "ann\0bob").await;
    assert_eq!(answer.errors(), [("username".into(), "not_allowed".into())]);

    let ann = app.signed_in("ann").await;
    for (name, password) in [
        ("ann", format!("{PASSWORD}\0")),
        ("ann", format!("{PASSWORD}\0 and more")),
        ("ann\0", PASSWORD.to_owned()),
        ("ann\0bob", PASSWORD.to_owned()),
    ] {
        let answer = app.anonymous().log_in(name, &password).await;
        assert_eq!(answer.refusal(), (403, "invalid_credentials".into()), "{name:?}");
    }
    let new = json!({ "current_password": PASSWORD, "new_password": "a nul\0in the middle" });
    let answer = ann.put("/me/password", &new).await;
    assert_eq!(answer.errors(), [("new_password".into(), "not_allowed".into())]);
}

#[tokio::test]
async fn pwd_06_names_that_are_written_otherwise_are_one_account() {
    let app = TestApp::new().await;
    app.signed_in("Alice").await;
    app.signed_in("kelvin").await;
    for name in ["alice", "ALICE", "ａｌｉｃｅ", "ＡＬＩＣＥ", "\u{212a}elvin", "Ｋelvin"]
    {
        let answer = register(&app, name).await;
        assert_eq!(answer.refusal(), (409, "username_taken".into()), "{name}");
        assert_eq!(app.anonymous().log_in(name, PASSWORD).await.status, 200, "{name}");
    }
    assert_eq!(app.count("select count(*) from accounts").await, 2);
    for name in ["ﬁona", "straße", "İ", "ı", "é", "e\u{301}"] {
        let answer = register(&app, name).await;
        assert_eq!(answer.errors(), [("username".into(), "not_allowed".into())], "{name}");
        let unknown = app.anonymous().log_in(name, PASSWORD).await;
        assert_eq!(unknown.refusal(), (403, "invalid_credentials".into()), "{name}");
    }
    for name in ["fiona", "strasse", "i"] {
        app.signed_in(name).await; // another user has it now
    }
}

#[tokio::test]
async fn pwd_07_names_that_look_like_others_or_cannot_be_seen_are_refused() {
    let app = TestApp::new().await;
    for name in [
        "аlice",              // Cyrillic а
        "αlice",              // Greek alpha
        "алиса",              // another alphabet
        "al\u{200b}ice",      // zero-width space
        "al\u{200d}ice",      // zero-width joiner
        "\u{202e}ecila",      // right to left
        "\u{301}",            // combining alone
        "\u{e0061}\u{e006c}", // tags
        "al\u{ad}ice",        // soft hyphen
        "𝐚𝐥𝐢𝐜𝐞",
        "ⓐⓛⓘⓒⓔ",
    ] {
        let answer = register(&app, name).await;
        assert_eq!(answer.refusal(), (422, "policy_violation".into()), "{name:?}");
        assert_eq!(answer.errors(), [("username".into(), "not_allowed".into())], "{name:?}");
        assert!(answer.text.contains("letters a to z"), "{}", answer.text);
    }
}

#[tokio::test]
async fn pwd_08_spaces_around_a_name_are_removed_and_those_of_a_password_are_kept() {
    let app = TestApp::new().await;
    let within = register(&app, "a n").await;
    assert_eq!(within.errors(), [("username".into(), "not_allowed".into())]);
    let only = register(&app, "   ").await;
    assert_eq!(only.errors(), [("username".into(), "too_short".into())]);
    let spaced = "  correct horse  battery ";
    let body = json!({ "username": " \u{3000}ann\t", "password": spaced });
    assert_eq!(app.anonymous().post("/register", &body).await.status, 201);
    for name in [" ann", "ann ", "ann\t", "ann\n", "\u{3000}ann", "\u{a0}ann"] {
        assert_eq!(register(&app, name).await.status, 409, "{name:?}");
    }
    for other in [spaced.trim(), spaced.trim_start(), spaced.trim_end(), "  correct horse battery "]
    {
        assert_eq!(app.anonymous().log_in("ann", other).await.status, 403, "{other:?}");
    }
    assert_eq!(app.anonymous().log_in("ann", spaced).await.status, 200);
}

#[tokio::test]
async fn pwd_10_names_that_stand_for_the_service_are_reserved_and_listed() {
    let app = TestApp::new().await;
    let page = include_str!("../../docs/reference/limits.md");
    let listed = page.split_once("Reserved user names: ").unwrap().1.split_once('.').unwrap().0;
    let listed: Vec<&str> = listed.split(',').map(str::trim).collect();
    assert_eq!(listed, RESERVED);
    for name in RESERVED.iter().chain(&["Admin", "ＲＯＯＴ"]) {
        let answer = register(&app, name).await;
        assert_eq!(answer.refusal(), (422, "policy_violation".into()), "{name}");
        assert_eq!(answer.errors(), [("username".into(), "reserved".into())], "{name}");
    }
    app.signed_in("roots").await;
}

#[tokio::test]
async fn enu_05_ids_are_random_and_tell_nothing() {
    let app = TestApp::new().await;
    let mut ids = Vec::new();
    for n in 0..40 {
        let client = app.signed_in(&format!("ann{n}")).await;
        for path in ["/me", "/session"] {
            ids.push(client.get(path).await.json()["id"].as_str().unwrap().to_owned());
        }
    }
    assert!(ids.iter().all(|id| id.len() == 22), "128 bits in base64url");
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    let mut starts: Vec<_> = ids.iter().map(|id| &id[..1]).collect();
    assert!(!starts.is_sorted(), "in no order");
    starts.sort_unstable();
    starts.dedup();
    assert!(starts.len() > 20, "all over the alphabet: {starts:?}");

    // The session of another user and a session that never existed get the same response.
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    let theirs = bob.get("/session").await.json()["id"].as_str().unwrap().to_owned();
    let mut answers = Vec::new();
    for id in [theirs.as_str(), "AAAAAAAAAAAAAAAAAAAAAA"] {
        let request = request(Method::DELETE, &format!("/sessions/{id}")).finish();
        answers.push(ann.send(request).await);
    }
    assert_eq!(answers[0].refusal(), (404, "not_found".into()));
    assert_eq!(answers[0].text, answers[1].text);
    assert!(answers[0].json().get("instance").is_none());
}
