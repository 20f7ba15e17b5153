//! Finds the API token in the header `Authorization` (RFC 6750, section 2.1).

use poem::http::{HeaderMap, HeaderValue, header};

use crate::core::api_token_secret::API_TOKEN_PREFIX;

/// What a request has in the header `Authorization`, as far as it concerns this service.
#[derive(Debug, PartialEq, Eq)]
pub enum PresentedToken<'a> {
    /// Nothing, or credentials of another kind: a password for a proxy, or the JWT of another
    /// service. They are ignored.
    None,
    /// A text that begins like an API token. It may be malformed.
    One(&'a str),
    /// Several headers, at least one of which has an API token, or a text with characters that no
    /// token has.
    Malformed,
}

impl<'a> PresentedToken<'a> {
    /// Finds the API token of a request.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let Some(first) = headers.get(header::AUTHORIZATION) else { return Self::None };
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        if all.nth(1).is_none() {
            return Self::in_value(first);
        }
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let has_token = all.any(|value| Self::in_value(value) != Self::None);
        if has_token { Self::Malformed } else { Self::None }
    }

    /// The scheme is case-insensitive, and spaces follow it (RFC 9110, section 11.4). A tab is not
    /// allowed there, so a token after one is refused, instead of ignored.
    fn in_value(value: &'a HeaderValue) -> Self {
        const SCHEME: &[u8] = b"bearer";
        let bytes = value.as_bytes();
        let Some((scheme, rest)) = bytes.split_at_checked(SCHEME.len()) else { return Self::None };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Self::None;
        }
        let token = rest.trim_ascii();
        let is_separated = rest.len() > token.len();
        if !is_separated || !token.starts_with(API_TOKEN_PREFIX.as_bytes()) {
            return Self::None;
        }
        let spaces = &rest[..rest.len() - rest.trim_ascii_start().len()];
        match std::str::from_utf8(token) {
            Ok(text) if spaces.iter().all(|byte| *byte == b' ') => Self::One(text),
            Ok(_) | Err(_) => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(header::AUTHORIZATION, value);
        }
        headers
    }

    #[test]
    fn tok_02_the_scheme_is_case_insensitive_and_one_or_more_spaces_follow_it() {
        for value in ["Bearer clk_x", "bearer clk_x", "BEARER clk_x", "Bearer   clk_x"] {
            assert_eq!(PresentedToken::of(&headers(&[value])), PresentedToken::One("clk_x"));
        }
        assert_eq!(PresentedToken::of(&headers(&["Bearer\tclk_x"])), PresentedToken::Malformed);
        assert_eq!(PresentedToken::of(&headers(&["Bearer clk_ä"])), PresentedToken::One("clk_ä"));
        let list = "Bearer clk_x, Bearer clk_y";
        let rest = PresentedToken::One("clk_x, Bearer clk_y");
        assert_eq!(PresentedToken::of(&headers(&[list])), rest);
    }

    #[test]
    fn tok_02_credentials_of_another_kind_are_none() {
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer eyJhbGciOiJFZERTQSJ9.e30.c2ln",
            "Bearerclk_x",
            "Basic Y2xrX3g6",
            "Bearer CLK_x",
            "Bearer xclk_x",
            "clk_x",
        ] {
            assert_eq!(PresentedToken::of(&headers(&[value])), PresentedToken::None, "{value:?}");
        }
        assert_eq!(PresentedToken::of(&headers(&[])), PresentedToken::None);
        assert_eq!(
            PresentedToken::of(&headers(&["Basic YTpi", "Basic YTpi"])),
            PresentedToken::None
        );
    }

    #[test]
    fn tok_02_of_two_headers_none_is_chosen() {
        for values in [["Bearer clk_x", "Bearer clk_x"], ["Basic YTpi", "Bearer clk_x"]] {
            assert_eq!(PresentedToken::of(&headers(&values)), PresentedToken::Malformed);
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(value in "[ -~\u{80}-\u{ff}\t]{0,40}|[bB]earer[ \t]{0,3}clk_.{0,10}") {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                let found = PresentedToken::in_value(&value);
                if let PresentedToken::One(text) = found {
                    prop_assert!(text.starts_with("clk_"));
                }
            }
        }
    }
}
