//! Endpoints that show pages and take forms.

use std::sync::Arc;

use poem::endpoint::{BoxEndpoint, DynEndpoint};
use poem::{EndpointExt, Request, RequestBody, Response, Result, endpoint};

use crate::http::state::Front;

/// An endpoint that a fork shares among requests.
pub type Shared = Arc<dyn DynEndpoint<Output = Response>>;

/// An endpoint that shows a page.
pub fn page<Fut>(
    front: &Arc<Front>,
    show: impl Fn(Arc<Front>, Request) -> Fut + Send + Sync + 'static,
) -> BoxEndpoint<'static>
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    form(front, move |front, request, _| show(front, request))
}

/// An endpoint that takes a form and shows a page.
pub fn form<Fut>(
    front: &Arc<Front>,
    take: impl Fn(Arc<Front>, Request, RequestBody) -> Fut + Send + Sync + 'static,
) -> BoxEndpoint<'static>
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    let take = shared(front, take);
    let taken = endpoint::make(move |request: Request| {
        let take = Arc::clone(&take);
        async move { take.call(request).await }
    });
    taken.boxed()
}

/// The same, for a fork.
pub fn shared<Fut>(
    front: &Arc<Front>,
    take: impl Fn(Arc<Front>, Request, RequestBody) -> Fut + Send + Sync + 'static,
) -> Shared
where
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    let front = Arc::clone(front);
    Arc::new(endpoint::ToDynEndpoint(endpoint::make(move |request: Request| {
        let (request, body) = request.split();
        take(Arc::clone(&front), request, body)
    })))
}
