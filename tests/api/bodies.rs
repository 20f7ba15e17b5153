//! Invalid bodies, JSON and forms, get a documented problem: never a 5xx, and never the name of a
//! Rust type.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use poem::Body;
use poem::http::{Method, header};
use serde_json::json;

use crate::app::{Answer, PASSWORD, TestApp, request};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

async fn post(app: &TestApp, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
    app.send(request(Method::POST, path).content_type(kind).body(body)).await
}

/// Asserts that no name of a type, a library or a table appears.
fn tells_nothing(answer: &Answer) {
    for word in ["struct", "serde", "poem", "sqlx", "expected", "View", "::", "accounts"] {
        assert!(!answer.text.contains(word), "{word} in {}", answer.text);
    }
}

#[tokio::test]
async fn wrong_shapes_are_refused_field_by_field() {
    let app = TestApp::new().await;
    for (body, errors) in [
        (json!({}), vec![("username", "missing"), ("password", "missing")]),
        (json!({ "username": "ann" }), vec![("password", "missing")]),
        (
            json!({ "username": 1, "password": [] }),
            vec![("username", "wrong_type"), ("password", "wrong_type")],
        ),
        (json!({ "username": null, "password": "x" }), vec![("username", "wrong_type")]),
        (json!({ "username": "ann", "password": "x", "admin": true }), vec![("admin", "unknown")]),
        (
            json!({ "username": "ann", "password": "x", "remember": "yes" }),
            vec![("remember", "wrong_type")],
        ),
        (json!({ "username": "ann", "password": "x", "next": "/x" }), vec![("next", "unknown")]),
    ] {
        for path in ["/login", "/register"] {
            let answer = post(&app, path, JSON, body.to_string()).await;
            assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{path} {body}");
            let expected: Vec<_> =
                errors.iter().map(|(f, c)| ((*f).to_owned(), (*c).to_owned())).collect();
            assert_eq!(answer.errors(), expected, "{path} {body}");
            tells_nothing(&answer);
        }
    }
}

#[tokio::test]
async fn a_login_with_sizes_that_cannot_be_right_is_refused_before_hashing() {
    let app = TestApp::new().await;
    let (long_name, long_password) = ("a".repeat(257), "x".repeat(1025));
    for (username, password, field, code) in [
        ("", "x", "username", "too_short"),
        ("ann", "", "password", "too_short"),
        (&*long_name, "x", "username", "too_long"),
        ("ann", &*long_password, "password", "too_long"),
    ] {
        let body = json!({ "username": username, "password": password });
        let answer = post(&app, "/login", JSON, body.to_string()).await;
        assert_eq!(answer.errors(), [(field.to_owned(), code.to_owned())]);
    }
    let longest = json!({ "username": &long_name[1..], "password": &long_password[1..] });
    let answer = post(&app, "/login", JSON, longest.to_string()).await;
    assert_eq!(answer.refusal(), (403, "invalid_credentials".into()), "these are looked at");
}

#[tokio::test]
async fn a_form_and_json_have_the_same_errors_in_the_same_order() {
    let app = TestApp::new().await;
    let client = app.anonymous();
    let fields = [("next", "x"), ("usename", "ann"), ("next", "y"), ("next", "z")];
    let form = client.post_form("/login", &fields).await;
    let members: Vec<_> =
        fields.iter().map(|(name, value)| format!("{name:?}:{value:?}")).collect();
    let body = format!("{{{}}}", members.join(","));
    let request = request(Method::POST, "/login").content_type("application/json").body(body);
    let json = app.send(request).await;
    let errors = [
        ("username", "missing"),
        ("password", "missing"),
        ("next", "repeated"),
        ("next", "unknown"),
        ("usename", "unknown"),
    ];
    let errors = errors.map(|(field, code)| (field.to_owned(), code.to_owned()));
    assert_eq!((form.errors(), json.errors()), (errors.to_vec(), errors.to_vec()));
}

#[tokio::test]
async fn repeated_fields_are_refused() {
    let app = TestApp::new().await;
    let bodies = [
        (JSON, format!(r#"{{"username":"ann","username":"bob","password":"{PASSWORD}"}}"#)),
        (FORM, "username=ann&username=bob&password=x".to_owned()),
    ];
    for (kind, body) in bodies {
        let answer = post(&app, "/login", kind, body).await;
        assert_eq!(answer.errors(), [("username".to_owned(), "repeated".to_owned())]);
    }
}

#[tokio::test]
async fn what_is_not_an_object_is_refused() {
    let app = TestApp::new().await;
    for body in
        ["", "null", "[]", "\"x\"", "1", "{", "{]", "{\"a\":1,}", "\u{feff}{}", "{} {}", "nul"]
    {
        for path in ["/login", "/register"] {
            let answer = post(&app, path, JSON, body).await;
            assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{body:?}");
            tells_nothing(&answer);
        }
    }
}

#[tokio::test]
async fn pwd_05_broken_unicode_is_refused_in_json_and_forms_alike() {
    let app = TestApp::new().await;
    let bodies: [(&str, &[u8]); 7] = [
        (JSON, br#"{"username":"ann","password":"\ud800"}"#),
        (JSON, b"{\"username\":\"ann\",\"password\":\"\xff\"}"),
        (JSON, b"{\"username\":\"ann\",\"password\":\"\xc0\xaf\"}"),
        (FORM, b"username=ann&password=%ff"),
        (FORM, b"username=ann&password=\xff"),
        (FORM, b"username=ann&password=%c0%af"),
        (FORM, b"username=ann&password=%ed%a0%80"),
    ];
    for (kind, body) in bodies {
        for path in ["/login", "/register"] {
            let answer = post(&app, path, kind, body.to_vec()).await;
            assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{body:?}");
            tells_nothing(&answer);
        }
    }
}

#[tokio::test]
async fn pwd_01_a_password_without_end_is_refused_unread() {
    let app = TestApp::new().await;
    for (kind, start) in [(JSON, r#"{"username":"ann","password":""#), (FORM, "password=")] {
        for path in ["/login", "/register"] {
            for size in [1024 * 1024, 15 * 1024 * 1024] {
                let body = format!("{start}{}", "x".repeat(size));
                let answer = post(&app, path, kind, body).await;
                assert_eq!(answer.refusal(), (413, "payload_too_large".into()), "{path}");
            }
            let read = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&read);
            let chunks =
                std::iter::once(start.to_owned()).chain(std::iter::repeat_with(move || {
                    counted.fetch_add(1024, Ordering::Relaxed);
                    "x".repeat(1024)
                }));
            let endless = futures_util::stream::iter(chunks.map(Ok::<_, std::io::Error>));
            let answer = post(&app, path, kind, Body::from_bytes_stream(endless)).await;
            assert_eq!(answer.refusal(), (413, "payload_too_large".into()), "{path}");
            assert!(read.load(Ordering::Relaxed) <= 64 * 1024, "{read:?} bytes were read");
        }
    }
}

#[tokio::test]
async fn dos_03_a_body_over_16_kib_is_refused() {
    let app = TestApp::new().await;
    for size in [16 * 1024 + 1, 1024 * 1024] {
        for kind in [JSON, FORM] {
            let body = "x".repeat(size);
            let answer = post(&app, "/login", kind, body.clone()).await;
            assert_eq!(answer.refusal(), (413, "payload_too_large".into()));
            let announced = request(Method::POST, "/register")
                .content_type(kind)
                .header(header::CONTENT_LENGTH, size)
                .body(body);
            assert_eq!(app.send(announced).await.status, 413);
        }
    }
}

#[tokio::test]
async fn dos_05_deep_and_wide_json_is_refused() {
    let app = TestApp::new().await;
    let deep = format!("{{\"username\":{}", "[".repeat(10_000));
    let wide: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":1,")).collect();
    let wide = wide.concat();
    let number = format!("{{\"username\":{}}}", "9".repeat(10_000));
    for body in [deep, format!("{{{wide}\"z\":1}}"), number] {
        let answer = post(&app, "/login", JSON, body).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()));
        assert!(answer.errors().len() <= 20);
    }
}

#[tokio::test]
async fn dos_05_a_body_of_thousands_of_fields_is_refused_unread() {
    let app = TestApp::new().await;
    let names: Vec<String> = (0..2500).map(|n| format!("k{n}")).collect();
    let answer = post(&app, "/login", FORM, names.join("&")).await;
    assert_eq!(answer.refusal(), (400, "invalid_request".into()));
    assert!(answer.text.contains("more than 40 fields"), "{}", answer.text);
}

#[tokio::test]
async fn csrf_07_and_dos_04_other_media_types_are_refused() {
    let app = TestApp::new().await;
    let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/problem+json",
        "nonsense",
    ] {
        let answer = post(&app, "/login", kind, body.clone()).await;
        assert_eq!(answer.refusal(), (415, "unsupported_media_type".into()), "{kind}");
    }
    let untyped = app.send(request(Method::POST, "/login").body(body.clone())).await;
    assert_eq!(untyped.status, 415);
    let packed = request(Method::POST, "/login")
        .content_type(JSON)
        .header(header::CONTENT_ENCODING, "gzip")
        .body(body.clone());
    let answer = app.send(packed).await;
    assert_eq!(answer.refusal(), (415, "unsupported_media_type".into()));
    let in_utf8 = post(&app, "/login", "Application/JSON; charset=UTF-8", body).await;
    assert_eq!(in_utf8.status, 403);
}

#[tokio::test]
async fn a_password_never_comes_back_in_a_refusal() {
    let app = TestApp::new().await;
    app.signed_in("ann").await;
    for body in [
        json!({ "username": "ann", "password": [PASSWORD] }),
        json!({ "username": "x y", "password": PASSWORD }),
        json!({ "username": "ann", "password": PASSWORD, "x": PASSWORD }),
        json!({ "username": "ann", "password": PASSWORD }),
    ] {
        let answer = post(&app, "/register", JSON, body.to_string()).await;
        assert!(answer.status.is_client_error());
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
}

#[tokio::test]
async fn json_is_read_whatever_its_charset_says_and_forms_in_every_label_of_utf_8_and_ascii() {
    let app = TestApp::without_limits().await;
    let json = json!({ "username": "ann", "password": "x" }).to_string();
    for charset in
        ["utf8", "UTF8", "utf-8", "'utf-8'", "\"utf-8\"", "us-ascii", "utf-16", "latin1", ""]
    {
        let kind = format!("{JSON}; charset={charset}");
        let answer = post(&app, "/login", &kind, json.clone()).await;
        assert_eq!(answer.refusal(), (403, "invalid_credentials".into()), "{kind}");
    }
    let form = "username=ann&password=x";
    for (charset, status) in [
        ("utf8", 403),
        ("UTF-8", 403),
        ("'utf-8'", 403),
        ("us-ascii", 403),
        ("ASCII", 403),
        ("unicode-1-1-utf-8", 403),
        ("latin1", 415),
        ("utf-16", 415),
        ("windows-1252", 415),
    ] {
        let kind = format!("{FORM};charset={charset}");
        let answer = post(&app, "/login", &kind, form).await;
        assert_eq!(answer.status, status, "{kind}");
        if status == 415 {
            assert!(answer.text.contains("UTF-8"), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_coding_that_changes_nothing_is_read_and_others_are_refused_by_name() {
    let app = TestApp::new().await;
    let send = async |codings: &[&str]| {
        let mut login = request(Method::POST, "/login").content_type(JSON);
        for coding in codings {
            login = login.header(header::CONTENT_ENCODING, *coding);
        }
        let body = json!({ "username": "ann", "password": "x" }).to_string();
        app.send(login.body(body)).await
    };
    for codings in
        [&["identity"][..], &["Identity"], &[""], &["identity, identity"], &["identity", ""]]
    {
        assert_eq!(send(codings).await.status, 403, "{codings:?}");
    }
    for codings in [&["gzip"][..], &["identity, gzip"], &["identity", "br"], &["nonsense"]] {
        let answer = send(codings).await;
        assert_eq!(answer.refusal(), (415, "unsupported_media_type".into()), "{codings:?}");
        assert!(answer.text.contains("Content-Encoding"), "{}", answer.text);
        assert_eq!(answer.header("accept-encoding"), Some("identity"));
        assert_eq!(answer.header("accept"), None, "the media type is right");
    }
}

#[tokio::test]
async fn a_refused_media_type_is_told_which_are_read() {
    let app = TestApp::new().await;
    for kind in ["text/plain", "application/xml", "multipart/form-data; boundary=x"] {
        for path in ["/login", "/register"] {
            let answer = post(&app, path, kind, "x").await;
            assert_eq!(answer.status, 415);
            let accept = Some("application/json, application/x-www-form-urlencoded");
            assert_eq!(answer.header("accept"), accept, "{path} {kind}");
            assert_eq!(answer.header("accept-encoding"), None);
            assert!(!answer.text.contains("Content-Encoding"), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn null_in_a_field_that_may_be_left_out_counts_as_left_out() {
    let app = TestApp::new().await;
    let new = json!({ "username": "ann", "password": PASSWORD, "remember": null, "invite": null });
    assert_eq!(app.anonymous().post("/register", &new).await.status, 201);
    let login = json!({ "username": "ann", "password": PASSWORD, "remember": null });
    let answer = app.anonymous().post("/login", &login).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["session"]["remember"], false);
    for (field, value) in [("password", json!(null)), ("admin", json!(null))] {
        let mut login = json!({ "username": "ann", "password": PASSWORD });
        login[field] = value;
        assert_eq!(app.anonymous().post("/login", &login).await.status, 400, "{field}");
    }
}

#[tokio::test]
async fn the_document_says_which_fields_may_be_null() {
    let schemas = &crate::contract::DOCUMENT["components"]["schemas"];
    for (schema, field, nullable) in [
        ("Credentials", "remember", true),
        ("Credentials", "username", false),
        ("Credentials", "password", false),
        ("Registration", "invite", true),
        ("Registration", "remember", true),
    ] {
        let said = schemas[schema]["properties"][field]["nullable"] == true;
        assert_eq!(said, nullable, "{schema} {field}");
    }
}

#[tokio::test]
async fn white_space_around_a_user_name_is_removed_and_none_around_a_password() {
    let app = TestApp::new().await;
    // As phone keyboards, spreadsheets and other scripts produce it.
    for (n, (before, after)) in
        [("", " "), (" ", ""), ("\t", "\r\n"), ("\u{a0}", "\u{3000}"), ("\u{2003}", "\u{85}")]
            .into_iter()
            .enumerate()
    {
        let typed = format!("{before}Ann{n}{after}");
        let json = json!({ "username": typed, "password": PASSWORD });
        let made = app.anonymous().post("/register", &json).await;
        assert_eq!(made.status, 201, "{typed:?}: {}", made.text);
        assert_eq!(made.json()["username"], format!("ann{n}"));
        let fields = [("username", &*typed), ("password", PASSWORD)];
        let client = app.anonymous();
        assert_eq!(client.post("/login", &json).await.status, 200, "{typed:?}");
        assert_eq!(client.post_form("/login", &fields).await.status, 200, "{typed:?}");
        assert_eq!(client.submit("/login", &fields).await.status, 303, "{typed:?}");
    }
    for password in [format!(" {PASSWORD}"), format!("{PASSWORD} "), format!("{PASSWORD}\n")] {
        let answer = app.anonymous().log_in("ann0", &password).await;
        assert_eq!(answer.refusal(), (403, "invalid_credentials".into()), "{password:?}");
    }
    for (username, status) in [("ann 0", 403), (" ", 403), ("\u{200b}ann0", 403), ("", 400)] {
        assert_eq!(app.anonymous().log_in(username, PASSWORD).await.status, status, "{username:?}");
    }
    let nameless = json!({ "username": " ", "password": PASSWORD });
    let answer = app.anonymous().post("/register", &nameless).await;
    assert_eq!(answer.errors(), [("username".to_owned(), "too_short".to_owned())]);
}
