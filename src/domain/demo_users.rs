//! The demo users, whose passwords are public.

use crate::core::secret::Password;
use crate::core::usernames::Username;
use crate::domain::AuthService;
use crate::domain::login::{Credentials, LogInError};
use crate::domain::passwords::rules::PasswordRules;
use crate::domain::registration::RegisterError;

/// The users of the code snippet that Cloakroom grew from, including their short passwords.
pub const DEMO_USERS: [(&str, &str); 2] = [("tiangolo", "secret2"), ("dmontagu", "secret1")];

/// Whether a demo user still has the public password.
pub async fn has_demo_users(domain: &AuthService) -> Result<bool, LogInError> {
    for (username, password) in DEMO_USERS {
        if domain.store.account_named(username).await?.is_none() {
            continue; // do not hash for a user that does not exist
        }
        let credentials = Credentials::parse(username, Password::new(password.to_owned()));
        if domain.check_credentials(credentials.expect("a name and a password")).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds the demo users that do not exist yet.
pub async fn add_demo_users(domain: &AuthService) -> Result<(), RegisterError> {
    let as_short_as_they_are = PasswordRules { min_length: 1, names: Vec::new() };
    for (username, password) in DEMO_USERS {
        let username = Username::parse(username).expect("it is a user name");
        let password = as_short_as_they_are.check(&Password::new(password.to_owned()), None);
        let password = password.expect("it is a password");
        match domain.add_account(username, None, password).await {
            Ok(_) | Err(RegisterError::UsernameTaken) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
