//! Endpoints that show pages or accept forms.

use std::sync::Arc;

use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::{EndpointExt, Request, RequestBody, Response, Result, endpoint};

use crate::http::state::AppState;

/// An endpoint that all requests of a fork share.
pub type Shared = Arc<dyn DynEndpoint<Output = Response>>;

/// An endpoint that shows a page.
pub fn page<Fut>(
    state: &Arc<AppState>,
    show: impl Fn(Arc<AppState>, Request) -> Fut + Send + Sync + 'static,
) -> BoxEndpoint<'static>
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    form(state, move |state, request, _| show(state, request))
}

/// An endpoint that accepts a form and shows a page.
pub fn form<Fut>(
    state: &Arc<AppState>,
    take: impl Fn(Arc<AppState>, Request, RequestBody) -> Fut + Send + Sync + 'static,
) -> BoxEndpoint<'static>
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    let take = shared_form(state, take);
    let taken = endpoint::make(move |request: Request| {
        let take = Arc::clone(&take);
        async move { take.call(request).await }
    });
    taken.boxed()
}

/// The same as [`form`], for a fork.
pub fn shared_form<Fut>(
    state: &Arc<AppState>,
    take: impl Fn(Arc<AppState>, Request, RequestBody) -> Fut + Send + Sync + 'static,
) -> Shared
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    let state = Arc::clone(state);
    Arc::new(endpoint::ToDynEndpoint(endpoint::make(move |request: Request| {
        let (request, body) = request.split();
        take(Arc::clone(&state), request, body)
    })))
}
