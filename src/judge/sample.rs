//! Sample: what would a pipeline make of a log, all of its lines together?
//!
//! Each line goes through a [`Trial`]; what becomes of them is counted by kind, with the place of the first of each. What a
//! record says is nowhere kept, but for the first document, which is to be shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::baseline_overlap::BaselineOverlap;
use super::enrichment::host_name;
use super::idle::{IdleFields, InText};
use super::inferences::CountedInferences;
use super::second_copies::{HiddenText, SecondCopies};
use super::shape::Shape;
use super::trial::{Trial, TrialResult};
use crate::config::model::{Pipeline, SinkOptions, Step};
use crate::elastic::refusals::{Index, Refusal};

use crate::enrich::{Action, HEART_FIELDS, Nobody, Source};
use crate::flow::batch::SourceFile;
use crate::flow::line::{Form, Line};
use crate::flow::reject::{Reject, Stage};
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

/// So many ranges of lines are kept of a group.
const RANGES_MAX: usize = 256;

/// How many there are, where the first is, and which lines that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Place,
    /// The lines, each range from its first to its last one; only the first [`RANGES_MAX`] of them.
    pub ranges: Vec<(u64, u64)>,
    /// There are lines that stand in none of the ranges.
    pub has_more: bool,
}

impl Group {
    fn new(first: Place) -> Group {
        Group { count: 0, first, ranges: Vec::new(), has_more: false }
    }

    fn add(&mut self, place: Place) {
        self.count += 1;
        let room = self.ranges.len() < RANGES_MAX;
        match self.ranges.last_mut() {
            Some((_, last)) if *last + 1 >= place.line => *last = place.line,
            _ if room => self.ranges.push((place.line, place.line)),
            _ => self.has_more = true,
        }
    }

    /// The lines as people write them: `1-24, 26`.
    pub fn lines(&self) -> String {
        let range = |(first, last): &(u64, u64)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        let ranges: Vec<String> = self.ranges.iter().map(range).collect();
        ranges.join(", ") + if self.has_more { ", …" } else { "" }
    }
}

/// What the confidences of the documents look like.
#[derive(Clone, Debug, Default)]
pub struct ConfidenceCounts {
    /// Below 0.5.
    pub below_half: u64,
    /// Above 1.
    pub above_one: u64,
    /// Between 0 and 1.
    pub in_range: u64,
    /// Not a number.
    pub unreadable: u64,
    /// The classes that are predicted, at most three of them.
    classes: BTreeSet<String>,
}

impl ConfidenceCounts {
    fn take(&mut self, record: &Record<'_>) {
        let Some(raw) = record.first("confidence").filter(|raw| *raw != "null") else { return };
        match raw.parse::<f64>() {
            Ok(value) if value > 1.0 => self.above_one += 1,
            Ok(value) if (0.0..=1.0).contains(&value) => {
                self.in_range += 1;
                self.below_half += u64::from(value < 0.5);
            }
            _ => self.unreadable += 1,
        }
        if let Some(class) = record.first("prediction").filter(|_| self.classes.len() < 3) {
            self.classes.insert(class.to_owned());
        }
    }

    /// Of two classes, the predicted one has at least one half.
    pub fn is_of_two_classes(&self) -> bool {
        self.classes.len() <= 2
    }
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
    /// Where values stand a second time that rules hide.
    pub copies: SecondCopies,
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
    /// How many outcomes there are: one for each record, and for each line that is none.
    pub entries: u64,
    /// How many lines are no records, and their bytes.
    pub undecoded: (u64, u64),
    /// In how many documents each heart field is.
    pub heart: BTreeMap<&'static str, u64>,
    /// What the confidences look like.
    pub confidence: ConfidenceCounts,
    /// What the records look like before anything is done to them.
    pub shape: Shape,
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
            copies: SecondCopies::default(),
            outcomes: BTreeMap::new(),
            notes: BTreeMap::new(),
            flags: pipeline.enrich.iter().filter_map(flag).collect(),
            inferences: pipeline.inferences().map(counted).collect(),
            overlap: pipeline.drift().map(|options| BaselineOverlap::new(Arc::clone(&options.baselines))),
            document: None,
            documents: 0,
            entries: 0,
            undecoded: (0, 0),
            heart: HEART_FIELDS.into_iter().map(|field| (field, 0)).collect(),
            confidence: ConfidenceCounts::default(),
            shape: Shape::default(),
        }
    }

    /// Goes on with the lines of another log of this name, written so.
    pub fn open(&mut self, log: &str, form: Form) {
        self.file = Arc::new(SourceFile { path: log.to_owned(), form, ..SourceFile::default() });
    }

    /// Takes a line.
    pub fn take(&mut self, line: &Line<'_>, number: u64, read_us: i64) {
        let place = Place { line: number, offset_bytes: line.offset_bytes };
        let file = Arc::clone(&self.file);
        let source = Source::of(&file, line, read_us);
        let hidden = self.trial.look_for_idle_fields(line, &source, &mut self.idle, &mut self.shape);
        for (tried, hidden) in self.trial.run(line, &source, &mut Nobody).into_iter().zip(hidden_or_none(hidden)) {
            self.entries += 1;
            if let Ok(tried) = &tried {
                self.copies.look(&hidden, &tried.document, |path| self.trial.hides(path));
            }
            let outcome = match tried {
                Ok(tried) => self.document(tried, place),
                Err(Reject { stage, reason, .. }) => {
                    if matches!(stage, Stage::Decode) {
                        self.undecoded = (self.undecoded.0 + 1, self.undecoded.1 + line.bytes.len() as u64);
                    }
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

    /// Fields that are hidden and that no record has, with the texts in which their names stand.
    pub fn idle_in_texts(&self) -> Vec<InText> {
        self.trial.idle_fields_in_texts(&self.idle)
    }

    /// Whether a rule of the pipeline hides what is at a path.
    pub fn hides(&self, path: &str) -> bool {
        self.trial.hides(path)
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
        for (field, count) in &mut self.heart {
            *count += u64::from(record.first(*field).is_some_and(|raw| raw != "null"));
        }
        self.confidence.take(&record);
        for flag in &mut self.flags {
            flag.decided += u64::from(record.first(flag.into.as_str()).is_some());
        }
        for ((counted, passed_over), is_inference) in self.inferences.iter_mut().zip(are_inferences) {
            if counted.take(&record, *is_inference) {
                passed_over.get_or_insert_with(|| Group::new(place)).add(place);
            }
            if *is_inference && counted.observers.contains(&"drift") {
                self.overlap.iter_mut().for_each(|overlap| overlap.take(&record));
            }
        }
    }
}

/// What rules hide in each of the records that become of a line; nothing of what is no record.
fn hidden_or_none(hidden: Vec<Vec<HiddenText>>) -> impl Iterator<Item = Vec<HiddenText>> {
    hidden.into_iter().chain(std::iter::repeat_with(Vec::new))
}

fn note<K: Ord>(groups: &mut BTreeMap<K, Group>, key: K, place: Place) {
    groups.entry(key).or_insert_with(|| Group::new(place)).add(place);
}
