//! `roles`: which members of a log are the heart fields?
//!
//! Adds a heart field (`request_id`, `model_name`, `model_version`, `prediction`, `confidence`, `latency_ms`,
//! `status`, `features`, `input_hash`, `stage`, `subject`) beside the member that a log keeps it in. That member
//! stays as it is. A heart field that the log has itself wins, unless the role reads from it or from inside of it:
//! then it becomes what the role makes of it, and what stood there is kept under `inferlog.original.<field>`.
//!
//! ```yaml
//! - roles:
//!     request_id: [headers.x-request-id, id]               # the first that is there
//!     prediction: { largest: probabilities }
//!     confidence: { largest: probabilities }
//!     latency_ms: { from: duration, unit: s }
//!     features: { rest: true, except: [user] }
//!     path: "/var/log/models/{model_name}/{model_version}/*.log"
//! ```
//!
//! A path may name elements of arrays: `outputs[0].data[0]`. Wherever a role takes `from`, it may be given alone, or
//! as a list of which the first member that is there counts; `null` is not there.
//!
//! - `request_id`, `model_name`, `model_version`, `input_hash`, `stage`, `subject`: path: a text, number or boolean,
//!   copied as it is written.
//! - `prediction`: path, or a map:
//!   - `from`: path: any value, copied as it is written.
//!   - `largest`: path: an object of numbers, whose key with the largest one is the prediction; or an array of
//!     numbers, with the index; or an array of objects, with their `label` by their `score`. The first of equal ones
//!     counts.
//!   - `labels`: list of texts, or a path to one: the label of an index, of `largest` or `from`.
//!   - `score`, `label`: names of the members of such objects, default `score` and `label`.
//! - `confidence`: path, or a map:
//!   - `from`: path of a number. One outside of 0 to 1 is not taken.
//!   - `largest`: as of `prediction`: the largest number.
//!   - `scale`: `unit` or `percent`, default `unit`: `87.3` percent is `0.873`.
//!   - `of`: `prediction` or `positive`, default `prediction`, with `positive:` `positive`: whose the number is.
//!   - `positive`: the positive class. The number is kept as `score`; `confidence` is that of the predicted class,
//!     the number or one minus it; and a record without a prediction gets one, by the threshold.
//!   - `negative`: the other class, default `0` of `1`, `false` of `true`, and `not_fraud` of `fraud`.
//!   - `threshold`: number, default 0.5, 0 to 1: from here on the prediction is `positive`.
//! - `latency_ms`: path, or a map:
//!   - `from`: path of a number that is not negative.
//!   - `unit`: `ms`, `s`, `us`, `ns` or `auto`, default `ms`. A text that names its unit (`986.53ms`, `681.3µs`,
//!     `1m2s`, `PT1.5S`, `0:00:01.25`) is read by it; with `auto` nothing else is: a bare number is not guessed.
//! - `status`: path, or a map:
//!   - `from`: path of a text, number or boolean.
//!   - `errors_from`: 100 to 599: an HTTP status from here on is `error`, one below `success`.
//!   - `values`: map from what the log says to the status: `{ "true": error, "false": success }`. Others are copied.
//! - `features`: path, or a map:
//!   - `from`: path: any value, copied as it is written.
//!   - `rest`: `true`: an object of what is left of the top level: no heart field, nothing that another role or
//!     `timestamp` reads, nothing that a rule of the pipeline hides, none of `event`, `level`, `logger`, `message`,
//!     and nothing of `except`.
//!   - `except`: list of names of the top level that are no features.
//! - `path`: the log file's path with `{names}` in it, each of which becomes a member: `*` and `?` are within a
//!   folder, `**/` is any number of folders. One that does not begin with `/` is the end of the path.
//! - `when`: condition: on which records.
//!
//! Numbers are exact: a unit is changed by moving the point. A number that is written as a text is read, noted as
//! `number_from_text`. What is there and cannot be taken is noted as `not_mapped` and counted in
//! `inferlog_enrich_unmapped_values_total`; the record ships.

mod confidence;
mod copy;
mod features;
mod file_path;
mod largest;
mod latency;
mod prediction;
mod source;
mod status;
mod value;

pub use confidence::{Confidence, ConfidenceFrom, Positive, Scale};
pub use copy::Copy;
pub use features::{Features, Rest};
pub use file_path::FilePath;
pub use largest::{Labels, Largest};
pub use latency::{Latency, Unit};
pub use prediction::Prediction;
pub use source::Source;
pub use status::Status;
use value::{Read, Values};

use std::borrow::Cow;

use super::heart::{NUMBER_FROM_TEXT, keep_original};
use super::processor::{NOT_MAPPED, Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, PathPattern, Record, Room};
use crate::text::exact::Exact;

/// Adds heart fields.
#[derive(Clone, Debug)]
pub struct Roles {
    /// Each field with where it comes from.
    pub roles: Vec<(Path, Role)>,
    /// What the file's path says.
    pub file_path: Option<FilePath>,
    /// What rules of the pipeline hide: no copy of it is made that nobody named.
    pub hidden: Vec<PathPattern>,
}

/// Where a heart field comes from.
#[derive(Clone, Debug)]
pub enum Role {
    /// A single value, as it is.
    Copy(Copy),
    /// The predicted class.
    Prediction(Prediction),
    /// How sure the model is of it.
    Confidence(Confidence),
    /// How long it took.
    Latency(Latency),
    /// How it ended.
    Status(Status),
    /// The model's input.
    Features(Features),
}

impl Role {
    /// The path that a role reads from, where it is one value.
    pub fn source(&self) -> Option<&Source> {
        match self {
            Role::Copy(role) => Some(&role.from),
            Role::Prediction(Prediction::From { from, .. }) => Some(from),
            Role::Prediction(Prediction::Largest(largest)) => Some(&largest.of),
            Role::Confidence(role) => Some(role.source()),
            Role::Latency(role) => Some(&role.from),
            Role::Status(role) => Some(&role.from),
            Role::Features(Features::From(from)) => Some(from),
            Role::Features(Features::Rest(_)) => None,
        }
    }

    /// The same where the value itself is copied, and nothing is made out of it.
    fn copied(&self) -> Option<&Source> {
        match self {
            Role::Copy(_)
            | Role::Prediction(Prediction::From { labels: None, .. })
            | Role::Features(Features::From(_)) => self.source(),
            _ => None,
        }
    }

    fn read(&self, into: &Path, record: &Record<'_>, hidden: &[PathPattern], values: &mut Values) {
        match self {
            Role::Copy(role) => values.take(into, role.read(record)),
            Role::Prediction(role) => values.take(into, role.read(record)),
            Role::Confidence(role) => role.read(record, values),
            Role::Latency(role) => values.take(into, role.read(record)),
            Role::Status(role) => values.take(into, role.read(record)),
            Role::Features(role) => values.take(into, role.read(record, hidden)),
        }
    }
}

impl Processor for Roles {
    fn name(&self) -> &'static str {
        "roles"
    }

    fn adds(&self) -> Vec<Path> {
        let made = self.roles.iter().filter(|(_, role)| role.copied().is_none());
        let beside =
            |role: &Role| if matches!(role, Role::Confidence(_)) { confidence::BESIDE.as_slice() } else { &[] };
        let made = made.flat_map(|(into, role)| std::iter::once(into).chain(beside(role)));
        made.chain(self.file_path.iter().flat_map(FilePath::names)).cloned().collect()
    }

    fn copies(&self) -> Vec<(Path, Path)> {
        let copies = self.roles.iter().flat_map(|(into, role)| {
            let paths = role.copied().map_or(&[][..], |source| &source.paths);
            paths.iter().map(move |path| (path.names().clone(), into.clone()))
        });
        copies.filter(|(from, into)| from != into).collect()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let mut values = Values::default();
        // All are read before the first is written: a role may read from inside of another one's field.
        for (into, role) in &self.roles {
            role.read(into, record, &self.hidden, &mut values);
        }
        for (into, read) in values.all {
            match read {
                Read::Nothing => {}
                Read::Unclear => {
                    run.context.note(NOT_MAPPED);
                    run.counters.unmapped(into.as_str()).inc();
                }
                Read::Value { raw, within, kind } => {
                    if let Some(kind) = kind {
                        run.context.note(NUMBER_FROM_TEXT);
                        run.counters.number_from_text(kind.as_str()).inc();
                    }
                    self.write(record, &into, &raw, within, run)?;
                }
            }
        }
        match &self.file_path {
            Some(pattern) => {
                let file = run.source.file;
                pattern.read_path(&file.path, |into, raw| self.write(record, into, raw, false, run))
            }
            None => Ok(()),
        }
    }
}

impl Roles {
    /// Takes note of what rules of the pipeline hide, and where its times are read from: these are no features.
    pub(super) fn prepare(&mut self, hidden: &[PathPattern], times: &[Path]) {
        self.hidden = hidden.to_vec();
        for (_, role) in &mut self.roles {
            if let Role::Features(Features::Rest(rest)) = role {
                rest.except.extend_from_slice(times);
            }
        }
    }

    /// Adds a field where the log has none, or in place of the one that the role reads from: what stood there is kept.
    fn write(
        &self,
        record: &mut Record<'_>,
        into: &Path,
        raw: &str,
        within: bool,
        run: &mut Run<'_>,
    ) -> Result<(), Reject> {
        let before = record.whole(into.as_str()).map(Cow::into_owned);
        match (record.room(into.as_str()), before) {
            (Room::Blocked, _) => {
                run.counters.enrich_left_out_members_total.inc();
                return Ok(());
            }
            (Room::Free, _) => {}
            (Room::Taken, Some(before)) if within => {
                let number = |raw: &str| Exact::read(raw);
                if before == raw || number(&before).is_some_and(|before| Some(before) == number(raw)) {
                    return Ok(());
                }
                keep_original(record, into, &before, &self.hidden, run.counters);
            }
            (Room::Taken, before) if before.as_deref() == Some("null") => {}
            (Room::Taken, _) => return Ok(()),
        }
        record.set(into, raw).map(|_| ())
    }
}
