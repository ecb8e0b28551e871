//! The same order everywhere: rows of one key come from a sink in any order, and leave here the newest first, by all digits
//! of their own time, and then by id.
//!
//! Only the rows of one key are held. Should they be more than [`TIES_BYTES_MAX`], which takes thousands of records of one
//! millisecond, they leave in parts, each in order, and [`InOrder::is_cut`] says so.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use crate::flow::question::{Order, OrderBy, Row, Visit};
use crate::record::{Record, Space, json};
use crate::text::time::{self, Reading};

/// The most that rows of one key may take, in bytes.
pub const TIES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Puts rows of one key in order.
#[derive(Debug)]
pub struct InOrder {
    order: Order,
    key: Option<f64>,
    ties: Vec<Tie>,
    held_bytes: usize,
    held_bytes_max: usize,
    is_cut: bool,
}

#[derive(Debug)]
struct Tie {
    id: String,
    document: String,
}

impl InOrder {
    /// For rows that come in this order.
    pub fn new(order: Order) -> InOrder {
        InOrder::holding(order, TIES_BYTES_MAX)
    }

    /// The same, with another bound of what rows of one key may take.
    pub fn holding(order: Order, held_bytes_max: usize) -> InOrder {
        InOrder { order, key: None, ties: Vec::new(), held_bytes: 0, held_bytes_max, is_cut: false }
    }

    /// Takes a row, and gives those before it if it has another key.
    pub fn take(&mut self, row: Row<'_>, visit: &mut Visit<'_>) -> ControlFlow<()> {
        let is_full = self.held_bytes > self.held_bytes_max;
        if row.key != self.key || is_full {
            self.is_cut |= row.key == self.key && is_full;
            self.give(visit)?;
            self.key = row.key;
        }
        self.held_bytes += row.document.len();
        self.ties.push(Tie { id: row.id.to_owned(), document: row.document.to_owned() });
        ControlFlow::Continue(())
    }

    /// Gives the last rows.
    pub fn finish(&mut self, visit: &mut Visit<'_>) -> ControlFlow<()> {
        self.give(visit)
    }

    /// Whether more rows had one key than can be held.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn give(&mut self, visit: &mut Visit<'_>) -> ControlFlow<()> {
        if self.ties.len() > 1 {
            let is_descending = self.order.by != OrderBy::Time || self.order.descending;
            self.ties.sort_by_cached_key(|held| Place::of(held, is_descending));
        }
        self.held_bytes = 0;
        for held in std::mem::take(&mut self.ties) {
            visit(Row { key: self.key, id: &held.id, document: &held.document })?;
        }
        ControlFlow::Continue(())
    }
}

/// Where a row stands among those of its key.
#[derive(PartialEq, Eq)]
struct Place {
    /// Seconds and nanoseconds.
    time: Option<(i64, u32)>,
    is_descending: bool,
    id: String,
}

impl Place {
    fn of(held: &Tie, is_descending: bool) -> Place {
        Place { time: time_of(&held.document), is_descending, id: held.id.clone() }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Place) -> Ordering {
        let times = self.time.cmp(&other.time);
        let times = if self.is_descending { times.reverse() } else { times };
        times.then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Place) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A document's `@timestamp`, in seconds since 1970 and nanoseconds.
pub fn time_of(document: &str) -> Option<(i64, u32)> {
    let mut space = Space::default();
    let record = Record::parse(document, &mut space).ok()?;
    time_of_record(&record)
}

/// The same of a record that is parsed.
pub fn time_of_record(record: &Record<'_>) -> Option<(i64, u32)> {
    let raw = record.first("@timestamp").filter(|raw| raw.starts_with('"'))?;
    let time = time::parse(Reading::Text(&json::unescape(raw)), None).ok()?;
    Some((time.seconds, time.nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_key_leave_in_an_order_of_their_own() {
        let rows = [
            (Some(2.0), "b", r#"{"@timestamp":"2026-11-23T10:00:00.002001Z"}"#),
            (Some(2.0), "d", r#"{"@timestamp":"2026-11-23T10:00:00.002Z"}"#),
            (Some(2.0), "a", r#"{"@timestamp":"2026-11-23T10:00:00.002Z"}"#),
            (Some(2.0), "c", r#"{"@timestamp":"2026-11-23T10:00:00.002900Z"}"#),
            (Some(1.0), "e", "{}"),
            (None, "g", "{}"),
            (None, "f", "{}"),
        ];
        let given = |order: Order, limit: usize| {
            let mut given = Vec::new();
            let mut in_order = InOrder::new(order);
            let mut visit = |row: Row<'_>| {
                given.push(row.id.to_owned());
                if given.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let broken = rows
                .iter()
                .any(|(key, id, document)| in_order.take(Row { key: *key, id, document }, &mut visit).is_break());
            if !broken {
                let _ = in_order.finish(&mut visit);
            }
            given.concat()
        };
        assert_eq!(given(Order::NEWEST_FIRST, 99), "cbadefg");
        assert_eq!(given(Order { by: OrderBy::Time, descending: false }, 99), "adbcefg");
        assert_eq!(given(Order { by: OrderBy::Latency, descending: false }, 99), "cbadefg");
        assert_eq!(given(Order::NEWEST_FIRST, 3), "cba");
    }
}
