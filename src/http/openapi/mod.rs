//! The OpenAPI document: what the operations say, completed and repaired.

pub mod about;
pub mod document;
mod examples;
mod members;
mod operation;
mod repair;
mod responses;
mod schemas;
pub mod served;
