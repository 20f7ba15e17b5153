//! The HTML pages. They work without JavaScript and say what the operations say.

mod account;
mod branding;
mod close;
mod color;
mod content_negotiation;
mod endpoints;
mod form_errors;
mod forwarded;
mod login;
mod moment;
mod next_step;
mod notice;
mod password;
mod problem_page;
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

pub use self::branding::{Logo, Site};
pub use self::color::Color;
use self::endpoints::page;
pub use self::redirect_targets::RedirectTargets;
pub use self::refusal::BrowserRequest;
use self::render::see_other;
use super::request::media_type::BodyType;
use super::router::RouteTable;
use super::state::Front;

/// What the pages gain by a script.
pub const SCRIPT: &str = include_str!("page.js");

/// Does this operation answer a browser's form post with a page?
pub fn takes_forms(path: &str) -> bool {
    matches!(path, "/login" | "/register" | "/logout")
}

/// Adds the pages, and lets browsers' form posts to the operations go to them.
pub fn add(front: &Arc<Front>, table: &mut RouteTable) {
    let mut page = |method: Method, path: &str, endpoint| {
        table.entry(path.to_owned()).or_default().insert(method, endpoint);
    };
    for (path, endpoint) in [
        ("/", login::home(front)),
        ("/login", login::login_page(front)),
        ("/register", registration::register_page(front)),
        ("/signed-out", signed_out::signed_out_page(front)),
        ("/account", account::account_page(front)),
        ("/account/password", password::password_page(front)),
        ("/account/close", close::close_page(front)),
        ("/problems/:code", problem_page::explanation(front)),
        ("/forward-auth/redirect", forwarded::endpoint(front)),
        ("/.well-known/change-password", change_password(front)),
    ] {
        page(Method::GET, path, endpoint);
    }
    for (path, endpoint) in [
        ("/account/sessions", account::sessions_posted(front)),
        ("/account/password", password::password_posted(front)),
        ("/account/close", close::close_posted(front)),
    ] {
        page(Method::POST, path, endpoint);
    }
    for (path, posted) in [
        ("/login", login::login_posted(front)),
        ("/register", registration::register_posted(front)),
        ("/logout", signed_out::logout_posted(front)),
    ] {
        let methods = table.get_mut(path).expect("these operations are there");
        let operation = Arc::new(methods.remove(&Method::POST).expect("and take POST"));
        let fork = endpoint::make(move |request: Request| {
            // both sides are shared by all requests
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

/// A form that a browser posts for a person, who wants to see a page.
fn is_a_browsers_form(request: &Request) -> bool {
    let is_form =
        request.header(header::CONTENT_TYPE).is_none() || BodyType::of(request) == BodyType::Form;
    is_form && request.header(header::ACCEPT).is_some_and(content_negotiation::prefers_html)
}

/// Where password managers lead, whatever the page is called (W3C, A Well-Known URL for Changing
/// Passwords).
fn change_password(front: &Arc<Front>) -> BoxEndpoint<'static> {
    page(front, |_, _| async move { Ok(see_other("/account/password")) })
}
