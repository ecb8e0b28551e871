//! A trial: what does a pipeline make of one line, without files, queues or sinks?
//!
//! The same decode and enrich as in a run, for `test`, `explain`, and the replay of the dead letter. Nothing is observed
//! and nothing is shipped.

use super::idle::{IdleFields, InText};
use super::line::{Fate, Judge, Judged};
use super::second_copies::{HiddenText, SecondCopies};
use super::shape::Shape;
use crate::config::model;
use crate::enrich::{Sight, Source, Verdict, Watch};
use crate::flow::batch::Namespace;
use crate::flow::line::Line;
use crate::flow::reject::Reject;
use crate::kql::{Expression, Fields};
use crate::record::{Record, Space};
use crate::source::files::PassedOver;
use crate::telemetry::Counters;

/// Decode and enrich of one pipeline.
#[derive(Debug)]
pub struct Trial {
    judge: Judge,
    /// What observers count, by their conditions.
    inferences: Vec<(Expression, Sight)>,
    space: Space,
}

/// What became of a record that was not turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialResult {
    /// Its id, its time, and the rule that drops it.
    pub verdict: Verdict,
    /// The document, as it would be shipped; empty where the decoder left the line out.
    pub document: Vec<u8>,
    /// Whether it is an inference by each of [`model::Pipeline::inferences`].
    pub are_inferences: Vec<bool>,
}

impl Trial {
    /// The stages of a pipeline file, as on a host of this name.
    pub fn new(pipeline: &model::Pipeline, host: &str, counters: &Counters) -> Trial {
        Trial {
            judge: Judge::new(pipeline, host, counters),
            inferences: pipeline.inferences().map(|(_, asked)| (asked.clone(), Sight::of(asked))).collect(),
            space: Space::default(),
        }
    }

    /// Takes one line through the stages: what became of each of its records, in their order, or the [`Reject`] of the stage
    /// that turned it away. There is at least one.
    pub fn run(
        &mut self,
        line: &Line<'_>,
        source: &Source<'_>,
        watch: &mut impl Watch,
    ) -> Vec<Result<TrialResult, Reject>> {
        let Trial { judge, inferences, space } = self;
        let mut tried = Vec::new();
        judge.judge(line, source, space, watch, &mut |judged| tried.push(result(inferences, judged)));
        tried
    }

    /// The namespace of a document that is there already.
    pub fn namespace_of(&mut self, document: &str) -> Namespace {
        self.judge.namespace_of(document, &mut self.space)
    }

    /// Looks for fields that are hidden and that no record had so far, and at what a record looks like. Call it before the
    /// line is run. Returns what rules hide in each record.
    pub fn look_for_idle_fields(
        &mut self,
        line: &Line<'_>,
        source: &Source<'_>,
        idle: &mut IdleFields,
        shape: &mut Shape,
    ) -> Vec<Vec<HiddenText>> {
        let mut hidden = Vec::new();
        self.judge.look(line, source.file, &mut self.space, &mut |enrichment, record| {
            idle.look(enrichment, record);
            shape.take(record);
            hidden.push(SecondCopies::hidden_texts(enrichment, record));
        });
        hidden
    }

    /// Whether rules of the pipeline hide what is at a path.
    pub fn hides(&self, path: &str) -> bool {
        self.judge.enrichment.hides(path)
    }

    /// A sentence for each rule that hides a field which no record had.
    pub fn idle_fields_in_words(&self, idle: &IdleFields) -> Vec<String> {
        idle.in_words(&self.judge.enrichment)
    }

    /// Fields that are hidden and that no record had, with the texts in which their names stand.
    pub fn idle_fields_in_texts(&self, idle: &IdleFields) -> Vec<InText> {
        idle.in_texts(&self.judge.enrichment)
    }

    /// The id that a line, or one of its records, has while it is no document.
    pub fn id_of_line(&mut self, source: &Source<'_>) -> crate::flow::batch::Id {
        self.judge.id_of_line(source)
    }

    /// The id of a line that is too long to be held.
    pub fn id_of_long_line(&mut self, length_bytes: u64, source: &Source<'_>) -> crate::flow::batch::Id {
        self.judge.passed_over(PassedOver::LongLine, length_bytes, source).0
    }

    /// A member as it may be shown to people: what any rule hides is hidden, whatever its condition, with the names below
    /// it, and all of it where that cannot be told.
    pub fn shown(&self, name: &str, raw: &str) -> (String, String) {
        let member = format!("{{{}:{raw}}}", serde_json::Value::from(name));
        let mut space = Space::default();
        let hidden = Record::parse(&member, &mut space).ok().and_then(|mut record| {
            let is_hidden = self.judge.enrichment.hide(&mut record);
            let shown = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            is_hidden.then(|| record.name_values().next().map(shown)).flatten()
        });
        hidden.unwrap_or_else(|| ("(not shown)".to_owned(), "\"[not shown]\"".to_owned()))
    }
}

/// What became of one record.
fn result(inferences: &[(Expression, Sight)], judged: Judged<'_>) -> Result<TrialResult, Reject> {
    let Judged { source, fate, enrichment } = judged;
    let (verdict, record) = match fate {
        Fate::Document(verdict, record) => (verdict, record),
        Fate::Dropped(rule, verdict, record) => (Verdict { dropped: Some(rule), ..verdict }, record),
        Fate::LeftOut(name, id) => {
            let (timestamp_us, dropped) = (source.read_us, Some(name.into()));
            let verdict = Verdict { id, timestamp_us, timed: false, dropped, namespace: Namespace::Unknown };
            return Ok(TrialResult { verdict, document: Vec::new(), are_inferences: Vec::new() });
        }
        Fate::Rejected(_, reject, _) => return Err(reject),
    };
    let asked = inferences.iter().map(|(inferences, sight)| {
        let is_inference = |document: &dyn Fields| inferences.matches(document);
        !source.given.is_text && enrichment.ask(*sight, &record, source, is_inference)
    });
    let are_inferences = asked.collect();
    let mut document = Vec::new();
    record.render(&mut document);
    Ok(TrialResult { verdict, document, are_inferences })
}
