//! The section `site`: name, color and logo of the pages.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;

/// The name is the heading of each page and part of its title.
const MAX_NAME_LENGTH: usize = 40;
/// A larger logo would delay the page.
const MAX_LOGO_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SiteSettings {
    /// The name of the service on its pages, at most 40 characters.
    pub name: Option<String>,
    /// The main color of the pages. Text stays readable on any color.
    pub color: Option<String>,
    /// The logo on the pages: an `.svg`, `.png`, `.webp` or `.jpg` file of at most 256 KiB.
    /// Default: a coat hanger in the color of the site.
    pub logo: Option<PathBuf>,
}

/// The name, color and logo of the pages.
#[derive(Debug, Clone, Serialize)]
pub struct Site {
    pub name: String,
    pub color: Color,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<Logo>,
}

/// A color in the notation of CSS, such as `#0b5f5a`.
#[derive(Debug, Clone, Copy)]
pub struct Color(pub [u8; 3]);

impl Serialize for Color {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [red, green, blue] = self.0;
        serializer.serialize_str(&format!("#{red:02x}{green:02x}{blue:02x}"))
    }
}

/// An image, read from its file.
#[derive(Debug, Clone)]
pub struct Logo {
    path: PathBuf,
    /// The media type.
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

impl Serialize for Logo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.path.serialize(serializer)
    }
}

impl SiteSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self {
            name: over.name.or(self.name),
            color: over.color.or(self.color),
            logo: over.logo.or(self.logo),
        }
    }
}

impl Site {
    pub(super) fn check(settings: SiteSettings) -> Result<Self, ConfigError> {
        let name = settings.name.unwrap_or_else(|| "Cloakroom".to_owned());
        let is_shown = name.trim() == name && !name.chars().any(char::is_control);
        if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH || !is_shown {
            return Err(ConfigError::new(format!(
                "site.name = {name:?} must have 1 to {MAX_NAME_LENGTH} characters, without \
                 control characters and without spaces around the name"
            )));
        }
        let color = settings.color.unwrap_or_else(|| "#0b5f5a".to_owned());
        let color = Color::parse(&color).ok_or_else(|| {
            ConfigError::new(format!("site.color = {color:?} must have the format #0b5f5a"))
        })?;
        Ok(Self { name, color, logo: settings.logo.map(Logo::read).transpose()? })
    }
}

impl Color {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let [_, color @ ..] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        is_hex.then_some(Self(color)) // `from_str_radix` accepts a sign
    }
}

impl Logo {
    fn read(path: PathBuf) -> Result<Self, ConfigError> {
        let refused =
            |why: &str| ConfigError::new(format!("site.logo = \"{}\" {why}", path.display()));
        let ending = path.extension().map(OsStr::to_ascii_lowercase);
        let kind = match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            Some("webp") => "image/webp",
            Some("jpg" | "jpeg") => "image/jpeg",
            _ => return Err(refused("must end in .svg, .png, .webp or .jpg")),
        };
        let bytes =
            fs::read(&path).map_err(|error| refused(&format!("cannot be read: {error}")))?;
        if bytes.len() > MAX_LOGO_BYTES {
            return Err(refused("is larger than 256 KiB"));
        }
        Ok(Self { path, kind, bytes })
    }
}
