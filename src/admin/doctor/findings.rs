//! What a doctor says.

use serde::Serialize;

/// Whether something is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    /// Worth knowing.
    Note,
    Wrong,
}

/// Something that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What it is about, in a word or two: `settings`, `database`.
    pub about: &'static str,
    pub verdict: Verdict,
    /// What it is, and what to do.
    pub says: String,
}

/// Everything that was looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Diagnosis {
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn add(&mut self, about: &'static str, verdict: Verdict, says: impl Into<String>) {
        self.findings.push(Finding { about, verdict, says: says.into() });
    }

    /// How many findings have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}
