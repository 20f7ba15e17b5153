//! Tests that every check named by a test is in the legend of `tests/CHECKS.md`.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::layers::sources;

/// The ids of checks at the start of a test's name: `jwt_02_and_04_…` has JWT-02 and JWT-04,
/// `xff_01_to_03_…` has three, `att_17_03_…` has ATT-17-03.
fn check_ids(test: &str) -> Vec<String> {
    let is_number = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    // `of_64_…` is part of a sentence
    let is_family = |part: &str| part.len() <= 4 && part != "of" && !is_number(part);
    let parts: Vec<_> = test.split('_').collect();
    let mut ids = Vec::new();
    let mut at = 0;
    let mut family = "";
    while let Some(&part) = parts.get(at) {
        let next = parts.get(at + 1).copied().unwrap_or_default();
        if part == "and" && !ids.is_empty() {
            at += 1;
        } else if part == "to" && is_number(next) && !ids.is_empty() {
            let last: &String = ids.last().unwrap();
            let first: u32 = last.rsplit('-').next().unwrap().parse().unwrap();
            let id = |n| format!("{}-{n:02}", family.to_uppercase());
            ids.extend((first + 1..=next.parse().unwrap()).map(id));
            at += 2;
        } else if part == "att" && is_number(next) {
            let row = parts.get(at + 2).copied().unwrap_or_default();
            ids.push(format!("ATT-{next}-{row}"));
            family = "att-17";
            at += 3;
        } else if is_number(part) && !family.is_empty() {
            ids.push(format!("{}-{part}", family.to_uppercase()));
            at += 1;
        } else if is_family(part) && is_number(next) {
            family = part;
            at += 1;
        } else {
            break;
        }
    }
    ids
}

#[test]
fn check_ids_are_read_from_names() {
    for (test, ids) in [
        ("thr_04_a_hundred_failures", vec!["THR-04"]),
        ("jwt_02_and_04_the_public_key", vec!["JWT-02", "JWT-04"]),
        ("r_06_and_sta_07_a_full_disk", vec!["R-06", "STA-07"]),
        ("xff_01_to_03_limits", vec!["XFF-01", "XFF-02", "XFF-03"]),
        ("att_17_03_nothing_is_written", vec!["ATT-17-03"]),
        ("of_64_who_add_one_at_once_none_is_lost", vec![]),
        ("a_login", vec![]),
    ] {
        assert_eq!(check_ids(test), ids, "{test}");
    }
}

#[test]
fn every_check_id_in_a_test_name_has_a_line_in_the_legend() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let legend = fs::read_to_string(root.join("tests/CHECKS.md")).unwrap();
    let lines = legend.lines();
    let known: HashSet<_> = lines
        .filter_map(|line| line.strip_prefix("| ").or(line.strip_prefix("- **")))
        .filter_map(|line| line.split([' ', '*']).next())
        .collect();
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut files);
    }
    let mut named = 0;
    for file in files {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let Some((_, rest)) = line.split_once("fn ") else { continue };
            let name = rest.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next().unwrap();
            for id in check_ids(name) {
                named += 1;
                let id = id.as_str();
                assert!(known.contains(id), "no line for {id} of {name}, {}", file.display());
            }
        }
    }
    assert!(named > 100, "tests name their checks");
    for file in legend.split('`').skip(1).step_by(2) {
        let is_file = ["src/", "tests/", "benches/"].iter().any(|start| file.starts_with(start));
        assert!(!is_file || root.join(file).exists(), "{file} is not there");
    }
}
