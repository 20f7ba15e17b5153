//! Arrows point down only: `main → cli → door → app → http → domain → store`, and the cellar knows no one.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Lines of the files below `inside` that hold one of the words, comments aside.
fn lines_with(words: &[&str], inside: impl Fn(&str) -> bool) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the house has moved");
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        if !inside(&name) {
            continue;
        }
        for line in fs::read_to_string(&file).unwrap().lines() {
            let code = line.split("//").next().unwrap();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    found
}

fn none(words: &[&str], inside: impl Fn(&str) -> bool) {
    assert_eq!(lines_with(words, inside), Vec::<String>::new(), "{words:?} is out of place");
}

#[test]
fn each_library_is_named_on_its_floor_only() {
    none(&["sqlx"], |file| !file.starts_with("store/"));
    none(&["poem", "hyper"], |file| {
        !file.starts_with("http/")
            && !file.starts_with("server/")
            && !file.starts_with("door/")
            && !["app.rs", "metrics.rs"].contains(&file)
    });
    none(&["rustls", "webpki"], |file| !file.starts_with("server/"));
    none(&["prometheus_client"], |file| file != "metrics.rs");
    none(&["jsonwebtoken"], |file| file != "domain/tokens.rs");
    none(&["aws_lc_rs::"], |file| {
        ![
            "domain/tokens.rs",
            "domain/server_secret.rs",
            "domain/foreign_hashes.rs",
            "server/tls.rs",
            "server/probe.rs",
        ]
        .contains(&file)
    });
    none(&["argon2::"], |file| {
        !["domain/passwords.rs", "domain/foreign_hashes.rs"].contains(&file)
    });
    none(&["bcrypt::", "scrypt::"], |file| file != "domain/foreign_hashes.rs");
    none(&["getrandom::", "zeroize"], |file| {
        ![
            "secret.rs",
            "http/body.rs",
            "domain/key_files.rs",
            "domain/tokens.rs",
            "domain/passwords.rs",
            "domain/foreign_hashes.rs",
            "domain/password_rules.rs",
            "cli/password.rs",
            "server/tls.rs",
        ]
        .contains(&file)
    });
}

/// The reason of the exceptions in deny.toml: quick-xml comes with poem-openapi, and nothing calls it.
#[test]
fn att_17_14_no_operation_reads_or_writes_xml_and_advisories_are_checked() {
    none(&["Xml", "XML", "quick_xml"], |_| true);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    assert!(!read("openapi/openapi.json").to_lowercase().contains("xml"));
    assert!(
        read(".github/workflows/advisories.yml").contains("cargo deny --locked check advisories")
    );
    let install = read("tests/tools/install");
    let version = install.lines().find_map(|line| line.strip_prefix("CARGO_DENY=")).unwrap();
    assert!(read(".github/workflows/advisories.yml").contains(&format!("cargo-deny@{version}\n")));
    let exceptions = read("deny.toml");
    let exceptions: Vec<_> =
        exceptions.lines().filter(|line| line.contains("id = \"RUSTSEC-")).collect();
    assert!(exceptions.iter().all(|line| line.contains("reason = \"")), "{exceptions:?}");
}

#[test]
fn nobody_looks_up() {
    none(
        &[
            "crate::cli",
            "crate::door",
            "crate::app",
            "crate::http",
            "crate::server",
            "crate::domain",
            "crate::config",
        ],
        |file| file.starts_with("store/"),
    );
    none(
        &[
            "crate::cli",
            "crate::door",
            "crate::app",
            "crate::http",
            "crate::server",
            "crate::config",
        ],
        |file| file.starts_with("domain/"),
    );
    none(
        &[
            "crate::cli",
            "crate::door",
            "crate::app",
            "crate::server",
            "crate::store",
            "crate::config",
        ],
        |file| file.starts_with("http/"),
    );
    none(&["crate::cli", "crate::door"], |file| {
        file == "app.rs" || file.starts_with("server/") || file == "metrics.rs"
    });
    none(&["crate::cli"], |file| file.starts_with("door/"));
    none(&["crate::"], |file| {
        ["secret.rs", "clock.rs", "fault.rs", "ownership.rs"].contains(&file)
    });
}

#[test]
fn time_is_a_guest() {
    none(&["SystemTime", "now_utc", "Utc::now"], |file| file != "clock.rs");
    // how old a connection is counts by no clock of the domain's
    none(&["now()"], |file| file.starts_with("store/") && file != "store/postgres.rs");
}

#[test]
fn no_file_is_named_after_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        for empty in ["utils", "common", "helpers", "types", "models", "manager", "service"] {
            assert_ne!(stem, empty, "{}", file.display());
        }
    }
}

/// The ids of checks at the start of a test's name: `jwt_02_and_04_…` has JWT-02 and JWT-04,
/// `xff_01_to_03_…` three, `att_17_03_…` has ATT-17-03.
fn check_ids(test: &str) -> Vec<String> {
    let is_number = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    // `of_64_…` is the beginning of a sentence
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
