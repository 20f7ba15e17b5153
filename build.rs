//! Rebuilds when a migration is added, because `sqlx::migrate!` embeds the folders but does not
//! notice new files.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=sqlx.toml");
}
