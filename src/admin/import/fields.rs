//! Parses the fields of a row.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::ImportError;
use crate::core::clock::Timestamp;
use crate::core::display_names::{DisplayName, InvalidDisplayName};
use crate::core::email_address::{EmailAddress, InvalidEmailAddress};
use crate::core::usernames::{InvalidUsername, Username};
use crate::domain::imports::{ImportedEmail, ImportedPassword, ImportedUser};
use crate::domain::passwords::imported::InvalidHash;
use crate::domain::roles::{Role, Roles};

/// The fields of a row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields {
    pub username: String,
    password_hash: Option<String>,
    disabled: Option<bool>,
    created_at: Option<String>,
    display_name: Option<String>,
    roles: Option<Vec<String>>,
    email: Option<String>,
    email_verified: Option<bool>,
}

/// The columns of a CSV file. The first two are required.
const COLUMNS: [&str; 8] = [
    "username",
    "password_hash",
    "disabled",
    "created_at",
    "display_name",
    "roles",
    "email",
    "email_verified",
];

/// The positions of the columns in a CSV file.
pub(super) struct Columns {
    /// The number of columns.
    width: usize,
    username: usize,
    password_hash: usize,
    disabled: Option<usize>,
    created_at: Option<usize>,
    display_name: Option<usize>,
    roles: Option<usize>,
    email: Option<usize>,
    email_verified: Option<usize>,
}

impl Columns {
    pub(super) fn find(header: &csv::StringRecord) -> Result<Self, ImportError> {
        let mut places = [None; COLUMNS.len()];
        for (at, name) in header.iter().enumerate() {
            let name = name.trim_start_matches('\u{feff}').trim();
            let known = COLUMNS.iter().position(|known| *known == name);
            let place = known.ok_or_else(|| ImportError::UnknownColumn(name.to_owned()))?;
            if places[place].replace(at).is_some() {
                return Err(ImportError::RepeatedColumn(name.to_owned()));
            }
        }
        let [username, password_hash, disabled, created_at, display_name, roles, email, verified] =
            places;
        let (Some(username), Some(password_hash)) = (username, password_hash) else {
            return Err(ImportError::MissingColumns);
        };
        Ok(Self {
            width: header.len(),
            username,
            password_hash,
            disabled,
            created_at,
            display_name,
            roles,
            email,
            email_verified: verified,
        })
    }

    /// Parses a record. The error says what is wrong without repeating the record.
    pub(super) fn parse(&self, record: &csv::ByteRecord) -> Result<Fields, String> {
        if record.len() != self.width {
            return Err(format!(
                "the row has {} columns, but the header has {}; put values that contain commas in quotation marks",
                record.len(),
                self.width
            ));
        }
        let record = csv::StringRecord::from_byte_record(record.clone())
            .map_err(|_| "the row is not encoded in UTF-8".to_owned())?;
        let text = |at: usize| record.get(at).unwrap_or_default().to_owned();
        let some = |at: Option<usize>| at.map(text).filter(|text| !text.is_empty());
        Ok(Fields {
            username: text(self.username),
            password_hash: Some(text(self.password_hash)),
            disabled: some(self.disabled).map(|text| parse_flag("disabled", &text)).transpose()?,
            created_at: some(self.created_at),
            display_name: some(self.display_name),
            roles: some(self.roles).map(|text| split_roles(&text)),
            email: some(self.email),
            email_verified: some(self.email_verified)
                .map(|text| parse_flag("email_verified", &text))
                .transpose()?,
        })
    }
}

/// Parses a column that is true or false: Excel writes TRUE, Python True, PostgreSQL t.
fn parse_flag(column: &str, text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "false" | "f" | "0" => Ok(false),
        "true" | "t" | "1" => Ok(true),
        _ => Err(format!("{column} must be true or false")),
    }
}

/// The roles in a column of a CSV file, separated by spaces or commas.
fn split_roles(text: &str) -> Vec<String> {
    let names = text.split([' ', ',']).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Converts the fields to a user. The error says what is wrong.
pub(super) fn parse_user(fields: &Fields) -> Result<ImportedUser, String> {
    let name = &fields.username;
    let username = Username::parse(name).map_err(|bad| describe_invalid_username(name, bad))?;
    let hash = fields.password_hash.as_deref().unwrap_or_default();
    let password = ImportedPassword::parse(hash).map_err(|bad| describe_invalid_hash(name, bad))?;
    let created_at = fields.created_at.as_deref().map(parse_instant).transpose();
    let created_at = created_at.map_err(|()| {
        format!("{name:?}: created_at must be a time in RFC 3339 format, not before 1970")
    })?;
    let display_name = DisplayName::parse(fields.display_name.as_deref().unwrap_or_default());
    let display_name =
        display_name.map_err(|bad| format!("{name:?}: {}", describe_invalid_display_name(bad)))?;
    let roles = fields.roles.iter().flatten().map(|role| Role::parse(role));
    let roles: Vec<Role> =
        roles.collect::<Result<_, _>>().map_err(|bad| format!("{name:?}: {bad}"))?;
    let roles = Roles::new(roles).map_err(|too_many| format!("{name:?}: {too_many}"))?;
    let email = fields.email.as_deref().filter(|text| !text.is_empty());
    let email = email.map(|text| EmailAddress::parse(text.trim())).transpose();
    let email = email.map_err(|bad| format!("{name:?}: {}", describe_invalid_email(bad)))?;
    let email = email.map(|address| match fields.email_verified {
        Some(true) => ImportedEmail::Confirmed(address),
        Some(false) | None => ImportedEmail::Unconfirmed(address),
    });
    Ok(ImportedUser {
        username,
        display_name,
        email,
        password,
        created_at,
        is_disabled: fields.disabled.unwrap_or(false),
        roles,
    })
}

/// Times before this have a year with four digits in every time zone, so they can be printed.
const YEAR_9999: i64 = 253_370_764_800;

/// Parses a time in RFC 3339, which allows a space instead of the `T`, as SQL prints it.
pub(super) fn parse_instant(text: &str) -> Result<Timestamp, ()> {
    let text = text.replacen(' ', "T", 1);
    let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(drop)?;
    let is_printed = (0..YEAR_9999).contains(&at.unix_timestamp());
    let millis = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(drop)?;
    is_printed.then(|| Timestamp::from_millis(millis)).ok_or(())
}

fn describe_invalid_hash(name: &str, bad: InvalidHash) -> String {
    let why = match bad {
        InvalidHash::Unknown => {
            "the format of the hash is not supported; supported are Argon2, bcrypt, scrypt and \
             PBKDF2 in the formats of PHC, Django, Devise, PocketBase and Better Auth"
        }
        InvalidHash::Malformed => "the hash is malformed",
        InvalidHash::TooExpensive => {
            "verifying the hash would take more than one second or 256 MiB of memory"
        }
    };
    format!("{name:?}: {why}")
}

const NO_USER: &str = "the row must be a JSON object with username and password_hash, and \
    optionally disabled (true or false), created_at, \
    display_name, roles (an array), email and email_verified (true or false)";

/// Parses a line of JSON. The error says what is wrong without repeating the line.
pub(super) fn parse_json(line: &[u8]) -> Result<Fields, String> {
    let fields = serde_json::from_slice(line).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => NO_USER.to_owned(),
        _ => format!("the row is not valid JSON at column {}", error.column()),
    })?;
    // serde also accepts an array of the values.
    if line.trim_ascii_start().starts_with(b"{") { Ok(fields) } else { Err(NO_USER.to_owned()) }
}

/// Explains why a text is not a valid display name.
pub(crate) fn describe_invalid_display_name(bad: InvalidDisplayName) -> &'static str {
    match bad {
        InvalidDisplayName::TooLong => "a display name can have at most 64 characters",
        InvalidDisplayName::NotAllowed => {
            "a display name must not contain control characters, and must contain a character that \
             can be seen"
        }
    }
}

/// Explains why a text is not an e-mail address that the service sends to.
pub(crate) fn describe_invalid_email(bad: InvalidEmailAddress) -> &'static str {
    match bad {
        InvalidEmailAddress::Empty => "an e-mail address must not be empty",
        InvalidEmailAddress::TooLong => "an e-mail address can have at most 254 bytes",
        InvalidEmailAddress::NotAllowed => {
            "this is not an e-mail address such as ann@example.org, without spaces, quotation \
             marks and the characters % ! / |"
        }
    }
}

/// Explains why a text is not a valid user name, in a sentence that quotes it.
pub(crate) fn describe_invalid_username(name: &str, bad: InvalidUsername) -> String {
    let rule = match bad {
        InvalidUsername::Empty => "a user name must not be empty",
        InvalidUsername::TooLong => "a user name can have at most 64 characters",
        InvalidUsername::NotAllowed => {
            "a user name can contain only the letters a to z, digits, dots, hyphens and \
             underscores, and must start and end with a letter or digit"
        }
        InvalidUsername::Reserved => "this name is reserved",
    };
    let shown: String = name.chars().take(64).collect();
    let more = if shown.len() < name.len() { "…" } else { "" };
    format!("{shown:?}{more} is not a valid user name: {rule}")
}
