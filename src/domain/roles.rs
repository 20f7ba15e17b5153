//! Roles: names that operators give to accounts, and whose meaning the applications define.

use std::fmt;
use std::sync::Arc;

/// The maximum number of roles of an account, so that they fit into a header and a token.
pub const MAX_ROLES: usize = 32;
/// The maximum length of the name of a role.
pub const MAX_ROLE_LENGTH: usize = 32;

/// The name of a role: 1 to 32 of `a-z 0-9 . _ -`, the first and the last a letter or digit. It
/// contains none of the characters that separate the names of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Role(Box<str>);

/// The text is not the name of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of a role has 1 to 32 characters, which are small letters (a to z), digits, dots, hyphens and underscores, and begins and ends with a letter or digit"
)]
pub struct InvalidRole;

/// There are more than [`MAX_ROLES`] roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account has at most 32 roles")]
pub struct TooManyRoles;

/// The roles of an account, sorted by name, each of them once, at most [`MAX_ROLES`]. Clones share
/// the text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Roles(Arc<str>);

impl Role {
    pub fn parse(text: &str) -> Result<Self, InvalidRole> {
        if Self::is_valid(text) { Ok(Self(text.into())) } else { Err(InvalidRole) }
    }

    /// Whether the text is the name of a role. It is `const`, so that the names in a program can be
    /// checked when it is compiled.
    pub const fn is_valid(text: &str) -> bool {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > MAX_ROLE_LENGTH {
            return false;
        }
        let mut at = 0;
        while at < bytes.len() {
            let is_edge = at == 0 || at == bytes.len() - 1;
            let is_allowed = match bytes[at] {
                b'a'..=b'z' | b'0'..=b'9' => true,
                b'.' | b'_' | b'-' => !is_edge,
                _ => false,
            };
            if !is_allowed {
                return false;
            }
            at += 1;
        }
        true
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Role {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Roles {
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Result<Self, TooManyRoles> {
        let mut roles: Vec<Role> = roles.into_iter().collect();
        roles.sort_unstable();
        roles.dedup();
        if roles.len() > MAX_ROLES {
            return Err(TooManyRoles);
        }
        let names: Vec<&str> = roles.iter().map(Role::as_str).collect();
        Ok(Self(names.join(",").into()))
    }

    /// The roles of a row, which were parsed before they were stored. They are separated by spaces,
    /// in any order.
    pub fn from_row(roles: &str) -> Self {
        if roles.is_empty() {
            return Self::default();
        }
        let mut names: Vec<&str> = roles.split(' ').collect();
        names.sort_unstable();
        Self(names.join(",").into())
    }

    /// The names in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|name| !name.is_empty()) // no role is one empty text
    }

    /// The roles that are in both lists.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let both: Vec<&str> = self.iter().filter(|role| other.contains(role)).collect();
        Self(both.join(",").into())
    }

    pub fn contains(&self, role: &str) -> bool {
        self.iter().any(|name| name == role)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names in alphabetical order, with a comma between two of them.
    pub fn as_comma_list(&self) -> &str {
        &self.0
    }

    /// The names as an array or a list of them shows them.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const PATTERN: &str = "[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?";

    #[test]
    fn names_outside_the_alphabet_or_longer_than_32_are_refused() {
        for name in ["a", "9", "editor", "a.b_c-d", &"r".repeat(32)] {
            assert_eq!(Role::parse(name).unwrap().as_str(), name);
        }
        let long = "r".repeat(33);
        for name in
            ["", "Admin", "admin,x", "a b", "a|b", ".a", "a-", "_", "ä", "a\0", "a\n", " a", &long]
        {
            assert_eq!(Role::parse(name), Err(InvalidRole), "{name:?}");
        }
    }

    #[test]
    fn roles_are_sorted_and_each_is_there_once() {
        let roles =
            |names: &[&str]| Roles::new(names.iter().map(|name| Role::parse(name).unwrap()));
        let two = roles(&["editor", "admin", "editor"]).unwrap();
        assert_eq!(two.as_comma_list(), "admin,editor");
        assert_eq!(two, Roles::from_row("editor admin"));
        assert!(two.contains("admin") && !two.contains("adm") && !two.contains("admin,editor"));
        assert!(!two.is_empty() && !two.contains(""));
        assert_eq!(format!("{two:?}"), r#"{"admin", "editor"}"#);

        let none = roles(&[]).unwrap();
        assert_eq!(none, Roles::from_row(""));
        assert!(none.is_empty() && !none.contains("") && none.iter().next().is_none());
        assert_eq!(none.to_vec(), Vec::<String>::new());
    }

    #[test]
    fn an_account_has_at_most_32_roles() {
        let numbered = |count: usize| (0..count).map(|n| Role::parse(&format!("r{n}")).unwrap());
        assert_eq!(Roles::new(numbered(MAX_ROLES)).unwrap().iter().count(), MAX_ROLES);
        assert_eq!(Roles::new(numbered(MAX_ROLES + 1)), Err(TooManyRoles));
        let twice = numbered(MAX_ROLES).chain(numbered(MAX_ROLES));
        assert!(Roles::new(twice).is_ok(), "the same role twice counts once");
    }

    proptest! {
        #[test]
        fn every_name_of_the_documented_pattern_is_a_role(text in PATTERN) {
            prop_assert_eq!(Role::parse(&text), Ok(Role(text.into())));
        }

        #[test]
        fn every_role_has_the_documented_pattern(text in "[a-zA-Z0-9._, |\u{e4}\0-]{0,35}") {
            if let Ok(role) = Role::parse(&text) {
                let (role, is_edge) = (role.as_str(), |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit());
                prop_assert_eq!(role, text.as_str());
                prop_assert!((1..=MAX_ROLE_LENGTH).contains(&role.len()));
                prop_assert!(role.bytes().all(|c| is_edge(c) || b"._-".contains(&c)));
                prop_assert!(role.bytes().next().is_some_and(is_edge));
                prop_assert!(role.bytes().last().is_some_and(is_edge));
            }
        }

        #[test]
        fn roles_are_the_set_of_their_names(names in vec(PATTERN, 0..40)) {
            let set: std::collections::BTreeSet<_> = names.iter().map(String::as_str).collect();
            match Roles::new(names.iter().map(|name| Role::parse(name).unwrap())) {
                Ok(roles) => {
                    prop_assert!(roles.iter().eq(set.iter().copied()));
                    prop_assert_eq!(&roles, &Roles::from_row(&roles.as_comma_list().replace(',', " ")));
                    prop_assert!(names.iter().all(|name| roles.contains(name)));
                }
                Err(TooManyRoles) => prop_assert!(set.len() > MAX_ROLES),
            }
        }
    }
}
