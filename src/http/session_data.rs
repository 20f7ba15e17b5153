//! What an operation keeps for a session: a value of a type of its own.

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
use crate::domain::session_data::{DataError, LARGEST};

/// A guard, and a value of type `T` that is kept for the session: read it, write it, or change what
/// is there. It is gone when the session is, and what nobody has written yet is `T::default()`.
///
/// It is kept in Cloakroom's database as JSON of at most 64 KiB, under the name of the type in the
/// document: each type has a value of its own, and two types of one name are an error when they are
/// mounted. A request that does not touch it costs no query.
/// A new field of the type needs `#[oai(default)]`, or what was kept before no longer fits it
/// ([`SessionDataError::DoesNotFit`]).
///
/// ```
/// use cloakroom::Session;
/// use poem_openapi::{Object, OpenApi, payload::Json};
///
/// /// What somebody is about to buy.
/// #[derive(Object, Default)]
/// struct Cart {
///     /// How many.
///     items: u32,
/// }
///
/// struct Shop;
///
/// #[OpenApi]
/// impl Shop {
///     /// See my cart
///     #[oai(path = "/cart", method = "get", operation_id = "getCart")]
///     async fn get(&self, cart: Session<Cart>) -> poem::Result<Json<Cart>> {
///         Ok(Json(cart.read().await?))
///     }
///
///     /// Put one more into my cart
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

/// Why a value was not read or kept. By `?` it is an answer that the document has already.
///
/// ```
/// use cloakroom::{Session, SessionDataError};
/// use poem_openapi::Object;
///
/// /// What somebody is about to buy.
/// #[derive(Object, Default)]
/// struct Cart {
///     /// How many.
///     items: u32,
/// }
///
/// /// What is in the cart; one of an earlier version of this service is as good as empty.
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
    /// The session has ended since the request began. By `?`: 403 `session_refused`.
    #[error("the session has ended")]
    Ended,
    /// As JSON it is larger than 64 KiB. Nothing was kept. By `?`: 500.
    #[error("{bytes} bytes are more than the {LARGEST} that are kept for a session")]
    TooLarge {
        /// As many bytes.
        bytes: usize,
    },
    /// What was kept, by an earlier version of the service, is none of the type's values. It stays
    /// until something else is written. By `?`: 500.
    #[error("what is kept for the session is no {name}")]
    DoesNotFit {
        /// The type.
        name: String,
    },
    /// The database fails, or is busy. By `?`: 503, or 500.
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
    /// What is kept.
    pub async fn read(&self) -> Result<T, SessionDataError> {
        let kept = self.state.domain.session_data.kept(self.id(), &T::name()).await?;
        Self::parse(kept.as_deref())
    }

    /// Keeps this from now on, whatever was kept before.
    pub async fn write(&self, value: &T) -> Result<(), SessionDataError> {
        Ok(self.state.domain.session_data.keep(self.id(), &T::name(), Self::text(value)).await?)
    }

    /// Changes what is kept. Of requests that do so at once, each sees what the one before made of
    /// it: `change` is called again when another one came first, and so does nothing else.
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
        self.state.domain.session_data.change_kept(self.id(), &name, again).await?;
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
    /// Whose session it is.
    pub fn who(&self) -> &SignedIn {
        &self.who
    }

    fn id(&self) -> &crate::core::ids::SessionId {
        &self.who.0.session.id
    }
}

/// What the name of a schema begins with that stands for a type of a session's data. The document has
/// none of these: no operation refers to it.
const DATA_TYPE: &str = "session data: ";

/// Two types of a session's data that would have one value, since the document calls them the same: their
/// name, and both types.
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
