//! The page `GET /forward-auth/redirect`: like `forwardAuth`, for proxies that pass every response
//! on to the browser (Caddy, Traefik). It is not in the document.

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::{StatusCode, header};
use poem::{EndpointExt, Request, Response, Result, endpoint};

use super::at_app::render_at_app;
use super::content_negotiation;
use super::next_step::NextStep;
use super::render::see_other;
use super::visitor::refuse_conflicting_cookies;
use crate::http::api::forward_auth::{ForwardAuthCheck, Identity, check_forwarded};
use crate::http::state::AppState;

pub fn endpoint(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    let state = Arc::clone(state);
    let ask = endpoint::make(move |request: Request| {
        let state = Arc::clone(&state);
        async move { answer(&state, &request).await }
    });
    ask.boxed()
}

/// The identity with 200. Otherwise a browser is redirected to the sign-in page, or gets a page that
/// says which role the user does not have; a program gets 401 or 403. A browser with two different
/// session cookies gets a page about them, because it could not sign in either.
async fn answer(state: &AppState, request: &Request) -> Result<Response> {
    let is_person = is_a_person(request);
    if is_person && let Err(conflict) = refuse_conflicting_cookies(state, request) {
        let next_step = NextStep { href: state.apps.sign_in(None), label: "Sign in" };
        return Ok(render_at_app(state, &conflict.problem, None, next_step));
    }
    let check = match check_forwarded(state, request).await {
        Ok(check) => check,
        Err(failure) if failure.problem.status == 401 && is_person => {
            let next = state.apps.asked_for(request);
            return Ok(see_other(&state.apps.sign_in(next.as_deref())));
        }
        Err(failure) => return Err(failure.into()),
    };
    match check {
        ForwardAuthCheck::LetIn(who) => {
            let response = Response::builder().status(StatusCode::OK);
            let headers = Identity::of(&who).headers().into_iter();
            let response =
                headers.fold(response, |response, (name, value)| response.header(name, value));
            Ok(response.finish())
        }
        ForwardAuthCheck::RoleNeeded(who, refusal) if is_person => {
            // Its page says who is signed in and offers to sign out, and then leads back to the app.
            let href = state.apps.sign_in(state.apps.asked_for(request).as_deref());
            let next_step = NextStep { href, label: "Use another account" };
            let username = Some(who.account().username.as_str());
            Ok(render_at_app(state, &refusal.problem, username, next_step))
        }
        ForwardAuthCheck::RoleNeeded(_, refusal) => Err(refusal.into()),
    }
}

fn is_a_person(request: &Request) -> bool {
    request.header(header::ACCEPT).is_some_and(content_negotiation::prefers_html)
}
