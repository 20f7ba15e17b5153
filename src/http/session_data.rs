//! Session data: a typed value that an operation stores for a session.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::{Request, RequestBody, Response, Result};
use poem_openapi::registry::{MetaSchema, Registry};
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::guard::SignedIn;
use super::problem::error::ErrorCause;
use super::problem::{ApiError, Code};
use super::security_scheme::{SCHEME, register_scheme};
use super::state::AppState;
use crate::core::error::InternalError;
use crate::domain::session_data::{DataError, MAX_VALUE_BYTES};

/// A guard with a value of type `T` that is stored for the session. Operations can read it, write
/// it, or update it. It is deleted with the session, and it is `T::default()` until it is written.
///
/// The value is stored in Cloakroom's database as JSON of at most 64 KiB, under the name of the
/// type in the document. So each type has its own value, and mounting two types with the same name
/// is an error. A request that does not use the value costs no query. A new field of the type needs
/// `#[oai(default)]`; otherwise older values no longer match the type
/// ([`SessionDataError::DoesNotFit`]).
///
/// ```
/// use cloakroom::Session;
/// use poem_openapi::{Object, OpenApi, payload::Json};
///
/// /// The items that a user wants to buy.
/// #[derive(Object, Default)]
/// struct Cart {
///     /// The number of items.
///     items: u32,
/// }
///
/// struct Shop;
///
/// #[OpenApi]
/// impl Shop {
///     /// Get the cart
///     #[oai(path = "/cart", method = "get", operation_id = "getCart")]
///     async fn get(&self, cart: Session<Cart>) -> poem::Result<Json<Cart>> {
///         Ok(Json(cart.read().await?))
///     }
///
///     /// Add an item to the cart
///     #[oai(path = "/cart", method = "post", operation_id = "addToCart")]
///     async fn add(&self, cart: Session<Cart>) -> poem::Result<Json<u32>> {
///         let items = cart.update(|cart| {
///             cart.items += 1;
///             cart.items
///         });
///         Ok(Json(items.await?))
///     }
/// }
/// ```
pub struct Session<T> {
    who: SignedIn,
    state: Arc<AppState>,
    kind: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("who", &self.who).finish_non_exhaustive()
    }
}

/// Why session data was not read or written. With `?` it becomes a response that the document
/// contains already.
///
/// ```
/// use cloakroom::{Session, SessionDataError};
/// use poem_openapi::Object;
///
/// /// The items that a user wants to buy.
/// #[derive(Object, Default)]
/// struct Cart {
///     /// The number of items.
///     items: u32,
/// }
///
/// /// The number of items. A cart of an earlier version of this service counts as empty.
/// async fn items(cart: &Session<Cart>) -> Result<u32, SessionDataError> {
///     match cart.read().await {
///         Ok(cart) => Ok(cart.items),
///         Err(SessionDataError::DoesNotFit { .. }) => Ok(0),
///         Err(error) => Err(error),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionDataError {
    /// The session has ended since the request started. With `?`: 403 `session_refused`.
    #[error("the session has ended")]
    Ended,
    /// The value is larger than 64 KiB as JSON. Nothing was written. With `?`: 500.
    #[error("session data of {bytes} bytes is too large; the maximum is {MAX_VALUE_BYTES} bytes")]
    TooLarge {
        /// The size of the value as JSON.
        bytes: usize,
    },
    /// The stored value, written by an earlier version of the service, does not match the type. It
    /// stays until another value is written. With `?`: 500.
    #[error("the stored session data is not a valid {name}")]
    DoesNotFit {
        /// The name of the type in the document.
        name: String,
    },
    /// The database failed or is busy. With `?`: 503, or 500.
    #[error(transparent)]
    Database(Box<dyn std::error::Error + Send + Sync>),
}

impl From<DataError> for SessionDataError {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Ended => Self::Ended,
            DataError::TooLarge(bytes) => Self::TooLarge { bytes },
            DataError::Internal(fault) => Self::Database(Box::new(fault)),
        }
    }
}

impl ResponseError for SessionDataError {
    fn status(&self) -> StatusCode {
        self.code().status()
    }

    fn as_response(&self) -> Response {
        let mut response = ApiError::of(self.code()).as_response();
        if let Self::TooLarge { .. } | Self::DoesNotFit { .. } | Self::Database(_) = self {
            response.set_data(ErrorCause(self.to_string()));
        }
        response
    }
}

impl SessionDataError {
    fn code(&self) -> Code {
        match self {
            Self::Ended => Code::SessionRefused,
            Self::TooLarge { .. } | Self::DoesNotFit { .. } => Code::InternalError,
            Self::Database(error) => match error.downcast_ref::<InternalError>() {
                Some(fault) if fault.is_transient() => Code::Unavailable,
                Some(_) | None => Code::InternalError,
            },
        }
    }
}

impl<T: ParseFromJSON + ToJSON + Default> Session<T> {
    /// Reads the value.
    pub async fn read(&self) -> Result<T, SessionDataError> {
        let kept = self.state.domain.session_data.read(self.id(), &T::name()).await?;
        Self::parse(kept.as_deref())
    }

    /// Writes the value unconditionally.
    pub async fn write(&self, value: &T) -> Result<(), SessionDataError> {
        Ok(self.state.domain.session_data.write(self.id(), &T::name(), Self::text(value)).await?)
    }

    /// Updates the value. Concurrent updates are applied one after the other: if another one was
    /// first, `change` is called again with the new value. So `change` must have no side effects.
    pub async fn update<R>(
        &self,
        mut change: impl FnMut(&mut T) -> R,
    ) -> Result<R, SessionDataError> {
        let (name, mut last) = (T::name(), None);
        let again = |kept: Option<&str>| {
            let mut value = Self::parse(kept)?;
            last = Some(change(&mut value));
            Ok::<_, SessionDataError>(Self::text(&value))
        };
        self.state.domain.session_data.update(self.id(), &name, again).await?;
        Ok(last.expect("what was kept was made by a change"))
    }

    fn parse(kept: Option<&str>) -> Result<T, SessionDataError> {
        let Some(kept) = kept else { return Ok(T::default()) };
        let value = serde_json::from_str(kept).ok();
        let value = value.and_then(|value| T::parse_from_json(Some(value)).ok());
        value.ok_or_else(|| SessionDataError::DoesNotFit { name: T::name().into_owned() })
    }

    fn text(value: &T) -> String {
        value.to_json().unwrap_or_default().to_string()
    }
}

impl<T> Session<T> {
    /// The signed-in user of the session.
    pub fn who(&self) -> &SignedIn {
        &self.who
    }

    fn id(&self) -> &crate::core::ids::SessionId {
        &self.who.0.session.id
    }
}

/// The prefix of schema names that record the types of session data. The document does not contain
/// these schemas, because no operation refers to them.
const DATA_TYPE: &str = "session data: ";

/// Finds two types of session data that would share a value, because they have the same name in the
/// document. Returns the name and both types.
pub fn shared_name(registry: &Registry) -> Option<(String, &'static str, &'static str)> {
    let mut known: BTreeMap<&str, &'static str> = BTreeMap::new();
    for (key, schema) in &registry.schemas {
        let (true, Some(name)) = (key.starts_with(DATA_TYPE), &schema.title) else { continue };
        let rust_type = schema.rust_typename.unwrap_or_default();
        if let Some(other) = known.insert(name, rust_type) {
            return Some((name.clone(), other, rust_type));
        }
    }
    None
}

impl<'a, T: Type> ApiExtractor<'a> for Session<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register_scheme(registry);
        let (name, rust_type) = (T::name().into_owned(), std::any::type_name::<T>());
        let key = format!("{DATA_TYPE}{name} {rust_type}");
        let mut schema = MetaSchema::new("object");
        (schema.title, schema.rust_typename) = (Some(name), Some(rust_type));
        registry.schemas.insert(key, schema);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let who = SignedIn::of(request).await?;
        Ok(Self { who, state: Arc::clone(AppState::of(request)?), kind: PhantomData })
    }
}
