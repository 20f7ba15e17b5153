//! Tables for people: a header, aligned columns, and on a terminal no line beyond its width.

use std::array;

use anstyle::Style;

use super::output::{Outcome, print_line};
use super::terminal;

/// The gap between two columns.
const GAP: &str = "  ";
/// The indentation of a last cell that continues below its row.
const INDENT: usize = 4;
/// The minimum width of a column: text in a narrower one is hard to read.
const MIN_ROOM: usize = 10;

/// A cell of a row.
#[derive(Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn with_style(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::with_style(text, Style::new())
    }
}

/// Prints rows below a header, page by page if there are many. Without rows it prints nothing.
#[derive(Debug)]
pub(super) struct Table<const COLUMNS: usize> {
    headers: [&'static str; COLUMNS],
    layout: Layout<COLUMNS>,
    has_header: bool,
}

#[derive(Debug)]
struct Layout<const COLUMNS: usize> {
    /// The width of the widest cell in each column.
    widths: [usize; COLUMNS],
    max_width: Option<usize>,
    is_colored: bool,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(super) fn new(headers: [&'static str; COLUMNS]) -> Self {
        let layout = Layout {
            widths: headers.map(str::len),
            max_width: terminal::output_width(),
            is_colored: terminal::is_output_colored(),
        };
        Self { headers, layout, has_header: false }
    }

    /// Whether no row was printed.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_header
    }

    /// Prints rows below those that were printed before.
    pub(super) fn print(&mut self, rows: &[[Cell; COLUMNS]]) -> Outcome {
        if rows.is_empty() {
            return Ok(());
        }
        self.layout.widen(rows);
        if !self.has_header {
            self.has_header = true;
            print_line(
                &self
                    .layout
                    .line(&self.headers.map(|name| Cell::with_style(name, terminal::HEADER))),
            )?;
        }
        rows.iter().try_for_each(|row| print_line(&self.layout.line(row)))
    }
}

impl<const COLUMNS: usize> Layout<COLUMNS> {
    fn widen(&mut self, rows: &[[Cell; COLUMNS]]) {
        let widest = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        self.widths = array::from_fn(|column| self.widths[column].max(widest(column)));
    }

    /// Formats a row: one line, and more below it if the last cell does not fit.
    fn line(&self, row: &[Cell; COLUMNS]) -> String {
        let Some((last, others)) = row.split_last() else { return String::new() };
        let mut line = String::new();
        let mut indent = 0;
        for (cell, width) in others.iter().zip(self.widths) {
            line.push_str(&terminal::paint(&cell.text, cell.style, self.is_colored));
            line.push_str(&" ".repeat(width - cell.width()));
            line.push_str(GAP);
            indent += width + GAP.len();
        }
        for (number, part) in self.fold(last, &mut indent).iter().enumerate() {
            if number > 0 || (indent == INDENT && !others.is_empty()) {
                line.truncate(line.trim_end().len());
                line.push('\n');
                line.push_str(&" ".repeat(indent));
            }
            line.push_str(&terminal::paint(part, last.style, self.is_colored));
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The lines of a last cell. If a word, such as a path, is wider than the rest of the line, the
    /// cell starts below the row: words are never broken, so that they can be copied.
    fn fold(&self, last: &Cell, indent: &mut usize) -> Vec<String> {
        let Some(max_width) = self.max_width else { return vec![last.text.clone()] };
        if *indent + last.width() <= max_width {
            return vec![last.text.clone()];
        }
        let longest = last.text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
        if max_width.saturating_sub(*indent) < longest.max(MIN_ROOM) {
            *indent = INDENT;
        }
        wrap(&last.text, max_width.saturating_sub(*indent))
    }
}

/// Breaks a text between words.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        let line = lines.last_mut().expect("there is one from the start");
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(max_width: Option<usize>, is_colored: bool) -> Layout<3> {
        Layout { widths: [4, 5, 4], max_width, is_colored }
    }

    fn row(cells: [&str; 3]) -> [Cell; 3] {
        cells.map(Cell::from)
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_no_line_ends_in_spaces() {
        let mut layout = layout(None, false);
        layout.widen(&[row(["a", "b", "c"]), row(["longer", "b", ""])]);
        assert_eq!(layout.line(&row(["a", "b", "c"])), "a       b      c");
        assert_eq!(layout.line(&row(["longer", "b", ""])), "longer  b");
    }

    #[test]
    fn without_a_terminal_a_row_is_one_line_however_long_it_is() {
        let long = "word ".repeat(100);
        let line = layout(None, false).line(&row(["a", "b", &long]));
        assert!(!line.contains('\n') && line.ends_with("word word"), "{line}");
    }

    #[test]
    fn a_long_last_cell_is_broken_between_words_below_itself() {
        let line = layout(Some(27), false).line(&row(["a", "b", "one two three four"]));
        assert_eq!(line, "a     b      one two three\n             four");
    }

    #[test]
    fn a_word_that_finds_no_room_goes_below_its_row_unbroken() {
        let line = layout(Some(30), false).line(&row(["a", "b", "/a/path/of/30/columns/and more"]));
        assert_eq!(line, "a     b\n    /a/path/of/30/columns/and\n    more");
        let line = layout(Some(10), false).line(&row(["a", "b", "/a/path/of/30/columns"]));
        assert_eq!(line, "a     b\n    /a/path/of/30/columns", "not even then");
    }

    #[test]
    fn colors_change_no_alignment() {
        let mut cells = row(["a", "b", "c"]);
        cells[0].style = terminal::BAD;
        let line = layout(Some(100), true).line(&cells);
        assert!(line.starts_with('\u{1b}') && line.contains("a\u{1b}[0m     b      c"), "{line:?}");
        assert_eq!(layout(Some(100), false).line(&cells), "a     b      c");
    }
}
