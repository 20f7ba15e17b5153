//! Where to go after signing in: a path of this service, or nowhere.

use url::Url;

/// The path to go on at, if `next` is one of this very origin; `None` for whatever else.
pub fn path(next: &str) -> Option<String> {
    // anything but plain path characters is read differently by different browsers
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !is_plain || !next.starts_with('/') || next.starts_with("//") || next.len() > 2048 {
        return None;
    }
    let here = Url::parse("http://here.invalid").expect("a constant");
    let there = here.join(next).ok()?;
    let is_here = there.origin() == here.origin() && !there.path().starts_with("//");
    // percent-encoded slashes and dots at the front are decoded by some proxies
    let start = there.path().get(1..4).unwrap_or_default();
    let looks_away = start.eq_ignore_ascii_case("%2f") || start.eq_ignore_ascii_case("%5c");
    (is_here && !looks_away).then(|| there[url::Position::BeforePath..].to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        ] {
            assert_eq!(path(next), None, "{next:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_leads_to_another_origin(next in "[/\\\\.:@%a-f0-9?#]{0,12}") {
            if let Some(kept) = path(&next) {
                let here = Url::parse("https://id.example.org/login").unwrap();
                let there = here.join(&kept).map_err(|e| TestCaseError::fail(e.to_string()))?;
                prop_assert_eq!(there.origin(), here.origin());
            }
        }
    }
}
