//! Tests of the README and of the book as a whole.

use std::collections::BTreeSet;
use std::fs;

use super::{markdown_files, read, root};

/// The number of words that a reader can read in four minutes.
const MAX_README_WORDS: usize = 900;

#[test]
fn the_readme_is_short() {
    let words = read("README.md").split_whitespace().count();
    assert!(
        words <= MAX_README_WORDS,
        "README.md has {words} words; at most {MAX_README_WORDS} are allowed: move details into docs/"
    );
}

/// The pages that `docs/SUMMARY.md` links to, in its order.
fn chapters() -> Vec<String> {
    let summary = read("docs/SUMMARY.md");
    let links = summary.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned());
    links.collect()
}

#[test]
fn the_book_has_every_page_once() {
    let chapters = chapters();
    let listed: BTreeSet<String> = chapters.iter().map(|page| format!("docs/{page}")).collect();
    assert_eq!(listed.len(), chapters.len(), "a page is listed twice");
    let pages = markdown_files().into_iter();
    let pages = pages.filter(|page| page.starts_with("docs/") && page != "docs/SUMMARY.md");
    assert_eq!(pages.collect::<BTreeSet<_>>(), listed, "docs/SUMMARY.md lists the pages of docs/");
}

#[test]
fn every_page_of_the_book_has_one_title_and_some_text() {
    for page in chapters() {
        let text = read(&format!("docs/{page}"));
        assert!(text.starts_with("# "), "{page} has no title");
        assert!(text.split_whitespace().count() > 60, "{page} is empty");
    }
}

/// The requirements of V6 to V9 of ASVS 5.0 at levels 1 and 2: section, and the numbers in it.
const REQUIREMENTS: [(&str, &[u32]); 19] = [
    ("6.1", &[1, 2, 3]),
    ("6.2", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ("6.3", &[1, 2, 3, 4]),
    ("6.4", &[1, 2, 3, 4]),
    ("6.5", &[1, 2, 3, 4, 5]),
    ("6.6", &[1, 2, 3]),
    ("6.8", &[1, 2, 3, 4]),
    ("7.1", &[1, 2, 3]),
    ("7.2", &[1, 2, 3, 4]),
    ("7.3", &[1, 2]),
    ("7.4", &[1, 2, 3, 4, 5]),
    ("7.5", &[1, 2]),
    ("7.6", &[1, 2]),
    ("8.1", &[1, 2]),
    ("8.2", &[1, 2, 3]),
    ("8.3", &[1]),
    ("8.4", &[1]),
    ("9.1", &[1, 2, 3]),
    ("9.2", &[1, 2, 3, 4]),
];

#[test]
fn the_security_page_answers_every_requirement_of_asvs() {
    let page = read("docs/security.md");
    for (section, numbers) in REQUIREMENTS {
        for number in numbers {
            let start = format!("| {section}.{number} | ");
            let rows: Vec<&str> = page.lines().filter(|line| line.starts_with(&start)).collect();
            assert_eq!(rows.len(), 1, "{start}");
            let cells: Vec<&str> = rows[0].split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 8, "{}", rows[0]);
            let (state, how) = (cells[4], cells[5]);
            let states = ["met", "met, with one deviation", "not met", "not applicable"];
            assert!(states.contains(&state), "{state}");
            assert!(state != "not met" || how.contains("Planned"), "{how}");
        }
    }
}

/// Checks are named by their ids in `tests/CHECKS.md`, and other tests by their files.
#[test]
fn every_test_that_the_security_page_names_exists() {
    let page = read("docs/security.md");
    let (legend, sources) = (read("tests/CHECKS.md"), test_sources());
    let words = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let ids: BTreeSet<&str> = words.filter(|word| is_check_id(word)).collect();
    assert!(ids.len() > 40, "ids are written differently: {ids:?}");
    for id in ids {
        let is_listed = ["| ", "- **"].iter().any(|start| legend.contains(&format!("{start}{id}")));
        assert!(is_listed, "docs/security.md names {id}, which tests/CHECKS.md does not list");
        let in_name = id.to_lowercase().replace('-', "_");
        let number = id.rsplit('-').next().unwrap();
        let is_tested = sources.contains(&format!("fn {in_name}_"))
            || sources.contains(&format!("_and_{number}_"))
            || sources.contains(&format!("_and_{in_name}_"))
            || legend.lines().any(|line| line.contains(id) && is_elsewhere(line));
        assert!(is_tested, "docs/security.md names {id}, which no test has in its name");
    }
}

/// Paths are in backticks, some followed by arguments. The changelog and the audits describe a past state.
#[test]
fn every_path_that_a_page_names_exists() {
    let mut missing = Vec::new();
    let is_dated = |page: &String| page == "CHANGELOG.md" || page.starts_with("audits/");
    for page in markdown_files().iter().filter(|page| !is_dated(page)) {
        for part in read(page).split('`').skip(1).step_by(2) {
            let path = part.split([' ', '\n', '*']).next().unwrap();
            let is_path = ["tests/", "src/", "benches/", "docs/", "examples/", "openapi/"];
            if is_path.iter().any(|folder| path.starts_with(folder)) && !root().join(path).exists()
            {
                missing.push(format!("{page}: {path}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// Whether the line of a check names a suite that is not in Rust.
fn is_elsewhere(line: &str) -> bool {
    ["/run`", ".mjs`", ".py`", "benches/"].iter().any(|ending| line.contains(ending))
}

/// `THR-04`, `R-15` and `ATT-17-10` are ids of checks.
fn is_check_id(word: &str) -> bool {
    let mut parts = word.split('-');
    let family = parts.next().unwrap();
    let numbers: Vec<&str> = parts.collect();
    let is_family =
        (1..=4).contains(&family.len()) && family.bytes().all(|b| b.is_ascii_uppercase());
    let is_number = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    is_family && !numbers.is_empty() && numbers.into_iter().all(is_number)
}

/// The text of all Rust files in `src` and `tests`.
fn test_sources() -> String {
    let mut text = String::new();
    let mut folders = vec![root().join("src"), root().join("tests"), root().join("benches")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() || path.ends_with("node_modules") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

#[test]
fn pages_quote_the_files_that_the_tests_run_as_they_are() {
    let pages: Vec<(String, String)> = markdown_files()
        .into_iter()
        .filter(|page| page.starts_with("docs/"))
        .map(|page| (page.clone(), read(&page)))
        .collect();
    let mut quoted = Vec::new();
    for file in fs::read_dir(root().join("docs/deploy")).unwrap() {
        quoted.push(file.unwrap().path().strip_prefix(root()).unwrap().display().to_string());
    }
    assert!(quoted.len() > 5, "{quoted:?}");
    quoted.extend(
        ["examples/tutorial/app.py", "examples/fastapi/app.py", "examples/fastapi/cloakroom.py"]
            .map(str::to_owned),
    );
    for file in quoted {
        let text = format!("\n{}```\n", read(&file));
        let is_quoted = pages.iter().any(|(_, page)| page.contains(&text));
        assert!(is_quoted, "no page of docs/ quotes {file} as it is");
    }
}
