//! `tls`: the files of the certificate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// The PEM files of the certificate, with the chain behind it, and of its key.
#[derive(Debug, Clone, Serialize)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl TlsSettings {
    /// What `over` sets, else what this sets.
    pub(super) fn merge(self, over: Self) -> Self {
        Self { certificate: over.certificate.or(self.certificate), key: over.key.or(self.key) }
    }
}

impl Tls {
    /// Both or neither.
    pub(super) fn check(settings: TlsSettings) -> Result<Option<Self>, ConfigError> {
        let alone = |one, other| Err(ConfigError::new(format!("{one} is set, but {other} is not")));
        match (settings.certificate, settings.key) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => alone("tls.certificate", "tls.key"),
            (None, Some(_)) => alone("tls.key", "tls.certificate"),
        }
    }
}
