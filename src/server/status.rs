//! `/status.json`: one description of a running process, for the page, for `inferlog top`, and for whoever wants figures as JSON.
//!
//! It holds what the metrics hold (names of models, versions, features and labels among it), no record, no path and no secret.
//! What is not known is `null`, never 0. Its members are in `docs/operations.md`.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::history::{Look, ModelSteps, PipelineHistory, Rates, Sample, Steps};
use super::process::{Figures, PipelineStatus, ProcessStatus};
use super::records::OFF;
use crate::flow::answer::Trouble;
use crate::flow::reasons::explain;
use crate::flow::tally::{Delivered, Totals};
use crate::observe::report::{DriftReport, ModelReport, ValueCounts};
use crate::pipeline::health::Health;
use crate::pipeline::pulse::Standing;

/// The version of the document's shape: what is added later does not raise it.
pub const VERSION: u32 = 1;

/// The most reasons of the dead letter that are told, the latest first.
pub const REASONS_MAX: usize = 20;

/// How often the process is looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// A running process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of this shape.
    pub version: u32,
    /// The version of inferlog.
    pub inferlog: String,
    /// When the process was started (RFC 3339).
    pub started: String,
    /// When this was said.
    pub now: String,
    /// How long it runs, in seconds.
    pub uptime_seconds: u64,
    /// What it says in its log; `None` where that cannot be changed.
    pub log_level: Option<String>,
    /// Why no records can be asked for here, and how that is switched on; `None` where they can.
    #[serde(default)]
    pub records_off: Option<String>,
    /// Its pipelines, in the order of their files.
    pub pipelines: Vec<PipelineReport>,
}

/// What a pipeline does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    /// It reads and delivers.
    Running,
    /// Something is in its way, and it goes on by itself when that is gone.
    Waiting,
    /// It has failed or could not be started, and is started again.
    Restarting,
    /// It has ended.
    Ended,
}

/// One pipeline. `None` is not known: a pipeline that does not run has no lag that anybody could tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineReport {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: PipelineState,
    /// Why it is not ready, as `/readyz` says it; empty where it is.
    pub troubles: Vec<TroubleReport>,
    /// What is to be known of its sinks though they take records.
    pub remarks: Vec<TroubleReport>,
    /// What became of everything so far.
    pub totals: Option<TotalsReport>,
    /// How fast it is now: over the last ten seconds.
    pub rates: Option<Rates>,
    /// What is written and not delivered.
    pub lag: Option<Lag>,
    /// What waits for the sinks, or is under way to them.
    pub queue: Option<QueueReport>,
    /// Its sinks.
    pub sinks: Vec<SinkReport>,
    /// What could not be delivered.
    pub dead_letter: Option<DeadLetterReport>,
    /// Its models; `None` also where the pipeline file has no `model_metrics`.
    pub models: Option<Vec<ModelHealth>>,
    /// Drift by version; `None` also where the pipeline file has no `drift`.
    pub drift: Option<Vec<DriftReport>>,
    /// The last hour.
    pub history: Option<Steps>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleReport {
    /// The sink that it is about, if it is about one.
    pub sink: Option<String>,
    /// What it is.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
    /// For how long, in seconds.
    pub seconds: Option<u64>,
    /// Of a pipeline that is started again: how often in a row it has failed.
    pub failures_in_a_row: Option<u32>,
}

/// What became of everything that is committed, since the folder of state was made, and what was read by this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsReport {
    /// Lines that this process has read.
    pub read_lines: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// Lines committed.
    pub lines: u64,
    /// Records committed.
    pub records: u64,
    /// Documents committed that every sink took, or had already.
    pub delivered: u64,
    /// Records committed that rules dropped, by rule.
    pub dropped: BTreeMap<String, u64>,
    /// Lines and records committed to the dead letter.
    pub dead_lettered: u64,
}

/// What is written and not delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lag {
    /// Bytes of it.
    pub bytes: u64,
    /// How long the oldest batch that is not acknowledged has been on its way, in seconds.
    pub oldest_unacknowledged_seconds: f64,
    /// Files that the paths find.
    pub files: u64,
    /// Those of them that are open.
    pub open_files: u64,
    /// Those that have something to read and wait until others are closed.
    pub waiting_files: u64,
}

/// What waits for the sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueReport {
    /// Bytes of documents that wait or are under way.
    pub bytes: u64,
    /// The most that may be.
    pub bytes_max: u64,
}

/// What a sink does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkState {
    /// It takes records.
    Ready,
    /// It does not, just now.
    InTrouble,
    /// Its pipeline has ended.
    Ended,
}

/// One sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkReport {
    /// Its name.
    pub name: String,
    /// `elasticsearch`, `store` or `stdout`.
    pub kind: Option<String>,
    /// What it does.
    pub state: SinkState,
    /// Documents committed that it took.
    pub indexed: Option<u64>,
    /// Documents committed that it had already.
    pub duplicates: Option<u64>,
    /// Documents committed that an order has erased.
    pub erased: Option<u64>,
    /// Documents committed that it will never take.
    pub dead_lettered: Option<u64>,
    /// Requests under way.
    pub requests_in_flight: Option<u64>,
    /// Requests that may be under way at a time, as the sink takes them.
    pub requests_allowed: Option<u64>,
    /// Requests answered within the last minute.
    pub requests: Option<u64>,
    /// The time in seconds within which half of those were answered.
    pub request_p50_seconds: Option<f64>,
    /// The same of 99 of 100.
    pub request_p99_seconds: Option<f64>,
    /// When it took something last (RFC 3339).
    pub last_success: Option<String>,
}

/// What could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterReport {
    /// Entries that are there.
    pub entries: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// What they may take.
    pub bytes_max: u64,
    /// Why, the latest first.
    pub reasons: Vec<ReasonReport>,
}

/// One reason, in words of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonReport {
    /// Where it was found.
    pub stage: String,
    /// Its name.
    pub reason: String,
    /// How many were committed for it, since the folder of state was made.
    pub count: u64,
    /// When the last one of them was (RFC 3339); `None` if not since this process runs.
    pub last: Option<String>,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub fix: String,
}

/// A model with its last hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelHealth {
    /// What was counted so far.
    #[serde(flatten)]
    pub model: ModelReport,
    /// Inferences so far, of all its versions.
    pub requests: u64,
    /// Share of them that failed, 0 to 1; `None` where there was none.
    pub error_ratio: Option<f64>,
    /// The time in seconds below which half of them were; `None` where none said, and where it is beyond the last bucket.
    pub latency_p50_seconds: Option<f64>,
    /// The same of 99 of 100.
    pub latency_p99_seconds: Option<f64>,
    /// What was predicted within the last hour, as far as this process saw it.
    pub recent_predictions: Option<ValueCounts>,
    /// The last hour; `None` for models beyond the most frequent ones.
    pub history: Option<ModelSteps>,
}

/// How much of the document is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    /// Steps that ended later than this, in seconds since 1970.
    after: i64,
    histograms: bool,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted { after: 0, histograms: true }
    }
}

impl Wanted {
    fn parse(query: &str) -> Result<Wanted, String> {
        let mut wanted = Wanted::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("after", seconds) => {
                    let expected = |_| "`after` is a time in seconds since 1970\n".to_owned();
                    wanted.after = seconds.parse().map_err(expected)?;
                }
                ("histograms", "yes") => wanted.histograms = true,
                ("histograms", "no") => wanted.histograms = false,
                _ => return Err("it takes `after=SECONDS` and `histograms=yes|no`\n".to_owned()),
            }
        }
        Ok(wanted)
    }
}

/// Looks at the process every second, until the task is dropped.
pub(super) async fn keep_history(served: ProcessStatus) {
    let mut turns = tokio::time::interval(LOOKED_AT_EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        turns.tick().await;
        let pipelines = served.pipelines.read().unwrap_or_else(PoisonError::into_inner);
        let mut history = served.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.keep(|name| pipelines.iter().any(|pipeline| pipeline.name == name));
        pipelines.iter().for_each(|pipeline| history.look(&pipeline.name, seconds_since_1970(), &pipeline.look()));
    }
}

pub(super) async fn status(State(served): State<ProcessStatus>, uri: Uri) -> Response {
    match Wanted::parse(uri.query().unwrap_or_default()) {
        Ok(wanted) => {
            let text = serde_json::to_string(&served.status(wanted)).unwrap_or_default();
            ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response()
        }
        Err(words) => (StatusCode::BAD_REQUEST, words).into_response(),
    }
}

impl ProcessStatus {
    fn status(&self, wanted: Wanted) -> Status {
        let pipelines = self.pipelines.read().unwrap_or_else(PoisonError::into_inner);
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let report = |pipeline: &PipelineStatus| pipeline.report(history.of(&pipeline.name), wanted);
        let now = SystemTime::now();
        Status {
            version: VERSION,
            inferlog: env!("CARGO_PKG_VERSION").to_owned(),
            started: written(self.started),
            now: written(now),
            uptime_seconds: now.duration_since(self.started).unwrap_or_default().as_secs(),
            log_level: self.control.as_ref().map(|control| (control.log.level)()),
            records_off: self.records.is_none().then(|| OFF.to_owned()),
            pipelines: pipelines.iter().map(report).collect(),
        }
    }
}

impl PipelineStatus {
    fn look(&self) -> Look<'_> {
        let figures = self.figures.as_ref();
        let times = move |health: &Arc<Health>| {
            let times = figures.map(|figures| figures.counters.request_times(health.sink()));
            (health.sink().to_owned(), times.unwrap_or_default())
        };
        let dead_lettered = figures.map(|figures| figures.counters.settled().dead_lettered).unwrap_or_default();
        Look {
            sample: self.sample(dead_lettered.total()),
            dead_lettered,
            models: Box::new(move || figures.and_then(|figures| figures.models.models()).unwrap_or_default()),
            request_times: Box::new(move || self.health.iter().map(times).collect()),
        }
    }

    /// The counters of this moment, but for what went to the dead letter so far; `None` while it does not run.
    fn sample(&self, dead_lettered: u64) -> Option<Sample> {
        let Figures { counters, .. } = self.figures.as_ref().filter(|_| self.runs())?;
        let of_sink = |health: &Arc<Health>| {
            let sink = counters.sink(health.sink());
            sink.indexed.get() + sink.duplicates.get() + sink.erased.get()
        };
        Some(Sample {
            read_lines: counters.source_read_lines_total.get(),
            read_bytes: counters.source_read_bytes_total.get(),
            delivered: self.health.iter().map(of_sink).min().unwrap_or_default(),
            dead_lettered,
            lag_bytes: natural(counters.source_lag_bytes.get()),
        })
    }

    fn runs(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    fn report(&self, history: Option<&PipelineHistory>, wanted: Wanted) -> PipelineReport {
        let troubles = self.troubles();
        let figures = self.figures.as_ref();
        let live = figures.filter(|_| self.runs());
        let settled = figures.map(|figures| figures.counters.settled());
        PipelineReport {
            name: self.name.clone(),
            state: match (self.runs(), troubles.is_empty()) {
                (false, _) if self.restart.is_some() => PipelineState::Restarting,
                (false, _) => PipelineState::Ended,
                (true, true) => PipelineState::Running,
                (true, false) => PipelineState::Waiting,
            },
            troubles,
            remarks: self.remark_reports().collect(),
            totals: figures.zip(settled.as_ref()).map(|(figures, settled)| totals(figures, settled)),
            rates: history.and_then(PipelineHistory::rates).filter(|_| live.is_some()),
            lag: live.map(lag),
            queue: live.map(|figures| QueueReport {
                bytes: natural(figures.counters.queue_bytes.get()),
                bytes_max: figures.file.queue.memory_bytes_max.saturating_mul(figures.file.sinks.len() as u64),
            }),
            sinks: self.health.iter().map(|health| self.sink(health, settled.as_ref(), history)).collect(),
            dead_letter: figures.zip(settled.as_ref()).map(|(figures, settled)| dead_letter(figures, settled, history)),
            models: figures.and_then(|figures| models(figures, history, wanted.after)),
            drift: figures.and_then(|figures| drift(figures, wanted.histograms)),
            history: history.map(|history| history.steps(wanted.after)),
        }
    }

    /// Why it is not ready, with the time that it lasts.
    pub(super) fn troubles(&self) -> Vec<TroubleReport> {
        let report = |sink: Option<String>, Trouble { problem, hint }: Trouble, since: Option<Instant>| {
            let seconds = since.map(|since| since.elapsed().as_secs());
            TroubleReport { sink, problem, hint, seconds, failures_in_a_row: None }
        };
        let again = self.restart.as_ref().map(|restart| {
            let trouble = Trouble { problem: restart.problem(), hint: restart.trouble.hint.clone() };
            TroubleReport { failures_in_a_row: Some(restart.failures), ..report(None, trouble, None) }
        });
        let ended = (!self.runs() && again.is_none()).then(|| {
            let hint = Some("see the log for the reason, and start inferlog again".to_owned());
            report(None, Trouble { problem: "the pipeline has ended".to_owned(), hint }, None)
        });
        let of_thread =
            self.pulse.troubles().into_iter().map(|Standing { trouble, since }| report(None, trouble, Some(since)));
        let of_sinks = self.health.iter().filter_map(|health| {
            let Standing { trouble, since } = health.standing()?;
            Some(report(Some(health.sink().to_owned()), trouble, Some(since)))
        });
        again.into_iter().chain(ended).chain(of_thread).chain(of_sinks).collect()
    }

    /// What is to be known of its sinks though they take records.
    pub(super) fn remark_reports(&self) -> impl Iterator<Item = TroubleReport> {
        self.health.iter().filter_map(|health| {
            let Trouble { problem, hint } = health.remarked()?;
            let sink = Some(health.sink().to_owned());
            Some(TroubleReport { sink, problem, hint, seconds: None, failures_in_a_row: None })
        })
    }

    fn sink(&self, health: &Health, settled: Option<&Totals>, history: Option<&PipelineHistory>) -> SinkReport {
        let name = health.sink();
        let live = self.figures.as_ref().filter(|_| self.runs());
        let counters = live.map(|figures| figures.counters.sink(name));
        let count = |count: fn(&Delivered) -> u64| settled.map(|settled| settled.sinks.get(name).map_or(0, count));
        let requests = live.map(|figures| figures.counters.request_times(name));
        let requests = requests.zip(history).and_then(|(now, history)| history.recent_requests(name, &now));
        let kind = self.figures.as_ref().and_then(|figures| figures.file.sinks.iter().find(|sink| sink.name == name));
        SinkReport {
            name: name.to_owned(),
            kind: kind.map(|sink| sink.kind().to_owned()),
            state: match (self.runs(), health.current()) {
                (false, _) => SinkState::Ended,
                (true, None) => SinkState::Ready,
                (true, Some(_)) => SinkState::InTrouble,
            },
            indexed: count(|delivered| delivered.indexed),
            duplicates: count(|delivered| delivered.duplicates),
            erased: count(|delivered| delivered.erased),
            dead_lettered: count(|delivered| delivered.dead_lettered.total()),
            requests_in_flight: counters.as_ref().map(|counters| natural(counters.in_flight.get())),
            requests_allowed: counters.as_ref().map(|counters| natural(counters.allowed_requests.get())),
            requests: requests.map(|requests| requests.count()),
            request_p50_seconds: requests.and_then(|requests| requests.quantile_seconds(0.5)),
            request_p99_seconds: requests.and_then(|requests| requests.quantile_seconds(0.99)),
            last_success: counters.and_then(|counters| moment(counters.last_success_timestamp_seconds.get())),
        }
    }
}

fn totals(figures: &Figures, settled: &Totals) -> TotalsReport {
    let of_sink = |sink: &str| {
        settled.sinks.get(sink).map_or(0, |delivered| delivered.indexed + delivered.duplicates + delivered.erased)
    };
    TotalsReport {
        read_lines: figures.counters.source_read_lines_total.get(),
        read_bytes: figures.counters.source_read_bytes_total.get(),
        lines: settled.lines,
        records: settled.records,
        delivered: figures.file.sinks.iter().map(|sink| of_sink(&sink.name)).min().unwrap_or_default(),
        dropped: settled.dropped.iter().map(|(rule, count)| (rule.to_owned(), count)).collect(),
        dead_lettered: settled.dead_lettered.total(),
    }
}

fn lag(figures: &Figures) -> Lag {
    let counters = &figures.counters;
    Lag {
        bytes: natural(counters.source_lag_bytes.get()),
        oldest_unacknowledged_seconds: counters.delivery_oldest_unacknowledged_seconds.get(),
        files: natural(counters.source_matched_files.get()),
        open_files: natural(counters.source_open_files.get()),
        waiting_files: natural(counters.source_waiting_files.get()),
    }
}

fn dead_letter(figures: &Figures, settled: &Totals, history: Option<&PipelineHistory>) -> DeadLetterReport {
    let last = |name: &str| history.and_then(|history| history.last_dead_letter(name));
    let mut reasons: Vec<(Option<i64>, &str, u64)> =
        settled.dead_lettered.iter().map(|(name, count)| (last(name), name, count)).collect();
    reasons.sort_by_key(|(last, _, count)| std::cmp::Reverse((*last, *count)));
    let report = |(last, name, count): (Option<i64>, &str, u64)| {
        let (stage, reason) = name.split_once('/').unwrap_or(("", name));
        let (meaning, fix) = explain(stage, reason);
        ReasonReport {
            stage: stage.to_owned(),
            reason: reason.to_owned(),
            count,
            last: last.and_then(moment),
            meaning: meaning.to_owned(),
            fix: fix.to_owned(),
        }
    };
    let size = figures.dead_letter.size();
    DeadLetterReport {
        entries: size.entries,
        bytes: size.bytes,
        bytes_max: figures.file.dead_letter.bytes_max,
        reasons: reasons.into_iter().take(REASONS_MAX).map(report).collect(),
    }
}

fn models(figures: &Figures, history: Option<&PipelineHistory>, after: i64) -> Option<Vec<ModelHealth>> {
    let health = |model: ModelReport| {
        let latency = model.latency_seconds();
        let quantile = |share| latency.quantile(share).filter(|seconds| seconds.is_finite());
        let requests = model.requests();
        ModelHealth {
            requests,
            error_ratio: (requests > 0).then(|| model.errors() as f64 / requests as f64),
            latency_p50_seconds: quantile(0.5),
            latency_p99_seconds: quantile(0.99),
            recent_predictions: history.and_then(|history| history.recent_predictions(&model)),
            history: history.and_then(|history| history.model_steps(&model, after)),
            model,
        }
    };
    Some(figures.models.models()?.into_iter().map(health).collect())
}

fn drift(figures: &Figures, histograms: bool) -> Option<Vec<DriftReport>> {
    let mut reports = figures.models.drift_reports()?;
    if !histograms {
        reports.iter_mut().flat_map(|report| &mut report.features).for_each(|feature| feature.histogram = None);
    }
    Some(reports)
}

/// A gauge of what cannot be negative.
fn natural(gauge: i64) -> u64 {
    gauge.max(0).unsigned_abs()
}

/// A moment in seconds since 1970; 0 is none.
fn moment(seconds: i64) -> Option<String> {
    let moment = DateTime::from_timestamp(seconds, 0).filter(|_| seconds > 0)?;
    Some(moment.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn written(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_understood_or_refused() {
        let wanted = |after, histograms| Ok(Wanted { after, histograms });
        for (query, expected) in [
            ("", wanted(0, true)),
            ("after=1700000000", wanted(1_700_000_000, true)),
            ("histograms=no&after=-1", wanted(-1, false)),
            ("histograms=no&histograms=yes", wanted(0, true)),
        ] {
            assert_eq!(Wanted::parse(query), expected, "{query}");
        }
        for wrong in ["after=", "after=x", "histograms=maybe", "token=x", "x"] {
            assert!(Wanted::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_a_pipeline_that_does_not_run_nothing_is_known() {
        let missing = PipelineStatus { name: "p".to_owned(), ..PipelineStatus::default() };
        let report = missing.report(None, Wanted::default());
        assert_eq!(report.state, PipelineState::Ended);
        assert_eq!(report.troubles[0].problem, "the pipeline has ended");
        let report = serde_json::to_value(report).unwrap();
        for member in ["totals", "rates", "lag", "queue", "dead_letter", "models", "drift", "history"] {
            assert!(report[member].is_null(), "{member}");
        }
    }
}
