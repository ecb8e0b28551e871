//! Sample: what would a pipeline make of a log, all of its lines together?
//!
//! Each line goes through a [`Trial`]; what becomes of them is counted by kind, with the place of the first of each. What a
//! record says is nowhere kept, but for the first document, which is to be shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::baseline_overlap::BaselineOverlap;
use super::enrichment::host_name;
use super::idle::IdleFields;
use super::inferences::CountedInferences;
use super::trial::{Trial, TrialResult};
use crate::config::model::{Pipeline, SinkOptions, Step};
use crate::elastic::refusals::{Index, Refusal};
use crate::enrich::{Action, Nobody, Source};
use crate::flow::batch::SourceFile;
use crate::flow::line::{Form, Line};
use crate::flow::reject::Reject;
use crate::kql::Expression;
use crate::record::{Record, Space};
use crate::telemetry::Telemetry;

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is shipped.
    Shipped,
    /// A rule of this name drops it.
    Dropped(String),
    /// A stage turns it away.
    Rejected {
        /// Which.
        stage: &'static str,
        /// Why, in a word.
        reason: String,
    },
    /// It is shipped, and Elasticsearch turns it down.
    Refused(Refusal),
}

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, counted from 1; empty lines count.
    pub line: u64,
    /// Where it begins, in bytes from the start of the log.
    pub offset_bytes: u64,
}

/// How many there are, and where the first is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Place,
}

/// A flag of the pipeline, and for how many records it could be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The member.
    pub into: String,
    /// The condition.
    pub when: String,
    /// For how many records it is true or false.
    pub decided: u64,
}

/// What a pipeline makes of a log.
#[derive(Debug)]
pub struct Sample {
    trial: Trial,
    file: Arc<SourceFile>,
    index: Option<Index>,
    idle: IdleFields,
    /// What becomes of the lines.
    pub outcomes: BTreeMap<Outcome, Group>,
    /// What was assumed, by the word in `inferlog.notes`.
    pub notes: BTreeMap<String, Group>,
    /// The flags, in their order.
    pub flags: Vec<Flag>,
    /// What observers count, each condition by itself, and the records that look like inferences and are not counted by it.
    pub inferences: Vec<(CountedInferences, Option<Group>)>,
    /// Which features of the baseline the inferences have; `None` without the observer `drift`.
    pub overlap: Option<BaselineOverlap>,
    /// The first document that is shipped.
    pub document: Option<Vec<u8>>,
    /// How many records of lines became documents.
    pub documents: u64,
}

impl Sample {
    /// A sample of nothing, of a log of this name whose lines are written so.
    pub fn new(pipeline: &Pipeline, log: String, form: Form) -> Sample {
        let counters = Telemetry::default().pipeline(&pipeline.name);
        let to_elasticsearch =
            |sink: &crate::config::model::Sink| matches!(sink.options, SinkOptions::Elasticsearch(_));
        let flag = |step: &Step| match &step.action {
            Action::Flag(flag) => {
                Some(Flag { into: flag.into.as_str().to_owned(), when: flag.when.text().to_owned(), decided: 0 })
            }
            _ => None,
        };
        let counted = |(observers, inferences): (Vec<_>, &Expression)| {
            (CountedInferences::new(observers, inferences.clone()), None)
        };
        Sample {
            trial: Trial::new(pipeline, &host_name(), &counters),
            file: Arc::new(SourceFile { path: log, form, ..SourceFile::default() }),
            index: pipeline.sinks.iter().any(to_elasticsearch).then(Index::default),
            idle: IdleFields::default(),
            outcomes: BTreeMap::new(),
            notes: BTreeMap::new(),
            flags: pipeline.enrich.iter().filter_map(flag).collect(),
            inferences: pipeline.inferences().map(counted).collect(),
            overlap: pipeline.drift().map(|options| BaselineOverlap::new(Arc::clone(&options.baselines))),
            document: None,
            documents: 0,
        }
    }

    /// Takes a line.
    pub fn take(&mut self, line: &Line<'_>, number: u64, read_us: i64) {
        let place = Place { line: number, offset_bytes: line.offset_bytes };
        let file = Arc::clone(&self.file);
        let source = Source::of(&file, line, read_us);
        self.trial.look_for_idle_fields(line, source, &mut self.idle);
        for tried in self.trial.run(line, source, &mut Nobody) {
            let outcome = match tried {
                Ok(tried) => self.document(tried, place),
                Err(Reject { stage, reason, .. }) => {
                    Outcome::Rejected { stage: stage.as_str(), reason: reason.into_owned() }
                }
            };
            note(&mut self.outcomes, outcome, place);
        }
    }

    /// The texts that are too long to be found in Elasticsearch, by field, with the length of the longest in bytes.
    pub fn long_texts(&self) -> impl Iterator<Item = (&str, usize)> {
        let texts = self.index.iter().flat_map(|index| &index.long_texts);
        texts.map(|(field, bytes)| (field.as_str(), *bytes))
    }

    /// A sentence for each rule that hides a field which no record has.
    pub fn idle_rules(&self) -> Vec<String> {
        self.trial.idle_fields_in_words(&self.idle)
    }

    fn document(&mut self, tried: TrialResult, place: Place) -> Outcome {
        let text = String::from_utf8_lossy(&tried.document).into_owned();
        self.documents += 1;
        self.look_at(&text, &tried.are_inferences, place);
        if let Some(rule) = tried.verdict.dropped {
            return Outcome::Dropped(rule.to_string());
        }
        if let Some(refusal) = self.index.as_mut().and_then(|index| index.take(&text)) {
            return Outcome::Refused(refusal);
        }
        self.document.get_or_insert(tried.document);
        Outcome::Shipped
    }

    fn look_at(&mut self, document: &str, are_inferences: &[bool], place: Place) {
        let mut space = Space::default();
        let Ok(record) = Record::parse(document, &mut space) else { return };
        let notes = record.first("inferlog.notes").and_then(|raw| serde_json::from_str::<Vec<String>>(raw).ok());
        for word in notes.into_iter().flatten() {
            note(&mut self.notes, word, place);
        }
        for flag in &mut self.flags {
            flag.decided += u64::from(record.first(&flag.into).is_some());
        }
        for ((counted, passed_over), is_inference) in self.inferences.iter_mut().zip(are_inferences) {
            if counted.take(&record, *is_inference) {
                passed_over.get_or_insert(Group { count: 0, first: place }).count += 1;
            }
            if *is_inference && counted.observers.contains(&"drift") {
                self.overlap.iter_mut().for_each(|overlap| overlap.take(&record));
            }
        }
    }
}

fn note<K: Ord>(groups: &mut BTreeMap<K, Group>, key: K, place: Place) {
    groups.entry(key).or_insert(Group { count: 0, first: place }).count += 1;
}
