//! What the tests of several binaries share: the program as a process, clients, a terminal, databases.

#![allow(dead_code, reason = "each binary uses some of it")]

pub mod database;
pub mod http;
pub mod process;
pub mod program;
pub mod rates;
pub mod raw;
pub mod terminal;
