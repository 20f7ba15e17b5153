//! The HTML pages. They work without JavaScript, and use the same domain functions as the
//! operations.

mod account;
mod api_tokens;
mod at_app;
mod branding;
mod close;
mod color;
mod confirmation;
mod content_negotiation;
mod email;
mod endpoints;
mod form_errors;
mod forwarded;
mod login;
mod next_step;
mod notice;
mod page_time;
mod password;
mod password_reset;
mod problem_page;
mod profile;
mod redirect_targets;
mod refusal;
mod registration;
mod render;
mod session_list;
mod sign_in;
mod signed_out;
mod visitor;

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::{Method, header};
use poem::{EndpointExt, Request, endpoint};

pub use self::branding::{Branding, Logo};
pub use self::color::Color;
use self::endpoints::page;
pub use self::redirect_targets::RedirectTargets;
pub use self::refusal::BrowserRequest;
use self::render::see_other;
use super::request::media_type::BodyType;
use super::router::RouteTable;
use super::state::AppState;

/// The script that enhances the pages.
pub const SCRIPT: &str = include_str!("page.js");

/// Whether this operation answers a browser's form with a page.
pub fn takes_forms(path: &str) -> bool {
    matches!(
        path,
        "/login" | "/register" | "/logout" | "/password-reset" | "/password-reset/confirm"
    )
}

/// Adds the pages, and forwards forms that browsers post to an operation to the page's handler.
pub fn add(state: &Arc<AppState>, table: &mut RouteTable) {
    let mut page = |method: Method, path: &str, endpoint| {
        table.entry(path.to_owned()).or_default().insert(method, endpoint);
    };
    for (path, endpoint) in [
        ("/", login::home(state)),
        ("/login", login::login_page(state)),
        ("/register", registration::register_page(state)),
        ("/password-reset", password_reset::request_page(state)),
        ("/password-reset/done", password_reset::done_page(state)),
        ("/password-reset/confirm", password_reset::link_page(state)),
        ("/signed-out", signed_out::signed_out_page(state)),
        ("/account", account::account_page(state)),
        ("/account/name", profile::name_page(state)),
        ("/account/email", email::email_page(state)),
        ("/account/password", password::password_page(state)),
        ("/account/confirm", confirmation::confirm_page(state)),
        ("/account/tokens", api_tokens::tokens_page(state)),
        ("/account/close", close::close_page(state)),
        ("/problems/:code", problem_page::explanation(state)),
        ("/forward-auth/redirect", forwarded::endpoint(state)),
        ("/.well-known/change-password", change_password(state)),
    ] {
        page(Method::GET, path, endpoint);
    }
    for (path, endpoint) in [
        ("/account/sessions", account::sessions_posted(state)),
        ("/account/name", profile::name_posted(state)),
        ("/account/email", email::email_posted(state)),
        ("/account/email/confirm", email::confirm_posted(state)),
        ("/account/password", password::password_posted(state)),
        ("/account/confirm", confirmation::confirm_posted(state)),
        ("/account/tokens", api_tokens::tokens_posted(state)),
        ("/account/tokens/revoke", api_tokens::revoke_posted(state)),
        ("/account/close", close::close_posted(state)),
    ] {
        page(Method::POST, path, endpoint);
    }
    for (path, posted) in [
        ("/login", login::login_posted(state)),
        ("/register", registration::register_posted(state)),
        ("/password-reset", password_reset::request_posted(state)),
        ("/password-reset/confirm", password_reset::link_posted(state)),
        ("/logout", signed_out::logout_posted(state)),
    ] {
        let methods = table.get_mut(path).expect("these operations are there");
        let operation = Arc::new(methods.remove(&Method::POST).expect("and take POST"));
        let fork = endpoint::make(move |request: Request| {
            // Both endpoints are shared by all requests.
            let (posted, operation) = (Arc::clone(&posted), Arc::clone(&operation));
            async move {
                if is_a_browsers_form(&request) {
                    posted.call(request).await
                } else {
                    operation.call(request).await
                }
            }
        });
        methods.insert(Method::POST, fork.boxed());
    }
}

/// Whether a browser submits a form and expects a page.
fn is_a_browsers_form(request: &Request) -> bool {
    let is_form =
        request.header(header::CONTENT_TYPE).is_none() || BodyType::of(request) == BodyType::Form;
    is_form && request.header(header::ACCEPT).is_some_and(content_negotiation::prefers_html)
}

/// The well-known URL by which password managers find the page for changing the password (W3C, A
/// Well-Known URL for Changing Passwords).
fn change_password(state: &Arc<AppState>) -> BoxEndpoint<'static> {
    page(state, |_, _| async move { Ok(see_other("/account/password")) })
}
