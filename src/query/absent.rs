//! Absent: which of the fields that were asked for does no record have? A name with a typing error is KQL all the same, and
//! selects nothing, which looks like an answer.
//!
//! What it costs is bounded: the store's newest [`RECORDS_LOOKED_AT_MAX`] records in the range are looked at, and fewer where
//! all fields are found sooner; Elasticsearch is asked for one document of each field, of which it may stop at the first.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::ask::{AskError, Source};
use crate::elastic::search::Search;
use crate::flow::batch::Stream;
use crate::flow::question::{Order, Question, Row};
use crate::kql::{Expression, FieldKind, Fields};
use crate::record::{Record, Space};

/// The most records of a store that are looked at.
pub const RECORDS_LOOKED_AT_MAX: u64 = 100_000;

/// The most fields that are looked for.
pub const FIELDS_MAX: usize = 20;

/// How alike two names must be for one to be meant by the other, from 0 to 1.
const LIKENESS_MIN: f64 = 0.85;

/// The fields that no record has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbsentFields {
    /// Their names.
    pub names: Vec<String>,
    /// Only so many of the newest records were looked at.
    pub looked_at: Option<u64>,
    /// Names of fields that records have, as far as they were met.
    met: BTreeSet<String>,
}

impl AbsentFields {
    /// Looks for fields in the records of a range.
    ///
    /// # Errors
    /// When the source cannot be asked.
    pub async fn of(
        source: &Source,
        stream: Stream,
        fields: &[String],
        from_ms: Option<i64>,
        until_ms: Option<i64>,
    ) -> Result<AbsentFields, AskError> {
        let fields = &fields[..fields.len().min(FIELDS_MAX)];
        let question = |condition| Question { stream, condition, from_ms, until_ms, order: Order::NEWEST_FIRST };
        let conditions: Vec<(&String, Expression)> =
            fields.iter().filter_map(|field| Some((field, Expression::exists(field)?))).collect();
        match source {
            Source::Store(reader) => {
                let mut search = StoreSearch {
                    wanted: conditions,
                    met: BTreeSet::new(),
                    left: RECORDS_LOOKED_AT_MAX,
                    space: Space::default(),
                };
                if !search.wanted.is_empty() {
                    reader.search(&question(Expression::all()), &mut |row| search.take(row))?;
                }
                Ok(search.end())
            }
            Source::Elasticsearch(client, target) => {
                let mut names = Vec::new();
                for (field, condition) in conditions {
                    let question = question(condition);
                    if !Search::new(client, target, &question).await?.is_any().await? {
                        names.push(field.clone());
                    }
                }
                Ok(AbsentFields { names, ..AbsentFields::default() })
            }
        }
    }

    /// What may have been meant by a name.
    pub fn near(&self, name: &str) -> Option<&str> {
        let mapped = FieldKind::fields().map(|field| {
            let field: &str = field;
            field
        });
        let known = self.met.iter().map(String::as_str).chain(mapped).filter(|known| *known != name);
        let likeness = |known: &&str| strsim::jaro_winkler(known, name);
        let nearest = known.max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
        (likeness(&nearest) >= LIKENESS_MIN).then_some(nearest)
    }
}

/// A look through a store.
struct StoreSearch<'f> {
    wanted: Vec<(&'f String, Expression)>,
    met: BTreeSet<String>,
    left: u64,
    space: Space,
}

/// The most names of fields that are remembered for a suggestion, and of how many records.
const NAMES_MAX: usize = 1_000;
const RECORDS_OF_NAMES: u64 = 100;

impl StoreSearch<'_> {
    fn take(&mut self, row: Row<'_>) -> ControlFlow<()> {
        if let Ok(record) = Record::parse(row.document, &mut self.space) {
            self.wanted.retain(|(_, condition)| !condition.matches(&record));
            if RECORDS_LOOKED_AT_MAX - self.left < RECORDS_OF_NAMES {
                record.any_leaf(&mut |name, _| {
                    self.met.insert(name.to_owned());
                    self.met.len() == NAMES_MAX
                });
            }
        }
        self.left -= 1;
        if self.wanted.is_empty() || self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn end(self) -> AbsentFields {
        let names = self.wanted.iter().map(|(field, _)| (*field).clone()).collect();
        AbsentFields { names, looked_at: (self.left == 0).then_some(RECORDS_LOOKED_AT_MAX), met: self.met }
    }
}
