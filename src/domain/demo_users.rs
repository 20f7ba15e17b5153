//! The demo users, whose passwords are public.

use crate::core::error::InternalError;
use crate::core::ids::AccountId;
use crate::core::secret::Password;
use crate::core::usernames::Username;
use crate::domain::AuthService;
use crate::domain::administration::{AddUserError, NewUser};
use crate::domain::login::{Credentials, LogInError};
use crate::domain::passwords::rules::PasswordRules;
use crate::domain::role_assignments::GiveRoleError;
use crate::domain::roles::Role;

/// The users of the code snippet that Cloakroom grew from, including their short passwords.
pub const DEMO_USERS: [(&str, &str); 2] = [("tiangolo", "secret2"), ("dmontagu", "secret1")];

/// The demo user with the role `admin`, so that operations that need it can be tried.
const DEMO_ADMIN: &str = DEMO_USERS[0].0;

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
pub async fn add_demo_users(domain: &AuthService) -> Result<(), AddUserError> {
    let as_short_as_they_are = PasswordRules { min_length: 1, names: Vec::new() };
    for (username, password) in DEMO_USERS {
        let user = NewUser::new(Username::parse(username).expect("it is a user name"));
        let password = as_short_as_they_are.check(&Password::new(password.to_owned()), None);
        let password = password.expect("it is a password");
        match domain.add_account(user, Some(password)).await {
            Ok(_) | Err(AddUserError::UsernameTaken) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives the role `admin` to a demo user. Its password is public, so only clients on this machine
/// may reach the service.
pub async fn give_admin_role(domain: &AuthService) -> Result<(), GiveRoleError> {
    let Some((account, admin)) = demo_admin(domain).await? else { return Ok(()) };
    domain.roles.give_role(&account, &admin).await.map(drop)
}

/// Takes the role `admin` from the demo user, because other machines may reach the service.
pub async fn take_admin_role(domain: &AuthService) -> Result<(), InternalError> {
    let Some((account, admin)) = demo_admin(domain).await? else { return Ok(()) };
    domain.roles.take_role(&account, &admin).await.map(drop)
}

async fn demo_admin(domain: &AuthService) -> Result<Option<(AccountId, Role)>, InternalError> {
    let username = Username::parse(DEMO_ADMIN).expect("it is a user name");
    let account = domain.account_named(&username).await?;
    let admin = Role::parse("admin").expect("it is a role");
    Ok(account.map(|account| (account.id, admin)))
}
