//! The public API of the library, an item a line, from what rustdoc printed. `tests/e2e/public-api/run` compares it with
//! `api.txt`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The floors: open to the program's own tests, hidden, and no part of the API.
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
    // an item that is hidden under one path and shown under another comes twice
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

/// rustdoc names `Database` by where it is. Other types of the store begin alike, and are none of the API.
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
