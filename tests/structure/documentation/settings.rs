//! Generates the reference of the settings from the structs and comments in `src/config`.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use super::{read, root};
use crate::support::program::{text, unprepared};

/// The structs of `src/config`: name and fields.
fn structs() -> Vec<syn::ItemStruct> {
    let files = fs::read_dir(root().join("src/config")).unwrap();
    let mut found = Vec::new();
    for file in files {
        let path = file.unwrap().path();
        let file = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
        found.extend(file.items.into_iter().filter_map(|item| match item {
            syn::Item::Struct(item) => Some(item),
            _ => None,
        }));
    }
    found
}

/// The text of a doc comment, as one line.
pub fn comment(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) => Some(line.value()),
            _ => None,
        },
        _ => None,
    });
    lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join(" ")
}

/// The last segment of the type of a field, and of its only argument.
fn type_names(field: &syn::Field) -> (String, Option<String>) {
    let syn::Type::Path(path) = &field.ty else { panic!("a plain type") };
    let last = path.path.segments.last().unwrap();
    let argument = match &last.arguments {
        syn::PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
            Some(syn::GenericArgument::Type(syn::Type::Path(path))) => {
                Some(path.path.segments.last().unwrap().ident.to_string())
            }
            _ => None,
        },
        _ => None,
    };
    (last.ident.to_string(), argument)
}

/// A section for each setting: what it does, its default and its environment variable.
pub fn setting_sections() -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = unprepared(folder.path(), &["config", "--json"])
        .env_remove("DATABASE_URL")
        .output()
        .unwrap();
    let defaults: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    let mut sections = Sections { structs: structs(), page: String::new(), names: Vec::new() };
    sections.write("Settings", "", &defaults);
    let printed = keys(&defaults, "");
    let missing: Vec<_> = printed.iter().filter(|key| !sections.names.contains(key)).collect();
    assert!(missing.is_empty(), "`cloakroom config` prints {missing:?}, which is not in Settings");
    assert!(read("docs/reference/settings.md").starts_with("# Settings\n"));
    sections.page
}

/// The paths of all values of an object.
fn keys(object: &Value, prefix: &str) -> Vec<String> {
    let object = object.as_object().unwrap();
    let keys = object.iter().map(|(key, value)| match value {
        Value::Object(_) => keys(value, &format!("{prefix}{key}.")),
        _ => vec![format!("{prefix}{key}")],
    });
    keys.flatten().collect()
}

/// The sections written until now.
struct Sections {
    structs: Vec<syn::ItemStruct>,
    page: String,
    names: Vec<String>,
}

impl Sections {
    /// Writes the sections of a struct, whose fields begin with the prefix.
    fn write(&mut self, of: &str, prefix: &str, defaults: &Value) {
        let item = self.structs.iter().find(|item| item.ident == of).unwrap().clone();
        for field in &item.fields {
            let name = field.ident.as_ref().unwrap().to_string();
            let (outer, inner) = type_names(field);
            if outer.ends_with("Settings") {
                self.write(&outer, &format!("{name}."), &defaults[&name]);
            } else if name != "file" {
                // `file` is the path of the settings file, and not a setting
                let is_list = inner.as_deref() == Some("CommaList");
                let comment = comment(&field.attrs);
                assert!(!comment.is_empty(), "{prefix}{name} needs a comment: its description");
                let (description, default) = match comment.split_once(" Default: ") {
                    Some((description, default)) => (description.to_owned(), default.to_owned()),
                    None => (comment, format!("{}.", written(&defaults[&name], &name))),
                };
                self.write_one(&format!("{prefix}{name}"), &description, &default, is_list);
            }
        }
    }

    fn write_one(&mut self, name: &str, description: &str, default: &str, is_list: bool) {
        let variable = name.to_uppercase().replace('.', "__");
        let list = if is_list {
            "; a list, with commas between the entries in the environment variable"
        } else {
            ""
        };
        writeln!(self.page, "### {name}\n\n{description}\n").unwrap();
        writeln!(self.page, "- Default: {default}").unwrap();
        writeln!(self.page, "- Environment: `CLOAKROOM_{variable}`{list}.\n").unwrap();
        self.names.push(name.to_owned());
    }
}

/// A default as it would be written in the settings file.
fn written(value: &Value, name: &str) -> String {
    match value {
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        Value::String(text) => format!("`\"{text}\"`"),
        Value::Number(_) | Value::Bool(_) => format!("`{value}`"),
        _ => panic!("{name} is not set by default: say so in its comment, after `Default: `"),
    }
}
