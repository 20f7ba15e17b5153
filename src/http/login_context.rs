//! Collects what a request says about its client: address, browser and device tokens.

use poem::Request;
use poem::http::header;
use woothee::parser::Parser;

use super::request::client_address::{client_address, counted_address};
use super::request::context::request_context;
use super::state::AppState;
use crate::domain::requester::Requester;
use crate::domain::sessions::{ClientInfo, LoginContext, Remember};

/// The maximum length of a `User-Agent` that is parsed.
const MAX_USER_AGENT_LENGTH: usize = 512;
/// The maximum length of a browser's name.
const MAX_NAME_LENGTH: usize = 64;

impl AppState {
    /// The client of the request, for rate limits and the hashing queue.
    pub fn requester(&self, request: &Request) -> Requester {
        self.client(request).1
    }

    /// The client of the request as a session names it, and for everything else.
    fn client(&self, request: &Request) -> (ClientInfo, Requester) {
        let address = client_address(&self.proxies, request).map(|address| address.to_string());
        let user_agent = request.header(header::USER_AGENT).unwrap_or_default();
        let BrowserName { shown, mailed } = BrowserName::read(user_agent);
        let requester = Requester {
            address: counted_address(&self.proxies, request),
            devices: self.device.all(request),
            context: request_context(request),
            mailed: ClientInfo { address: address.clone(), browser: mailed },
        };
        (ClientInfo { address, browser: shown }, requester)
    }

    /// The login context of the request.
    pub fn login_context(&self, request: &Request, remember: bool) -> LoginContext {
        let remember = if remember { Remember::Yes } else { Remember::No };
        let (client, requester) = self.client(request);
        LoginContext { remember, client, requester }
    }
}

/// The name of a browser.
struct BrowserName {
    /// `Firefox on Linux` for a browser, or the name of a program as it sends it.
    shown: Option<String>,
    /// The same for a browser, and nothing for a program.
    mailed: Option<String>,
}

impl BrowserName {
    fn read(user_agent: &str) -> Self {
        let read: String = user_agent.chars().take(MAX_USER_AGENT_LENGTH).collect();
        let known = Parser::new().parse(&read).filter(|known| known.category != "misc");
        match known {
            Some(known) => {
                let words = match known.os {
                    "UNKNOWN" | "" => known.name.to_owned(),
                    os => format!("{} on {os}", known.name),
                };
                let words = shorten(&words);
                let is_listed = |words: &String| words.is_ascii() && known.name != "UNKNOWN";
                Self { shown: words.clone(), mailed: words.filter(is_listed) }
            }
            None => Self {
                shown: shorten(read.split(['/', ' ', '(']).next().unwrap_or_default()),
                mailed: None,
            },
        }
    }
}

fn shorten(words: &str) -> Option<String> {
    let is_shown = |c: &char| !c.is_control();
    let words: String = words.chars().filter(is_shown).take(MAX_NAME_LENGTH).collect();
    (words != "UNKNOWN" && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn browsers_and_programs_are_named_in_words() {
        for (user_agent, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                "Chrome on Windows 10",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/7.88.1", "curl"),
            ("node", "node"),
        ] {
            let name = BrowserName::read(user_agent);
            assert_eq!(name.shown.as_deref(), Some(words));
            let is_listed = words.contains(' ');
            assert_eq!(name.mailed.as_deref(), is_listed.then_some(words));
        }
        assert_eq!(BrowserName::read("").shown, None);
    }

    #[test]
    fn mail_14_a_browser_that_calls_itself_a_host_has_no_name_in_mail() {
        for user_agent in ["http://evil.example", "evil.example", "evil.example/1 (Linux)"] {
            assert_eq!(BrowserName::read(user_agent).mailed, None, "{user_agent}");
        }
    }

    proptest! {
        #[test]
        fn any_user_agent_gives_a_short_name_or_none(user_agent in "\\PC{0,600}") {
            let BrowserName { shown, mailed } = BrowserName::read(&user_agent);
            prop_assert!(shown.is_none_or(|words| words.chars().count() <= MAX_NAME_LENGTH));
            prop_assert!(mailed.is_none_or(|words| words.is_ascii()));
        }
    }
}
