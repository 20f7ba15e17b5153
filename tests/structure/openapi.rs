//! Tests of the committed OpenAPI document: it is what the program prints, it is complete, and
//! generators can use it.

use std::fs;
use std::path::Path;

use cloakroom::http::{document, yaml};
use serde_json::Value;

const JSON: &str = include_str!("../../openapi/openapi.json");
const YAML: &str = include_str!("../../openapi/openapi.yaml");

fn parsed() -> Value {
    serde_json::from_str(JSON).unwrap()
}

/// Every operation with `METHOD /path`.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            found.push((format!("{method} {path}"), operation.clone()));
        }
    }
    found
}

#[test]
fn the_committed_document_is_the_one_the_program_prints() {
    let mend = "run: cargo run -- openapi > openapi/openapi.json && \
                cargo run -- openapi --format yaml > openapi/openapi.yaml";
    assert!(document() == JSON, "openapi/openapi.json is out of date; {mend}");
    assert!(yaml(document().as_bytes()) == YAML, "openapi/openapi.yaml is out of date; {mend}");
}

/// Words that readers of the document found hard, and similar ones.
const STUMBLED_OVER: [&str; 26] = [
    "whoever",
    "anybody",
    "somebody",
    "nobody",
    "everybody",
    "for good",
    "opens nothing",
    "does not count",
    "in force",
    "looked at",
    "held up",
    "not said of",
    "is gone",
    "accounts were made",
    "is made",
    "would like to have",
    "vouch",
    "furnish",
    "beside",
    "anew",
    "is not said",
    "counts as none",
    "goes on",
    "says which",
    "is answered",
    "behind https",
];

/// ATT-18-14
#[test]
fn the_document_is_written_in_plain_english() {
    fn descriptions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(text) if name == "description" || name == "summary" => {
                            found.push(text);
                        }
                        _ => descriptions(member, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| descriptions(item, found)),
            _ => (),
        }
    }
    let document = parsed();
    let mut found = Vec::new();
    descriptions(&document, &mut found);
    assert!(found.len() > 200, "{}", found.len());
    for text in found {
        let words = text.to_lowercase();
        for stumbled in STUMBLED_OVER {
            assert!(!words.contains(stumbled), "{stumbled:?} in {text:?}");
        }
    }
}

#[test]
fn the_yaml_says_the_same_as_the_json() {
    let from_yaml: Value = serde_saphyr::from_str(YAML).unwrap();
    assert_eq!(from_yaml, parsed());
}

#[test]
fn the_ways_through_it_are_of_the_same_version() {
    let ways: Value =
        serde_saphyr::from_str(include_str!("../../openapi/cloakroom.arazzo.yaml")).unwrap();
    assert_eq!(ways["info"]["version"], parsed()["info"]["version"]);
}

#[test]
fn every_operation_has_a_name_a_summary_a_description_and_its_security() {
    let document = parsed();
    let operations = operations(&document);
    let mut ids: Vec<&str> = Vec::new();
    for (what, operation) in &operations {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{what} has no name"));
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric()), "{what}: {id}");
        assert!(!ids.contains(&id), "{id} names two operations");
        ids.push(id);
        for key in ["summary", "description"] {
            assert!(operation[key].as_str().is_some_and(|text| text.len() > 4), "{what}: {key}");
        }
        assert!(operation["security"].is_array(), "{what} says nothing of security");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{what}: one tag");
    }
    for id in [
        "login",
        "logout",
        "register",
        "readPrivate",
        "getMe",
        "getSession",
        "getLiveness",
        "getReadiness",
        "issueToken",
        "forwardAuth",
    ] {
        assert!(ids.contains(&id), "{id} is lost");
    }
}

#[test]
fn every_refusal_is_a_problem_with_an_example_for_each_code() {
    let document = parsed();
    let codes = document["components"]["schemas"]["ProblemCode"]["x-extensible-enum"].clone();
    for (what, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(!responses.contains_key("default"), "{what} answers anything");
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            let media = response["content"].as_object().unwrap();
            assert!(media.keys().eq(["application/problem+json"]), "{what} {status}");
            let media = &media["application/problem+json"];
            assert_eq!(media["schema"]["$ref"], "#/components/schemas/Problem");
            let examples = media["examples"].as_object().unwrap();
            assert!(!examples.is_empty(), "{what} {status} names no code");
            for (code, example) in examples {
                assert!(codes.as_array().unwrap().contains(&code.as_str().into()), "{code}");
                assert_eq!(example["value"]["code"], code.as_str());
                assert_eq!(example["value"]["status"].to_string(), *status, "{what} {code}");
            }
        }
    }
}

#[test]
fn bodies_are_closed_and_plain_json() {
    let document = parsed();
    for (what, operation) in operations(&document) {
        let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
        assert!(content.keys().eq(["application/json"]), "{what}: one media type");
        let schema = content["application/json"]["schema"]["$ref"].as_str().unwrap();
        let schema = &document["components"]["schemas"][schema.rsplit('/').next().unwrap()];
        assert_eq!(schema["additionalProperties"], false, "{what} takes unknown fields");
        assert!(schema["example"].is_object(), "{what}: Swagger UI has nothing to fill in");
        for (name, property) in schema["properties"].as_object().unwrap() {
            let is_text = property["type"] == "string";
            assert!(!is_text || property["maxLength"].is_u64(), "{what}: {name} has no limit");
        }
    }
    assert!(!JSON.contains("charset="), "generators trip over parameters");
    assert!(!JSON.contains("\"uint"), "OpenAPI knows signed integers only");
    assert!(!JSON.contains("\": null"), "nothing is null");
}

#[test]
fn null_stands_for_an_absent_field_in_requests_and_is_never_answered() {
    let document = parsed();
    let mut nullable = Vec::new();
    for (what, schema) in document["components"]["schemas"].as_object().unwrap() {
        let Some(properties) = schema["properties"].as_object() else { continue };
        for (name, _) in properties.iter().filter(|(_, one)| one["nullable"] == true) {
            let required = schema["required"].as_array();
            let is_required = required.is_some_and(|all| all.contains(&name.as_str().into()));
            assert!(!is_required, "{what}: {name}");
            assert_eq!(schema["additionalProperties"], false, "{what} is no request");
            nullable.push(name.as_str());
        }
    }
    nullable.sort_unstable();
    assert_eq!(nullable.len(), JSON.matches("\"nullable\"").count(), "all are fields of objects");
    assert!(nullable.contains(&"remember") && nullable.contains(&"invite"), "{nullable:?}");
}

#[test]
fn the_names_of_schemas_do_not_meet_in_generated_code() {
    let document = parsed();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        // the constructor of `Account` is called `NewAccount` in Go
        let made = name.strip_prefix("New").filter(|made| schemas.contains_key(*made));
        assert_eq!(made, None, "{name} is what Go calls the constructor of another schema");
    }
}

#[test]
fn answers_have_no_closed_sets_of_values() {
    let document = parsed();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let is_sent = schema["additionalProperties"] == false;
        let closes = schema.to_string().contains("\"enum\":");
        assert!(is_sent || !closes, "{name}: a new value would break clients; x-extensible-enum");
    }
}

/// The README in `openapi/` shows files of `tests/e2e/sdk`, each after a comment with its path.
#[test]
fn the_readme_shows_the_programs_that_are_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(folder.join("openapi/README.md")).unwrap();
    let mut shown = Vec::new();
    for part in readme.split("<!-- tests/e2e/sdk/").skip(1) {
        let (path, text) = part.split_once(" -->\n```").unwrap();
        let (_language, text) = text.split_once('\n').unwrap();
        let (text, _) = text.split_once("```\n").unwrap();
        let file = fs::read_to_string(folder.join("tests/e2e/sdk").join(path)).unwrap();
        assert!(text == file, "openapi/README.md shows tests/e2e/sdk/{path} as it is not");
        shown.push(path.split_once('/').unwrap());
    }
    for client in fs::read_dir(folder.join("tests/e2e/sdk")).unwrap() {
        let client = client.unwrap();
        if !client.file_type().unwrap().is_dir() {
            continue;
        }
        let name = client.file_name().into_string().unwrap();
        let files = shown.iter().filter(|(client, _)| *client == name);
        assert_eq!(files.count(), 2, "openapi/README.md shows how to make {name} and to use it");
    }
}
