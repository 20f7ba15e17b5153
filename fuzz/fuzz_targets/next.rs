//! Fuzzes the page to go to after signing in: a target that is kept leads to this origin or an
//! app's by the URL rules of browsers, and is unchanged when it is read again. The lines of the
//! input are what a proxy says was requested.

#![no_main]

use cloakroom::http::RedirectTargets;
use libfuzzer_sys::fuzz_target;
use poem::Request;
use url::Url;

const HERE: &str = "https://id.example.org";
const APPS: [&str; 2] = ["https://wiki.example.org", "http://127.0.0.1:9000"];

/// The origin that a browser at one of the service's pages goes to.
fn origin(next: &str) -> String {
    let page = Url::parse(HERE).and_then(|here| here.join("/login")).expect("a URL");
    page.join(next).expect("it is kept as a URL").origin().ascii_serialization()
}

fuzz_target!(|text: &str| {
    let apps = RedirectTargets::new(HERE, APPS.map(str::to_owned).to_vec());
    if let Some(kept) = apps.next(text) {
        let there = origin(&kept);
        assert!(there == HERE || APPS.contains(&&*there), "{kept}");
        assert_eq!(kept.starts_with('/'), there == HERE, "{kept}");
        assert!(!kept.starts_with("//") && !kept.contains('\\'), "{kept}");
        assert!(kept.bytes().all(|byte| byte.is_ascii_graphic()), "{kept}");
        assert_eq!(apps.next(&kept).as_ref(), Some(&kept), "it stays as it is");

        let sign_in = Url::parse(&apps.sign_in(Some(&kept))).expect("a URL");
        assert_eq!(sign_in.origin().ascii_serialization(), HERE);
        let asked: Vec<_> = sign_in.query_pairs().collect();
        assert_eq!(asked, [("next".into(), kept.as_str().into())]);
    }

    let mut request = Request::builder();
    let names = ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-method"];
    for (name, value) in names.into_iter().zip(text.lines()) {
        request = request.header(name, value);
    }
    let is_built =
        text.lines().take(names.len()).all(|line| line.parse::<poem::http::HeaderValue>().is_ok());
    if is_built && let Some(next) = apps.asked_for(&request.finish()) {
        assert!(APPS.contains(&&*origin(&next)), "{next}");
        assert_eq!(apps.next(&next), Some(next));
    }
});
