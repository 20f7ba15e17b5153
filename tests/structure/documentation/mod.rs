//! Tests of the documentation: its generated parts are current, no link is broken, and the README is short.
//!
//! `RENEW=1 cargo test --test structure documentation` writes the generated parts of `docs/reference`.

mod links;
mod pages;
mod reference;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Markdown files of the project itself, as paths from the root.
fn markdown_files() -> Vec<String> {
    let mut found = Vec::new();
    collect(root(), &mut found);
    let mut found: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert!(found.len() > 20, "the Markdown files have moved: {found:?}");
    found
}

/// Folders with files that do not belong to the project: builds and downloaded packages.
const NOT_OURS: [&str; 4] = ["target", "node_modules", "cloakroom-data", "released"];

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_hidden = name.starts_with('.') && name != ".github";
        if path.is_symlink() || is_hidden || NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
}
