//! A table that fits its terminal, written as the rows come: the first ones decide how wide the columns are.

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
    widths: Option<Vec<usize>>,
}

impl Table {
    /// A table of these columns, as wide as the terminal.
    pub fn new(head: Vec<String>, width: usize) -> Table {
        Table { width, head, waiting: Vec::new(), widths: None }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn row(&mut self, cells: &[&str], out: &mut impl Write) -> io::Result<()> {
        let cells: Vec<String> = cells.iter().map(|cell| harmless(cell).into_owned()).collect();
        match &self.widths {
            Some(widths) => write_row(&cells, widths, out),
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
        if self.widths.is_none() && !self.waiting.is_empty() { self.begin(out) } else { Ok(()) }
    }

    fn begin(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut widths: Vec<usize> = self.head.iter().map(|name| name.width()).collect();
        for row in &self.waiting {
            widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.width()));
        }
        fit(&mut widths, self.width);
        write_row(&self.head, &widths, out)?;
        for row in std::mem::take(&mut self.waiting) {
            write_row(&row, &widths, out)?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

/// Takes from the widest column until all fit, or none may be narrower.
fn fit(widths: &mut [usize], width: usize) {
    let gaps = GAP.len() * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        match widths.iter_mut().max() {
            Some(widest) if *widest > COLUMN_WIDTH_MIN => *widest -= 1,
            _ => return,
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

/// As much of a text as fits, with `…` where something is left out.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut shown, mut used) = (String::new(), 1);
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        shown.push(character);
    }
    shown.push('…');
    shown
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
        assert_eq!(shown(14, &[["a", "0123456789"], ["b", "\u{1b}x"]]), "name  text\na     0123456…\nb     \\u{1b}x\n");
        assert_eq!(shown(14, &[["名名", "名名名名名名"]]), "name  text\n名名  名名名…\n");
        assert_eq!(shown(5, &[["1234567", "12345678"]]), "name    text\n12345…  12345…\n");
        assert_eq!(shown(80, &[]), "");
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
