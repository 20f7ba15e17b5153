//! The OpenAPI document, made of the operations alone: no setting, no database.
//!
//! poem-openapi prints what the operations say of themselves; here is added what the floor answers
//! for all of them, and mended what generators trip over.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use poem::http::StatusCode;
use poem_openapi::registry::{MetaApi, Registry};
use poem_openapi::types::ToJSON;
use poem_openapi::{ContactObject, LicenseObject, OpenApi, OpenApiService};
use serde_json::{Map, Value, json};

use super::guard::SCHEME;
use super::problem::{Code, FieldCode, FieldError, PROBLEM_JSON, Problem};
use super::request::limit::{MAX_BODY_BYTES, format_bytes};
use super::request::media_type::JSON;
use super::{Front, Operations, PrivateApi, Table, pages, tags};
use crate::domain::passwords::hasher::BadPassword;

const DESCRIPTION: &str = "\
Hand in your credentials, get a ticket: `login` checks a user name and a password and sets a \
session cookie, and every operation with a padlock knows by it who calls.

**To try it**, run `login`, or `register` if you have no account yet. From then on every operation \
with a padlock works, until `logout`. curl keeps the cookie with `-c cookies.txt` and sends it with \
`-b cookies.txt`.

**The cookie** is named in the security scheme `session`; it is `HttpOnly`, `SameSite=Lax` and \
`Path=/`, and behind https `Secure`. A browser keeps and sends it by itself; a program keeps it in a cookie jar. Its \
value is opaque. A session ends at the server: after `logout` every copy of its cookie is refused.

**Refusals** are `application/problem+json` (RFC 9457). Tell them apart by `code`; new codes may be \
added, so treat an unknown one by its `status`. An operation answers what is listed with it and \
nothing else; only what cannot be read as HTTP at all gets a bare 400, or 431 when its header is \
larger than 16 KiB or has more than 64 fields. A request whose `Accept` prefers `text/html`, as that of \
a browser that opens an address, gets a refusal as a page with the same status and headers.

**Requests from pages of other origins** that would change something are refused with \
`cross_origin`. `Origin` decides: it must be the service's own, or one that the operator allows; without \
it `Sec-Fetch-Site` decides. Programs, which send neither, are not affected. Pages of allowed origins \
call with `credentials: 'include'` and may read every answer (CORS).

**Every answer** carries `X-Request-Id`, which the service's log carries too, and \
`Cache-Control: no-store`. A `HEAD` request is answered wherever a `GET` is.";

/// What a document says of the service as a whole.
#[derive(Debug)]
pub struct About {
    pub title: String,
    pub version: String,
    /// What stands before the words on sessions.
    pub description: Option<String>,
    pub contact: Option<ContactObject>,
    pub license: Option<LicenseObject>,
    /// What the security scheme is called.
    pub scheme: String,
}

impl About {
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: None,
            contact: None,
            license: None,
            scheme: SCHEME.to_owned(),
        }
    }

    /// The program's own.
    pub fn cloakroom() -> Self {
        let license =
            LicenseObject::new(env!("CARGO_PKG_LICENSE")).url("https://spdx.org/licenses/");
        Self {
            contact: Some(ContactObject::new().name("The Cloakroom project")),
            license: Some(license),
            ..Self::new("Cloakroom", env!("CARGO_PKG_VERSION"))
        }
    }
}

/// The document as it is committed in `openapi/openapi.json`.
pub fn document() -> String {
    pretty(&build::<PrivateApi>(About::cloakroom(), MAX_BODY_BYTES))
}

/// The same document in YAML.
pub fn yaml(document: &[u8]) -> String {
    let document: Value = serde_json::from_slice(document).expect("the document is JSON");
    serde_saphyr::to_string(&document).expect("and what is JSON can be YAML")
}

/// The document of a running service: it names the cookie as the settings do, asks for as many
/// characters of a new password, and has an audience in its example that there is.
pub fn served<T: OpenApi>(front: &Front, about: About, body_limit: usize) -> String {
    let rules = &front.domain.rules;
    let fewest_chars = rules.passwords.fewest_chars;
    let padlock = about.scheme.clone();
    let mut document = build::<T>(about, body_limit);
    document["components"]["securitySchemes"][SCHEME]["name"] = front.cookie.name().into();
    for (schema, field) in NEW_PASSWORDS {
        let schema = document.pointer_mut(&format!("/components/schemas/{schema}"));
        let schema = schema.expect("it is one of the document's"); // an index would make it up
        schema["properties"][field]["minLength"] = fewest_chars.into();
        let example = schema["example"][field].as_str().unwrap_or_default();
        schema["example"][field] = lengthened(example, fewest_chars).into();
    }
    if let Some(audience) = rules.audiences.first() {
        let audience = audience.as_str();
        document["components"]["schemas"]["TokenRequest"]["example"]["audience"] = audience.into();
    }
    rename_scheme(&mut document, &padlock);
    pretty(&document)
}

/// Calls the security scheme so, wherever it is named.
fn rename_scheme(document: &mut Value, name: &str) {
    if name == SCHEME {
        return;
    }
    let schemes = members_of(&mut document["components"]["securitySchemes"]);
    let scheme = schemes.remove(SCHEME).expect("some operations are guarded");
    schemes.insert(name.to_owned(), scheme);
    for (_, operations) in members_in(document, "paths") {
        for (_, operation) in members(operations) {
            let needed = operation.get_mut("security").and_then(Value::as_array_mut);
            for schemes in needed.into_iter().flatten().filter_map(Value::as_object_mut) {
                if let Some(scopes) = schemes.remove(SCHEME) {
                    schemes.insert(name.to_owned(), scopes);
                }
            }
        }
    }
    let description = &mut document["info"]["description"];
    let words = description.as_str().unwrap_or_default();
    *description = words.replace("scheme `session`", &format!("scheme `{name}`")).into();
}

/// The password of an example, in as many words as it takes.
fn lengthened(example: &str, fewest_chars: usize) -> String {
    let mut words = example.to_owned();
    while words.chars().count() < fewest_chars {
        words.push_str(" and back again");
    }
    words
}

/// The fields that take a new password, by their schema.
const NEW_PASSWORDS: [(&str, &str); 2] =
    [("Registration", "password"), ("PasswordChange", "new_password")];

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).expect("a value can be printed") + "\n"
}

/// What operations say of themselves, without anything to run them on.
struct Described<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for Described<T> {
    fn meta() -> Vec<MetaApi> {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, _: &mut Table) {}
}

fn build<T: OpenApi>(about: About, body_limit: usize) -> Value {
    let operations = Described::<Operations<T>>(PhantomData);
    let description = match about.description {
        Some(own) => format!("{own}\n\n{DESCRIPTION}"),
        None => DESCRIPTION.to_owned(),
    };
    let title = about.title.clone();
    let mut service = OpenApiService::new(operations, about.title, about.version)
        .description(description)
        .server("/"); // relative: the page works under every name of the host
    if let Some(contact) = about.contact {
        service = service.contact(contact);
    }
    if let Some(license) = about.license {
        service = service.license(license);
    }
    let mut document: Value =
        serde_json::from_str(&service.spec()).expect("poem-openapi prints JSON");
    let ours: BTreeSet<String> = paths(&Operations::<()>::meta()).collect();
    for (path, operations) in members_in(&mut document, "paths") {
        let whose = if ours.contains(path) { Whose::Ours } else { Whose::Guests { body_limit } };
        for (method, operation) in members(operations) {
            if let Whose::Guests { .. } = whose {
                tags::add_missing(operation, &title);
                plain_json(operation);
            }
            complete(path, method, operation, whose);
        }
    }
    for (name, schema) in members(&mut document["components"]["schemas"]) {
        for (_, property) in members_in(schema, "properties") {
            mend_format(property);
        }
        // poem-openapi refuses unknown fields where it is told to, and does not print it
        if REQUESTS.contains(&name.as_str()) {
            schema["additionalProperties"] = false.into();
            mark_optional_as_nullable(schema);
        }
    }
    tags::sort(&mut document, &title);
    let schemas = &mut document["components"]["schemas"];
    schemas["ProblemCode"]["x-extensible-enum"] = Code::ALL.map(Code::name).to_vec().into();
    schemas["FieldErrorCode"]["x-extensible-enum"] =
        FieldCode::ALL.map(FieldCode::name).to_vec().into();
    document
}

/// Says of each field that may be left out that it may be null, too, which counts as left out.
fn mark_optional_as_nullable(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in members_in(schema, "properties") {
        if !required.contains(&name.as_str().into()) && property.get("type").is_some() {
            property["nullable"] = true.into();
        }
    }
}

/// Who wrote an operation: this floor, or whoever mounted theirs beside it.
#[derive(Clone, Copy)]
enum Whose {
    Ours,
    Guests { body_limit: usize },
}

fn paths(apis: &[MetaApi]) -> impl Iterator<Item = String> {
    apis.iter().flat_map(|api| &api.paths).map(|path| path.path.clone())
}

/// JSON as every generator knows it: poem-openapi names a character set, which JSON does not have
/// (RFC 8259, section 11). And an answer without a word says its status.
fn plain_json(operation: &mut Value) {
    let plain = |body: &mut Value| {
        let Some(Value::Object(content)) = body.get_mut("content") else { return };
        for (kind, media) in std::mem::take(content) {
            let is_json = kind == "application/json; charset=utf-8";
            content.insert(if is_json { JSON.to_owned() } else { kind }, media);
        }
    };
    if let Some(body) = operation.get_mut("requestBody") {
        plain(body);
    }
    for (status, response) in members_in(operation, "responses") {
        plain(response);
        if response["description"].as_str().is_none_or(str::is_empty) {
            let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
            let reason = status.and_then(|status| status.canonical_reason());
            response["description"] = reason.unwrap_or("The answer.").into();
        }
    }
}

/// The schemas of bodies that clients send.
const REQUESTS: [&str; 6] =
    ["Credentials", "LogoutOptions", "Registration", "PasswordChange", "Closing", "TokenRequest"];

/// Does an operation need a session, or take one?
struct Guarded {
    is_guarded: bool,
    is_optional: bool,
}

/// Reads it off what poem-openapi printed; an operation that has the guard twice says so once.
fn guarded(operation: &mut Value) -> Guarded {
    let needed = operation.get_mut("security").and_then(Value::as_array_mut);
    let Some(needed) = needed else { return Guarded { is_guarded: false, is_optional: false } };
    let mut once: Vec<Value> = Vec::new();
    for one in std::mem::take(needed) {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    *needed = once;
    let is_guarded = needed.iter().any(|schemes| schemes.get(SCHEME).is_some());
    let is_optional = needed.contains(&json!({}));
    Guarded { is_guarded, is_optional }
}

/// Adds to an operation what this floor answers around it.
fn complete(path: &str, method: &str, operation: &mut Value, whose: Whose) {
    let Guarded { is_guarded, is_optional } = guarded(operation);
    let has_body = operation.get("requestBody").is_some();
    // proxies read 401 as "sign in"
    let is_for_proxies = operation["operationId"] == "forwardAuth";
    let is_unsafe = !matches!(method, "get" | "head" | "options");
    let asks_the_store = match whose {
        Whose::Ours => {
            operation["operationId"] != "getLiveness" && operation["operationId"] != "getJwks"
        }
        Whose::Guests { .. } => is_guarded,
    };
    let has_parameters = operation.get("parameters").is_some();
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
    if is_unsafe && pages::takes_forms(path) {
        responses["303"] = form_posted();
    }
    let mut may_answer = |condition: bool, code: Code, sentence: &str, header: Option<Header>| {
        if condition {
            add(responses, code, sentence, header);
        }
    };
    let invalid = what_is_invalid(has_body, has_parameters);
    may_answer(true, Code::InvalidRequest, invalid, None);
    may_answer(
        is_guarded && !is_optional,
        Code::NotAuthenticated,
        if is_for_proxies {
            "`not_authenticated`: the request has no active session."
        } else {
            "`not_authenticated`: the request has no session cookie. Sign in."
        },
        Some(("WWW-Authenticate", "Names the cookie and where to get it.", string())),
    );
    may_answer(
        is_guarded && !is_for_proxies,
        Code::SessionRefused,
        "`session_refused`: the session cookie is tampered with, expired, revoked or unknown, or \
         there are two that differ. Which of these is not said. Sign in again.",
        Some((
            "Set-Cookie",
            "Makes the browser forget the cookie; only there if it is this service's and its session \
             ended at least a minute ago.",
            string(),
        )),
    );
    may_answer(
        is_unsafe,
        Code::CrossOrigin,
        "`cross_origin`: a browser sent this from a page of another origin.",
        None,
    );
    let (limit, media_types) = match whose {
        Whose::Ours => (MAX_BODY_BYTES, "neither JSON nor a form in UTF-8, or it is compressed"),
        Whose::Guests { body_limit } => (body_limit, "of no documented media type"),
    };
    let limit = format_bytes(limit);
    let too_large = format!("`payload_too_large`: the body is larger than {limit}.");
    may_answer(has_body, Code::PayloadTooLarge, &too_large, None);
    may_answer(
        has_body,
        Code::UnsupportedMediaType,
        &format!("`unsupported_media_type`: the body is {media_types}."),
        None,
    );
    may_answer(
        true,
        Code::UnknownHost,
        "`unknown_host`: `Host` is neither an address nor one of this service's names (RFC 9110, \
         section 15.5.20).",
        None,
    );
    may_answer(
        true,
        Code::InternalError,
        "`internal_error`: something went wrong in the service; the operator finds it by `X-Request-Id`.",
        None,
    );
    may_answer(
        asks_the_store,
        Code::Unavailable,
        "`unavailable`: the database does not answer. Try again soon.",
        Some(("Retry-After", "Seconds after which to try again.", seconds())),
    );
    finish_refusals(responses, has_body, whose);
}

/// Puts the responses in order, and adds to the refusals what all of one status have.
fn finish_refusals(responses: &mut Value, has_body: bool, whose: Whose) {
    members_of(responses).sort_keys();
    for (status, response) in members(responses) {
        if status == StatusCode::UNSUPPORTED_MEDIA_TYPE.as_str() && has_body {
            members_of(&mut response["headers"]).append(&mut accepted_headers(whose));
        }
        if status.as_str() >= "400" {
            add_examples(status, response, has_body, whose);
        }
    }
}

fn what_is_invalid(has_body: bool, has_parameters: bool) -> &'static str {
    if has_body {
        "`invalid_request`: the body is malformed or breaks the schema, and `errors` says where; \
         or the request has not exactly one `Host`."
    } else if has_parameters {
        "`invalid_request`: a parameter is not as documented, and `errors` says which; or the \
         request has not exactly one `Host`."
    } else {
        "`invalid_request`: the request has not exactly one `Host` (RFC 9112, section 3.2)."
    }
}

type Header = (&'static str, &'static str, Value);

/// Adds a refusal, or its sentence to what has the same status already.
fn add(responses: &mut Value, code: Code, sentence: &str, header: Option<Header>) {
    let status = code.status().as_str().to_owned();
    let is_new = responses.get(&status).is_none();
    let response = &mut responses[&status];
    if is_new {
        let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        *response = json!({ "description": sentence, "content": { PROBLEM_JSON: problem } });
    } else {
        if response["content"].get(PROBLEM_JSON).is_none() {
            // an operation of somebody's refuses in a form of its own
            response["content"][PROBLEM_JSON] =
                json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        }
        let first = response["description"].as_str().unwrap_or_default();
        response["description"] = format!("{first}\n\n{sentence}").into();
    }
    if let Some((name, description, schema)) = header
        && response["headers"].get(name).is_none()
    {
        let is_required = is_new && code != Code::SessionRefused;
        response["headers"][name] =
            json!({ "description": description, "required": is_required, "schema": schema });
    }
    if !is_new && response.get("headers").is_some() {
        // answered by some of the codes, not by all
        for (_, header) in members(&mut response["headers"]) {
            header["required"] = (status == "503").into();
        }
    }
}

/// Gives a refusal one example for each code that its description names. A code of somebody's own
/// is the first word of it in backticks.
fn add_examples(status: &str, response: &mut Value, has_body: bool, whose: Whose) {
    let description = response["description"].as_str().unwrap_or_default();
    let Some(media) = response.get("content").and_then(|content| content.get(PROBLEM_JSON)) else {
        return; // it is no problem
    };
    if media.get("examples").is_some() {
        return;
    }
    let codes: Vec<Code> = description.split('`').filter_map(Code::named).collect();
    let mut examples: Map<String, Value> = codes
        .into_iter()
        .map(|code| (code.name().to_owned(), json!({ "value": example(code, has_body, whose) })))
        .collect();
    let own = description.split('`').nth(1).filter(|code| Code::named(code).is_none());
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

fn example(code: Code, has_body: bool, whose: Whose) -> Value {
    let problem = match (code, whose) {
        (Code::PayloadTooLarge, Whose::Guests { body_limit }) => Problem::larger_than(body_limit),
        (Code::UnsupportedMediaType, Whose::Guests { .. }) => {
            Problem::of_no_documented_media_type()
        }
        (Code::InvalidRequest, Whose::Ours) if has_body => {
            let missing =
                FieldError::new("password", FieldCode::Missing, "This field is required.");
            Problem::of(code).with_errors(vec![missing])
        }
        (Code::PolicyViolation, Whose::Ours) => {
            let common = BadPassword::Common.to_string();
            let common = FieldError::new("password", FieldCode::Common, common);
            Problem::of(code).with_errors(vec![common])
        }
        (code, Whose::Ours | Whose::Guests { .. }) => Problem::of(code),
    };
    problem.to_json().expect("a problem is an object")
}

/// The headers of a 415: which types are read, and behind `Accept-Encoding` which coding.
fn accepted_headers(whose: Whose) -> Map<String, Value> {
    let header = |description: &str| json!({ "description": description, "required": false, "schema": string() });
    let accept = header("The media types that are read, if the body is of another one.");
    let mut headers = Map::from_iter([("Accept".to_owned(), accept)]);
    if let Whose::Ours = whose {
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

fn string() -> Value {
    json!({ "type": "string" })
}

fn seconds() -> Value {
    json!({ "type": "integer", "format": "int32", "minimum": 0 })
}

/// Header names as everybody writes them, and seconds as seconds.
fn mend_headers(response: &mut Value) {
    let Some(Value::Object(headers)) = response.get_mut("headers") else { return };
    for (name, mut header) in std::mem::take(headers) {
        let name = name.split('-').map(capitalised).collect::<Vec<_>>().join("-");
        if name == "Retry-After" {
            header["schema"] = seconds();
        }
        headers.insert(name, header);
    }
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1.min(word.len()));
    first.to_uppercase() + &rest.to_lowercase()
}

/// OpenAPI knows signed integers only.
fn mend_format(property: &mut Value) {
    let format = match property.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16") => "int32",
        Some("uint32" | "uint64") => "int64",
        _ => return,
    };
    property["format"] = format.into();
}

fn members_of(value: &mut Value) -> &mut Map<String, Value> {
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().expect("the document has an object here")
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

/// The members of a member, if it is there.
fn members_in<'a>(
    value: &'a mut Value,
    name: &str,
) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    value.get_mut(name).into_iter().flat_map(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operation_is_lost_on_a_path_that_two_impls_share() {
        let described: usize = Operations::<PrivateApi>::meta()
            .iter()
            .flat_map(|api| &api.paths)
            .map(|path| path.operations.len())
            .sum();
        let document = build::<PrivateApi>(About::cloakroom(), MAX_BODY_BYTES);
        let printed: usize = document["paths"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, operations)| operations.as_object().map_or(0, Map::len))
            .sum();
        assert_eq!(described, printed);
    }
}
