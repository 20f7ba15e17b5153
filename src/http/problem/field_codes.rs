//! The codes of field errors.

/// What is wrong with a field. The strings are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldCode {
    Missing,
    Unknown,
    Repeated,
    WrongType,
    TooShort,
    TooLong,
    NotAllowed,
    NameBased,
    Repetitive,
    Sequential,
    Common,
    Unchanged,
    Reserved,
}

impl FieldCode {
    pub const ALL: [Self; 13] = [
        Self::Missing,
        Self::Unknown,
        Self::Repeated,
        Self::WrongType,
        Self::TooShort,
        Self::TooLong,
        Self::NotAllowed,
        Self::NameBased,
        Self::Repetitive,
        Self::Sequential,
        Self::Common,
        Self::Unchanged,
        Self::Reserved,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Repeated => "repeated",
            Self::WrongType => "wrong_type",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::NotAllowed => "not_allowed",
            Self::NameBased => "name_based",
            Self::Repetitive => "repetitive",
            Self::Sequential => "sequential",
            Self::Common => "common",
            Self::Unchanged => "unchanged",
            Self::Reserved => "reserved",
        }
    }
}
