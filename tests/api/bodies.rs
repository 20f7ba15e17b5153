//! Bad bodies get a documented problem, never a 5xx, never a Rust name; JSON and forms alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use poem::Body;
use poem::http::{Method, header};
use serde_json::json;

use crate::house::{Answer, House, PASSWORD, request};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

async fn post(house: &House, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
    house.send(request(Method::POST, path).content_type(kind).body(body)).await
}

/// No name of a type, a library or a table shows.
fn tells_nothing(answer: &Answer) {
    for word in ["struct", "serde", "poem", "sqlx", "expected", "View", "::", "accounts"] {
        assert!(!answer.text.contains(word), "{word} in {}", answer.text);
    }
}

#[tokio::test]
async fn wrong_shapes_are_refused_field_by_field() {
    let house = House::new().await;
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
            let answer = post(&house, path, JSON, body.to_string()).await;
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
    let house = House::new().await;
    let (long_name, long_password) = ("a".repeat(257), "x".repeat(1025));
    for (username, password, field, code) in [
        ("", "x", "username", "too_short"),
        ("ann", "", "password", "too_short"),
        (&*long_name, "x", "username", "too_long"),
        ("ann", &*long_password, "password", "too_long"),
    ] {
        let body = json!({ "username": username, "password": password });
        let answer = post(&house, "/login", JSON, body.to_string()).await;
        assert_eq!(answer.errors(), [(field.to_owned(), code.to_owned())]);
    }
    let longest = json!({ "username": &long_name[1..], "password": &long_password[1..] });
    let answer = post(&house, "/login", JSON, longest.to_string()).await;
    assert_eq!(answer.refusal(), (403, "invalid_credentials".into()), "these are looked at");
}

#[tokio::test]
async fn repeated_fields_are_refused() {
    let house = House::new().await;
    let bodies = [
        (JSON, format!(r#"{{"username":"ann","username":"bob","password":"{PASSWORD}"}}"#)),
        (FORM, "username=ann&username=bob&password=x".to_owned()),
    ];
    for (kind, body) in bodies {
        let answer = post(&house, "/login", kind, body).await;
        assert_eq!(answer.errors(), [("username".to_owned(), "repeated".to_owned())]);
    }
}

#[tokio::test]
async fn what_is_not_an_object_is_refused() {
    let house = House::new().await;
    for body in
        ["", "null", "[]", "\"x\"", "1", "{", "{]", "{\"a\":1,}", "\u{feff}{}", "{} {}", "nul"]
    {
        for path in ["/login", "/register"] {
            let answer = post(&house, path, JSON, body).await;
            assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{body:?}");
            tells_nothing(&answer);
        }
    }
}

#[tokio::test]
async fn pwd_05_broken_unicode_is_refused_in_json_and_forms_alike() {
    let house = House::new().await;
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
            let answer = post(&house, path, kind, body.to_vec()).await;
            assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{body:?}");
            tells_nothing(&answer);
        }
    }
}

#[tokio::test]
async fn pwd_01_a_password_without_end_is_refused_unread() {
    let house = House::new().await;
    for (kind, start) in [(JSON, r#"{"username":"ann","password":""#), (FORM, "password=")] {
        for path in ["/login", "/register"] {
            for size in [1024 * 1024, 15 * 1024 * 1024] {
                let body = format!("{start}{}", "x".repeat(size));
                let answer = post(&house, path, kind, body).await;
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
            let answer = post(&house, path, kind, Body::from_bytes_stream(endless)).await;
            assert_eq!(answer.refusal(), (413, "payload_too_large".into()), "{path}");
            assert!(read.load(Ordering::Relaxed) <= 64 * 1024, "{read:?} bytes were read");
        }
    }
}

#[tokio::test]
async fn dos_03_a_body_over_16_kib_is_refused() {
    let house = House::new().await;
    for size in [16 * 1024 + 1, 1024 * 1024] {
        for kind in [JSON, FORM] {
            let body = "x".repeat(size);
            let answer = post(&house, "/login", kind, body.clone()).await;
            assert_eq!(answer.refusal(), (413, "payload_too_large".into()));
            let announced = request(Method::POST, "/register")
                .content_type(kind)
                .header(header::CONTENT_LENGTH, size)
                .body(body);
            assert_eq!(house.send(announced).await.status, 413);
        }
    }
}

#[tokio::test]
async fn dos_05_deep_and_wide_json_is_refused() {
    let house = House::new().await;
    let deep = format!("{{\"username\":{}", "[".repeat(10_000));
    let wide: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":1,")).collect();
    let wide = wide.concat();
    let number = format!("{{\"username\":{}}}", "9".repeat(10_000));
    for body in [deep, format!("{{{wide}\"z\":1}}"), number] {
        let answer = post(&house, "/login", JSON, body).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()));
        assert!(answer.errors().len() <= 20);
    }
}

#[tokio::test]
async fn dos_05_a_body_of_thousands_of_fields_is_refused_unread() {
    let house = House::new().await;
    let names: Vec<String> = (0..2500).map(|n| format!("k{n}")).collect();
    let answer = post(&house, "/login", FORM, names.join("&")).await;
    assert_eq!(answer.refusal(), (400, "invalid_request".into()));
    assert!(answer.text.contains("more than 32 fields"), "{}", answer.text);
}

#[tokio::test]
async fn csrf_07_and_dos_04_other_media_types_are_refused() {
    let house = House::new().await;
    let body = json!({ "username": "ann", "password": PASSWORD }).to_string();
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json; charset=utf-16",
        "application/problem+json",
        "nonsense",
    ] {
        let answer = post(&house, "/login", kind, body.clone()).await;
        assert_eq!(answer.refusal(), (415, "unsupported_media_type".into()), "{kind}");
    }
    let untyped = house.send(request(Method::POST, "/login").body(body.clone())).await;
    assert_eq!(untyped.status, 415);
    let packed = request(Method::POST, "/login")
        .content_type(JSON)
        .header(header::CONTENT_ENCODING, "gzip")
        .body(body.clone());
    assert_eq!(house.send(packed).await.status, 415);
    let in_utf8 = post(&house, "/login", "Application/JSON; charset=UTF-8", body).await;
    assert_eq!(in_utf8.status, 403);
}

#[tokio::test]
async fn a_password_never_comes_back_in_a_refusal() {
    let house = House::new().await;
    house.signed_in("ann").await;
    for body in [
        json!({ "username": "ann", "password": [PASSWORD] }),
        json!({ "username": "x y", "password": PASSWORD }),
        json!({ "username": "ann", "password": PASSWORD, "x": PASSWORD }),
        json!({ "username": "ann", "password": PASSWORD }),
    ] {
        let answer = post(&house, "/register", JSON, body.to_string()).await;
        assert!(answer.status.is_client_error());
        assert!(!answer.text.contains("canary"), "{}", answer.text);
    }
}
