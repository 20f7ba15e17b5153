//! The random ids of accounts and sessions.

/// The random name of an account. It never changes and tells nothing about the person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountId(String);

impl AccountId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for AccountId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

/// The name by which a listing knows a session. It is not the secret in the token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// May this be the name of a session? `PostgreSQL` has no text with a NUL, and refuses it.
    pub fn is_valid(text: &str) -> bool {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    }
}

impl From<String> for SessionId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

#[cfg(test)]
mod tests {
    use super::SessionId;

    #[test]
    fn the_name_of_a_session_has_nothing_in_it_that_a_database_refuses() {
        assert!(SessionId::is_valid("Zm9v-YmF_9"));
        for none in ["a\0", "a b", "ä", "a/b"] {
            assert!(!SessionId::is_valid(none), "{none:?}");
        }
    }
}
