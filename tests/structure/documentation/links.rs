//! Tests of the links between the Markdown files, and to other files of the repository.

use std::path::Path;

use super::{markdown_files, read, root};

/// The text of a page without its code blocks, in which brackets are no links, and without inline code.
fn prose(markdown: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            let kept =
                line.split('`').enumerate().filter(|(n, _)| n % 2 == 0).map(|(_, part)| part);
            text.extend(kept);
            text.push('\n');
        }
    }
    text
}

/// The targets of the links and pictures of a page.
fn targets(markdown: &str) -> Vec<String> {
    let prose = prose(markdown);
    let inline = prose.split("](").skip(1).map(|rest| rest.split([')', ' ']).next().unwrap());
    let defined = prose.lines().filter_map(|line| {
        let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
        (!label.contains(']')).then_some(target.trim())
    });
    inline.chain(defined).map(str::to_owned).collect()
}

/// The anchor of a heading, as forges and mdBook make it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim().trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(markdown: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside && line.starts_with('#') {
            found.push(anchor(line));
        }
    }
    found
}

/// The reason why a link is broken, or `None` if it is not.
fn broken(page: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(page).parent().unwrap();
    let file = if path.is_empty() { Path::new(page).to_owned() } else { folder.join(path) };
    if !root().join(&file).exists() {
        return Some(format!("{page}: {target} does not exist"));
    }
    let is_page = file.extension().is_some_and(|ending| ending == "md");
    if fragment.is_empty() || !is_page {
        return None;
    }
    let has_it = anchors(&read(file.to_str().unwrap())).contains(&fragment.to_owned());
    (!has_it).then(|| format!("{page}: {target} has no such heading"))
}

#[test]
fn every_link_leads_to_a_file_or_heading_that_exists() {
    let (mut links, mut found) = (0, Vec::new());
    for page in markdown_files() {
        for target in targets(&read(&page)) {
            links += 1;
            found.extend(broken(&page, &target));
        }
    }
    assert!(links > 100, "links are written differently: {links}");
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn links_and_headings_are_read_as_forges_read_them() {
    assert_eq!(
        anchor("## What the edge answers: HTTP/2, `Host`"),
        "what-the-edge-answers-http2-host"
    );
    let page = "[a](b.md#c) ![d](e.png)\n```\n[x](y)\n```\n`[x](z)`\n[f]: g.md\n";
    assert_eq!(targets(page), ["b.md#c", "e.png", "g.md"]);
    assert!(broken("README.md", "nothing.md").is_some());
    assert!(broken("README.md", "CONTRIBUTING.md#no-such-heading").is_some());
    assert!(broken("README.md", "CONTRIBUTING.md#architecture").is_none());
}
