//! What operations answer in common: the guard's refusals, those of the outer endpoint, and failures.
//!
//! A row of [`COMMON_RESPONSES`] says which operations may answer a code, and in which words.

use poem::http::StatusCode;
use serde_json::{Map, Value, json};

use super::examples::add_examples;
use super::members::{members, members_of};
use super::operation::{Owner, Traits};
use super::repair::{mend_format, mend_headers};
use super::schemas::{seconds, string};
use crate::http::pages;
use crate::http::problem::{Code, PROBLEM_JSON};
use crate::http::request::limit::{MAX_BODY_BYTES, format_bytes};

/// A response that is the same for all operations that may answer it.
struct CommonResponse {
    code: Code,
    is_of: fn(&Traits) -> bool,
    /// `{limit}` stands for the most bytes of a body.
    sentence: &'static str,
    header: Option<Header>,
}

/// A header of a response.
struct Header {
    name: &'static str,
    description: &'static str,
    schema: fn() -> Value,
}

/// In the order in which their sentences stand in a description.
const COMMON_RESPONSES: [CommonResponse; 13] = [
    CommonResponse {
        code: Code::InvalidRequest,
        is_of: |operation| operation.has_body,
        sentence: "`invalid_request`: the body is malformed or breaks the schema, and `errors` says where; \
                   or the request has not exactly one `Host`.",
        header: None,
    },
    CommonResponse {
        code: Code::InvalidRequest,
        is_of: |operation| !operation.has_body && operation.has_parameters,
        sentence: "`invalid_request`: a parameter is not as documented, and `errors` says which; or the \
                   request has not exactly one `Host`.",
        header: None,
    },
    CommonResponse {
        code: Code::InvalidRequest,
        is_of: |operation| !operation.has_body && !operation.has_parameters,
        sentence: "`invalid_request`: the request has not exactly one `Host` (RFC 9112, section 3.2).",
        header: None,
    },
    CommonResponse {
        code: Code::NotAuthenticated,
        is_of: |operation| operation.needs_session && operation.is_for_proxies,
        sentence: "`not_authenticated`: the request has no active session.",
        header: Some(WWW_AUTHENTICATE),
    },
    CommonResponse {
        code: Code::NotAuthenticated,
        is_of: |operation| operation.needs_session && !operation.is_for_proxies,
        sentence: "`not_authenticated`: the request has no session cookie. Sign in.",
        header: Some(WWW_AUTHENTICATE),
    },
    CommonResponse {
        code: Code::SessionRefused,
        is_of: |operation| operation.is_guarded && !operation.is_for_proxies,
        sentence: "`session_refused`: the session cookie is tampered with, expired, revoked or unknown, or \
                   there are two that differ. Which of these is not said. Sign in again.",
        header: Some(Header {
            name: "Set-Cookie",
            description: "Makes the browser forget the cookie; only there if it is this service's and its \
                          session ended at least a minute ago.",
            schema: string,
        }),
    },
    CommonResponse {
        code: Code::CrossOrigin,
        is_of: |operation| operation.is_unsafe,
        sentence: "`cross_origin`: a browser sent this from a page of another origin.",
        header: None,
    },
    CommonResponse {
        code: Code::PayloadTooLarge,
        is_of: |operation| operation.has_body,
        sentence: "`payload_too_large`: the body is larger than {limit}.",
        header: None,
    },
    CommonResponse {
        code: Code::UnsupportedMediaType,
        is_of: |operation| operation.has_body && operation.owner == Owner::Cloakroom,
        sentence: "`unsupported_media_type`: the body is neither JSON nor a form in UTF-8, or it is \
                   compressed.",
        header: None,
    },
    CommonResponse {
        code: Code::UnsupportedMediaType,
        is_of: |operation| operation.has_body && operation.owner != Owner::Cloakroom,
        sentence: "`unsupported_media_type`: the body is of no documented media type.",
        header: None,
    },
    CommonResponse {
        code: Code::UnknownHost,
        is_of: |_| true,
        sentence: "`unknown_host`: `Host` is neither an address nor one of this service's names (RFC 9110, \
                   section 15.5.20).",
        header: None,
    },
    CommonResponse {
        code: Code::InternalError,
        is_of: |_| true,
        sentence: "`internal_error`: something went wrong in the service; the operator finds it by `X-Request-Id`.",
        header: None,
    },
    CommonResponse {
        code: Code::Unavailable,
        is_of: |operation| operation.reads_store,
        sentence: "`unavailable`: the database does not answer. Try again soon.",
        header: Some(Header {
            name: "Retry-After",
            description: "Seconds after which to try again.",
            schema: seconds,
        }),
    },
];

const WWW_AUTHENTICATE: Header = Header {
    name: "WWW-Authenticate",
    description: "Names the cookie and where to get it.",
    schema: string,
};

/// Adds to an operation what it answers in common with others.
pub fn add_common_responses(path: &str, method: &str, operation: &mut Value, owner: Owner) {
    let traits = Traits::read(method, operation, owner);
    if operation.get("security").is_none() {
        operation["security"] = json!([]); // said, not left out
    }
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        mend_format(&mut parameter["schema"]);
    }
    let responses = &mut operation["responses"];
    for (_, response) in members(responses) {
        mend_headers(response);
    }
    if traits.is_unsafe && pages::takes_forms(path) {
        responses["303"] = form_posted();
    }
    let limit = match owner {
        Owner::Cloakroom => MAX_BODY_BYTES,
        Owner::Embedder { body_limit } => body_limit,
    };
    for common in COMMON_RESPONSES.iter().filter(|common| (common.is_of)(&traits)) {
        let sentence = common.sentence.replace("{limit}", &format_bytes(limit));
        add(responses, common, &sentence);
    }
    finish_refusals(responses, &traits);
}

/// Puts the responses in order, and adds to the refusals what all of one status have.
fn finish_refusals(responses: &mut Value, operation: &Traits) {
    members_of(responses).sort_keys();
    for (status, response) in members(responses) {
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE.as_str() && operation.has_body {
            members_of(&mut response["headers"]).append(&mut accepted_headers(operation.owner));
        }
        if status.as_str() >= "400" {
            add_examples(status, response, operation.has_body, operation.owner);
        }
    }
}

/// Adds a refusal, or its sentence to what has the same status already.
fn add(responses: &mut Value, common: &CommonResponse, sentence: &str) {
    let code = common.code;
    let status = code.status().as_str().to_owned();
    let is_new = responses.get(&status).is_none();
    let response = &mut responses[&status];
    if is_new {
        let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        *response = json!({ "description": sentence, "content": { PROBLEM_JSON: problem } });
    } else {
        if response["content"].get(PROBLEM_JSON).is_none() {
            // an embedder's operation refuses in a form of its own
            response["content"][PROBLEM_JSON] =
                json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        }
        let first = response["description"].as_str().unwrap_or_default();
        response["description"] = format!("{first}\n\n{sentence}").into();
    }
    if let Some(Header { name, description, schema }) = common.header
        && response["headers"].get(name).is_none()
    {
        let is_required = is_new && code != Code::SessionRefused;
        response["headers"][name] =
            json!({ "description": description, "required": is_required, "schema": schema() });
    }
    if !is_new && response.get("headers").is_some() {
        // answered by some of the codes, not by all
        for (_, header) in members(&mut response["headers"]) {
            header["required"] = (status == "503").into();
        }
    }
}

/// The headers of a 415: which types are read, and behind `Accept-Encoding` which coding.
fn accepted_headers(owner: Owner) -> Map<String, Value> {
    let header = |description: &str| json!({ "description": description, "required": false, "schema": string() });
    let accept = header("The media types that are read, if the body is of another one.");
    let mut headers = Map::from_iter([("Accept".to_owned(), accept)]);
    if let Owner::Cloakroom = owner {
        let coding = header("The coding that is read, if the body has another one.");
        headers.insert("Accept-Encoding".to_owned(), coding);
    }
    headers
}

/// The answer to a browser's form post.
fn form_posted() -> Value {
    json!({
        "description": "The answer to a browser's form post, instead of the above: go on at the \
            next page.",
        "headers": {
            "Location": {
                "description": "The path of the next page.", "required": true, "schema": string(),
            },
            "Set-Cookie": {
                "description": "The session cookie, set or cleared.", "required": true,
                "schema": string(),
            },
        },
    })
}
