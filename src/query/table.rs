//! A table that fits its terminal, written as the rows come: the first ones decide how wide the columns are.
//!
//! Where the columns become so narrow that their heads look alike, each row is a block of lines, as `\\x auto` of psql does.

use std::collections::BTreeSet;
use std::io::{self, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::text::harmless::harmless;

/// How many rows are looked at before the first is written.
const ROWS_LOOKED_AT: usize = 200;

/// What stands between two columns.
const GAP: &str = "  ";

/// No column is made narrower than this to fit the others.
const COLUMN_WIDTH_MIN: usize = 6;

/// A table under way.
#[derive(Debug)]
pub struct Table {
    width: usize,
    head: Vec<String>,
    waiting: Vec<Vec<String>>,
    /// Known once the first rows are written.
    layout: Option<Layout>,
}

/// How the rows are laid out.
#[derive(Debug)]
enum Layout {
    /// One below the other, in columns of these widths.
    Columns(Vec<usize>),
    /// Each as a block, with a line for each column.
    Blocks,
}

impl Table {
    /// A table of these columns, as wide as the terminal.
    pub fn new(head: Vec<String>, width: usize) -> Table {
        Table { width, head, waiting: Vec::new(), layout: None }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn row(&mut self, cells: &[&str], out: &mut impl Write) -> io::Result<()> {
        let cells: Vec<String> = cells.iter().map(|cell| harmless(cell).into_owned()).collect();
        match &self.layout {
            Some(layout) => self.write(layout, &cells, out),
            None => {
                self.waiting.push(cells);
                if self.waiting.len() == ROWS_LOOKED_AT { self.begin(out) } else { Ok(()) }
            }
        }
    }

    /// Writes what waits. A table without rows is not even a head.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.layout.is_none() && !self.waiting.is_empty() { self.begin(out) } else { Ok(()) }
    }

    fn begin(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut widths: Vec<usize> = self.head.iter().map(|name| name.width()).collect();
        for row in &self.waiting {
            widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.width()));
        }
        let least: Vec<usize> = (0..widths.len()).map(|place| least_width(&self.waiting, place)).collect();
        fit(&mut widths, &least, self.width);
        let layout = if self.are_heads_apart(&widths) { Layout::Columns(widths) } else { Layout::Blocks };
        if let Layout::Columns(widths) = &layout {
            write_row(&self.head, widths, out)?;
        }
        for row in std::mem::take(&mut self.waiting) {
            self.write(&layout, &row, out)?;
        }
        self.layout = Some(layout);
        Ok(())
    }

    /// Whether no two heads that differ look alike when they are cut.
    fn are_heads_apart(&self, widths: &[usize]) -> bool {
        let whole: BTreeSet<&String> = self.head.iter().collect();
        let shown: BTreeSet<String> = self.head.iter().zip(widths).map(|(name, width)| cut(name, *width)).collect();
        shown.len() == whole.len()
    }

    fn write(&self, layout: &Layout, cells: &[String], out: &mut impl Write) -> io::Result<()> {
        match layout {
            Layout::Columns(widths) => write_row(cells, widths, out),
            Layout::Blocks => self.write_block(cells, out),
        }
    }

    fn write_block(&self, cells: &[String], out: &mut impl Write) -> io::Result<()> {
        let head_width = self.head.iter().map(|name| name.width()).max().unwrap_or(0);
        let cell_width = self.width.saturating_sub(head_width + GAP.len()).max(COLUMN_WIDTH_MIN);
        for (name, cell) in self.head.iter().zip(cells) {
            write_row(&[name.clone(), cell.clone()], &[head_width, cell_width], out)?;
        }
        writeln!(out)
    }
}

/// How narrow a column may be made: a number says something else when it is cut.
fn least_width(rows: &[Vec<String>], place: usize) -> usize {
    let is_number = |cell: &&String| cell.parse::<f64>().is_ok();
    let numbers = rows.iter().filter_map(|row| row.get(place)).filter(is_number).map(|cell| cell.width());
    numbers.max().unwrap_or(0).max(COLUMN_WIDTH_MIN)
}

/// Takes from the widest column until all fit, or none may be narrower.
fn fit(widths: &mut [usize], least: &[usize], width: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>().saturating_add(gaps) > width {
        let wide = widths.iter_mut().zip(least).filter(|(width, least)| **width > **least).map(|(width, _)| width);
        match wide.max() {
            Some(widest) => *widest -= 1,
            None => return,
        }
    }
}

fn write_row(cells: &[String], widths: &[usize], out: &mut impl Write) -> io::Result<()> {
    let mut line = String::new();
    for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
        line.push_str(if place == 0 { "" } else { GAP });
        let shown = cut(cell, *width);
        line.push_str(&shown);
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(shown.width())));
    }
    writeln!(out, "{}", line.trim_end())
}

/// As much of a text as fits, with `…` where something is left out: of a path its end, of a time its clock, of anything
/// else its beginning.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if let Some(time) = cut_time(text, width) {
        return time;
    }
    if text.starts_with('/') {
        let tail: String = fitting(text.chars().rev(), width).chars().rev().collect();
        return format!("…{tail}");
    }
    fitting(text.chars(), width) + "…"
}

/// The characters that fit beside a `…`.
fn fitting(characters: impl Iterator<Item = char>, width: usize) -> String {
    let mut used = 1;
    let fits = |character: &char| {
        used += character.width().unwrap_or(0);
        used <= width
    };
    characters.take_while(fits).collect()
}

/// A time as in `2026-11-23T10:00:00.123456Z` without its fraction, then without its year, then without its day.
fn cut_time(text: &str, width: usize) -> Option<String> {
    let (day, clock) = text.split_at_checked("2026-11-23".len())?;
    let clock = clock.strip_prefix('T')?.get(.."10:00:00".len())?;
    let is_of = |text: &str, mark: char| text.chars().all(|c| c.is_ascii_digit() || c == mark);
    if !is_of(day, '-') || !is_of(clock, ':') {
        return None;
    }
    let forms = [format!("{day} {clock}"), format!("{} {clock}", &day[5..]), clock.to_owned()];
    forms.into_iter().find(|form| form.len() <= width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: usize, rows: &[[&str; 2]]) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(vec!["name".to_owned(), "text".to_owned()], width);
        for row in rows {
            table.row(row, &mut out).unwrap();
        }
        table.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_they_need_and_the_widest_gives_way() {
        assert_eq!(shown(80, &[["a", "bcd"], ["ef", ""]]), "name  text\na     bcd\nef\n");
        assert_eq!(shown(14, &[["a", "abcdefghij"], ["b", "\u{1b}x"]]), "name  text\na     abcdefg…\nb     \\u{1b}x\n");
        assert_eq!(shown(14, &[["名名", "名名名名名名"]]), "name  text\n名名  名名名…\n");
        assert_eq!(shown(5, &[["abcdefg", "abcdefgh"]]), "name    text\nabcde…  abcde…\n");
        assert_eq!(shown(80, &[]), "");
    }

    #[test]
    fn columns_that_would_look_alike_become_lines() {
        let mut out = Vec::new();
        let heads = ["model", "latency_ms_mean", "latency_ms_p99"];
        for (width, expected) in [
            (80, "model  latency_ms_mean  latency_ms_p99\na      12.5             20\n"),
            (36, "model  latency_ms_me…  latency_ms_p…\na      12.5            20\n"),
            (33, "model            a\nlatency_ms_mean  12.5\nlatency_ms_p99   20\n\n"),
        ] {
            let mut table = Table::new(heads.map(str::to_owned).to_vec(), width);
            out.clear();
            table.row(&["a", "12.5", "20"], &mut out).unwrap();
            table.finish(&mut out).unwrap();
            assert_eq!(String::from_utf8(out.clone()).unwrap(), expected, "{width}");
        }
    }

    #[test]
    fn what_is_cut_keeps_what_tells_it_from_others() {
        for (text, width, expected) in [
            ("/var/log/models/a.ndjson", 12, "…ls/a.ndjson"),
            ("2026-11-23T10:20:30.123456Z", 26, "2026-11-23 10:20:30"),
            ("2026-11-23T10:20:30.123Z", 18, "11-23 10:20:30"),
            ("2026-11-23T10:20:30Z", 8, "10:20:30"),
            ("2026-11-23T10:20:30Z", 7, "2026-1…"),
            ("2026-11-23Tsomething", 12, "2026-11-23T…"),
            ("request-0123456789", 9, "request-…"),
        ] {
            assert_eq!(cut(text, width), expected);
        }
        let wide = shown(20, &[["12345678901", "a text that is long"]]);
        assert_eq!(wide, "name         text\n12345678901  a text…\n");
        let row =
            ["/logs/0123456789/0123456789/0123456789/a.ndjson", "2026-11-23T10:20:30.123456Z and more that is long"];
        assert!(shown(usize::MAX, &[row]).contains(row[0]), "into a pipe nothing is cut");
    }

    #[test]
    fn later_rows_are_cut_to_what_the_first_ones_needed() {
        let mut rows = vec![["a", "b"]; ROWS_LOOKED_AT];
        rows.push(["longer", "x"]);
        let text = shown(80, &rows);
        assert_eq!(text.lines().count(), ROWS_LOOKED_AT + 2);
        assert!(text.ends_with("\nlon…  x\n"), "{}", &text[text.len() - 30..]);
    }
}
