//! Content negotiation: whether the client prefers HTML to JSON (RFC 9110, section 12.5.1).

/// Whether `text/html` is listed explicitly, with at least the weight of JSON.
pub fn prefers_html(accept: &str) -> bool {
    // This runs for every request. For programs it returns here, without a copy.
    let Some(html) = quality(accept, |kind| kind.eq_ignore_ascii_case("text/html")) else {
        return false;
    };
    let json = quality(accept, |kind| {
        let kind = kind.to_ascii_lowercase();
        kind == "application/json" || kind.ends_with("+json")
    });
    html > 0.0 && json.is_none_or(|json| html >= json)
}

/// The highest weight of the media types for which `is_it` returns true.
fn quality(accept: &str, is_it: impl Fn(&str) -> bool) -> Option<f32> {
    accept
        .split(',')
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            parts.next().filter(|kind| is_it(kind))?;
            let weight = parts.find_map(|parameter| parameter.strip_prefix("q="));
            weight.map_or(Some(1.0), |weight| weight.parse().ok())
        })
        .fold(None, |most: Option<f32>, weight| Some(most.map_or(weight, |most| most.max(weight))))
}

#[cfg(test)]
mod tests {
    use super::prefers_html;

    #[test]
    fn browsers_get_pages_and_programs_get_json() {
        for browser in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "text/html",
            "application/json;q=0.5, text/html",
        ] {
            assert!(prefers_html(browser), "{browser}");
        }
        for program in [
            "*/*",
            "application/json",
            "application/json, text/html;q=0.9",
            "text/html;q=0",
            "application/problem+json, text/html;q=0.1",
            "",
        ] {
            assert!(!prefers_html(program), "{program}");
        }
    }
}
