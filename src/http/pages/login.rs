//! The pages `/` and `/login`.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::BoxEndpoint;
use poem::http::StatusCode;

use super::branding::Site;
use super::endpoints::{Shared, page, shared};
use super::form_errors::FormResponder;
use super::redirect_targets::RedirectTargets;
use super::render::{render, see_other};
use super::sign_in::{SignInPage, cookies_blocked, read_submitted, show_again, signed_in};
use super::visitor::{Visitor, refuse_conflicting_cookies};
use crate::http::api::login::CredentialsView;
use crate::http::problem::Problem;
use crate::http::request::query::query;
use crate::http::state::Front;

/// For who is signed in already and came from an app.
#[derive(Template)]
#[template(path = "pages/go_on.html")]
struct GoOnPage<'a> {
    site: &'a Site,
    username: &'a str,
    next: &'a str,
    app: &'a str,
}

/// `GET /`: leads to the account, or to the way in.
pub fn home(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        Ok(match Visitor::of(&front, &request).await? {
            Visitor::SignedIn(_) => see_other("/account"),
            Visitor::Anonymous(stale) => stale.delete_in(see_other("/login")),
        })
    })
}

/// `GET /login`. Who is signed in already goes on at once; but to an app by a link, since one that
/// cannot read the session would send everybody back for ever.
pub fn login_page(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |front, request| async move {
        let next = query(&request, "next").and_then(|next| front.apps.next(&next));
        let next = next.as_deref();
        let who = match Visitor::of(&front, &request).await? {
            Visitor::SignedIn(who) => who,
            Visitor::Anonymous(stale) => {
                let page = SignInPage::empty(&front, false, next);
                let page = render(StatusCode::OK, &page);
                return Ok(stale.delete_in(front.check_cookies(&request, page)));
            }
        };
        let Some((next, app)) = next.and_then(|next| Some((next, RedirectTargets::host_of(next)?)))
        else {
            return Ok(see_other(next.unwrap_or("/account")));
        };
        let username = who.account.username.as_str();
        let page = GoOnPage { site: &front.site, username, next, app: &app };
        Ok(render(StatusCode::OK, &page))
    })
}

/// `POST /login` from a browser.
pub fn login_posted(front: &Arc<Front>) -> Shared {
    shared(front, |front, request, mut body| async move {
        refuse_conflicting_cookies(&front, &request)?;
        let (posted, fields) =
            read_submitted::<CredentialsView>(&front.apps, &request, &mut body).await;
        let again = FormResponder(|problem: &Problem| {
            let page = SignInPage::empty(&front, false, posted.next.as_deref());
            front.check_cookies(&request, show_again(page, &posted, problem))
        });
        let wishes = front.wishes(&request, posted.remember);
        if !posted.has_working_cookies(&front, &request) {
            return Ok(again.with(&cookies_blocked()));
        }
        let credentials = match fields.and_then(CredentialsView::parsed) {
            Ok(parsed) => parsed,
            Err(failure) => return Ok(again.with(&failure.problem)),
        };
        match front.domain.log_in(credentials, wishes).await {
            Ok(ticket) => signed_in(&front, &request, &posted, &ticket).await,
            Err(error) => Ok(again.after(error)),
        }
    })
}
