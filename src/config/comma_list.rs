//! A list of strings, as settings write it.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A list of strings. In the environment and in flags it is a single string with commas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommaList(pub Vec<String>);

impl From<&str> for CommaList {
    fn from(text: &str) -> Self {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        Self(parts.map(str::to_owned).collect())
    }
}

impl<'de> Deserialize<'de> for CommaList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = CommaList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list, or values separated by commas")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CommaList, E> {
                Ok(CommaList::from(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<CommaList, A::Error> {
                let mut list = Vec::new();
                while let Some(part) = parts.next_element()? {
                    list.push(part);
                }
                Ok(CommaList(list))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
