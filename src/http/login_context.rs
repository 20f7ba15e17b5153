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
        Requester {
            address: counted_address(&self.proxies, request),
            devices: self.device.all(request),
            context: request_context(request),
        }
    }

    /// The login context of the request.
    pub fn login_context(&self, request: &Request, remember: bool) -> LoginContext {
        let remember = if remember { Remember::Yes } else { Remember::No };
        let requester = self.requester(request);
        let address = client_address(&self.proxies, request).map(|address| address.to_string());
        let browser = request.header(header::USER_AGENT).and_then(browser);
        LoginContext { remember, client: ClientInfo { address, browser }, requester }
    }
}

/// `Firefox on Linux` for a browser, or the name of a program.
fn browser(user_agent: &str) -> Option<String> {
    let read: String = user_agent.chars().take(MAX_USER_AGENT_LENGTH).collect();
    let known = Parser::new().parse(&read).filter(|known| known.category != "misc");
    let words = match known {
        Some(known) if known.os == "UNKNOWN" || known.os.is_empty() => known.name.to_owned(),
        Some(known) => format!("{} on {}", known.name, known.os),
        None => read.split(['/', ' ', '(']).next().unwrap_or_default().to_owned(),
    };
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
            assert_eq!(browser(user_agent).as_deref(), Some(words));
        }
        assert_eq!(browser(""), None);
    }

    proptest! {
        #[test]
        fn any_user_agent_gives_a_short_name_or_none(user_agent in "\\PC{0,600}") {
            let words = browser(&user_agent);
            prop_assert!(words.is_none_or(|words| words.chars().count() <= MAX_NAME_LENGTH));
        }
    }
}
