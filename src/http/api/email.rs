//! The operations `changeEmail` and `confirmEmail`.

use std::sync::Arc;

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::field_errors::about_email;
use super::profile::AccountView;
use super::tags::Tag;
use crate::core::email_address::{EmailAddress, InvalidEmailAddress};
use crate::domain::email_addresses::{ConfirmEmailError, RequestEmailError};
use crate::domain::sessions::RefusedToken;
use crate::http::guard::{Confirmed, SignedIn};
use crate::http::problem::{ApiError, Code, Problem};
use crate::http::request::body::{Body, FromFields};
use crate::http::request::fields::Fields;
use crate::http::state::AppState;

pub struct EmailApi(pub Arc<AppState>);

/// A new e-mail address.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct EmailChange {
    /// The address: letters, digits and common punctuation, an `@`, and a domain. The service
    /// converts the domain to ASCII. White space around the address is removed.
    #[oai(validator(max_length = 254))]
    pub email: String,
}

impl Example for EmailChange {
    fn example() -> Self {
        Self { email: "alice@example.org".into() }
    }
}

impl FromFields for EmailChange {
    fn from_fields(fields: &mut Fields) -> Self {
        Self { email: fields.text("email") }
    }
}

impl EmailChange {
    pub fn parse(&self) -> Result<EmailAddress, InvalidEmailAddress> {
        EmailAddress::parse(self.email.trim())
    }
}

/// The code from a mail.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct EmailConfirmation {
    /// The code, such as `7K3M9-QXT4D`. Upper and lower case are equivalent, and so are characters
    /// that look alike, such as `O` and `0`. Hyphens and spaces are ignored.
    #[oai(validator(min_length = 1, max_length = 32))]
    pub code: String,
}

impl Example for EmailConfirmation {
    fn example() -> Self {
        Self { code: "7K3M9-QXT4D".into() }
    }
}

impl FromFields for EmailConfirmation {
    fn from_fields(fields: &mut Fields) -> Self {
        Self { code: fields.text("code") }
    }
}

#[derive(ApiResponse)]
enum ChangeEmailAnswer {
    /// A mail with a code is on its way to the address, unless too many mails were sent to it
    /// lately. The response does not reveal whether another account has the address.
    #[oai(status = 202)]
    Accepted,
    /// `mail_off`: the service sends no mail.
    #[oai(status = 403, content_type = "application/problem+json")]
    MailOff(Json<Problem>),
    /// `policy_violation`: the text is not an e-mail address that the service can send mail to.
    #[oai(status = 422, content_type = "application/problem+json")]
    Invalid(Json<Problem>),
    /// `too_many_attempts`: the account made too many changes. An account can make 30 changes at
    /// once, then one every two seconds. Nothing was changed.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[derive(ApiResponse)]
enum ConfirmEmailAnswer {
    /// The address is confirmed.
    #[oai(status = 200, content_type = "application/json")]
    Confirmed(Json<AccountView>),
    /// `code_refused`: the code is wrong, was used or has expired, or was sent for another account or
    /// for another address. The response does not reveal which of these is the reason.
    #[oai(status = 403, content_type = "application/problem+json")]
    Refused(Json<Problem>),
    /// `email_taken`: the user of another account has confirmed this address.
    #[oai(status = 409, content_type = "application/problem+json")]
    Taken(Json<Problem>),
    /// `too_many_attempts`: the account sent a wrong code too often. Five errors are free; from the
    /// tenth on, the wait is 15 minutes. The code was not checked.
    #[oai(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(
        Json<Problem>,
        /// The number of seconds to wait before the next attempt.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

#[OpenApi]
impl EmailApi {
    /// Change the e-mail address
    ///
    /// Sends a code to the new address. The user then confirms the address with `confirmEmail`. Until
    /// then, the present address stays.
    ///
    /// A mailbox gets at most three codes in a row, then one an hour. Further requests have the same
    /// response, and no mail is sent.
    #[oai(path = "/me/email", method = "put", operation_id = "changeEmail", tag = "Tag::Accounts")]
    async fn change_email(
        &self,
        who: Confirmed,
        request: &Request,
        body: Body<EmailChange>,
    ) -> Result<ChangeEmailAnswer, ApiError> {
        let state = &self.0;
        let requester = state.requester(request);
        let address = match body.0.parse() {
            Ok(address) => address,
            Err(bad) => {
                let problem = Problem::of(Code::PolicyViolation);
                let problem = problem.with_errors(vec![about_email(bad)]);
                return Ok(ChangeEmailAnswer::Invalid(Json(problem)));
            }
        };
        match state.domain.email_addresses.request_change(&who.0, address, &requester).await {
            Ok(()) => Ok(ChangeEmailAnswer::Accepted),
            Err(RequestEmailError::MailOff) => {
                Ok(ChangeEmailAnswer::MailOff(Json(Problem::of(Code::MailOff))))
            }
            Err(RequestEmailError::TooManyAttempts { wait }) => {
                Ok(Problem::rate_limited(ChangeEmailAnswer::TooManyAttempts, wait))
            }
            Err(RequestEmailError::Ended) => Err(state.session_refused(RefusedToken::Recent)),
            Err(RequestEmailError::Internal(fault)) => Err(fault.into()),
        }
    }

    /// Confirm the e-mail address
    ///
    /// Confirms the address of the latest `changeEmail` or of the registration, with the code from the
    /// mail. The former address, if there was one, gets a notice. The code is valid for 24 hours, and
    /// until the password or the address changes.
    #[oai(
        path = "/me/email/confirm",
        method = "post",
        operation_id = "confirmEmail",
        tag = "Tag::Accounts"
    )]
    async fn confirm_email(
        &self,
        who: SignedIn,
        request: &Request,
        body: Body<EmailConfirmation>,
    ) -> Result<ConfirmEmailAnswer, ApiError> {
        let requester = self.0.requester(request);
        match self.0.domain.email_addresses.confirm(&who.0, &body.0.code, &requester).await {
            Ok(account) => Ok(ConfirmEmailAnswer::Confirmed(Json(AccountView::from(&account)))),
            Err(ConfirmEmailError::CodeRefused) => {
                Ok(ConfirmEmailAnswer::Refused(Json(Problem::of(Code::CodeRefused))))
            }
            Err(ConfirmEmailError::Taken) => {
                Ok(ConfirmEmailAnswer::Taken(Json(Problem::of(Code::EmailTaken))))
            }
            Err(ConfirmEmailError::TooManyAttempts { wait }) => {
                Ok(Problem::rate_limited(ConfirmEmailAnswer::TooManyAttempts, wait))
            }
            Err(ConfirmEmailError::Internal(fault)) => Err(fault.into()),
        }
    }
}
