//! The tables that are transferred.

/// The tables, in an order in which every row follows the rows that it refers to. The revocation
/// feed is not transferred: it is for running processes.
pub const TABLES: &[Table] = &[
    Table {
        name: "accounts",
        key_columns: 1,
        columns: &[
            ("id", Kind::Text),
            ("username", Kind::Text),
            ("password_hash", Kind::Text),
            ("created_at", Kind::Number),
            ("disabled_at", Kind::Number),
            ("password_version", Kind::Number),
            ("hash_cost", Kind::Number),
            ("pepper", Kind::Text),
            ("display_name", Kind::Text),
            ("email", Kind::Text),
            ("email_key", Kind::Text),
            ("unconfirmed_email", Kind::Text),
        ],
    },
    Table {
        name: "roles",
        key_columns: 2,
        columns: &[("account_id", Kind::Text), ("role", Kind::Text), ("given_at", Kind::Number)],
    },
    Table {
        name: "sessions",
        key_columns: 1,
        columns: &[
            ("digest", Kind::Bytes),
            ("id", Kind::Text),
            ("account_id", Kind::Text),
            ("remember", Kind::Number),
            ("created_at", Kind::Number),
            ("last_seen_at", Kind::Number),
            ("expires_at", Kind::Number),
            ("ended_at", Kind::Number),
            ("address", Kind::Text),
            ("browser", Kind::Text),
            ("confirmed_at", Kind::Number),
            ("idle_timeout", Kind::Number),
        ],
    },
    Table {
        name: "ended_tokens",
        key_columns: 1,
        columns: &[("digest", Kind::Bytes), ("ended_at", Kind::Number), ("session_id", Kind::Text)],
    },
    Table {
        name: "session_data",
        key_columns: 1,
        columns: &[
            ("key", Kind::Text),
            ("session_id", Kind::Text),
            ("value", Kind::Text),
            ("version", Kind::Number),
        ],
    },
    Table {
        name: "api_tokens",
        key_columns: 1,
        columns: &[
            ("digest", Kind::Bytes),
            ("id", Kind::Text),
            ("account_id", Kind::Text),
            ("name", Kind::Text),
            ("roles", Kind::Text),
            ("created_at", Kind::Number),
            ("expires_at", Kind::Number),
            ("last_used_at", Kind::Number),
            ("notified_at", Kind::Number),
        ],
    },
    Table {
        name: "invites",
        key_columns: 1,
        columns: &[
            ("digest", Kind::Bytes),
            ("id", Kind::Text),
            ("created_at", Kind::Number),
            ("expires_at", Kind::Number),
        ],
    },
    Table {
        name: "proofs",
        key_columns: 1,
        columns: &[
            ("digest", Kind::Bytes),
            ("account_id", Kind::Text),
            ("purpose", Kind::Text),
            ("mailbox", Kind::Text),
            ("mail_id", Kind::Text),
            ("password_version", Kind::Number),
            ("created_at", Kind::Number),
            ("expires_at", Kind::Number),
        ],
    },
    Table {
        name: "mails",
        key_columns: 1,
        columns: &[
            ("id", Kind::Text),
            ("kind", Kind::Text),
            ("recipient", Kind::Text),
            ("created_at", Kind::Number),
            ("due_at", Kind::Number),
            ("claimed_at", Kind::Number),
            ("tries", Kind::Number),
            ("failed_at", Kind::Number),
            ("reason", Kind::Text),
            ("account_id", Kind::Text),
            ("address", Kind::Text),
            ("browser", Kind::Text),
        ],
    },
    Table {
        name: "held_usernames",
        key_columns: 1,
        columns: &[
            ("digest", Kind::Bytes),
            ("secret_id", Kind::Text),
            ("held_until", Kind::Number),
        ],
    },
    Table {
        name: "login_attempts",
        key_columns: 1,
        columns: &[
            ("key", Kind::Bytes),
            ("failures", Kind::Number),
            ("free_at", Kind::Number),
            ("last_at", Kind::Number),
            ("counted", Kind::Number),
            ("forgiven", Kind::Number),
        ],
    },
    Table {
        name: "events",
        key_columns: 1,
        columns: &[
            ("id", Kind::Bytes),
            ("at", Kind::Number),
            ("event", Kind::Text),
            ("refusal", Kind::Number),
            ("account_id", Kind::Text),
            ("session_id", Kind::Text),
            ("thing", Kind::Text),
            ("count", Kind::Number),
            ("address", Kind::Text),
            ("request_id", Kind::Text),
        ],
    },
];

/// A table and its columns. The first columns are its key.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub key_columns: usize,
    pub columns: &'static [(&'static str, Kind)],
}

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    Number,
    Bytes,
}

impl Table {
    pub fn key(&self) -> &'static [(&'static str, Kind)] {
        &self.columns[..self.key_columns]
    }

    /// The column list of a statement.
    pub fn list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    pub fn count_sql(&self) -> String {
        format!("select count(*) from {}", self.name)
    }
}
