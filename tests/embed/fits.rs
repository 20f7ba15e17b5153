//! Tests of conflicts between the host program's operations and Cloakroom's, which are refused when
//! they are mounted.

use cloakroom::{Public, Session};
use poem_openapi::auth::ApiKey;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{Object, OpenApi, SecurityScheme};

use crate::app::TestApp;

async fn said<T: OpenApi + 'static>(api: T) -> String {
    let app = TestApp::new().await;
    app.cloakroom.mount(api, "Test", "1.0.0").endpoint().unwrap_err().to_string()
}

/// An `#[OpenApi]` impl with one operation.
macro_rules! operation {
    ($name:ident, $path:literal, $method:literal, $id:literal) => {
        struct $name;

        #[OpenApi]
        impl $name {
            /// Do something
            #[oai(path = $path, method = $method, operation_id = $id)]
            async fn operation(&self, _public: Public) -> PlainText<String> {
                PlainText(String::new())
            }
        }
    };
}

operation!(ReadThings, "/things", "get", "readThings");
operation!(WriteThings, "/things", "post", "writeThings");
operation!(ReadOne, "/things/:id", "get", "readOne");
operation!(RemoveOne, "/things/:thing", "delete", "removeOne");
operation!(LogInAgain, "/login", "put", "logInAgain");
operation!(OneOfTheSessions, "/sessions/:mine", "get", "oneOfTheSessions");
operation!(Account, "/account", "get", "account");
operation!(Docs, "/docs", "get", "docs");
operation!(Login, "/sign-in", "post", "login");
operation!(ThingsAgain, "/more-things", "get", "readThings");
operation!(Regex, "/regex/<[>", "get", "regex");

#[tokio::test]
async fn a_path_of_two_impls_is_refused() {
    let error = said((ReadThings, WriteThings)).await;
    assert!(error.contains("two #[OpenApi] impls have the path /things"), "{error}");
    let error = said((ReadOne, RemoveOne)).await;
    assert!(error.contains("two #[OpenApi] impls have the path /things/"), "{error}");
}

#[tokio::test]
async fn a_path_of_cloakrooms_is_refused() {
    for (error, path) in [
        (said(LogInAgain).await, "PUT /login"),
        (said(OneOfTheSessions).await, "GET /sessions/"),
        (said(Account).await, "GET /account"),
        (said(Docs).await, "GET /docs"),
    ] {
        assert!(error.contains(path) && error.contains("belongs to Cloakroom"), "{error}");
    }
    let app = TestApp::new().await;
    let page = || poem::endpoint::make_sync(|_| "a page");
    for path in ["/login", "/docs", "/openapi.json", "/problems/:what"] {
        let mount = app.cloakroom.mount((), "Test", "1.0.0").page(path, page());
        let error = mount.endpoint().unwrap_err().to_string();
        assert!(error.contains("belongs to Cloakroom"), "{path}: {error}");
    }
    let mount = app.cloakroom.mount(ReadThings, "Test", "1.0.0").page("/things", page());
    assert!(mount.endpoint().is_err(), "an operation is there");
    let mount = app.cloakroom.mount(ReadThings, "Test", "1.0.0").page("/", page());
    assert!(mount.endpoint().is_ok(), "but the first page is theirs");
    let mount = app.cloakroom.mount((), "Test", "1.0.0").page("page", page());
    let error = mount.endpoint().unwrap_err().to_string();
    assert!(error.contains("it must start with /"), "{error}");
}

#[tokio::test]
async fn an_operation_id_that_is_taken_is_refused() {
    let error = said(Login).await;
    assert!(error.contains("two operations have the operation_id login"), "{error}");
    let error = said((ReadThings, ThingsAgain)).await;
    assert!(error.contains("two operations have the operation_id readThings"), "{error}");
}

#[tokio::test]
async fn a_path_that_poem_does_not_take_is_refused() {
    let error = said(Regex).await;
    assert!(error.contains("cannot be mounted"), "{error}");
}

#[tokio::test]
async fn a_schema_of_cloakrooms_name_is_refused() {
    /// A different type than Cloakroom's.
    #[derive(Object)]
    struct Session {
        /// At the cinema.
        film: String,
    }

    struct Cinema;

    #[OpenApi]
    impl Cinema {
        /// What is on
        #[oai(path = "/film", method = "get", operation_id = "getFilm")]
        async fn film(&self, _public: Public) -> Json<Session> {
            Json(Session { film: "Metropolis".to_owned() })
        }
    }

    let error = said(Cinema).await;
    assert!(error.contains("the schema name Session belongs to Cloakroom"), "{error}");
}

#[tokio::test]
async fn a_security_scheme_of_the_same_name_is_refused() {
    #[derive(SecurityScheme)]
    #[oai(rename = "session", ty = "api_key", key_name = "X-Key", key_in = "header")]
    #[allow(dead_code, reason = "nobody gets that far")]
    struct Key(ApiKey);

    struct Vault;

    #[OpenApi]
    impl Vault {
        /// Open it
        #[oai(path = "/vault", method = "get", operation_id = "openVault")]
        async fn open(&self, _public: Public, _key: Key) -> PlainText<String> {
            PlainText(String::new())
        }
    }

    let error = said(Vault).await;
    assert!(
        error.contains("the name of the security scheme session belongs to Cloakroom"),
        "{error}"
    );
}

#[tokio::test]
async fn a_security_scheme_of_another_name_stands_beside_it() {
    #[derive(SecurityScheme)]
    #[oai(rename = "key", ty = "api_key", key_name = "X-Key", key_in = "header")]
    #[allow(dead_code, reason = "it is there, that is enough")]
    struct Key(ApiKey);

    struct Vault;

    #[OpenApi]
    impl Vault {
        /// Open it
        #[oai(path = "/vault", method = "get", operation_id = "openVault")]
        async fn open(&self, _public: Public, _key: Key) -> PlainText<String> {
            PlainText(String::new())
        }
    }

    let app = TestApp::new().await;
    let mounted = app.cloakroom.mount(Vault, "Test", "1.0.0").endpoint().unwrap();
    let document: serde_json::Value = serde_json::from_str(mounted.document()).unwrap();
    let open = &document["paths"]["/vault"]["get"];
    assert_eq!(open["security"], serde_json::json!([{ "key": [] }]));
    assert!(open["responses"].get("401").is_none(), "what it answers is theirs to say");
}

mod shop {
    /// The contents of a shopping cart.
    #[derive(poem_openapi::Object, Default)]
    pub struct Cart {
        /// How many.
        pub items: u32,
    }
}

mod library {
    /// The books that a user wants to borrow.
    #[derive(poem_openapi::Object, Default)]
    pub struct Cart {
        /// Which.
        pub books: Vec<String>,
    }

    /// The same with another name.
    #[derive(poem_openapi::Object, Default)]
    #[oai(rename = "BookCart")]
    pub struct RenamedCart {
        /// Which.
        pub books: Vec<String>,
    }
}

/// An `#[OpenApi]` impl with one operation that keeps session data of this type.
macro_rules! keeps {
    ($name:ident, $path:literal, $id:literal, $data:ty) => {
        struct $name;

        #[OpenApi]
        impl $name {
            /// Read it
            #[oai(path = $path, method = "get", operation_id = $id)]
            async fn operation(&self, data: Session<$data>) -> poem::Result<PlainText<String>> {
                data.read().await?;
                Ok(PlainText(String::new()))
            }
        }
    };
}

keeps!(ReadCart, "/cart", "readCart", shop::Cart);
keeps!(CountCart, "/cart/count", "countCart", shop::Cart);
keeps!(ReadBooks, "/books", "readBooks", library::Cart);
keeps!(ReadRenamed, "/books", "readBooks", library::RenamedCart);

#[tokio::test]
async fn att_17_12_two_types_of_session_data_with_one_name_are_refused() {
    let error = said((ReadCart, ReadBooks)).await;
    for part in ["shop::Cart", "library::Cart", "both have the name Cart", "rename"] {
        assert!(error.contains(part), "{error}");
    }
    let app = TestApp::new().await;
    let mounted = app.cloakroom.mount((ReadCart, CountCart, ReadRenamed), "Test", "1.0.0");
    let mounted = mounted.endpoint().unwrap();
    let document: serde_json::Value = serde_json::from_str(mounted.document()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(!schemas.keys().any(|name| name.contains("Cart")), "no operation shows it");
}
