//! Helpers that the fuzz targets share.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The members of a JSON object in order, including duplicates. Other JSON values are refused.
pub struct Members(pub Vec<(String, Value)>);

impl Members {
    pub fn of(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The value of the member with this name, if there is exactly one.
    pub fn only(&self, name: &str) -> Option<&Value> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.only(name)?.as_str()
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.only(name)?.as_i64()
    }

    /// Whether these are the names of all members, each once.
    pub fn are(&self, names: &[&str]) -> bool {
        self.0.len() == names.len() && names.iter().all(|name| self.only(name).is_some())
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
