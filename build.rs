//! Rebuilds when a migration is added: `sqlx::migrate!` embeds the folders and cannot tell.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=sqlx.toml");
}
