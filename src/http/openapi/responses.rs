//! The responses that operations have in common: refusals of the guard and of the outer endpoint,
//! and internal errors.
//!
//! Each row of [`COMMON_RESPONSES`] says which operations have a response, and describes it.

use poem::http::StatusCode;
use serde_json::{Map, Value, json};

use super::examples::add_examples;
use super::members::{members, members_of};
use super::operation::{Owner, Traits, describe_guards};
use super::repair::{mend_format, mend_headers};
use super::schemas::{seconds, string};
use crate::http::pages;
use crate::http::problem::{Code, PROBLEM_JSON};
use crate::http::request::limit::{MAX_BODY_BYTES, format_bytes};
use crate::http::required_role::roles_in_words;

/// A response that is the same for all operations that have it.
struct CommonResponse {
    code: Code,
    is_of: fn(&Traits) -> bool,
    /// `{limit}` is replaced by the maximum size of a body, and `{roles}` by the required roles.
    sentence: &'static str,
    header: Option<Header>,
}

/// A header of a response.
struct Header {
    name: &'static str,
    description: &'static str,
    schema: fn() -> Value,
}

/// In the order of their sentences in a description.
const COMMON_RESPONSES: [CommonResponse; 20] = [
    CommonResponse {
        code: Code::InvalidRequest,
        is_of: |operation| operation.has_body,
        sentence: "`invalid_request`: the body is malformed or does not match the schema \
                   (`errors` names the fields), or the request does not have exactly one `Host` \
                   header.",
        header: None,
    },
    CommonResponse {
        code: Code::InvalidRequest,
        is_of: |operation| !operation.has_body && operation.has_parameters,
        sentence: "`invalid_request`: a parameter does not match the schema (`errors` names it), \
                   or the request does not have exactly one `Host` header.",
        header: None,
    },
    CommonResponse {
        code: Code::InvalidRequest,
        is_of: |operation| !operation.has_body && !operation.has_parameters,
        sentence: "`invalid_request`: the request does not have exactly one `Host` header (RFC 9112, section 3.2).",
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
        is_of: |operation| {
            operation.needs_session && !operation.is_for_proxies && !operation.accepts_tokens
        },
        sentence: "`not_authenticated`: the request has no session cookie. Sign in.",
        header: Some(WWW_AUTHENTICATE),
    },
    CommonResponse {
        code: Code::NotAuthenticated,
        is_of: |operation| {
            operation.needs_session && !operation.is_for_proxies && operation.accepts_tokens
        },
        sentence: "`not_authenticated`: the request has neither a session cookie nor an API token. \
                   Sign in, or send an API token.",
        header: Some(WWW_AUTHENTICATE),
    },
    CommonResponse {
        code: Code::TokenRefused,
        is_of: |operation| operation.is_guarded && operation.is_for_proxies,
        sentence: "`token_refused`: the API token is malformed, unknown, expired or revoked, or \
                   the address of the check does not contain `token=yes`.",
        header: Some(WWW_AUTHENTICATE),
    },
    CommonResponse {
        code: Code::TokenRefused,
        is_of: |operation| operation.accepts_tokens && !operation.is_for_proxies,
        sentence: "`token_refused`: the API token is malformed, unknown, expired or revoked. The \
                   response does not reveal which of these is the reason.",
        header: Some(WWW_AUTHENTICATE),
    },
    CommonResponse {
        code: Code::TokenRefused,
        is_of: |operation| operation.is_guarded && !operation.accepts_tokens,
        sentence: "`token_refused`: the request has an API token, and this operation does not \
                   accept API tokens.",
        header: Some(WWW_AUTHENTICATE),
    },
    CommonResponse {
        code: Code::SessionRefused,
        is_of: |operation| operation.is_guarded && !operation.is_for_proxies,
        sentence: "`session_refused`: the session cookie is invalid, expired, revoked or unknown, \
                   or the request has two different session cookies. The response does not reveal \
                   which of these is the reason. Sign in again.",
        header: Some(Header {
            name: "Set-Cookie",
            description: "Deletes the session cookie. It is present only if this service issued \
                          the cookie and the session ended at least one minute ago.",
            schema: string,
        }),
    },
    CommonResponse {
        code: Code::RoleNeeded,
        is_of: |operation| !operation.roles.is_empty(),
        sentence: "`role_needed`: the account does not have {roles}.",
        header: None,
    },
    CommonResponse {
        code: Code::RoleNeeded,
        is_of: |operation| operation.is_for_proxies,
        sentence: "`role_needed`: the user is signed in, but has none of the roles in `role`.",
        header: None,
    },
    CommonResponse {
        code: Code::ConfirmationRequired,
        is_of: |operation| operation.needs_confirmation,
        sentence: "`confirmation_required`: the session was not confirmed in the last 15 minutes. \
                   Confirm it with `confirmWithPassword`, then repeat the request.",
        header: None,
    },
    CommonResponse {
        code: Code::CrossOrigin,
        is_of: |operation| operation.is_unsafe,
        sentence: "`cross_origin`: a browser sent the request from a page of an origin that is not allowed.",
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
        sentence: "`unsupported_media_type`: the body is neither JSON nor a form, is not encoded \
                   in UTF-8, or is compressed.",
        header: None,
    },
    CommonResponse {
        code: Code::UnsupportedMediaType,
        is_of: |operation| operation.has_body && operation.owner != Owner::Cloakroom,
        sentence: "`unsupported_media_type`: the body does not have a documented media type.",
        header: None,
    },
    CommonResponse {
        code: Code::UnknownHost,
        is_of: |_| true,
        sentence: "`unknown_host`: the `Host` header is neither an IP address nor a name of this \
                   service (RFC 9110, section 15.5.20).",
        header: None,
    },
    CommonResponse {
        code: Code::InternalError,
        is_of: |_| true,
        sentence: "`internal_error`: the service failed. With the value of `X-Request-Id`, the operator can find the cause in the log.",
        header: None,
    },
    CommonResponse {
        code: Code::Unavailable,
        is_of: |operation| operation.reads_store,
        sentence: "`unavailable`: the database does not respond. Try again after the time in `Retry-After`.",
        header: Some(Header {
            name: "Retry-After",
            description: "The number of seconds to wait before the next attempt.",
            schema: seconds,
        }),
    },
];

const WWW_AUTHENTICATE: Header = Header {
    name: "WWW-Authenticate",
    description: "The authentication scheme `Cookie` with the name of the session cookie and the path to \
                  sign in at, or the scheme `Bearer` (RFC 6750). An operation that accepts API tokens \
                  sends both if the request has no credentials.",
    schema: string,
};

/// Adds the common responses to an operation.
pub fn add_common_responses(path: &str, method: &str, operation: &mut Value, owner: Owner) {
    let traits = Traits::read(method, operation, owner);
    if operation.get("security").is_none() {
        operation["security"] = json!([]); // an explicit empty list
    }
    describe_guards(operation, &traits);
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
        let sentence = sentence.replace("{roles}", &roles_in_words(&traits.roles));
        add(responses, common, &sentence);
    }
    finish_refusals(responses, &traits);
}

/// Sorts the responses, and adds headers and examples to the problem responses.
fn finish_refusals(responses: &mut Value, operation: &Traits) {
    members_of(responses).sort_keys();
    for (status, response) in members(responses) {
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE.as_str() && operation.has_body {
            members_of(&mut response["headers"]).append(&mut accepted_headers(operation.owner));
        }
        if status.as_str() >= "400" {
            add_examples(status, response, operation);
        }
    }
}

/// Adds a response, or adds its sentence to a response with the same status.
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
            // An embedder's operation has its own error format for this status.
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
        // Not all codes of this status have the header.
        for (_, header) in members(&mut response["headers"]) {
            let is_in_all = status == "503" || (status == "401" && header["required"] == true);
            header["required"] = is_in_all.into();
        }
    }
}

/// The headers of a 415: the supported media types and, in `Accept-Encoding`, the supported coding.
fn accepted_headers(owner: Owner) -> Map<String, Value> {
    let header = |description: &str| json!({ "description": description, "required": false, "schema": string() });
    let accept = header(
        "The media types that the operation accepts. It is present if the media type of the body is the reason.",
    );
    let mut headers = Map::from_iter([("Accept".to_owned(), accept)]);
    if let Owner::Cloakroom = owner {
        let coding = header(
            "The content coding that the operation accepts. It is present if the content coding of the body is the reason.",
        );
        headers.insert("Accept-Encoding".to_owned(), coding);
    }
    headers
}

/// The response to a form that a browser submitted.
fn form_posted() -> Value {
    json!({
        "description": "The response to a form that a browser submitted. It redirects to the next \
            page.",
        "headers": {
            "Location": {
                "description": "The path of the next page.", "required": true, "schema": string(),
            },
            "Set-Cookie": {
                "description": "Sets or deletes the session cookie.", "required": true,
                "schema": string(),
            },
        },
    })
}
