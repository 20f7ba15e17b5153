//! Writes the public API of the library, one item per line, from rustdoc's JSON output.
//! `tests/e2e/public-api/run` compares it with `api.txt`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The layers, which are hidden modules for the program's own tests and not part of the API.
const FLOORS: [&str; 8] = ["app", "cli", "config", "core", "domain", "http", "metrics", "server"];

#[test]
#[ignore = "reads what rustdoc printed: tests/e2e/public-api/run"]
fn lists_the_public_api() {
    let path = |name: &str| std::env::var(name).expect("tests/e2e/public-api/run says where");
    let printed = path("RUSTDOC_JSON");
    let api = public_api::Builder::from_rustdoc_json(Path::new(&printed))
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()
        .unwrap();
    let items = api.items().map(|item| with_exported_name(&item.to_string()));
    let is_ours = |item: &String| {
        !FLOORS.iter().chain(&["store"]).any(|floor| {
            let path = format!("cloakroom::{floor}");
            item.split(&path).skip(1).any(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    };
    // an item with a hidden path and a public path occurs twice
    let items: BTreeSet<String> = items.filter(is_ours).collect();
    let items: Vec<_> = items.into_iter().collect();
    fs::write(
        path("PUBLIC_API"),
        items.join(
            "
",
        ) + "
",
    )
    .unwrap();
}

/// Writes `Database` with its public path instead of its path in rustdoc. Other types of the store
/// that begin with the same word are hidden.
fn with_exported_name(item: &str) -> String {
    let mut parts = item.split("store::Database");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_another = part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        named.push_str(if is_another { "store::Database" } else { "Database" });
        named.push_str(part);
    }
    named
}
