//! The differences between definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The table in which sqlx records migrations. sqlx creates it, so its columns are not compared.
pub const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// The result of a comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DefinitionReport {
    /// The differences in Cloakroom's own tables.
    pub differences: Vec<Difference>,
    /// Views that read Cloakroom's tables. Cloakroom itself queries no views.
    pub views: Vec<String>,
    /// Triggers on tables that are not Cloakroom's, each with its table.
    pub foreign_triggers: Vec<String>,
}

/// A definition that differs from that of the migrations.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    change: Change,
    kind: String,
    name: String,
    table: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Missing,
    Other,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { change, kind, name, table } = self;
        if name == table {
            write!(f, "the {kind} {name} ")?;
        } else {
            write!(f, "the {kind} {name} on {table} ")?;
        }
        f.write_str(match change {
            Change::Added => "does not belong to Cloakroom",
            Change::Missing => "is missing",
            Change::Other => "differs from the migrations",
        })
    }
}

/// From the table, kind and name of a definition to its text.
pub type Definitions = BTreeMap<(String, String, String), String>;

pub fn compare(found: &Definitions, reference: &Definitions) -> Vec<Difference> {
    let keys: BTreeSet<_> = found.keys().chain(reference.keys()).collect();
    let difference = |key: &(String, String, String)| {
        let change = match (found.get(key), reference.get(key)) {
            (Some(found), Some(made)) if found == made => return None,
            (Some(_), Some(_)) => Change::Other,
            (Some(_), None) => Change::Added,
            (None, _) => Change::Missing,
        };
        let (table, kind, name) = key.clone();
        Some(Difference { change, kind, name, table })
    };
    keys.into_iter().filter_map(difference).collect()
}

pub fn tables(reference: &Definitions) -> BTreeSet<String> {
    let tables = reference.keys().map(|(table, ..)| table.clone());
    tables.chain([MIGRATIONS_TABLE.to_owned()]).collect()
}
