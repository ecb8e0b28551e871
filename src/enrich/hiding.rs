//! Hiding: what do the rules of a pipeline hide, and do they find it?
//!
//! A rule that hides something and finds nothing is most likely about a name that the log does not have, and what it
//! should hide is shipped. So each field of such a rule has a counter, and one that has found nothing among a few
//! thousand records is warned of.

use std::time::{Duration, Instant};

use super::processor::HiddenField;
use super::redact::Redact;
use super::step::{Action, Step};
use crate::record::Path;
use crate::telemetry::Counters;

/// A rule that has found nothing is warned of after this many records.
const RECORDS_MIN: u64 = 5_000;

/// And again after this long.
const WARNING_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The rules of a pipeline that hide something.
#[derive(Debug)]
pub(super) struct Hiding {
    /// For each step, the fields that it hides.
    of_steps: Vec<Vec<HiddenField>>,
    /// What is hidden, under every name that it has on the way.
    all: Redact,
    records: u64,
    warned: Option<Instant>,
}

impl Hiding {
    pub(super) fn new(steps: &[Step], counters: &Counters) -> Hiding {
        let of_step = |(position, step): (usize, &Step)| {
            let field = |path: &Path| HiddenField {
                processor: position + 1,
                path: path.clone(),
                records: counters.hidden(position + 1, path.as_str()),
            };
            step.action.processor().hides().iter().map(field).collect()
        };
        Hiding { of_steps: steps.iter().enumerate().map(of_step).collect(), all: all(steps), records: 0, warned: None }
    }

    /// The fields that a step hides.
    pub(super) fn of_step(&self, position: usize) -> &[HiddenField] {
        self.of_steps.get(position).map_or(&[], Vec::as_slice)
    }

    /// What is hidden, under every name that it has on the way.
    pub(super) fn all(&self) -> &Redact {
        &self.all
    }

    pub(super) fn count_record(&mut self) {
        self.records += 1;
    }

    /// Fields that were not found in any record.
    pub(super) fn idle(&self) -> impl Iterator<Item = &HiddenField> {
        self.of_steps.iter().flatten().filter(|field| field.records.get() == 0)
    }

    /// Warns of rules that have found nothing, now and then, once enough records have passed.
    pub(super) fn warn_of_idle(&mut self, pipeline: &str) {
        if self.records < RECORDS_MIN || self.warned.is_some_and(|warned| warned.elapsed() < WARNING_INTERVAL) {
            return;
        }
        self.warned = Some(Instant::now());
        for field in self.idle() {
            tracing::warn!(
                pipeline,
                processor = field.processor,
                field = %field.path,
                records = self.records,
                hint = "is the name spelled as the log spells it, or does it stand inside of a text, of which `decode: expand` makes \
                        members? `inferlog check FILE --sample LOG` looks at a log",
                "a rule that hides a field has not found it in any record so far: it hides nothing"
            );
        }
    }
}

/// All rules as one. A record may be turned away before a `rename` gave a member the name that is hidden, so its names
/// before are hidden as well.
fn all(steps: &[Step]) -> Redact {
    let mut all = Redact { fields: Vec::new(), with: "\"[redacted]\"".to_owned() };
    for step in steps.iter().rev() {
        let processor = step.action.processor();
        all.fields.extend_from_slice(processor.hides());
        match &step.action {
            Action::Redact(redact) => all.with.clone_from(&redact.with),
            Action::Rename(rename) => {
                for (from, to) in rename.fields.iter().rev() {
                    let before: Vec<Path> = all.fields.iter().filter_map(|field| field.moved(to, from)).collect();
                    all.fields.extend(before);
                }
            }
            _ => {}
        }
    }
    for (from, copy) in steps.iter().flat_map(|step| step.action.processor().copies()) {
        let copies: Vec<Path> = all.fields.iter().filter_map(|field| field.moved(&from, &copy)).collect();
        all.fields.extend(copies);
    }
    all.fields.sort_unstable();
    all.fields.dedup();
    all
}
