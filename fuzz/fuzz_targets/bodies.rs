//! Fuzzes the body of a sign-in. A form is read, then the same fields as JSON; both must give the
//! same credentials or the same errors. The input is also read as JSON and printed again.

#![no_main]

use cloakroom::http::fuzzing::{self, ApiError, CredentialsView, Fields, FromFields};
use cloakroom_fuzz::Members;
use futures_util::FutureExt;
use libfuzzer_sys::fuzz_target;
use poem::{Request, RequestBody};
use serde_json::Value;
use url::form_urlencoded;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
/// Maximum bytes of a body.
const LIMIT: usize = 16 * 1024;

/// The username, the password and the flag to stay signed in, or the errors.
type Read = Result<(String, String, bool), String>;

fn read(kind: &str, body: &[u8]) -> Read {
    let request = Request::builder().content_type(kind).finish();
    let mut body = RequestBody::new(body.to_vec().into());
    let fields = Fields::read(&request, &mut body).now_or_never().expect("it is all there");
    let mut fields = fields.map_err(|failure| about(&failure))?;
    let view = CredentialsView::from_fields(&mut fields);
    fields.finish().map_err(|failure| about(&failure))?;
    Ok((view.username, view.password.0.expose().to_owned(), view.remember))
}

/// The problem of a refused body, checked against what the OpenAPI document promises.
fn about(failure: &ApiError) -> String {
    let problem = fuzzing::problem(failure);
    let length = |of: &Value| of.as_str().expect("a text").chars().count();
    assert!(matches!(problem["status"].as_u64(), Some(400 | 413 | 415)), "{problem}");
    assert!(length(&problem["detail"]) <= 1000, "{problem}");
    let errors = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    assert!(errors.len() <= 20, "{problem}");
    for error in errors {
        assert!(length(&error["field"]) <= 64, "{error}");
        assert!(length(&error["detail"]) <= 1000, "{error}");
    }
    problem.to_string()
}

/// A JSON object with these members, including duplicates.
fn json<'a>(members: impl Iterator<Item = (&'a str, Value)>) -> String {
    let members: Vec<_> =
        members.map(|(name, value)| format!("{}:{value}", Value::from(name))).collect();
    format!("{{{}}}", members.join(","))
}

fuzz_target!(|data: &[u8]| {
    let as_form = read(FORM, data);
    let pairs: Vec<_> = form_urlencoded::parse(data).collect();
    // a flag is text in a form and a boolean in JSON
    let has_flag = pairs.iter().any(|(name, _)| name == "remember");
    // invalid UTF-8 is refused by the service, while the form parser here replaces it
    let is_replaced = std::str::from_utf8(data).is_err()
        || pairs.iter().any(|(name, value)| format!("{name}{value}").contains('\u{fffd}'));
    if !has_flag && !is_replaced {
        let same = json(pairs.iter().map(|(name, value)| (&**name, Value::from(&**value))));
        if same.len() <= LIMIT && data.len() <= LIMIT {
            assert_eq!(as_form, read(JSON, same.as_bytes()), "{same}");
        }
    }

    let as_json = read(JSON, data);
    match Members::of(data) {
        None => assert!(as_json.is_err()),
        Some(Members(members)) => {
            let same = json(members.iter().map(|(name, value)| (&**name, value.clone())));
            if same.len() <= LIMIT && data.len() <= LIMIT {
                assert_eq!(as_json, read(JSON, same.as_bytes()), "{same}");
            }
        }
    }
});
