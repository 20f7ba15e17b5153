//! Arrows point down only: `main → cli → door → app → http → domain → store`, and the cellar knows no one.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

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
        !["domain/tokens.rs", "domain/foreign_hashes.rs", "server/tls.rs", "server/probe.rs"]
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
    none(&["crate::"], |file| ["secret.rs", "clock.rs", "fault.rs"].contains(&file));
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
