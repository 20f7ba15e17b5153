//! The examples of problem responses: one for each code that a description names.

use poem::http::StatusCode;
use poem_openapi::types::ToJSON;
use serde_json::{Map, Value, json};

use super::operation::{Owner, Traits};
use crate::domain::passwords::rules::InvalidPassword;
use crate::http::problem::{Code, FieldCode, FieldError, PROBLEM_JSON, Problem};

/// Adds an example for each code that the description of a problem response names. The code of an
/// embedder's own problem is the first word in backticks.
pub fn add_examples(status: &str, response: &mut Value, operation: &Traits) {
    let description = response["description"].as_str().unwrap_or_default();
    let Some(media) = response.get("content").and_then(|content| content.get(PROBLEM_JSON)) else {
        return; // not a problem
    };
    if media.get("examples").is_some() {
        return;
    }
    // A role may have the name of a code.
    let codes = description.split('`').filter_map(|code| code.parse().ok());
    let codes: Vec<Code> = codes.filter(|code: &Code| code.status().as_str() == status).collect();
    let mut examples: Map<String, Value> = codes
        .into_iter()
        .map(|code| (code.name().to_owned(), json!({ "value": example(code, operation) })))
        .collect();
    let own = description.split('`').nth(1).filter(|code| code.parse::<Code>().is_err());
    let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
    if let (Some(code), Some(status)) = (own.filter(|code| is_code(code)), status) {
        let detail = description.lines().next().unwrap_or_default().split_once("`: ");
        let problem = Problem::new(status, code, detail.map_or("", |(_, detail)| detail));
        let problem = problem.to_json().expect("a problem is an object");
        examples.insert(code.to_owned(), json!({ "value": problem }));
    }
    if !examples.is_empty() {
        response["content"][PROBLEM_JSON]["examples"] = examples.into();
    }
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn example(code: Code, operation: &Traits) -> Value {
    let problem = match (code, operation.owner) {
        (Code::RoleNeeded, _) if !operation.roles.is_empty() => {
            Problem::role_needed(&operation.roles)
        }
        (Code::TokenRefused, _) if !operation.accepts_tokens => Problem::token_not_accepted(),
        (Code::PayloadTooLarge, Owner::Embedder { body_limit }) => Problem::larger_than(body_limit),
        (Code::UnsupportedMediaType, Owner::Embedder { .. }) => {
            Problem::of_no_documented_media_type()
        }
        (Code::InvalidRequest, Owner::Cloakroom) if operation.has_body => {
            let missing =
                FieldError::new("password", FieldCode::Missing, "This field is required.");
            Problem::of(code).with_errors(vec![missing])
        }
        (Code::PolicyViolation, Owner::Cloakroom) => {
            let common = InvalidPassword::Common.to_string();
            let common = FieldError::new("password", FieldCode::Common, common);
            Problem::of(code).with_errors(vec![common])
        }
        (code, Owner::Cloakroom | Owner::Embedder { .. }) => Problem::of(code),
    };
    problem.to_json().expect("a problem is an object")
}
