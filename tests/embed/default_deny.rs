//! Tests of operations of the host program that have no guard: mounting refuses them, unless they say
//! that they are public.

use cloakroom::{MaybeSignedIn, Public, Session, SignedIn};
use poem::http::Method;
use poem::{Request, RequestBody};
use poem_openapi::auth::ApiKey;
use poem_openapi::payload::PlainText;
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, Object, OpenApi, SecurityScheme,
};
use serde_json::{Value, json};

use crate::app::{Client, TestApp, mounted};

/// An `#[OpenApi]` impl with one operation, which has these arguments.
macro_rules! operation {
    ($name:ident, $path:literal, $id:literal $(, $argument:ident: $guard:ty)*) => {
        struct $name;

        #[OpenApi]
        impl $name {
            /// Do something
            #[oai(path = $path, method = "get", operation_id = $id)]
            async fn operation(&self $(, $argument: $guard)*) -> PlainText<&'static str> {
                PlainText("done")
            }
        }
    };
}

/// A shopping cart.
#[derive(Object, Default)]
struct Cart {
    /// How many.
    items: u32,
}

#[derive(SecurityScheme)]
#[oai(rename = "key", ty = "api_key", key_name = "X-Key", key_in = "header")]
struct Key(#[allow(dead_code, reason = "the header is enough")] ApiKey);

/// A guard of the host program that is made of Cloakroom's.
struct Owner(#[allow(dead_code, reason = "the check is enough")] SignedIn);

impl<'a> ApiExtractor<'a> for Owner {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn security_schemes() -> Vec<&'static str> {
        <SignedIn as ApiExtractor>::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        SignedIn::of(request).await.map(Self)
    }
}

operation!(Open, "/open", "readOpen");
operation!(WithKey, "/key", "readWithKey", _key: Key);
operation!(Twice, "/twice", "readTwice", _public: Public, _who: SignedIn);
operation!(OfAll, "/all", "readAll", _public: Public);
operation!(OfUsers, "/users", "readAsUser", _who: SignedIn);
operation!(OfBoth, "/both", "readAsAny", _who: MaybeSignedIn);
operation!(OfCarts, "/cart", "readCart", _cart: Session<Cart>);
operation!(OfOwners, "/owners", "readAsOwner", _owner: Owner);
operation!(OfKeys, "/keys", "readWithOwnKey", _public: Public, _key: Key);

struct Anonymous;

#[OpenApi]
impl Anonymous {
    /// Has no operation id
    #[oai(path = "/anonymous", method = "post")]
    async fn operation(&self) -> PlainText<&'static str> {
        PlainText("done")
    }
}

struct Hidden;

#[OpenApi]
impl Hidden {
    /// Is not in the document
    #[oai(path = "/hidden", method = "get", operation_id = "readHidden", hidden)]
    async fn hidden(&self, _who: SignedIn) -> PlainText<&'static str> {
        PlainText("done")
    }

    /// Is in the document
    #[oai(path = "/hidden", method = "post", operation_id = "writeShown")]
    async fn shown(&self, _who: SignedIn) -> PlainText<&'static str> {
        PlainText("done")
    }
}

async fn error_of<T: OpenApi + 'static>(api: T) -> String {
    let app = TestApp::new().await;
    app.cloakroom.mount(api, "Test", "1.0.0").endpoint().unwrap_err().to_string()
}

#[tokio::test]
async fn an_operation_without_a_guard_is_refused_and_named() {
    let error = error_of(Open).await;
    assert_eq!(
        error,
        "the operation GET /open (readOpen) has no guard, so every client could call it; add the \
         argument `who: SignedIn` or another guard, or `_public: Public` if the operation is open \
         to every client"
    );
    let error = error_of(Anonymous).await;
    assert!(error.starts_with("the operation POST /anonymous has no guard"), "{error}");
    let error = error_of(WithKey).await;
    assert!(error.contains("(readWithKey) has no guard"), "a scheme of their own: {error}");
}

#[tokio::test]
async fn one_operation_without_a_guard_among_many_is_found() {
    let error = error_of((OfUsers, (OfAll, (OfBoth, Open)))).await;
    assert!(error.contains("GET /open (readOpen)"), "{error}");
}

#[tokio::test]
async fn an_operation_with_a_guard_that_is_declared_as_public_is_refused() {
    let error = error_of(Twice).await;
    assert!(error.contains("GET /twice (readTwice) has a guard and"), "{error}");
}

#[tokio::test]
async fn an_operation_that_the_document_does_not_show_is_refused() {
    let error = error_of(Hidden).await;
    assert!(error.contains("GET /hidden is hidden from the document"), "{error}");
}

#[tokio::test]
async fn every_guard_and_public_are_accepted() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, (OfAll, OfUsers, OfBoth, OfCarts, OfOwners, OfKeys));
    let anonymous = Client::of(&mounted);
    for (path, status) in [
        ("/all", 200),
        ("/users", 401),
        ("/both", 200),
        ("/cart", 401),
        ("/owners", 401),
        ("/keys", 401), // it is their guard that refuses
    ] {
        assert_eq!(anonymous.get(path).await.status, status, "{path}");
    }
    let ann = Client::signed_in(&mounted, "ann").await;
    assert_eq!(ann.get("/owners").await.text, "done");
    *anonymous.cookie.lock().unwrap() = Some("session=forged; session=planted".to_owned());
    assert_eq!(anonymous.get("/all").await.text, "done", "no cookie matters");
}

#[tokio::test]
async fn the_document_shows_what_a_guard_requires_and_no_mark() {
    let app = TestApp::new().await;
    let mounted = mounted(&app.cloakroom, (OfAll, OfUsers, OfBoth, OfOwners, OfKeys));
    let document: Value = serde_json::from_str(mounted.document()).unwrap();
    for (path, security) in [
        ("/all", json!([])),
        ("/users", json!([{ "session": [] }])),
        ("/both", json!([{ "session": [] }, {}])),
        ("/owners", json!([{ "session": [] }])),
        ("/keys", json!([{ "key": [] }])),
    ] {
        assert_eq!(document["paths"][path]["get"]["security"], security, "{path}");
    }
    let all = document["paths"]["/all"]["get"]["responses"].as_object().unwrap();
    assert!(all.keys().eq(["200", "400", "421", "500"]), "{:?}", all.keys());
    assert!(!mounted.document().contains("cloakroom:"));
}

#[tokio::test]
async fn a_page_needs_no_guard_and_is_reached_by_get_only() {
    let app = TestApp::new().await;
    let page = poem::endpoint::make_sync(|_| "a page");
    let mount = app.cloakroom.mount((), "Test", "1.0.0").page("/page", page);
    let mounted = mount.endpoint().unwrap();
    let anonymous = Client::of(&mounted);
    assert_eq!(anonymous.get("/page").await.text, "a page");
    assert_eq!(anonymous.send(Method::POST, "/page", None).await.status, 405);
}
