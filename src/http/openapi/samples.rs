//! Code samples of each operation, from programs that the test suites run.

use serde_json::{Value, json};

/// How a client is named in `x-codeSamples`, and its program.
const PROGRAMS: [Program; 3] = [
    Program {
        lang: "Shell",
        label: "curl",
        text: include_str!("../../../openapi/samples/curl.sh"),
    },
    Program {
        lang: "TypeScript",
        label: "TypeScript, openapi-fetch",
        text: include_str!("../../../openapi/samples/typescript.ts"),
    },
    Program {
        lang: "Python",
        label: "Python, openapi-python-client",
        text: include_str!("../../../openapi/samples/python.py"),
    },
];

struct Program {
    lang: &'static str,
    label: &'static str,
    text: &'static str,
}

/// Adds `x-codeSamples` to an operation if the programs contain samples of it.
pub fn add_samples(operation: &mut Value) {
    let Some(id) = operation["operationId"].as_str() else { return };
    let samples: Vec<Value> = PROGRAMS
        .iter()
        .filter_map(|program| {
            let source = find_sample(program.text, id)?;
            Some(json!({ "lang": program.lang, "label": program.label, "source": source }))
        })
        .collect();
    if !samples.is_empty() {
        operation["x-codeSamples"] = samples.into();
    }
}

/// The lines between the comments `sample ID` and `end`, without their common indentation.
fn find_sample(program: &str, id: &str) -> Option<String> {
    let comment = |line: &str| line.trim().trim_start_matches(['/', '#']).trim().to_owned();
    let opening = format!("sample {id}");
    let mut lines = program.lines().skip_while(|line| comment(line) != opening);
    let indentation = lines.next().map(|line| line.len() - line.trim_start().len())?;
    let sample = lines
        .take_while(|line| comment(line) != "end")
        .map(|line| line.get(indentation..).unwrap_or_default())
        .collect::<Vec<_>>();
    Some(sample.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::document;

    #[test]
    fn every_operation_has_a_sample_for_each_client() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        for (path, operation) in paths.iter().flat_map(|(path, operations)| {
            operations.as_object().unwrap().values().map(move |operation| (path, operation))
        }) {
            let samples = operation["x-codeSamples"].as_array().unwrap();
            assert_eq!(samples.len(), PROGRAMS.len(), "{path}");
            for sample in samples {
                let source = sample["source"].as_str().unwrap();
                assert!(
                    source.contains(path.trim_end_matches("{id}")) || sample["lang"] == "Python"
                );
                assert!(!source.starts_with(' ') && !source.contains("end\n"), "{source}");
            }
        }
    }

    #[test]
    fn a_sample_ends_where_the_program_says_and_loses_its_indentation() {
        let program = "if a:\n    # sample one\n    b\n        c\n\n    d\n    # end\n    e\n";
        assert_eq!(find_sample(program, "one").as_deref(), Some("b\n    c\n\nd"));
        assert_eq!(find_sample(program, "two"), None);
        assert_eq!(find_sample("// sample one\na\n// end", "one").as_deref(), Some("a"));
    }
}
