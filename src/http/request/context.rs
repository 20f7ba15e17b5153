//! What security events say of a request.

use poem::Request;

use crate::domain::audit::context::RequestContext;

/// The context that the outermost endpoint gave to an unsafe request; a safe one has none.
pub fn request_context(request: &Request) -> RequestContext {
    request.data::<RequestContext>().cloned().unwrap_or_default()
}
