//! Registration: users create their own accounts.

use std::time::Duration;

use crate::core::display_names::{DisplayName, InvalidDisplayName};
use crate::core::email_address::{EmailAddress, InvalidEmailAddress};
use crate::core::error::InternalError;
use crate::core::secret::{InviteCode, Password};
use crate::core::usernames::{InvalidUsername, Username};
use crate::domain::AuthService;
use crate::domain::accounts::{Account, Registration};
use crate::domain::audit::event::Event;
use crate::domain::email_addresses::code_to;
use crate::domain::passwords::rules::{InvalidPassword, NewPassword};
use crate::domain::sessions::{IssuedSession, LoginContext};
use crate::domain::throttle::attempts::ThrottleError;
use crate::store::SignUpOutcome;

/// A request to create an account.
#[derive(Debug)]
pub struct RegistrationRequest {
    pub username: Result<Username, InvalidUsername>,
    pub display_name: Result<Option<DisplayName>, InvalidDisplayName>,
    /// The address to confirm, if the request names one.
    pub email: Option<Result<EmailAddress, InvalidEmailAddress>>,
    pub password: Password,
    /// The code of an invite. It is ignored if none is needed.
    pub invite: Option<InviteCode>,
}

/// The password version of a new account, which is the column's default.
const FIRST_VERSION: i64 = 1;

/// The fields of a registration that violate a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidFields {
    pub username: Option<InvalidUsername>,
    pub display_name: Option<InvalidDisplayName>,
    pub email: Option<InvalidEmailAddress>,
    pub password: Option<InvalidPassword>,
}

/// The fields of a registration that the rules allow.
struct ValidFields {
    username: Username,
    display_name: Option<DisplayName>,
    email: Option<EmailAddress>,
    password: NewPassword,
}

/// The error of a registration.
#[derive(Debug)]
pub enum RegisterError {
    Closed,
    /// The invite code is missing or not valid. The response does not say which.
    NotInvited,
    /// The request names an address, but the service sends no mail.
    MailOff,
    /// These violate a rule.
    Invalid(InvalidFields),
    UsernameTaken,
    /// The limit is exceeded; nothing was done.
    TooManyAttempts {
        wait: Duration,
    },
    Overloaded,
    Internal(InternalError),
}

impl From<InternalError> for RegisterError {
    fn from(fault: InternalError) -> Self {
        Self::Internal(fault)
    }
}

impl From<ThrottleError> for RegisterError {
    fn from(error: ThrottleError) -> Self {
        match error {
            ThrottleError::RateLimited(wait) => Self::TooManyAttempts { wait },
            ThrottleError::Overloaded => Self::Overloaded,
            ThrottleError::Internal(fault) => Self::Internal(fault),
        }
    }
}

impl AuthService {
    /// Creates an account and signs its user in, if registration is open or the request has a valid
    /// invite.
    pub async fn register(
        &self,
        request: RegistrationRequest,
        login_context: LoginContext,
    ) -> Result<(Account, IssuedSession), RegisterError> {
        self.keys.require_signing_key()?;
        let name = request.username.as_ref().ok().map(Username::as_str);
        let share = login_context.requester.share(name);
        if self.rules.registration != Registration::Closed {
            // a flood of requests causes no query
            self.hasher.check_capacity(&share).map_err(|_full| RegisterError::Overloaded)?;
        }
        let invite = match self.rules.registration {
            Registration::Open => None,
            Registration::Invite => {
                // The invite is checked first, so that clients without one can neither probe user
                // names nor occupy the hasher.
                let digest = request.invite.as_ref().map(InviteCode::digest);
                Some(self.invites.find_valid(digest).await?.ok_or(RegisterError::NotInvited)?)
            }
            Registration::Closed => return Err(RegisterError::Closed),
        };
        if request.email.is_some() && !self.outbox.has_server() {
            return Err(RegisterError::MailOff);
        }
        let ValidFields { username, display_name, email, password } = self.validate(request)?;
        let context = login_context.requester.context.clone();
        let audit = self.audit.during(&context);
        let note = |error: &ThrottleError| {
            if let ThrottleError::RateLimited(_) = error {
                audit.record(Event::RegistrationThrottled);
            }
        };
        let allowed =
            self.throttle.allow_registration(&login_context.requester).await.inspect_err(note)?;
        let share = login_context.requester.share(Some(username.as_str()));
        let slot = self.hasher.reserve_slot(&share);
        let slot = slot.map_err(|_full| RegisterError::Overloaded)?;
        let attempt = self.throttle.record_attempt(allowed).await.inspect_err(note)?;
        let hash = self.hasher.hash_at(&slot, password).await;
        drop(slot);
        let Ok(hash) = hash else {
            self.throttle.undo_attempt(&attempt).await?; // no account was created
            return Err(RegisterError::Overloaded);
        };
        let account = Account::new(username, display_name, self.clock.now());
        let account = Account { unconfirmed_email: email, ..account };
        // Whether another account has the address is not looked up, so nothing can tell it.
        let mail = account.unconfirmed_email.as_ref().map(|address| {
            self.outbox.prepare(&code_to(&account.id, address, &login_context.requester))
        });
        let new = self.sessions.begin(&account.id, login_context);
        let held = self.server_secrets.held_digests(&account.username);
        let with = (invite, mail.as_ref());
        match self.store.sign_up(&account.to_row(&hash), &held, &new.row(), with).await? {
            SignUpOutcome::Done => {
                self.outbox.wake();
                let device = self.devices.issue(&account.id, FIRST_VERSION, None);
                let issued = self.sessions.issue(new, device);
                audit.record_session(
                    Event::AccountRegistered,
                    Some(&account.id),
                    Some(&issued.session.id),
                );
                if invite.is_some() {
                    audit.record_for(Event::InviteUsed, &account.id);
                }
                Ok((account, issued))
            }
            SignUpOutcome::NameTaken => Err(RegisterError::UsernameTaken),
            SignUpOutcome::InviteGone => Err(RegisterError::NotInvited),
        }
    }

    /// Checks the fields against the rules.
    fn validate(&self, request: RegistrationRequest) -> Result<ValidFields, RegisterError> {
        let RegistrationRequest { username, display_name, email, password, invite: _ } = request;
        let password = self.rules.passwords.check(&password, username.as_ref().ok());
        let username = username.and_then(Username::require_not_reserved);
        match (username, display_name, email.transpose(), password) {
            (Ok(username), Ok(display_name), Ok(email), Ok(password)) => {
                Ok(ValidFields { username, display_name, email, password })
            }
            (username, display_name, email, password) => {
                Err(RegisterError::Invalid(InvalidFields {
                    username: username.err(),
                    display_name: display_name.err(),
                    email: email.err(),
                    password: password.err(),
                }))
            }
        }
    }
}
