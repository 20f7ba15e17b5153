//! Why a mail was not sent: the step that failed, and what the mail server said.

use std::fmt;

use strum::IntoStaticStr;

/// The maximum length of a reason in the outbox.
const MAX_REASON_LENGTH: usize = 200;

/// A step on the way to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Step {
    /// The settings are incomplete, or a file that they name cannot be read.
    Settings,
    /// Finding the IP addresses of the host.
    Resolve,
    Connect,
    Tls,
    /// The first responses of the server.
    Greeting,
    Login,
    Sender,
    Recipient,
    Content,
    /// Writing the mail to a file.
    File,
}

/// A step that failed, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub step: Step,
    text: String,
}

impl Failure {
    /// Text of a server becomes one line of printable characters.
    pub fn new(step: Step, text: impl AsRef<str>) -> Self {
        let line = text.as_ref().split(|c: char| c.is_control() || c.is_whitespace());
        let line = line.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        Self { step, text: line.chars().take(MAX_REASON_LENGTH).collect() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// Whose fault it is that a mail was not sent, which decides what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// The server cannot be used now, so no mail can be sent.
    Server(Failure),
    /// The server refuses this mail for good.
    Refused(Failure),
    /// The server may accept this mail later, or it has accepted it and the answer was lost.
    Later(Failure),
}

impl SendError {
    pub fn failure(&self) -> &Failure {
        match self {
            Self::Server(failure) | Self::Refused(failure) | Self::Later(failure) => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line_without_control_characters() {
        let failure = Failure::new(Step::Content, "554 \u{1b}[31mno\r\n  spam\0!\tPlease");
        assert_eq!(failure.to_string(), "554 [31mno spam ! Please");
        assert_eq!(Failure::new(Step::Content, "é".repeat(500)).to_string().chars().count(), 200);
    }
}
