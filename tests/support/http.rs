//! A client over a socket.

use std::fmt::Display;
use std::time::Duration;

use ureq::http::{HeaderMap, Request};

/// Limit for an answer, after which a request counts as unanswered: longer than any answer takes on
/// a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `name=value` of each cookie that it sets.
    pub fn cookies(&self) -> impl Iterator<Item = String> {
        let sets = self.headers.get_all("set-cookie").iter();
        sets.map(|set| set.to_str().unwrap().split(';').next().unwrap().to_owned())
    }

    /// The cookie of the session, if it sets one.
    pub fn session_cookie(&self) -> Option<String> {
        self.cookies().find(|set| set.starts_with("session=") && set != "session=")
    }
}

/// A client with keep-alive connections.
#[derive(Debug, Clone)]
pub struct Client {
    at: String,
    agent: ureq::Agent,
}

impl Client {
    pub fn of(at: impl Display) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(PATIENCE)).build().into();
        Self { at: at.to_string(), agent }
    }

    /// `None` if there was no answer, or an incomplete one.
    pub fn call(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.at));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = self.agent.run(request.body(body.to_owned()).unwrap()).ok()?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Some(Answer { status, headers, body: answer.body_mut().read_to_string().ok()? })
    }
}
