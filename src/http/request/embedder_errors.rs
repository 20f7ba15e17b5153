//! Translates poem-openapi's errors about the body of an embedder's operation.
//!
//! poem-openapi's sentences name Rust types and repeat the sent values. The problem contains only
//! what a client can use: the position in the JSON, or the field and the documented rule that it
//! violates.
//!
//! poem-openapi has no structured errors (<https://github.com/poem-web/poem/issues/195> was closed without them,
//! <https://github.com/poem-web/poem/issues/622> is open), so its sentences are read. `Cargo.toml` names the exact
//! version, and a test compares the sentences.

use crate::http::problem::{Code, FieldCode, FieldError, Problem};

/// The problem for a body that does not match the document.
pub fn parse_failed(reason: &str) -> Problem {
    let invalid = Problem::of(Code::InvalidRequest);
    if let Some((line, column)) = place(reason) {
        let detail = if reason.starts_with("EOF ") {
            "The JSON is incomplete.".to_owned()
        } else {
            format!("The body is not valid JSON in UTF-8: line {line}, column {column}.")
        };
        return Problem { detail, ..invalid };
    }
    let wrong = broken_rule(reason).or_else(|| unknown_field(reason));
    invalid.with_errors(wrong.into_iter().collect())
}

/// `… at line 1 column 5`, in serde's format.
fn place(reason: &str) -> Option<(u32, u32)> {
    let (_, place) = reason.rsplit_once(" at line ")?;
    let (line, column) = place.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// Parses ``field `title` verification failed. maxLength(100)``.
fn broken_rule(reason: &str) -> Option<FieldError> {
    let (_, said) = reason.split_once("field `")?;
    let (field, rule) = said.split_once("` verification failed. ")?;
    let rule = rule.split(" (occurred while").next().unwrap_or(rule);
    let code = match rule.split('(').next().unwrap_or(rule) {
        "maxLength" | "maxItems" | "maxProperties" => FieldCode::TooLong,
        "minLength" | "minItems" | "minProperties" => FieldCode::TooShort,
        _ => FieldCode::NotAllowed,
    };
    let rule: String = rule.chars().take(200).collect();
    Some(FieldError::new(field, code, format!("The value violates the documented rule {rule}.")))
}

/// Parses ``unknown field `color`.``.
fn unknown_field(reason: &str) -> Option<FieldError> {
    let (_, said) = reason.split_once("unknown field `")?;
    let (field, _) = said.split_once('`')?;
    Some(FieldError::new(field, FieldCode::Unknown, "This field is unknown. Leave it out."))
}

#[cfg(test)]
mod tests {
    use poem_openapi::Object;
    use poem_openapi::types::{ParseFromJSON, Type};
    use serde_json::json;

    use super::*;

    #[derive(Debug, Object)]
    #[oai(deny_unknown_fields)]
    struct NewNote {
        #[oai(validator(max_length = 5))]
        text: String,
    }

    #[test]
    fn poem_openapi_words_its_errors_as_they_are_read_here() {
        assert_eq!(NewNote::name(), "NewNote");
        let error = |sent| NewNote::parse_from_json(Some(sent)).unwrap_err().into_message();
        let failed = r#"failed to parse "NewNote": "#;
        for (sent, words) in [
            (json!({"text": "too long"}), "field `text` verification failed. maxLength(5)"),
            (json!({"text": "", "x": 1}), "unknown field `x`."),
        ] {
            assert_eq!(error(sent), format!("{failed}{words}"));
        }
        let within = Vec::<NewNote>::parse_from_json(Some(json!([{"text": "too long"}])));
        let words = within.unwrap_err().into_message();
        assert!(words.contains("maxLength(5) (occurred while parsing "), "{words}");
    }

    fn describe(reason: &str) -> (String, Vec<(String, String)>) {
        let problem = parse_failed(reason);
        let errors = problem.errors.unwrap_or_default();
        (problem.detail, errors.into_iter().map(|one| (one.field, one.code.0)).collect())
    }

    #[test]
    fn a_client_learns_the_place_or_the_field_and_no_type() {
        let (detail, _) = describe("expected value at line 1 column 9");
        assert_eq!(detail, "The body is not valid JSON in UTF-8: line 1, column 9.");
        let (detail, _) = describe("EOF while parsing an object at line 1 column 1");
        assert_eq!(detail, "The JSON is incomplete.");
        for (reason, field, code) in [
            (
                "failed to parse \"NewNote\": field `text` verification failed. maxLength(5) \
                 (occurred while parsing \"Notes\")",
                "text",
                "too_long",
            ),
            ("failed to parse \"NewNote\": unknown field `x`.", "x", "unknown"),
        ] {
            let (detail, errors) = describe(reason);
            assert_eq!(errors, [(field.to_owned(), code.to_owned())]);
            assert!(!detail.contains("NewNote"), "{detail}");
        }
        let (detail, errors) = describe("Expected input type \"string_x\", found null.");
        assert!(errors.is_empty() && !detail.contains("string_x"), "{detail}");
    }
}
