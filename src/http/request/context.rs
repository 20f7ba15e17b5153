//! The context of a request for security events.

use poem::Request;

use crate::domain::audit::context::RequestContext;

/// The context that the outer endpoint attached to an unsafe request. A safe request has an empty
/// one.
pub fn request_context(request: &Request) -> RequestContext {
    request.data::<RequestContext>().cloned().unwrap_or_default()
}
