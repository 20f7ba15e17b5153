//! The table of dependencies in CONTRIBUTING.md, and the number of crates.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The maximum number of crates that a build takes, ours included. Six of them came with lettre:
/// itself, `async-trait`, `email-encoding`, `email_address`, `nom` 8 and `quoted_printable`.
const MAX_CRATES: usize = 271;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn the_table_of_dependencies_names_each_direct_dependency_and_no_other() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let direct: BTreeSet<String> = ["dependencies", "dev-dependencies"]
        .iter()
        .flat_map(|kind| manifest[*kind].as_table().unwrap().keys().cloned())
        .collect();
    assert!(direct.contains("sqlx") && direct.contains("proptest"));
    let guide = read("CONTRIBUTING.md");
    let (_, chapter) = guide.split_once("\n## Dependencies\n").unwrap();
    let (chapter, _) = chapter.split_once("\n## ").unwrap();
    let rows: Vec<Vec<&str>> = chapter
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let listed: BTreeSet<String> = rows.iter().map(|row| row[0].trim_matches('`').into()).collect();
    let missing: Vec<_> = direct.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&direct).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    assert!(gone.is_empty(), "in the table, but not in Cargo.toml: {gone:?}");
    assert_eq!(rows.len(), listed.len(), "a crate has two lines");
    for row in rows {
        let is_whole = row.len() == 3 && row.iter().all(|cell| !cell.is_empty());
        assert!(is_whole, "a crate, what it is for, who keeps it: {row:?}");
    }
}

#[test]
fn a_build_takes_few_crates_and_the_macro_crate_of_sqlx_is_none_of_them() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package=cloakroom", "--edges=normal,build"])
        .args(["--prefix=none", "--no-dedupe"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<&str> = tree.lines().filter(|line| !line.is_empty()).collect();
    assert!(crates.iter().any(|name| name.starts_with("sqlx-core ")));
    // It compiles both drivers and the TLS library a second time, for the compiler.
    assert!(!crates.iter().any(|name| name.starts_with("sqlx-macros")));
    assert!(crates.len() <= MAX_CRATES, "{} crates", crates.len());
}
