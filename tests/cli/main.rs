//! Tests of the program's commands: their output and their effects.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod admin;
mod audit;
mod backups;
mod command_line;
mod damage;
mod definitions;
mod display_names;
mod doctor;
mod email;
mod import;
mod mail;
mod migrations;
mod owners;
mod reset_link;
mod roles;
mod server_secrets;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod tokens;
