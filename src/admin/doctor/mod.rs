//! The doctor: finds what is wrong with an installation, and says what to do.

mod certificate;
mod database;
mod diagnose;
mod files;
mod findings;
mod keys;
mod listener;
mod mail;
mod ownership;
mod settings;

pub use self::diagnose::{DoctorOptions, diagnose};
pub use self::findings::{Diagnosis, Finding, Verdict};
