//! The findings of the doctor.

use serde::Serialize;

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// Not wrong, but worth knowing.
    Note,
    Wrong,
}

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The subject in one or two words: `settings`, `database`.
    pub about: &'static str,
    pub verdict: Verdict,
    /// The state of the subject, and what to do.
    pub says: String,
}

/// The results of all checks.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Diagnosis {
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn add(&mut self, about: &'static str, verdict: Verdict, says: impl Into<String>) {
        self.findings.push(Finding { about, verdict, says: says.into() });
    }

    /// The number of findings with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}
