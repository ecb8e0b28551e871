//! History: what went on in the last hour, kept by the process in rings of fixed sizes.
//!
//! Somebody looks at each pipeline every second ([`History::look`]), which costs the pipelines nothing: the figures are counters that
//! are kept anyway. A step is [`STEP_SECONDS`] long and ends at a multiple of that since 1970. A pipeline is known by its name,
//! so that one that a reload restarts goes on. What is not known at a moment (the pipeline does not run, the process was suspended) is
//! a gap and no 0.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::flow::tally::Counts;
use crate::observe::report::{Buckets, ModelReport, ValueCounts};
use crate::telemetry::RequestTimes;

/// The length of a step, in seconds.
pub const STEP_SECONDS: i64 = 10;

/// The most steps that are kept: an hour.
pub const STEPS_MAX: usize = 360;

/// The most models of a pipeline with a history: those with the most requests when a step ends.
const MODELS_MAX: usize = 8;

/// Present rates are those of the last so many seconds.
const RATES_SECONDS: usize = 10;

/// Quantiles of requests to sinks are those of the last so many steps: a minute.
const REQUEST_STEPS: usize = 6;

/// What was predicted is kept once in so many steps.
const PREDICTIONS_EVERY: i64 = 6;

/// Counters and gauges of one pipeline at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) read_lines: u64,
    pub(super) read_bytes: u64,
    pub(super) delivered: u64,
    pub(super) dead_lettered: u64,
    pub(super) lag_bytes: u64,
}

/// How fast a pipeline is, each a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Lines read.
    pub read_lines_per_second: f64,
    /// Bytes read.
    pub read_bytes_per_second: f64,
    /// Documents that every sink took, or had already.
    pub delivered_records_per_second: f64,
    /// Lines and records committed to the dead letter.
    pub dead_lettered_per_second: f64,
}

/// The last hour of a pipeline, step by step, the oldest first. All lists are of one length; `None` is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// How long a step is.
    pub step_seconds: i64,
    /// When the last one ended, in seconds since 1970; `None` as long as none did.
    pub last_end: Option<i64>,
    /// Lines read a second.
    pub read_lines_per_second: Vec<Option<f64>>,
    /// Documents delivered a second, to every sink.
    pub delivered_records_per_second: Vec<Option<f64>>,
    /// Lines and records committed to the dead letter a second.
    pub dead_lettered_per_second: Vec<Option<f64>>,
    /// Bytes written and not delivered, at the end of the step.
    pub lag_bytes: Vec<Option<u64>>,
}

/// The last hour of a model, in the steps of its pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelSteps {
    /// Inferences a second.
    pub requests_per_second: Vec<Option<f64>>,
    /// Share of them that failed, 0 to 1; `None` where there was none.
    pub error_ratio: Vec<Option<f64>>,
    /// The time in seconds below which 99 of 100 were; `None` where none said, and where it is beyond the last bucket.
    pub latency_p99_seconds: Vec<Option<f64>>,
}

/// What is known of all pipelines.
#[derive(Debug, Default)]
pub struct History(BTreeMap<String, PipelineHistory>);

#[derive(Debug, Default)]
pub(super) struct PipelineHistory {
    /// One a second, of a pipeline that runs.
    looks: VecDeque<(f64, Sample)>,
    /// The number of the last step that ended, since 1970.
    last_step: Option<i64>,
    at_step: Option<Sample>,
    steps: VecDeque<Step>,
    models: BTreeMap<String, ModelHistory>,
    request_times: BTreeMap<String, VecDeque<RequestTimes>>,
    dead_letters: BTreeMap<String, Seen>,
}

/// How much of a reason was there, and when there was more of it last, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    count: u64,
    last: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    read_lines: Option<f64>,
    delivered: Option<f64>,
    dead_lettered: Option<f64>,
    lag_bytes: Option<u64>,
}

#[derive(Debug, Default)]
struct ModelHistory {
    requests: u64,
    errors: u64,
    latency: Buckets,
    steps: VecDeque<ModelStep>,
    predictions: VecDeque<ValueCounts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ModelStep {
    requests: Option<f64>,
    error_ratio: Option<f64>,
    latency_p99: Option<f64>,
}

/// What a pipeline is seen to be at one moment.
pub(super) struct Look<'l> {
    /// `None` while it does not run.
    pub(super) sample: Option<Sample>,
    /// Committed to the dead letter so far, by `stage/reason`.
    pub(super) dead_lettered: Counts,
    /// Asked for at the end of a step, as are the others.
    pub(super) models: Box<dyn Fn() -> Vec<ModelReport> + 'l>,
    /// By sink.
    pub(super) request_times: Box<dyn Fn() -> Vec<(String, RequestTimes)> + 'l>,
}

impl History {
    /// Forgets pipelines that are no more.
    pub(super) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| is_there(name));
    }

    /// Takes note of what is there at a moment, in seconds since 1970.
    pub(super) fn look(&mut self, pipeline: &str, seconds: f64, look: &Look<'_>) {
        self.0.entry(pipeline.to_owned()).or_default().look(seconds, look);
    }

    pub(super) fn of(&self, pipeline: &str) -> Option<&PipelineHistory> {
        self.0.get(pipeline)
    }
}

impl PipelineHistory {
    fn look(&mut self, seconds: f64, look: &Look<'_>) {
        self.note(look.sample, seconds);
        self.note_dead_letters(look.dead_lettered.iter(), seconds as i64);
        let step = (seconds as i64).div_euclid(STEP_SECONDS);
        if self.ends(step) {
            self.end_step(step, look.sample);
            self.end_models(step, &(look.models)());
            for (sink, times) in (look.request_times)() {
                push(self.request_times.entry(sink).or_default(), times, REQUEST_STEPS);
            }
        }
    }

    /// A look at the figures of one moment; `None` while the pipeline does not run.
    fn note(&mut self, sample: Option<Sample>, seconds: f64) {
        match sample {
            Some(sample) => push(&mut self.looks, (seconds, sample), RATES_SECONDS + 1),
            None => self.looks.clear(),
        }
    }

    fn note_dead_letters<'r>(&mut self, reasons: impl Iterator<Item = (&'r str, u64)>, seconds: i64) {
        let is_first = self.looks.len() <= 1 && self.last_step.is_none();
        for (reason, count) in reasons {
            let seen = self.dead_letters.get_mut(reason);
            match seen {
                Some(seen) if count > seen.count => *seen = Seen { count, last: Some(seconds) },
                Some(_) => {}
                // What was there before this process looked is of an unknown time.
                None => {
                    let last = (!is_first).then_some(seconds);
                    self.dead_letters.insert(reason.to_owned(), Seen { count, last });
                }
            }
        }
    }

    /// Whether a step ended before this one. The first one is not whole: it only says where the next one begins. Where the
    /// clock went back, the ring begins anew.
    fn ends(&mut self, step: i64) -> bool {
        match self.last_step {
            Some(last) if step == last => false,
            Some(last) if step < last => {
                *self = PipelineHistory { dead_letters: std::mem::take(&mut self.dead_letters), ..Default::default() };
                true
            }
            _ => true,
        }
    }

    fn end_step(&mut self, step: i64, sample: Option<Sample>) {
        let passed = self.last_step.map_or(0, |last| step - last);
        self.skip(passed.saturating_sub(1));
        if passed > 0 {
            let before = self.at_step.filter(|_| passed == 1);
            push(&mut self.steps, Step::between(before, sample), STEPS_MAX);
        }
        (self.last_step, self.at_step) = (Some(step), sample);
    }

    /// Steps of which nothing is known.
    fn skip(&mut self, steps: i64) {
        for _ in 0..steps.clamp(0, STEPS_MAX as i64) {
            push(&mut self.steps, Step::default(), STEPS_MAX);
            self.models.values_mut().for_each(|model| push(&mut model.steps, ModelStep::default(), STEPS_MAX));
        }
    }

    fn end_models(&mut self, step: i64, models: &[ModelReport]) {
        let models = &models[..models.len().min(MODELS_MAX)];
        self.models.retain(|key, _| models.iter().any(|model| key_of(model) == *key));
        for model in models {
            let known = self.models.entry(key_of(model)).or_default();
            known.end_step(model);
            if step % PREDICTIONS_EVERY == 0 || known.predictions.is_empty() {
                push(&mut known.predictions, model.predictions.clone(), STEPS_MAX / PREDICTIONS_EVERY as usize);
            }
        }
    }

    /// The present rates; `None` while the pipeline does not run, and for a second after its start.
    pub(super) fn rates(&self) -> Option<Rates> {
        let ((then, first), (now, last)) = (*self.looks.front()?, *self.looks.back()?);
        let rate = |of: fn(&Sample) -> u64| per_second(of(&first), of(&last), now - then);
        Some(Rates {
            read_lines_per_second: rate(|sample| sample.read_lines)?,
            read_bytes_per_second: rate(|sample| sample.read_bytes)?,
            delivered_records_per_second: rate(|sample| sample.delivered)?,
            dead_lettered_per_second: rate(|sample| sample.dead_lettered)?,
        })
    }

    /// The steps that ended after a moment, in seconds since 1970.
    pub(super) fn steps(&self, after: i64) -> Steps {
        let count = self.count_after(after);
        let steps = || self.steps.iter().skip(self.steps.len() - count);
        Steps {
            step_seconds: STEP_SECONDS,
            last_end: self.last_step.filter(|_| !self.steps.is_empty()).map(|step| step * STEP_SECONDS),
            read_lines_per_second: steps().map(|step| step.read_lines).collect(),
            delivered_records_per_second: steps().map(|step| step.delivered).collect(),
            dead_lettered_per_second: steps().map(|step| step.dead_lettered).collect(),
            lag_bytes: steps().map(|step| step.lag_bytes).collect(),
        }
    }

    /// The steps of a model, as many as [`PipelineHistory::steps`] gives; `None` for one that has no history.
    pub(super) fn model_steps(&self, model: &ModelReport, after: i64) -> Option<ModelSteps> {
        let (known, count) = (self.models.get(&key_of(model))?, self.count_after(after));
        let padding = std::iter::repeat_n(ModelStep::default(), count.saturating_sub(known.steps.len()));
        let known = known.steps.iter().copied().skip(known.steps.len().saturating_sub(count));
        let steps: Vec<ModelStep> = padding.chain(known).collect();
        Some(ModelSteps {
            requests_per_second: steps.iter().map(|step| step.requests).collect(),
            error_ratio: steps.iter().map(|step| step.error_ratio).collect(),
            latency_p99_seconds: steps.iter().map(|step| step.latency_p99).collect(),
        })
    }

    /// What was predicted within the last hour, as far as it was seen.
    pub(super) fn recent_predictions(&self, model: &ModelReport) -> Option<ValueCounts> {
        let before = self.models.get(&key_of(model))?.predictions.front()?;
        let before: BTreeMap<&str, u64> = before.iter().map(|(label, count)| (label.as_str(), *count)).collect();
        let recent = |(label, count): &(String, u64)| {
            let then = before.get(label.as_str()).copied().unwrap_or_default();
            (label.clone(), count.saturating_sub(then))
        };
        Some(model.predictions.iter().map(recent).collect())
    }

    /// How long requests to a sink took within the last minute.
    pub(super) fn recent_requests(&self, sink: &str, now: &RequestTimes) -> Option<RequestTimes> {
        Some(now.since(self.request_times.get(sink)?.front()?))
    }

    /// When a reason of the dead letter came up last, in seconds since 1970; `None` if not since the process began to look.
    pub(super) fn last_dead_letter(&self, reason: &str) -> Option<i64> {
        self.dead_letters.get(reason)?.last
    }

    fn count_after(&self, after: i64) -> usize {
        let last = self.last_step.unwrap_or_default();
        (last - after.div_euclid(STEP_SECONDS)).clamp(0, self.steps.len() as i64) as usize
    }
}

impl Step {
    fn between(before: Option<Sample>, now: Option<Sample>) -> Step {
        let seconds = STEP_SECONDS as f64;
        let rate = |of: fn(&Sample) -> u64| per_second(of(&before?), of(&now?), seconds);
        Step {
            read_lines: rate(|sample| sample.read_lines),
            delivered: rate(|sample| sample.delivered),
            dead_lettered: rate(|sample| sample.dead_lettered),
            lag_bytes: now.map(|sample| sample.lag_bytes),
        }
    }
}

impl ModelHistory {
    fn end_step(&mut self, model: &ModelReport) {
        let (requests, errors, latency) = (model.requests(), model.errors(), model.latency_seconds());
        let is_known = self.requests > 0 || !self.steps.is_empty();
        let new = requests.checked_sub(self.requests).filter(|_| is_known);
        let failed = errors.checked_sub(self.errors);
        let p99 = latency.since(&self.latency).quantile(0.99).filter(|p99| p99.is_finite());
        let step = ModelStep {
            requests: new.map(|new| rounded(new as f64 / STEP_SECONDS as f64)),
            error_ratio: new
                .zip(failed)
                .filter(|(new, _)| *new > 0)
                .map(|(new, failed)| rounded(failed as f64 / new as f64)),
            latency_p99: p99.filter(|_| is_known).map(rounded),
        };
        push(&mut self.steps, step, STEPS_MAX);
        (self.requests, self.errors, self.latency) = (requests, errors, latency);
    }
}

/// What tells models of a pipeline apart.
fn key_of(model: &ModelReport) -> String {
    let labels = model.labels.iter().map(|(name, value)| format!("\u{1f}{name}={value}"));
    std::iter::once(model.name.clone()).chain(labels).collect()
}

/// `None` where the counting began anew, or no time has passed.
fn per_second(then: u64, now: u64, seconds: f64) -> Option<f64> {
    now.checked_sub(then).filter(|_| seconds > 0.0).map(|count| rounded(count as f64 / seconds))
}

/// To four significant digits: what is told often is told briefly.
fn rounded(number: f64) -> f64 {
    format!("{number:.3e}").parse().unwrap_or(number)
}

fn push<T>(ring: &mut VecDeque<T>, value: T, length_max: usize) {
    while ring.len() >= length_max {
        ring.pop_front();
    }
    ring.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: u64) -> Option<Sample> {
        Some(Sample { read_lines: n, read_bytes: n * 100, delivered: n, dead_lettered: 0, lag_bytes: 7 })
    }

    fn step(history: &mut PipelineHistory, number: i64, sample: Option<Sample>) {
        if history.ends(number) {
            history.end_step(number, sample);
        }
    }

    #[test]
    fn steps_are_an_hour_at_most_and_gaps_are_no_zeros() {
        let mut history = PipelineHistory::default();
        assert_eq!(history.steps(0).last_end, None);
        for (number, at) in
            [(100, sample(0)), (100, sample(5)), (101, sample(50)), (102, None), (103, sample(60)), (106, sample(90))]
        {
            step(&mut history, number, at);
        }
        let steps = history.steps(0);
        assert_eq!(steps.read_lines_per_second, [Some(5.0), None, None, None, None, None]);
        assert_eq!(steps.lag_bytes, [Some(7), None, Some(7), None, None, Some(7)]);
        assert_eq!((steps.last_end, steps.step_seconds), (Some(1_060), 10));
        assert_eq!(history.steps(1_030).read_lines_per_second.len(), 3);
        assert_eq!(history.steps(1_060).read_lines_per_second.len(), 0);
        (107..2_000).for_each(|number| step(&mut history, number, sample(number as u64)));
        assert_eq!(history.steps(0).lag_bytes.len(), STEPS_MAX);
        step(&mut history, 50, sample(1));
        assert_eq!(history.steps(0).lag_bytes.len(), 0, "the clock went back");
        step(&mut history, 5_000_000, sample(1));
        assert_eq!(history.steps(0).lag_bytes.len(), STEPS_MAX);
    }

    #[test]
    fn rates_are_those_of_the_last_seconds_and_unknown_where_nothing_runs() {
        let mut history = PipelineHistory::default();
        assert_eq!(history.rates(), None);
        (0..60).for_each(|n| history.note(sample(if n < 40 { n } else { 40 + (n - 40) * 3 }), n as f64));
        let rates = history.rates().unwrap();
        assert_eq!((rates.read_lines_per_second, rates.read_bytes_per_second), (3.0, 300.0));
        history.note(sample(0), 61.0);
        assert_eq!(history.rates(), None, "counting began anew");
        history.note(None, 62.0);
        assert!(history.rates().is_none() && history.looks.is_empty());
    }

    #[test]
    fn a_models_steps_are_those_of_its_pipeline() {
        let mut history = PipelineHistory::default();
        let model = |requests: u64, errors: u64| {
            let latency = Buckets { bounds: vec![0.1, 1.0], counts: vec![requests, 0, 0] };
            let version = crate::observe::report::VersionReport {
                requests,
                errors,
                latency_seconds: Some(latency),
                ..Default::default()
            };
            let predictions = vec![("a".to_owned(), requests)];
            ModelReport { name: "m".to_owned(), versions: vec![version], predictions, ..Default::default() }
        };
        for (number, requests, errors) in [(1, 100, 10), (2, 200, 20), (3, 200, 20), (4, 50, 1)] {
            step(&mut history, number, sample(0));
            history.end_models(number, &[model(requests, errors)]);
        }
        let steps = history.model_steps(&model(50, 1), 0).unwrap();
        assert_eq!(steps.requests_per_second, [Some(10.0), Some(0.0), None], "counting began anew");
        assert_eq!(steps.error_ratio, [Some(0.1), None, None]);
        assert_eq!(steps.latency_p99_seconds[..2], [Some(0.099), None]);
        assert_eq!(history.recent_predictions(&model(350, 1)).unwrap(), [("a".to_owned(), 250)]);
        history.end_models(5, &[]);
        assert_eq!(history.model_steps(&model(0, 0), 0), None);
    }

    #[test]
    fn a_reason_is_as_new_as_its_last_entry() {
        let mut history = PipelineHistory::default();
        let look = |history: &mut PipelineHistory, seconds: i64, reasons: &[(&str, u64)]| {
            history.note(sample(0), seconds as f64);
            history.note_dead_letters(reasons.iter().copied(), seconds);
        };
        look(&mut history, 10, &[("decode/old", 3)]);
        look(&mut history, 11, &[("decode/old", 3), ("decode/new", 1)]);
        assert_eq!((history.last_dead_letter("decode/old"), history.last_dead_letter("decode/new")), (None, Some(11)));
        look(&mut history, 15, &[("decode/old", 4), ("decode/new", 1)]);
        assert_eq!(
            (history.last_dead_letter("decode/old"), history.last_dead_letter("decode/new")),
            (Some(15), Some(11))
        );
    }
}
