//! Hiding: what do the rules of a pipeline hide, and do they find it?
//!
//! A rule that hides something and finds nothing is most likely about a name that the log does not have, and what it
//! should hide is shipped. So each field of such a rule has a counter, and one that has found nothing among a few
//! thousand records is warned of.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::processor::HiddenField;
use super::redact::{REDACTED, Redact, Redacted, With, keep_only};
use super::step::{Action, Step};
use crate::flow::reject::Reject;
use crate::record::{Change, Path, PathPattern, Record};
use crate::telemetry::Counters;
use crate::text::pattern_redaction::write_redacted;

/// A rule that has found nothing is warned of after this many records.
const RECORDS_MIN: u64 = 5_000;

/// And again after this long.
const WARNING_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The rules of a pipeline that hide something.
#[derive(Debug)]
pub(super) struct Hiding {
    /// For each step, the fields that it hides.
    of_steps: Vec<Vec<HiddenField>>,
    /// The fields that are hidden, under every name that they have on the way.
    fields: Vec<PathPattern>,
    /// What stands in their place in what is turned away, as JSON text.
    with: String,
    /// The rules about what is found in texts.
    found: Vec<Redact>,
    /// Of each rule that removes all but some members, what stays: these, and what comes after it.
    kept: Vec<Vec<PathPattern>>,
    records: u64,
    warned: Option<Instant>,
}

impl Hiding {
    pub(super) fn new(steps: &[Step], counters: &Counters) -> Hiding {
        let of_step = |(position, step): (usize, &Step)| {
            let field = |pattern: PathPattern| HiddenField {
                processor: position + 1,
                records: counters.hidden(position + 1, pattern.as_str()),
                pattern,
            };
            step.action.processor().hides().into_iter().map(field).collect()
        };
        let of_steps = steps.iter().enumerate().map(of_step).collect();
        Hiding {
            of_steps,
            fields: fields(steps),
            with: with(steps),
            found: found(steps),
            kept: kept(steps),
            records: 0,
            warned: None,
        }
    }

    /// The fields that a step hides.
    pub(super) fn of_step(&self, position: usize) -> &[HiddenField] {
        self.of_steps.get(position).map_or(&[], Vec::as_slice)
    }

    /// The fields that are hidden, under every name that they have on the way.
    pub(super) fn fields(&self) -> &[PathPattern] {
        &self.fields
    }

    /// Whether any rule hides what is at a path.
    pub(super) fn hides(&self, path: &str) -> bool {
        let is_kept = |kept: &Vec<PathPattern>| kept.iter().any(|pattern| pattern.meets(path));
        self.fields.iter().any(|hidden| hidden.covers(path)) || !self.kept.iter().all(is_kept)
    }

    /// Whether any rule hides what is at a path, or some of what is below.
    pub(super) fn meets(&self, path: &str) -> bool {
        self.hides(path) || self.fields.iter().any(|hidden| hidden.meets(path))
    }

    /// Hides what any rule would: whole members where they are named, patterns wherever they stand else.
    pub(super) fn hide(&self, record: &mut Record<'_>) -> Result<(), Reject> {
        for kept in &self.kept {
            keep_only(record, kept);
        }
        for field in &self.fields {
            record.change(field, Change::Replace(&self.with))?;
        }
        self.found.iter().for_each(|redact| redact.hide_found(record));
        Ok(())
    }

    /// A line that has no members, without what any rule's patterns find in it.
    pub(super) fn hide_in_line<'l>(&self, line: &'l [u8]) -> Cow<'l, [u8]> {
        let mut hidden = Cow::Borrowed(line);
        for redact in &self.found {
            let Redacted::Found(patterns, _) = &redact.what else { continue };
            if let Cow::Owned(changed) = patterns.redact(&hidden, &write_redacted) {
                hidden = Cow::Owned(changed);
            }
        }
        hidden
    }

    pub(super) fn count_records(&mut self, records: u64) {
        self.records += records;
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
                field = %field.pattern,
                records = self.records,
                hint = "is the name spelled as the log spells it, or does it stand inside of a text, of which `decode: expand` makes \
                        members? `inferlog check FILE --sample LOG` looks at a log",
                "a rule that hides a field has not found it in any record so far: it hides nothing"
            );
        }
    }
}

fn redactions(steps: &[Step]) -> impl DoubleEndedIterator<Item = (usize, &Redact)> {
    steps.iter().enumerate().filter_map(|(position, step)| match &step.action {
        Action::Redact(redact) => Some((position, redact)),
        _ => None,
    })
}

fn found(steps: &[Step]) -> Vec<Redact> {
    let is_found = |redact: &&Redact| matches!(&redact.what, Redacted::Found(..));
    redactions(steps).map(|(_, redact)| redact).filter(is_found).cloned().collect()
}

fn with(steps: &[Step]) -> String {
    let text = |redact: &Redact| match &redact.with {
        With::Text(text) => Some(text.clone()),
        _ => None,
    };
    redactions(steps).find_map(|(_, redact)| text(redact)).unwrap_or_else(|| REDACTED.to_owned())
}

fn kept(steps: &[Step]) -> Vec<Vec<PathPattern>> {
    let kept = |(position, redact): (usize, &Redact)| match &redact.what {
        Redacted::AllBut(kept) => Some(with_added(kept.clone(), &steps[position + 1..])),
        _ => None,
    };
    redactions(steps).filter_map(kept).collect()
}

/// What is kept, and what later processors make of it: copies, other names, and members that are their own work.
fn with_added(mut kept: Vec<PathPattern>, later: &[Step]) -> Vec<PathPattern> {
    for processor in later.iter().map(|step| step.action.processor()) {
        let moved = processor.copies().into_iter().chain(processor.moves());
        let of_kept =
            |(from, to): (Path, Path)| kept.iter().flat_map(|kept| kept.moved(&from, &to)).collect::<Vec<_>>();
        let added: Vec<PathPattern> = moved.flat_map(of_kept).collect();
        kept.extend(added.into_iter().chain(processor.adds().into_iter().map(PathPattern::Path)));
    }
    kept
}

/// All fields that rules hide. A record may be turned away before a `rename` gave a member the name that is hidden, so its
/// names before are hidden as well.
fn fields(steps: &[Step]) -> Vec<PathPattern> {
    let mut all: Vec<PathPattern> = Vec::new();
    for step in steps.iter().rev() {
        all.extend(step.action.processor().hides());
        for (from, to) in step.action.processor().moves().iter().rev() {
            let before: Vec<PathPattern> = all.iter().flat_map(|field| field.moved(to, from)).collect();
            all.extend(before);
        }
    }
    for (from, copy) in steps.iter().flat_map(|step| step.action.processor().copies()) {
        let copies: Vec<PathPattern> = all.iter().flat_map(|field| field.moved(&from, &copy)).collect();
        all.extend(copies);
    }
    all.sort_unstable();
    all.dedup();
    all
}
