//! A progress bar, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

use crate::admin::{Phase, Progress};

/// A progress bar, which disappears when it is dropped.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let style = "{msg} {wide_bar} {percent}% {eta} left";
        let style = ProgressStyle::with_template(style).expect("a template that is right");
        Self(ProgressBar::new(0).with_style(style))
    }

    pub(super) fn show(&self, progress: Progress) {
        let message = match progress.phase {
            Phase::Copying => "copying",
            Phase::Comparing => "comparing",
            Phase::Checking => "checking",
            Phase::Importing => "importing",
        };
        if self.0.message() != message {
            self.0.set_message(message);
        }
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
    }

    /// Prints something while the bar is hidden.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
