//! The errors of a submitted form: a general message, and messages next to the fields.

use std::time::Duration;

use poem::Response;
use poem::http::{StatusCode, header};

use crate::core::error::InternalError;
use crate::domain::login::LogInError;
use crate::http::problem::{ApiError, Code, FieldError, Problem, RETRY_AFTER};

/// Problem codes that concern a single field, if the form has it.
const ABOUT_ONE_FIELD: [(Code, &str); 4] = [
    (Code::CodeRefused, "code"),
    (Code::InvalidCredentials, "current_password"),
    (Code::InviteRefused, "invite"),
    (Code::UsernameTaken, "username"),
];

/// The errors of a submitted form with these fields, if there are any.
#[derive(Clone, Copy)]
pub struct FormErrors<'a> {
    pub problem: Option<&'a Problem>,
    /// The fields on the page that can show an error, in their order.
    pub fields: &'static [&'static str],
}

impl FormErrors<'_> {
    /// The error of a field, if it has one.
    pub fn wrong(&self, field: &str) -> Option<&str> {
        if let Some((_, words)) = self.about_field().filter(|(about, _)| *about == field) {
            return Some(words);
        }
        self.errors().iter().find(|error| error.field == field).map(|error| error.detail.as_str())
    }

    /// The sentence above the form.
    pub fn words(&self) -> Option<&str> {
        let problem = self.problem?;
        let highlighted = self.fields.iter().filter(|field| self.wrong(field).is_some()).count();
        Some(match highlighted {
            0 => &problem.detail,
            1 => "Please check the highlighted field.",
            _ => "Please check the highlighted fields.",
        })
    }

    /// The errors of fields that the page does not show.
    pub fn other_errors(&self) -> Vec<&FieldError> {
        let has_no_place = |error: &&FieldError| !self.fields.contains(&&*error.field);
        self.errors().iter().filter(has_no_place).collect()
    }

    /// The first field with an error.
    pub fn first_wrong(&self) -> Option<&'static str> {
        self.fields.iter().copied().find(|field| self.wrong(field).is_some())
    }

    /// The status of the page with this problem.
    pub fn status(problem: Option<&Problem>) -> StatusCode {
        problem.map_or(StatusCode::OK, |problem| {
            StatusCode::from_u16(problem.status).expect("a problem's status is one")
        })
    }

    fn errors(&self) -> &[FieldError] {
        self.problem.and_then(|problem| problem.errors.as_deref()).unwrap_or_default()
    }

    /// The field that the whole problem is about, if the page shows it, and the message.
    fn about_field(&self) -> Option<(&'static str, &str)> {
        let problem = self.problem?;
        let (_, field) = ABOUT_ONE_FIELD
            .iter()
            .find(|(code, field)| problem.code.0 == code.name() && self.fields.contains(field))?;
        let words = match *field {
            "current_password" => "The current password is wrong.",
            _ => &problem.detail,
        };
        Some((field, words))
    }
}

/// Shows the form again after it was submitted.
pub struct FormResponder<F>(pub F);

impl<F: Fn(&Problem) -> Response> FormResponder<F> {
    pub fn with(&self, problem: &Problem) -> Response {
        let mut response = self.0(problem);
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.into());
        }
        response
    }

    pub fn of(&self, code: Code) -> Response {
        self.with(&Problem::of(code))
    }

    /// The response if the password could not be verified.
    pub fn after(&self, error: LogInError) -> Response {
        match error {
            LogInError::WrongCredentials => self.of(Code::InvalidCredentials),
            LogInError::TooManyAttempts { wait } => self.later(wait),
            LogInError::Overloaded => self.of(Code::Overloaded),
            LogInError::Internal(fault) => self.internal_error(fault),
        }
    }

    /// The response if a rate limit is exceeded.
    pub fn later(&self, wait: Duration) -> Response {
        let (problem, seconds) = Problem::too_many_attempts(wait);
        let mut response = self.with(&problem);
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        response
    }

    /// The response to an internal error.
    pub fn internal_error(&self, fault: InternalError) -> Response {
        let failure = ApiError::from(fault);
        let mut response = self.with(&failure.problem);
        failure.attach_cause(&mut response);
        response
    }
}
