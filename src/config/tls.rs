//! The section `tls`: the files of the certificate and its key.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// The certificate with its chain, a PEM file. Default: none, so the service uses plain HTTP.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, a PEM file that other users cannot read. Default: none.
    pub key: Option<PathBuf>,
}

/// The PEM files of the certificate, followed by its chain, and of its private key.
#[derive(Debug, Clone, Serialize)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl TlsSettings {
    /// Merges two sources: the settings of `over` win.
    pub(super) fn merge(self, over: Self) -> Self {
        Self { certificate: over.certificate.or(self.certificate), key: over.key.or(self.key) }
    }
}

impl Tls {
    /// Both files must be set, or neither.
    pub(super) fn check(settings: TlsSettings) -> Result<Option<Self>, ConfigError> {
        let alone = |one, other| {
            Err(ConfigError::new(format!("{one} is set, but {other} is not; set both")))
        };
        match (settings.certificate, settings.key) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => alone("tls.certificate", "tls.key"),
            (None, Some(_)) => alone("tls.key", "tls.certificate"),
        }
    }
}
