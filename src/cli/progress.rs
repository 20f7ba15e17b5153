//! Shows the progress of a command, on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::times::describe;
use crate::admin::{Phase, Progress};

/// The minimum time between two drawings of the bar.
const INTERVAL: Duration = Duration::from_millis(50);
/// Moves to the start of the line and erases it.
const ERASE: &str = "\r\x1b[2K";
/// The width of a terminal that does not tell its width.
const DEFAULT_WIDTH: usize = 80;

/// A bar on standard error that follows an operation. It disappears when it is dropped.
#[derive(Debug)]
pub(super) struct Bar {
    is_terminal: bool,
    started_at: Instant,
    /// When the bar on the screen was drawn, if there is one.
    drawn_at: Mutex<Option<Instant>>,
}

impl Bar {
    pub(super) fn new() -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { is_terminal, started_at: Instant::now(), drawn_at: Mutex::new(None) }
    }

    pub(super) fn show(&self, progress: Progress) {
        if !self.is_terminal {
            return;
        }
        let mut drawn_at = self.drawn_at.lock().expect("nothing panics with the lock");
        if drawn_at.is_none_or(|at| at.elapsed() >= INTERVAL) {
            let size = terminal_size::terminal_size_of(io::stderr());
            let width = size.map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0));
            draw(&line(progress, self.started_at.elapsed(), width));
            *drawn_at = Some(Instant::now());
        }
    }

    /// Prints something while the bar is erased.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        let mut drawn_at = self.drawn_at.lock().expect("nothing panics with the lock");
        if drawn_at.take().is_some() {
            draw("");
        }
        print();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.suspend(|| ());
    }
}

/// Replaces the line on standard error. A command does not fail because of its bar.
fn draw(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{ERASE}{line}").and_then(|()| stderr.flush());
}

/// What is being done, how far it is, and how long the rest takes at the same rate.
fn line(progress: Progress, elapsed: Duration, width: usize) -> String {
    let phase = match progress.phase {
        Phase::Copying => "copying",
        Phase::Comparing => "comparing",
        Phase::Checking => "checking",
        Phase::Importing => "importing",
    };
    let total = u128::from(progress.total.max(1));
    let done = u128::from(progress.done).min(total);
    let percent = done * 100 / total;
    let left = elapsed.as_millis() * (total - done) / done.max(1);
    let left = describe(Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX)));
    let numbers = format!("{percent}% {left} left");
    let cells = width.saturating_sub(phase.len() + numbers.len() + 3);
    let full = cells * usize::try_from(percent).unwrap_or(0) / 100;
    format!("{phase} {}{} {numbers}", "█".repeat(full), "░".repeat(cells - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(done: u64, total: u64, width: usize) -> String {
        line(Progress { phase: Phase::Copying, done, total }, Duration::from_secs(30), width)
    }

    #[test]
    fn a_bar_shows_how_far_the_operation_is_and_how_long_the_rest_takes() {
        assert_eq!(draw(25, 100, 40), "copying ███░░░░░░░░░ 25% 2 minutes left");
        assert_eq!(draw(100, 100, 40), "copying ███████████ 100% 0 seconds left");
    }

    #[test]
    fn a_bar_fits_a_narrow_terminal_and_an_operation_that_has_not_begun() {
        assert_eq!(draw(50, 100, 10), "copying  50% 30 seconds left");
        assert!(draw(0, 0, 60).contains(" 0% "));
    }
}
