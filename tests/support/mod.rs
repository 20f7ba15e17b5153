//! Helpers for several test binaries: the program as a process, a terminal, databases.

#![allow(dead_code, reason = "each binary uses some of it")]

pub mod database;
pub mod program;
pub mod rates;
pub mod terminal;
