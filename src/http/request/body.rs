//! Reads a request body: JSON, or a form with the same fields and rules.
//!
//! Only JSON is documented, because a second media type breaks a third of the client generators.

use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::fields::{Fields, read_bytes};
use super::media_type::{JSON, is_form};
use crate::http::problem::ApiError;

/// A body whose fields are read by `T`.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// An optional body.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

// Do not import `poem_openapi::types::Type` here: its `is_empty` returns false for every `&&str`.

/// Reads its fields from a body. `fields` collects the errors.
pub trait FromFields: poem_openapi::types::Type + Sized {
    fn from_fields(fields: &mut Fields) -> Self;
}

impl<'a, T: FromFields> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self(read(request, body).await?))
    }
}

impl<'a, T: FromFields> ApiExtractor<'a> for OptionalBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest { required: false, ..Body::<T>::request_meta()? })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self(read_optional(request, body).await?))
    }
}

/// Reads a body.
pub async fn read<T: FromFields>(request: &Request, body: &mut RequestBody) -> Result<T, ApiError> {
    let mut fields = Fields::read(request, body).await?;
    let value = T::from_fields(&mut fields);
    fields.finish().map(|()| value)
}

/// Reads an optional body. An empty body counts as absent with any media type, and so does
/// `null`, which clients in Go send for an absent value.
pub async fn read_optional<T: FromFields>(
    request: &Request,
    body: &mut RequestBody,
) -> Result<Option<T>, ApiError> {
    let bytes = read_bytes(request, body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let is_form = is_form(request)?;
    if !is_form && bytes.trim_ascii() == b"null" {
        return Ok(None);
    }
    let mut fields = Fields::parse(is_form, &bytes)?;
    let value = T::from_fields(&mut fields);
    fields.finish()?;
    Ok(Some(value))
}
