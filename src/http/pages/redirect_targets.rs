//! The targets of redirects after a login: a path of this service, or a URL of one of the apps
//! behind it.

use poem::Request;
use poem::http::Method;
use url::{Url, form_urlencoded};

/// The maximum length of a target.
const MAX_ADDRESS_LENGTH: usize = 2048;

/// This service, and the apps that it protects.
#[derive(Debug, Clone)]
pub struct RedirectTargets {
    /// The origin of this service.
    here: Url,
    /// The origins of the apps, as in the header `Origin`.
    apps: Vec<String>,
}

impl RedirectTargets {
    /// Creates the targets from origins that the settings have checked.
    pub fn new(here: &str, apps: Vec<String>) -> Self {
        Self { here: Url::parse(here).expect("a checked origin is a URL"), apps }
    }

    /// The target `next`, if it is a path of this origin or a URL of an app. Otherwise `None`.
    pub fn next(&self, next: &str) -> Option<String> {
        // Browsers differ in how they parse other characters.
        let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !is_plain || next.len() > MAX_ADDRESS_LENGTH {
            return None;
        }
        let there = if next.starts_with('/') { self.path(next) } else { self.address(next) };
        there.filter(|there| there.len() <= MAX_ADDRESS_LENGTH) // a normalized URL may be longer
    }

    /// A path of this service.
    fn path(&self, next: &str) -> Option<String> {
        if next.starts_with("//") {
            return None;
        }
        let there = self.here.join(next).ok()?;
        let is_here = there.origin() == self.here.origin() && !there.path().starts_with("//");
        // Some proxies decode percent-encoded slashes and backslashes at the start.
        let start = there.path().get(1..4).unwrap_or_default();
        let looks_away = start.eq_ignore_ascii_case("%2f") || start.eq_ignore_ascii_case("%5c");
        (is_here && !looks_away).then(|| there[url::Position::BeforePath..].to_owned())
    }

    /// A URL of an app, normalized as browsers do.
    fn address(&self, next: &str) -> Option<String> {
        let there = Url::parse(next).ok()?;
        let has_user = !there.username().is_empty() || there.password().is_some();
        (self.knows(&there) && !has_user).then(|| there.to_string())
    }

    fn knows(&self, address: &Url) -> bool {
        // A `blob:` URL has the origin of the page that created it.
        let is_web = matches!(address.scheme(), "http" | "https");
        is_web && self.apps.contains(&address.origin().ascii_serialization())
    }

    /// The host of the app, if `next` (a result of [`Self::next`]) is a URL of an app.
    pub fn host_of(next: &str) -> Option<String> {
        Url::parse(next).ok()?.host_str().map(str::to_owned)
    }

    /// The URL that the proxy was asked for, if it is a URL of an app. For an unsafe method it is
    /// the app's start page, because the body is lost.
    pub fn asked_for(&self, request: &Request) -> Option<String> {
        let proto = request.header("x-forwarded-proto")?;
        let host = request.header("x-forwarded-host")?;
        let uri = request.header("x-forwarded-uri").unwrap_or("/");
        let method = request.header("x-forwarded-method").unwrap_or("GET");
        let is_safe = method == Method::GET.as_str() || method == Method::HEAD.as_str();
        let origin = Url::parse(&format!("{proto}://{host}")).ok()?;
        if !self.knows(&origin) || origin.path() != "/" || !uri.starts_with('/') {
            return None;
        }
        let origin = origin.origin().ascii_serialization();
        self.next(&format!("{origin}{}", if is_safe { uri } else { "/" }))
    }

    /// The URL of the start page.
    pub fn start_page(&self) -> String {
        self.here.to_string()
    }

    /// The URL of the sign-in page, which redirects to `next` after the login.
    pub fn sign_in(&self, next: Option<&str>) -> String {
        let mut address = self.here.join("/login").expect("a constant path");
        if let Some(next) = next {
            let query =
                form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
            address.set_query(Some(&query));
        }
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apps() -> RedirectTargets {
        let apps = ["https://wiki.example.org", "http://127.0.0.1:9000"].map(str::to_owned);
        RedirectTargets::new("https://id.example.org", apps.to_vec())
    }

    fn path(next: &str) -> Option<String> {
        apps().next(next)
    }

    #[test]
    fn paths_of_this_service_are_kept() {
        assert_eq!(path("/ok?a=b#c").as_deref(), Some("/ok?a=b#c"));
        assert_eq!(path("/").as_deref(), Some("/"));
        assert_eq!(path("/a/../b").as_deref(), Some("/b"));
    }

    #[test]
    fn whatever_leads_elsewhere_is_ignored() {
        let long = format!("/{}", "a".repeat(8192));
        for next in [
            "//evil",
            r"/\evil",
            r"\/evil",
            "https:evil",
            "https://evil",
            "/%2f/evil",
            "/%2Fevil",
            "/%5cevil",
            "/./%2fevil",
            "/a/../%5Cevil",
            "javascript:alert(1)",
            "data:,x",
            "/\t/evil",
            "/..//evil",
            "@evil",
            "",
            "evil",
            "/a\r\nSet-Cookie: x",
            "/.//evil",
            "/./\t/evil",
            &long,
            "https://id.example.org.evil/",
            "https://id.example.org@evil/",
            "https://wiki.example.org@evil/",
            "https://wiki.example.org:443@evil/",
            "https://me:password@wiki.example.org/",
            "https://wiki.example.org.evil/",
            "https://evilwiki.example.org/",
            "https://wiki.example.org:8443/",
            "http://wiki.example.org/",
            "https:/\\evil",
            "ftp://wiki.example.org/",
            "blob:https://wiki.example.org/x",
            "//wiki.example.org/",
        ] {
            assert_eq!(path(next), None, "{next:?}");
        }
    }

    #[test]
    fn addresses_of_apps_are_kept_as_browsers_read_them() {
        for (next, kept) in [
            ("https://wiki.example.org", "https://wiki.example.org/"),
            ("https://wiki.example.org/a?b=c#d", "https://wiki.example.org/a?b=c#d"),
            ("HTTPS://WIKI.example.org:443//a", "https://wiki.example.org//a"),
            ("http://127.0.0.1:9000/", "http://127.0.0.1:9000/"),
            ("https:wiki.example.org/x", "https://wiki.example.org/x"),
        ] {
            assert_eq!(path(next).as_deref(), Some(kept), "{next:?}");
        }
    }

    #[test]
    fn what_is_kept_is_kept_again() {
        for next in ["/a`b", "https://wiki.example.org/a`b"] {
            let kept = path(next).unwrap();
            assert_eq!(path(&kept), Some(kept));
        }
        let spelled_longer = format!("/{}", "`".repeat(MAX_ADDRESS_LENGTH - 1));
        assert_eq!(path(&spelled_longer), None);
    }

    proptest! {
        #[test]
        fn nothing_leads_to_another_origin(
            start in "(https?:/{0,3}(wiki|id)?)?", next in "[/\\\\.:@%a-f0-9?#]{0,12}",
        ) {
            let next = format!("{start}{next}");
            if let Some(kept) = path(&next) {
                let here = Url::parse("https://id.example.org/login").unwrap();
                let there = here.join(&kept).map_err(|e| TestCaseError::fail(e.to_string()))?;
                let is_app = apps().knows(&there);
                prop_assert!(is_app || there.origin() == here.origin(), "{}", there);
            }
        }
    }
}
