//! The roles that a guard requires, as a type parameter of the guard.

use crate::domain::roles::Role;

/// The maximum number of roles that one guard or one request to `/forward-auth` names, so that they
/// fit into the `detail` of a problem.
pub const MAX_REQUIRED_ROLES: usize = 16;

/// The start of the mark that a guard with roles leaves among its security schemes. The roles follow,
/// with `|` between two of them, which no role contains.
const MARK: &str = "cloakroom:role:";

/// Roles that [`SignedIn`](crate::SignedIn) requires: the account must have at least one of them.
/// [`role!`](crate::role) makes a type with this trait; [`Anyone`] requires none.
pub trait RequiredRole: 'static {
    /// The names of the roles.
    #[doc(hidden)]
    const ROLES: &'static [&'static str];
    /// The mark of the guard in the document.
    #[doc(hidden)]
    const MARK: &'static str;
}

/// Requires no role: every signed-in user is let in. It is the default of
/// [`SignedIn`](crate::SignedIn).
#[derive(Debug, Clone, Copy)]
pub enum Anyone {}

impl RequiredRole for Anyone {
    const ROLES: &'static [&'static str] = &[];
    const MARK: &'static str = "";
}

/// Makes a type that stands for a role, or for one of several roles, as the parameter of
/// [`SignedIn`](crate::SignedIn).
///
/// The name of a role has 1 to 32 of the characters `a-z 0-9 . _ -`, and begins and ends with a
/// letter or a digit. Another name is an error when the program is compiled. The operator gives a
/// role to a user with `cloakroom role give NAME ROLE`.
///
/// ```
/// use cloakroom::SignedIn;
/// use poem_openapi::{OpenApi, payload::PlainText};
///
/// cloakroom::role!(pub Editor = "editor");
/// cloakroom::role!(pub Staff = "editor" | "admin"); // one of them is enough
///
/// struct Wiki;
///
/// #[OpenApi]
/// impl Wiki {
///     /// Publish the page
///     #[oai(path = "/page", method = "post", operation_id = "publishPage")]
///     async fn publish(&self, who: SignedIn<Editor>) -> PlainText<String> {
///         PlainText(format!("Published by {}", who.username()))
///     }
///
///     /// Read the statistics
///     #[oai(path = "/statistics", method = "get", operation_id = "readStatistics")]
///     async fn statistics(&self, _who: SignedIn<Staff>) -> PlainText<&'static str> {
///         PlainText("1 page")
///     }
/// }
/// ```
///
/// ```compile_fail
/// cloakroom::role!(Editor = "Editor"); // a capital letter
/// ```
#[macro_export]
macro_rules! role {
    ($(#[$attribute:meta])* $visibility:vis $name:ident = $first:literal $(| $other:literal)* $(;)?) => {
        $(#[$attribute])*
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::marker::Copy)]
        $visibility enum $name {}

        impl $crate::RequiredRole for $name {
            const ROLES: &'static [&'static str] = &[$first $(, $other)*];
            const MARK: &'static str = ::core::concat!("cloakroom:role:", $first $(, "|", $other)*);
        }

        const _: () = $crate::http::check_role_names(&[$first $(, $other)*]);
    };
}

/// Fails, when the program is compiled, for a name that no role can have.
pub const fn check_role_names(names: &[&str]) {
    assert!(names.len() <= MAX_REQUIRED_ROLES, "a guard names at most 16 roles");
    let mut at = 0;
    while at < names.len() {
        assert!(
            Role::is_valid(names[at]),
            "the name of a role has 1 to 32 of the characters a-z 0-9 . _ - and begins and ends \
             with a letter or a digit"
        );
        at += 1;
    }
}

/// The roles of a mark.
pub fn roles_of_mark(mark: &str) -> Option<Vec<String>> {
    let roles = mark.strip_prefix(MARK)?;
    Some(roles.split('|').map(str::to_owned).collect())
}

/// The roles as a part of a sentence, each in backticks.
pub fn roles_in_words<R: AsRef<str>>(roles: &[R]) -> String {
    let names: Vec<String> = roles.iter().map(|role| format!("`{}`", role.as_ref())).collect();
    match names.as_slice() {
        [only] => format!("the role {only}"),
        names => format!("one of the roles {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::role!(Editor = "editor");
    crate::role!(
        /// Has several roles.
        pub(super) Staff = "editor" | "admin" | "a.b_c-9"
    );

    #[test]
    fn the_roles_of_a_type_are_those_of_its_mark() {
        assert_eq!(roles_of_mark(Editor::MARK).unwrap(), Editor::ROLES);
        assert_eq!(roles_of_mark(Staff::MARK).unwrap(), Staff::ROLES);
        assert_eq!(roles_of_mark(Anyone::MARK), None);
        assert_eq!(roles_of_mark("session"), None);
    }

    #[test]
    fn a_sentence_names_each_role() {
        assert_eq!(roles_in_words(Editor::ROLES), "the role `editor`");
        assert_eq!(roles_in_words(Staff::ROLES), "one of the roles `editor`, `admin`, `a.b_c-9`");
    }

    #[test]
    #[should_panic(expected = "a-z 0-9 . _ -")]
    fn a_name_that_no_role_can_have_is_found() {
        check_role_names(&["editor", "admin,editor"]);
    }

    #[test]
    #[should_panic(expected = "at most 16")]
    fn more_roles_than_fit_into_a_problem_are_found() {
        check_role_names(&["editor"; 17]);
    }
}
