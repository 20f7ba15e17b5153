//! Tests of the architecture: which layer may import which, no import cycles between files, no long
//! files, and where each library may be used.

mod check_ids;
mod exceptions;
mod imports;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::layers::imports::Arrows;

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

/// Lines outside comments that contain one of the words, in files for which `inside` is true.
fn lines_with(words: &[&str], inside: impl Fn(&str) -> bool) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources have moved");
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

/// The layers from top to bottom, and the lower layers that each may import. A file outside these
/// folders belongs to the layer of its name.
const LAYERS: [(&str, &[&str]); 12] = [
    (
        "cli",
        &[
            "admin", "embed", "server", "app", "http", "metrics", "config", "domain", "store",
            "core",
        ],
    ),
    ("admin", &["embed", "server", "app", "http", "config", "domain", "store", "core"]),
    ("embed", &["server", "app", "http", "metrics", "config", "domain", "store", "core"]),
    ("app", &["server", "http", "metrics", "config", "domain", "store", "core"]),
    ("metrics", &["server", "http", "domain", "store", "core"]),
    ("server", &["core"]),
    ("http", &["domain", "core"]),
    ("config", &["domain", "store", "core"]),
    ("domain", &["store", "core"]),
    ("store", &["core"]),
    ("core", &[]),
    // declares the layers and re-exports the API of the library
    ("lib", &["embed", "http", "store"]),
];

fn layer(file: &str) -> &str {
    file.split_once('/').map_or(file, |(folder, _)| folder).trim_end_matches(".rs")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static ARROWS: LazyLock<Arrows> = LazyLock::new(|| imports::read_arrows(root()));

#[test]
fn each_layer_imports_only_layers_below_it() {
    let arrows = &*ARROWS;
    assert!(arrows.len() > 100, "the sources have moved");
    let mut wrong = Vec::new();
    for (from, targets) in arrows {
        let allowed = LAYERS.iter().find(|(name, _)| *name == layer(from));
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{from} is in no layer"));
        for (to, names) in targets {
            if layer(from) == layer(to) || allowed.contains(&layer(to)) {
                continue;
            }
            if !exceptions::UPWARDS.contains(&(from, to)) {
                wrong.push(format!("{from} -> {to}: {}", list(names)));
            }
        }
    }
    for (from, to) in exceptions::UPWARDS {
        if !arrows.get(*from).is_some_and(|targets| targets.contains_key(*to)) {
            wrong.push(format!("{from} -> {to} is gone: remove it from exceptions.rs"));
        }
    }
    assert!(wrong.is_empty(), "imports of a layer that is not below:\n{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let arrows = &*ARROWS;
    let mut wrong = Vec::new();
    for file in arrows.keys() {
        let is_exception = exceptions::IN_A_CYCLE.contains(&file.as_str());
        match imports::cycle_through(arrows, file) {
            Some(cycle) if !is_exception => {
                let steps = cycle.windows(2).map(|step| {
                    let names = &arrows[&step[0]][&step[1]];
                    format!("  {} -> {}: {}", step[0], step[1], list(names))
                });
                wrong.push(format!("{file}:\n{}", steps.collect::<Vec<_>>().join("\n")));
            }
            None if is_exception => {
                wrong.push(format!("{file} is in no cycle any more: remove it from exceptions.rs"));
            }
            Some(_) | None => {}
        }
    }
    for file in exceptions::IN_A_CYCLE {
        if !arrows.contains_key(*file) {
            wrong.push(format!("{file} does not exist: remove it from exceptions.rs"));
        }
    }
    assert!(wrong.is_empty(), "import cycles:\n{}", wrong.join("\n"));
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The number of lines of a file without its test modules.
fn lines_without_tests(text: &str) -> usize {
    let mut lines = text.lines();
    let mut count = 0;
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let is_one_line = lines.next().is_none_or(|line| line.ends_with(';'));
            if !is_one_line {
                lines.find(|line| *line == "}");
            }
        } else {
            count += 1;
        }
    }
    count
}

#[test]
fn no_file_is_longer_than_400_lines_without_its_tests() {
    const MAX_LINES: usize = 400;
    let src = root().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for file in files {
        let lines = lines_without_tests(&fs::read_to_string(&file).unwrap());
        let name = file.strip_prefix(&src).unwrap().display().to_string();
        let is_exception = exceptions::LONG.contains(&name.as_str());
        if lines > MAX_LINES && !is_exception {
            wrong.push(format!("{name} has {lines} lines"));
        } else if lines <= MAX_LINES && is_exception {
            wrong.push(format!("{name} is short enough by now: remove it from exceptions.rs"));
        }
        known.insert(name);
    }
    for file in exceptions::LONG {
        if !known.contains(*file) {
            wrong.push(format!("{file} does not exist: remove it from exceptions.rs"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_struct_that_wires_the_domain_has_at_most_30_methods() {
    let mut files = Vec::new();
    sources(&root().join("src/domain"), &mut files);
    let mut methods = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for block in text.split("\nimpl AuthService {\n").skip(1) {
            let lines = block.lines().take_while(|line| *line != "}");
            let is_method = |line: &&str| {
                let indented = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' '));
                indented.is_some_and(|rest| rest.starts_with("fn ") || rest.contains(" fn "))
            };
            methods.extend(lines.filter(is_method).map(str::to_owned));
        }
    }
    assert!(methods.len() > 10, "the struct has another name");
    assert!(methods.len() <= 30, "{} methods: {methods:#?}", methods.len());
}

#[test]
fn each_library_is_named_in_its_layer_only() {
    none(&["sqlx"], |file| !file.starts_with("store/"));
    none(&["poem", "hyper"], |file| {
        !file.starts_with("http/")
            && !file.starts_with("server/")
            && !file.starts_with("embed/")
            && !file.starts_with("app/")
            && file != "metrics.rs"
    });
    none(&["rustls", "webpki"], |file| !file.starts_with("server/"));
    // layers below `metrics` count with the types of this library
    none(&["prometheus_client"], |file| {
        ![
            "domain/counters.rs",
            "domain/passwords/hasher.rs",
            "domain/passwords/queue.rs",
            "http/request_metrics.rs",
            "metrics.rs",
            "server/connection_gauge.rs",
            "server/mod.rs",
            "store/group_commit.rs",
            "store/open.rs",
        ]
        .contains(&file)
    });
    none(&["lettre::"], |file| file != "domain/mail/smtp.rs");
    none(&["jsonwebtoken"], |file| file != "domain/keys/tokens.rs");
    none(&["aws_lc_rs::"], |file| {
        ![
            "domain/keys/tokens.rs",
            "domain/keys/server_secret.rs",
            "domain/passwords/imported.rs",
            "server/tls.rs",
            "server/probe.rs",
        ]
        .contains(&file)
    });
    none(&["argon2::"], |file| {
        ![
            "domain/passwords/argon2id.rs",
            "domain/passwords/imported.rs",
            "domain/passwords/scratch.rs",
        ]
        .contains(&file)
    });
    none(&["bcrypt::", "scrypt::"], |file| file != "domain/passwords/imported.rs");
    none(&["getrandom::", "zeroize"], |file| {
        ![
            "core/api_token_secret.rs",
            "core/secret.rs",
            "core/mailed_secret.rs",
            "http/request/fields.rs",
            "domain/keys/files.rs",
            "domain/keys/tokens.rs",
            "domain/passwords/rules.rs",
            "domain/passwords/imported.rs",
            "domain/passwords/blocklist.rs",
            "cli/password.rs",
            "server/tls.rs",
        ]
        .contains(&file)
    });
}

/// The reason for the exceptions in deny.toml: quick-xml is a dependency of poem-openapi, and
/// nothing calls it.
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
fn time_is_a_guest() {
    none(&["SystemTime", "now_utc", "Utc::now"], |file| file != "core/clock.rs");
    // the age of a connection is measured with the monotonic clock
    none(&["now()"], |file| file.starts_with("store/") && file != "store/engine/pg_hosts.rs");
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

#[test]
fn every_path_in_the_architecture_page_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let folders = ["src/", "tests/", "migrations/", "openapi/"];
    let paths: Vec<&str> = page
        .split('`')
        .filter(|part| folders.iter().any(|folder| part.starts_with(folder)))
        .collect();
    assert!(paths.len() > 40, "the paths are written differently");
    let missing: Vec<_> = paths.into_iter().filter(|path| !root().join(path).exists()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
