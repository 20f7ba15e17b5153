//! The random ids of accounts and sessions.

/// The random id of an account. It never changes and reveals nothing about the user.
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

/// The id of a session in listings. It is not the secret in the token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text can be the id of a session. PostgreSQL refuses a text that contains a NUL.
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
