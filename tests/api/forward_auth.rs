//! Forward authentication for a proxy in front of an app. `tests/e2e/forward-auth` uses real
//! proxies.

use cloakroom::config::{CommaList, Registration, Settings};
use cloakroom::core::usernames::Username;
use cloakroom::domain::roles::Role;
use poem::Request;
use poem::http::Method;

use crate::app::{Answer, PASSWORD, TestApp, request};
use crate::email::{app_with_mail, set_address};

const PERSON: &str = "text/html,application/xhtml+xml,*/*;q=0.8";
const WIKI: &str = "https://wiki.example.org";

async fn app() -> TestApp {
    TestApp::with(Settings {
        public_url: Some("https://id.example.org".to_owned()),
        allowed_hosts: Some(CommaList::from("cloakroom")),
        apps: Some(CommaList::from("https://wiki.example.org, http://git.example.org:8080")),
        registration: Some(Registration::Open),
        ..Settings::default()
    })
    .await
}

async fn ask(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    let asked = headers
        .iter()
        .fold(request(Method::GET, path), |request, (name, value)| request.header(*name, *value));
    app.send(asked.finish()).await
}

#[tokio::test]
async fn who_is_signed_in_is_named_and_everybody_else_is_answered_401() {
    let app = TestApp::new().await;
    let ann = app.signed_in("Ann").await;
    let answer = ann.get("/forward-auth").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("remote-user"), Some("ann"));
    let me = ann.get("/me").await.json();
    assert_eq!(answer.header("remote-user-id"), me["id"].as_str());
    let session = ann.get("/session").await.json();
    assert_eq!(answer.header("remote-session"), session["id"].as_str());

    let cookie = ann.cookie().unwrap();
    let tampered = format!("{}x", &cookie);
    let two = format!("{cookie}; session=another");
    for (headers, status) in [
        (vec![], 401),
        (vec![("cookie", cookie.as_str())], 200),
        (vec![("cookie", "session=made.up.one")], 401),
        (vec![("cookie", tampered.as_str())], 401),
        (vec![("cookie", two.as_str())], 401),
        (vec![("remote-user", "ann")], 401),
        (vec![("authorization", "Bearer x")], 401),
    ] {
        let answer = ask(&app, "/forward-auth", &headers).await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.header("remote-user").is_some(), status == 200);
    }
    ann.post_nothing("/logout").await;
    assert_eq!(ask(&app, "/forward-auth", &[("cookie", &cookie)]).await.status, 401);
}

#[tokio::test]
async fn the_cookie_alone_decides_whatever_a_proxy_tells_of_the_request() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    let cookie = ann.cookie().unwrap();
    for headers in [
        [("x-forwarded-method", "POST"), ("sec-fetch-site", "cross-site")],
        [("x-forwarded-method", "DELETE"), ("origin", "https://evil.example")],
        [("x-forwarded-host", "evil.example"), ("x-forwarded-uri", "//evil")],
        [("host", "cloakroom:8000"), ("accept", PERSON)],
        [("remote-user", "root"), ("remote_user", "root")],
    ] {
        let headers = [&headers[..], &[("cookie", cookie.as_str())]].concat();
        for path in ["/forward-auth", "/forward-auth/redirect"] {
            let answer = ask(&app, path, &headers).await;
            assert_eq!(answer.status, 200, "{path} {headers:?}");
            assert_eq!(answer.header("remote-user"), Some("ann"));
        }
    }
    let elsewhere = [("host", "wiki.example.org"), ("cookie", cookie.as_str())];
    assert_eq!(ask(&app, "/forward-auth", &elsewhere).await.status, 421);
}

#[tokio::test]
async fn inj_07_only_200_and_401_and_a_redirect_on_its_own_path() {
    let app = app().await;
    for accept in [PERSON, "*/*", "application/json"] {
        let answer = ask(&app, "/forward-auth", &[("accept", accept)]).await;
        assert_eq!(answer.refusal(), (401, "not_authenticated".into()), "{accept}");
    }
    let program = ask(&app, "/forward-auth/redirect", &[("accept", "*/*")]).await;
    assert_eq!(program.refusal(), (401, "not_authenticated".into()));
    let person = ask(&app, "/forward-auth/redirect", &[("accept", PERSON)]).await;
    assert_eq!(person.status, 303);
    let posted = request(Method::POST, "/forward-auth/redirect").finish();
    assert_eq!(app.send(posted).await.status, 405);
}

#[tokio::test]
async fn a_person_is_led_to_the_sign_in_page_and_from_there_back() {
    let app = app().await;
    app.signed_in("ann").await;
    let back = "https://id.example.org/login?next=https%3A%2F%2Fwiki.example.org%2F";
    for (proto, host, method, uri, location) in [
        ("https", "wiki.example.org", "GET", "/", back.to_owned()),
        ("https", "WIKI.example.org:443", "GET", "/", back.to_owned()),
        (
            "https",
            "wiki.example.org",
            "HEAD",
            "/a?b=c&d=%23",
            format!("{back}a%3Fb%3Dc%26d%3D%2523"),
        ),
        ("https", "wiki.example.org", "GET", "//evil/x", format!("{back}%2Fevil%2Fx")),
        ("https", "wiki.example.org", "POST", "/save", back.to_owned()),
    ] {
        let headers = [
            ("accept", PERSON),
            ("x-forwarded-proto", proto),
            ("x-forwarded-host", host),
            ("x-forwarded-method", method),
            ("x-forwarded-uri", uri),
        ];
        let answer = ask(&app, "/forward-auth/redirect", &headers).await;
        assert_eq!(answer.status, 303);
        assert_eq!(answer.header("location"), Some(location.as_str()), "{headers:?}");
        let page = ask(&app, location.strip_prefix("https://id.example.org").unwrap(), &[]).await;
        assert!(page.text.contains("to continue to <strong>wiki.example.org</strong>"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.ends_with("form-action 'self'"), "{policy}");
    }
}

#[tokio::test]
async fn red_01_nobody_is_led_to_what_is_no_app() {
    let app = app().await;
    let long = format!("/{}", "a".repeat(8192));
    for (proto, host, uri) in [
        ("http", "wiki.example.org", "/"),
        ("https", "wiki.example.org:8443", "/"),
        ("https", "evil.example", "/"),
        ("https", "wiki.example.org@evil.example", "/"),
        ("https", "evil.example/wiki.example.org", "/"),
        ("https", "wiki.example.org.evil.example", "/"),
        ("https", "wiki.example.org, evil.example", "/"),
        ("https", "wiki.example.org", "@evil.example/"),
        ("https", "wiki.example.org", ".evil.example/"),
        ("https", "wiki.example.org", r"/\evil.example"),
        ("https", "wiki.example.org", &long),
        ("javascript", "wiki.example.org", "/"),
        ("blob:https", "wiki.example.org", "/"),
        ("", "", ""),
    ] {
        let headers = [
            ("accept", PERSON),
            ("x-forwarded-proto", proto),
            ("x-forwarded-host", host),
            ("x-forwarded-uri", uri),
        ];
        let answer = ask(&app, "/forward-auth/redirect", &headers).await;
        assert_eq!(answer.header("location"), Some("https://id.example.org/login"), "{headers:?}");
    }
}

#[tokio::test]
async fn red_01_and_02_a_login_goes_on_at_an_app_of_the_settings_only() {
    let app = app().await;
    app.signed_in("ann").await;
    for (next, location) in [
        ("https://git.example.org:8080", "/account"),
        ("https://wiki.example.org:8443/", "/account"),
        ("https://wiki.example.org@evil.example/", "/account"),
        ("https://me@wiki.example.org/", "/account"),
        ("https://wiki.example.org.evil.example/", "/account"),
        ("https:evil.example", "/account"),
        ("//wiki.example.org/", "/account"),
        ("blob:https://wiki.example.org/x", "/account"),
        ("/ok", "/ok"),
    ] {
        let fields = [("username", "ann"), ("password", PASSWORD), ("next", next)];
        let answer = app.anonymous().submit("/login", &fields).await;
        assert_eq!(answer.header("location"), Some(location), "{next:?}");
    }
}

/// Chromium applies `form-action` to every redirect after a form. The redirects of the app are
/// unknown to us, so an app that redirects to another origin would never be reached.
#[tokio::test]
async fn att_18_01_a_form_that_leads_to_an_app_is_answered_by_a_page_that_goes_there() {
    let app = app().await;
    for (n, (next, href, domain)) in [
        ("https://wiki.example.org/ok?a=b&c#d", "https://wiki.example.org/ok?a=b&#38;c#d", "wiki"),
        ("http://git.example.org:8080", "http://git.example.org:8080/", "git"),
        ("https://wiki.example.org/\"'>;x", "https://wiki.example.org/%22&#39;%3E;x", "wiki"),
    ]
    .into_iter()
    .enumerate()
    {
        let username = format!("ann{n}");
        let fields = [("username", username.as_str()), ("password", PASSWORD), ("next", next)];
        for path in ["/register", "/login"] {
            let browser = app.anonymous();
            let answer = browser.submit(path, &fields).await;
            assert_eq!((answer.status.as_u16(), answer.header("location")), (200, None), "{next}");
            let refresh = format!(r#"<meta http-equiv="refresh" content="0; url={href}">"#);
            assert!(answer.text.contains(&refresh), "{refresh} in {}", answer.text);
            let link =
                format!(r#"<a class="button" href="{href}">Continue to {domain}.example.org</a>"#);
            assert!(answer.text.contains(&link), "{link} in {}", answer.text);
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.ends_with("form-action 'self'"), "{policy}");
            assert_eq!(browser.get("/me").await.status, 200, "signed in by {path}");
        }
    }
}

/// An app that cannot read the session must not cause an endless redirect.
#[tokio::test]
async fn who_is_signed_in_goes_on_to_an_app_by_a_link() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    let answer = ann.get(&format!("/login?next={WIKI}/a?b=c")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains(r#"href="https://wiki.example.org/a?b=c""#), "{}", answer.text);
    assert!(!answer.text.contains(r#"name="password""#));
    assert_eq!(ann.get("/login?next=/private").await.header("location"), Some("/private"));
    assert_eq!(ann.get("/login").await.header("location"), Some("/account"));
}

/// The headers that Traefik sends to `address`: those of the client, and those in its documentation
/// of `forwardAuth`. <https://doc.traefik.io/traefik/middlewares/http/forwardauth/>
#[tokio::test]
async fn what_traefik_sends_is_enough() {
    let app = app().await;
    let ann = app.signed_in("ann").await;
    let cookie = ann.cookie().unwrap();
    let asked = |cookie: Option<&str>| -> Request {
        let request = request(Method::GET, "/forward-auth/redirect")
            .header("host", "cloakroom:8000")
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "wiki.example.org")
            .header("x-forwarded-uri", "/page?a=b")
            .header("x-forwarded-for", "192.0.2.7")
            .header("accept", PERSON);
        match cookie {
            Some(cookie) => request.header("cookie", cookie).finish(),
            None => request.finish(),
        }
    };
    let led = app.send(asked(None)).await;
    let page = "https://id.example.org/login?next=https%3A%2F%2Fwiki.example.org%2Fpage%3Fa%3Db";
    assert_eq!((led.status.as_u16(), led.header("location")), (303, Some(page)));
    let let_through = app.send(asked(Some(&cookie))).await;
    assert_eq!(let_through.status, 200);
    // The response has the headers that `authResponseHeaders` in docs/forward-auth/traefik.yml
    // names.
    let guide: serde_json::Value =
        serde_saphyr::from_str(include_str!("../../docs/forward-auth/traefik.yml")).unwrap();
    let forward_auth = &guide["http"]["middlewares"]["cloakroom"]["forwardAuth"];
    assert_eq!(forward_auth["address"], "http://cloakroom:8000/forward-auth/redirect");
    let names = forward_auth["authResponseHeaders"].as_array().unwrap();
    assert_eq!(names.len(), 6);
    for name in names {
        assert!(let_through.header(name.as_str().unwrap()).is_some(), "{name}");
    }
}

/// A preflight has no cookie. Each configuration sends it to the app, without an identity.
/// `tests/e2e/forward-auth/run` tests this with nginx and Caddy; for Traefik, this test checks the
/// rules.
#[test]
fn traefik_sends_a_preflight_to_the_app_without_a_check_and_without_an_identity() {
    let guide: serde_json::Value =
        serde_saphyr::from_str(include_str!("../../docs/forward-auth/traefik.yml")).unwrap();
    let (routers, middlewares) = (&guide["http"]["routers"], &guide["http"]["middlewares"]);
    let (app, preflight) = (&routers["wiki"], &routers["wiki-preflight"]);
    let rule = |router: &serde_json::Value| router["rule"].as_str().unwrap().to_owned();
    for part in [
        rule(app).as_str(),
        "&& Method(`OPTIONS`)",
        "&& HeaderRegexp(`Origin`, `.+`)",
        "&& HeaderRegexp(`Access-Control-Request-Method`, `.+`)",
    ] {
        assert!(rule(preflight).contains(part), "{part}");
    }
    assert!(rule(preflight).len() > rule(app).len(), "the longer rule comes first");
    assert_eq!(preflight["service"], app["service"]);
    let used = |router: &serde_json::Value| -> Vec<String> {
        let names = router["middlewares"].as_array().unwrap().iter();
        names.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    assert!(used(app).contains(&"cloakroom".to_owned()));
    assert!(!used(preflight).contains(&"cloakroom".to_owned()));
    let dropped: Vec<&str> = used(preflight)
        .iter()
        .flat_map(|name| middlewares[name]["headers"]["customRequestHeaders"].as_object().unwrap())
        .map(|(header, value)| {
            assert_eq!(value, "", "{header}");
            header.as_str()
        })
        .collect();
    let identity =
        middlewares["cloakroom"]["forwardAuth"]["authResponseHeaders"].as_array().unwrap();
    for header in identity {
        assert!(dropped.contains(&header.as_str().unwrap()), "{header}");
    }
    assert!(dropped.contains(&"Remote_User") && dropped.contains(&"Forwarded"));
    for header in identity {
        let with_underscore = header.as_str().unwrap().replace('-', "_");
        assert!(dropped.contains(&with_underscore.as_str()), "{with_underscore}");
    }
}

/// Traefik picks the longest rule that matches. Its `HeaderRegexp` matches any value of a repeated
/// header.
#[test]
fn tok_13_traefik_passes_no_api_token_to_the_app() {
    let guide: serde_json::Value =
        serde_saphyr::from_str(include_str!("../../docs/forward-auth/traefik.yml")).unwrap();
    let (routers, middlewares) = (&guide["http"]["routers"], &guide["http"]["middlewares"]);
    let (app, by_token) = (&routers["wiki"], &routers["wiki-api-token"]);
    let rule = by_token["rule"].as_str().unwrap();
    assert_eq!(
        rule,
        format!(
            r"{} && HeaderRegexp(`Authorization`, `(?i)bearer\s+clk_`)",
            app["rule"].as_str().unwrap()
        )
    );
    assert!(rule.len() < routers["wiki-preflight"]["rule"].as_str().unwrap().len());
    let used = |name: &str| -> Vec<&str> {
        let names = routers[name]["middlewares"].as_array().unwrap().iter();
        names.map(|name| name.as_str().unwrap()).collect()
    };
    // It differs from the other requests in the header only.
    let mut without_token = used("wiki-api-token");
    without_token.retain(|name| *name != "no-authorization");
    assert_eq!(without_token, used("wiki"));
    assert_eq!(by_token["service"], app["service"]);
    let position = |wanted: &str| {
        let found = used("wiki-api-token").iter().position(|name| *name == wanted);
        found.unwrap_or_else(|| panic!("{wanted} is not used"))
    };
    assert!(position("cloakroom") < position("no-authorization"), "the check receives the token");
    assert!(used("wiki-preflight").contains(&"no-authorization"));
    let removed = &middlewares["no-authorization"]["headers"]["customRequestHeaders"];
    assert_eq!(removed, &serde_json::json!({ "Authorization": "" }));
}

async fn give(app: &TestApp, username: &str, role: &str) {
    let username = Username::parse(username).unwrap();
    let account = app.domain.account_named(&username).await.unwrap().unwrap();
    app.domain.roles.give_role(&account.id, &Role::parse(role).unwrap()).await.unwrap();
}

#[tokio::test]
async fn rol_06_one_of_the_roles_in_the_address_of_the_check_is_enough() {
    let app = app().await;
    let (ann, bob) = (app.signed_in("ann").await, app.signed_in("bob").await);
    give(&app, "ann", "editor").await;
    give(&app, "ann", "admin").await;
    let (ann, bob) = (ann.cookie().unwrap(), bob.cookie().unwrap());
    let many =
        |count: usize| (0..count).map(|n| format!("role=r{n}")).collect::<Vec<_>>().join("&");
    let (sixteen, seventeen) = (format!("role=editor&{}", many(15)), many(17));
    for (query, of_ann, of_bob) in [
        ("", 200, 200),
        ("role=editor", 200, 403),
        ("role=wiki-admin", 403, 403),
        ("role=x&role=editor", 200, 403),
        ("role=editor&role=editor", 200, 403),
        ("role=admin%2Ceditor", 400, 400),
        ("role=admin,editor", 400, 400),
        ("role=", 400, 400),
        ("role", 400, 400),
        ("role=editor&role=", 400, 400),
        ("role=%00", 400, 400),
        ("role=%ff", 400, 400),
        ("role=%", 400, 400),
        ("role=Editor", 400, 400),
        ("role=+editor", 400, 400),
        (sixteen.as_str(), 200, 403),
        (seventeen.as_str(), 400, 400),
    ] {
        for path in ["/forward-auth", "/forward-auth/redirect"] {
            let path = format!("{path}?{query}");
            for (cookie, status) in [(&ann, of_ann), (&bob, of_bob)] {
                let answer = ask(&app, &path, &[("cookie", cookie)]).await;
                assert_eq!(answer.status, status, "{path}");
                assert_eq!(answer.header("remote-user").is_some(), status == 200, "{path}");
                match status {
                    400 => assert_eq!(answer.json()["errors"][0]["field"], "role", "{path}"),
                    403 => assert_eq!(answer.refusal().1, "role_needed", "{path}"),
                    _ => {}
                }
            }
            assert_eq!(ask(&app, &path, &[]).await.status, 401, "{path}");
        }
    }
}

#[tokio::test]
async fn rol_07_nothing_that_a_proxy_tells_of_the_clients_request_changes_the_role() {
    let app = app().await;
    let bob = app.signed_in("bob").await.cookie().unwrap();
    give(&app, "bob", "reader").await;
    for uri in ["/page?role=editor", "/page?role=reader", "/page?role="] {
        for path in ["/forward-auth", "/forward-auth/redirect"] {
            let headers = [
                ("cookie", bob.as_str()),
                ("x-forwarded-uri", uri),
                ("x-original-url", uri),
                ("remote-groups", "editor"),
                ("role", "editor"),
            ];
            assert_eq!(ask(&app, path, &headers).await.status, 200, "{path} {uri}");
            let path = format!("{path}?role=editor");
            assert_eq!(ask(&app, &path, &headers).await.status, 403, "{path} {uri}");
        }
    }
}

#[tokio::test]
async fn all_headers_about_the_user_are_always_sent_also_empty() {
    let app = app().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    for (role, groups) in [(None, ""), (Some("editor"), "editor"), (Some("admin"), "admin,editor")]
    {
        if let Some(role) = role {
            give(&app, "ann", role).await;
        }
        for path in ["/forward-auth", "/forward-auth/redirect"] {
            let answer = ask(&app, path, &[("cookie", &ann), ("remote-groups", "root")]).await;
            assert_eq!(answer.header("remote-groups"), Some(groups), "{path}");
            assert_eq!(answer.header("remote-email"), Some(""));
            assert_eq!(answer.header("remote-name"), Some(""));
        }
    }
}

#[tokio::test]
async fn the_app_gets_the_confirmed_address_and_no_other() {
    let app = app_with_mail().await;
    let ann = app.signed_in("ann").await;
    let address = async |cookie: &str| {
        let answer = ask(&app, "/forward-auth", &[("cookie", cookie)]).await;
        answer.header("remote-email").map(str::to_owned)
    };
    let change = serde_json::json!({ "email": "Ann@example.org" });
    assert_eq!(ann.put("/me/email", &change).await.status, 202);
    let cookie = ann.cookie().unwrap();
    assert_eq!(address(&cookie).await.as_deref(), Some(""), "it is not confirmed");
    set_address(&app, &ann, "Ann@example.org").await;
    assert_eq!(address(&ann.cookie().unwrap()).await.as_deref(), Some("Ann@example.org"));
}

#[tokio::test]
async fn a_person_without_the_role_gets_a_page_that_names_it_and_the_user() {
    let app = app().await;
    let ann = app.signed_in("ann").await.cookie().unwrap();
    let headers = [
        ("cookie", ann.as_str()),
        ("accept", PERSON),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "wiki.example.org"),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-uri", "/page"),
    ];
    let answer = ask(&app, "/forward-auth/redirect?role=editor", &headers).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (403, None));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(answer.header("remote-user").is_none());
    for part in [
        "<code>editor</code>",
        r#"<strong id="who">ann</strong>"#,
        r#"href="https://id.example.org/login?next=https%3A%2F%2Fwiki.example.org%2Fpage""#,
    ] {
        assert!(answer.text.contains(part), "{part} in {}", answer.text);
    }
    // The page is shown at the address of the app: it may not load anything there.
    let nonce = answer.text.split(r#"<style nonce=""#).nth(1).unwrap().split('"').next().unwrap();
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("style-src 'nonce-{nonce}'")), "{policy}");
    assert!(
        !answer.text.contains(r#"href="/"#) && !answer.text.contains("src="),
        "{}",
        answer.text
    );

    // The link leads to a page that offers to sign out, and not back to the app at once.
    let path = "/login?next=https%3A%2F%2Fwiki.example.org%2Fpage";
    let page = ask(&app, path, &[("cookie", ann.as_str()), ("accept", PERSON)]).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains(r#"action="/logout""#), "{}", page.text);
    let program = ask(&app, "/forward-auth/redirect?role=editor", &[("cookie", &ann)]).await;
    assert_eq!(program.refusal(), (403, "role_needed".into()));
}
