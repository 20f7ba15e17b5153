//! Embeds the migrations of both engines for `src/store/engine/migrations.rs`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-changed=migrations");
    let code = ["sqlite", "postgres"].map(|engine| embed(engine, &root.join("migrations")));
    fs::write(out.join("migrations.rs"), code.concat()).expect("the build folder takes files");
}

/// The list of an engine's migrations as Rust code: version, description and SQL of each file.
fn embed(engine: &str, migrations: &Path) -> String {
    let folder = fs::read_dir(migrations.join(engine)).expect("each engine has a folder");
    let mut paths: Vec<PathBuf> =
        folder.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    let mut code = format!("pub const {}: &[Embedded] = &[\n", engine.to_uppercase());
    for path in paths {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let (version, description) = name.split_once('_').unwrap_or_default();
        let version: i64 = version.parse().unwrap_or_else(|_| {
            panic!("{} is not named <version>_<description>.sql", path.display())
        });
        let description = description.replace('_', " ");
        // `ignored-chars` of sqlx.toml: a checkout with CRLF line ends has the same checksums
        let sql = fs::read_to_string(&path).expect("a migration can be read").replace('\r', "");
        writeln!(code, "    ({version}, {description:?}, {sql:?}),").expect("a string grows");
    }
    code + "];\n"
}
