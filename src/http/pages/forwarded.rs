//! The page `GET /forward-auth/redirect`: like `forwardAuth`, for proxies that pass every response
//! on to the browser (Caddy, Traefik). It is not in the document.

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::error::ResponseError;
use poem::http::{StatusCode, header};
use poem::{EndpointExt, Request, Response, Result, endpoint};

use super::content_negotiation;
use super::next_step::NextStep;
use super::problem_page::ProblemPage;
use super::render::{render, see_other};
use super::visitor::refuse_conflicting_cookies;
use crate::http::api::forward_auth::Identity;
use crate::http::state::AppState;

pub fn endpoint(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    let state = Arc::clone(state);
    let ask = endpoint::make(move |request: Request| {
        let state = Arc::clone(&state);
        async move { answer(&state, &request).await }
    });
    ask.boxed()
}

/// The identity with 200. Otherwise a browser is redirected to the sign-in page, and a program gets
/// 401. A browser with two different session cookies gets a page about them, because it could not
/// sign in either.
async fn answer(state: &AppState, request: &Request) -> Result<Response> {
    if is_a_person(request)
        && let Err(conflict) = refuse_conflicting_cookies(state, request)
    {
        // The browser shows the app's address, so the link must be absolute.
        let next_step = NextStep { href: state.apps.sign_in(None), label: "Sign in" };
        let page = ProblemPage::of(&state.site, &conflict.problem);
        let page = ProblemPage { next_step: Some(next_step), ..page };
        return Ok(render(conflict.status(), &page));
    }
    match state.forward_auth_user(request).await {
        Ok(who) => {
            let Identity { user, user_id, session } = Identity::of(&who);
            let response = Response::builder().status(StatusCode::OK);
            let response = response.header("remote-user", user);
            let response = response.header("remote-user-id", user_id);
            Ok(response.header("remote-session", session).finish())
        }
        Err(failure) if failure.problem.status == 401 && is_a_person(request) => {
            let next = state.apps.asked_for(request);
            Ok(see_other(&state.apps.sign_in(next.as_deref())))
        }
        Err(failure) => Err(failure.into()),
    }
}

fn is_a_person(request: &Request) -> bool {
    request.header(header::ACCEPT).is_some_and(content_negotiation::prefers_html)
}
