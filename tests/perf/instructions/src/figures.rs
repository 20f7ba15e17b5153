//! The committed figures: one line for each kind of request with its number of instructions.

use std::fmt::Write as _;
use std::fs;

/// A figure may exceed the committed one by this much. It varies by up to 1 % from run to run, with
/// the layout of the heap.
const TOLERANCE_PERCENT: u64 = 5;

const HEADING: &str = "\
# Instructions in user mode for one request, counted by callgrind: see tests/perf/instructions/run, which fails when a
# figure is exceeded by more than 5 %. `tests/perf/instructions/run renew` writes this file; the commit says why.
";

pub struct Figures(Vec<(String, u64)>);

impl Figures {
    pub fn read(file: &str) -> Self {
        let text = fs::read_to_string(file).expect("the committed figures; `renew` writes them");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let figure = |line: &str| {
            let (name, count) = line.split_once(' ').expect("a name and a number");
            (name.to_owned(), count.trim().parse().expect("a number"))
        };
        Self(lines.map(figure).collect())
    }

    pub fn write(file: &str, measured: &[(&str, u64)]) {
        let mut text = HEADING.to_owned();
        for (name, count) in measured {
            writeln!(text, "{name:<14} {count:>9}").expect("a String takes everything");
        }
        fs::write(file, &text).expect("the file can be written");
        print!("{text}");
    }

    /// Prints each figure; false if one is exceeded or has no committed figure.
    pub fn compare(&self, measured: &[(&str, u64)]) -> bool {
        let mut holds = measured.len() == self.0.len();
        for (name, count) in measured {
            let committed =
                self.0.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
            let is_within = count * 100 <= committed * (100 + TOLERANCE_PERCENT);
            let is_outdated = count * 100 < committed * (100 - TOLERANCE_PERCENT);
            let verdict = match (is_within, is_outdated) {
                (false, _) => "EXCEEDED",
                (true, true) => "better by more than 5 %: tests/perf/instructions/run renew",
                (true, false) => "ok",
            };
            println!("{name:<14} {count:>9}, committed {committed:>9}  {verdict}");
            holds &= is_within;
        }
        holds
    }
}
