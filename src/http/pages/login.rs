//! The pages `/` and `/login`.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::BoxEndpoint;
use poem::http::StatusCode;

use super::branding::Branding;
use super::endpoints::{Shared, page, shared_form};
use super::form_errors::FormResponder;
use super::redirect_targets::RedirectTargets;
use super::render::{render, see_other};
use super::sign_in::{SignInPage, cookies_blocked, read_submitted, show_again, signed_in};
use super::visitor::{Visitor, refuse_conflicting_cookies};
use crate::http::api::login::CredentialsView;
use crate::http::problem::Problem;
use crate::http::request::query::query;
use crate::http::state::AppState;

/// The page for users who are already signed in and came from an app.
#[derive(Template)]
#[template(path = "pages/go_on.html")]
struct GoOnPage<'a> {
    site: &'a Branding,
    username: &'a str,
    next: &'a str,
    app: &'a str,
}

/// `GET /`: redirects to the account or to the sign-in page.
pub fn home(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        Ok(match Visitor::of(&state, &request).await? {
            Visitor::SignedIn(_) => see_other("/account"),
            Visitor::Anonymous(cookie) => cookie.delete_in(see_other("/login")),
        })
    })
}

/// `GET /login`. Users who are already signed in are redirected, but to an app only by a link: an
/// app that cannot read the session would cause an endless redirect.
pub fn login_page(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |state, request| async move {
        let next = query(&request, "next").and_then(|next| state.apps.next(&next));
        let next = next.as_deref();
        let who = match Visitor::of(&state, &request).await? {
            Visitor::SignedIn(who) => who,
            Visitor::Anonymous(cookie) => {
                let page = SignInPage::empty(&state, false, next);
                let page = render(StatusCode::OK, &page);
                return Ok(cookie.delete_in(state.check_cookies(&request, page)));
            }
        };
        let Some((next, app)) = next.and_then(|next| Some((next, RedirectTargets::host_of(next)?)))
        else {
            return Ok(see_other(next.unwrap_or("/account")));
        };
        let username = who.account.username.as_str();
        let page = GoOnPage { site: &state.site, username, next, app: &app };
        Ok(render(StatusCode::OK, &page))
    })
}

/// `POST /login` from a browser.
pub fn login_posted(state: &Arc<AppState>) -> Shared {
    shared_form(state, |state, request, mut body| async move {
        refuse_conflicting_cookies(&state, &request)?;
        let (posted, fields) =
            read_submitted::<CredentialsView>(&state.apps, &request, &mut body).await;
        let again = FormResponder(|problem: &Problem| {
            let page = SignInPage::empty(&state, false, posted.next.as_deref());
            state.check_cookies(&request, show_again(page, &posted, problem))
        });
        let login_context = state.login_context(&request, posted.remember);
        if !posted.has_working_cookies(&state, &request) {
            return Ok(again.with(&cookies_blocked()));
        }
        let credentials = match fields.and_then(CredentialsView::parse) {
            Ok(parsed) => parsed,
            Err(failure) => return Ok(again.with(&failure.problem)),
        };
        match state.domain.log_in(credentials, login_context).await {
            Ok(issued) => signed_in(&state, &request, &posted, &issued).await,
            Err(error) => Ok(again.after(error)),
        }
    })
}
