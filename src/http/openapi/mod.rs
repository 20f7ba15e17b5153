//! The OpenAPI document: built from the operations, completed and repaired.

pub mod about;
pub mod document;
mod examples;
mod members;
mod operation;
mod repair;
mod responses;
mod samples;
mod schemas;
pub mod served;
mod version_3_1;
