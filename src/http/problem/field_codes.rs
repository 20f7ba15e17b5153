//! The codes of field errors.

use strum::{IntoStaticStr, VariantNames};

/// What is wrong with a field. The strings are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
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
    pub fn name(self) -> &'static str {
        self.into()
    }
}
