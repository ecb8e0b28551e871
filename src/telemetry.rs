//! inferlog's own counters, as `/metrics` shows them.
//!
//! One naming rule: `inferlog_<stage>_<what>_<unit>[_total]`, with a `pipeline` label. No label ever holds a path or a
//! part of a record, except for the version of a model, of which there is a limited number: so they do not grow with files
//! or traffic.

mod enrich;
mod family;
mod request_times;
mod restarts;
mod settled;
mod sums;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use request_times::RequestTimes;

use self::family::{CounterFamily, GaugeFamily, HistogramFamily, Labels, SecondsFamily};
use crate::flow::reject::Reject;
use crate::flow::tally::Totals;

/// Upper bounds of the histogram of requests, in seconds.
const REQUEST_SECONDS: [f64; 8] = [0.005, 0.02, 0.05, 0.2, 0.5, 2.0, 10.0, 60.0];

/// The counters of one pipeline. Clones count together.
#[derive(Clone, Debug)]
pub struct Counters {
    pipeline: String,
    /// Lines read, empty ones not included.
    pub source_read_lines_total: Counter,
    /// Bytes read and given to the pipeline.
    pub source_read_bytes_total: Counter,
    /// Files and folders that could not be read.
    pub source_unreadable_total: Counter,
    /// Bytes that were known to be in a file, and were deleted or overwritten before they were delivered.
    pub source_lost_bytes_total: Counter,
    /// Files that the paths find.
    pub source_matched_files: Gauge,
    /// Bytes of runs of NUL bytes that were passed over.
    pub source_nul_bytes_total: Counter,
    /// Bytes written but not delivered, over all files.
    pub source_lag_bytes: Gauge,
    /// Files held open.
    pub source_open_files: Gauge,
    /// Files that are there and closed, since more are matched than may be open.
    pub source_closed_files: Gauge,
    /// Those of them that have something to read and wait until others are closed.
    pub source_waiting_files: Gauge,
    /// Records that lines gave.
    pub decode_records_total: Counter,
    /// Records whose time could not be read and became the read time.
    pub enrich_unreadable_timestamps_total: Counter,
    /// Members that inferlog would have added, left out because a scalar stands at a prefix of their path.
    pub enrich_left_out_members_total: Counter,
    /// Records that were shipped without a hash, since what it is made of has no canonical form.
    pub enrich_unhashed_records_total: Counter,
    /// Label values beyond the limits, which observers counted as `other`.
    pub observe_capped_labels_total: Counter,
    /// Bytes of files without a name that are still held open for what is not delivered of them.
    pub source_deleted_held_bytes: Gauge,
    /// Bytes of rendered documents that wait or are in flight.
    pub queue_bytes: Gauge,
    /// Documents of inferlog's own that some sink has not taken yet.
    pub outbox_documents: Gauge,
    /// Their bytes.
    pub outbox_bytes: Gauge,
    /// How long the oldest batch that is not acknowledged has been on its way, in seconds.
    pub delivery_oldest_unacknowledged_seconds: Gauge<f64, AtomicU64>,
    /// When the checkpoint was written last, in seconds since 1970.
    pub checkpoint_last_save_timestamp_seconds: Gauge,
    /// Span of the files between what is read and what is committed.
    pub delivery_unacknowledged_bytes: Gauge,
    /// Requests sent to sinks.
    pub delivery_requests_total: Counter,
    /// Times that a checkpoint was written.
    pub checkpoint_saves_total: Counter,
    /// Entries that a full dead letter dropped, as the pipeline file chooses.
    pub dead_letter_discarded_entries_total: Counter,
    /// All that went to the dead letter, whatever the reason; not shown, it is the sum of what is.
    dead_lettered_total: Counter,
    /// The same by stage and reason.
    dead_letter_reasons: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Records of a window that was over, which drift counted in the open one.
    pub observe_late_records_total: Counter,
    /// Inferences whose drift was not measured, for want of a baseline.
    pub observe_unmeasured_records_total: Counter,
    /// Inferences without `request_id` or prediction, which no label can be joined with.
    pub observe_unjoinable_records_total: Counter,
    /// Records that look like inferences, and that observers do not count as such.
    pub observe_passed_over_total: Counter,
    labelled: LabelledFamilies,
    sink: SinkFamilies,
    settled: settled::Settled,
    requests: Requests,
}

/// How long requests took, by sink: since somebody asked last, and all.
type Requests = Arc<Mutex<BTreeMap<Arc<str>, (Latency, RequestTimes)>>>;

/// How long the requests to a sink took since somebody asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// How many there were.
    pub requests: u64,
    /// What they took together.
    pub sum: Duration,
    /// What the longest took.
    pub max: Duration,
}

/// Counters of one more label each.
#[derive(Clone, Debug)]
struct LabelledFamilies {
    enrich: enrich::EnrichFamilies,
    dropped: CounterFamily,
    noted: CounterFamily,
    unpaired: CounterFamily,
    without_namespace: CounterFamily,
    hidden: CounterFamily,
    dead_lettered: CounterFamily,
    replayed: CounterFamily,
    unusable: CounterFamily,
    unmapped: CounterFamily,
    truncated: CounterFamily,
    numbers_from_text: CounterFamily,
    unread_times: CounterFamily,
}

#[derive(Clone, Debug)]
struct SinkFamilies {
    indexed: CounterFamily,
    duplicates: CounterFamily,
    erased: CounterFamily,
    failure_store: CounterFamily,
    retried: CounterFamily,
    ready: GaugeFamily,
    in_flight: GaugeFamily,
    last_success: GaugeFamily,
    request_seconds: HistogramFamily,
    allowed_requests: GaugeFamily,
}

/// The counters of one sink of one pipeline.
#[derive(Clone, Debug)]
pub struct SinkCounters {
    /// Documents that the sink took.
    pub indexed: Counter,
    /// Documents that it had already.
    pub duplicates: Counter,
    /// Documents that an order has erased, and that were not brought back.
    pub erased: Counter,
    /// Documents that went to Elasticsearch's failure store.
    pub failure_store: Counter,
    /// Items that were tried again.
    pub retried: Counter,
    /// 1 while the sink answers, 0 while it is in trouble.
    pub ready: Gauge,
    /// Requests that may be under way to the sink at a time, as it takes them.
    pub allowed_requests: Gauge,
    /// Requests under way.
    pub in_flight: Gauge,
    /// When the sink took something last, in seconds since 1970.
    pub last_success_timestamp_seconds: Gauge,
    name: Arc<str>,
    request_seconds: Histogram,
    requests: Requests,
}

impl SinkCounters {
    /// Takes note of how long a request took.
    pub fn observe_request(&self, took: Duration) {
        self.request_seconds.observe(took.as_secs_f64());
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let (Latency { requests, sum, max }, all) = requests.entry(Arc::clone(&self.name)).or_default();
        (*requests, *sum, *max) = (*requests + 1, *sum + took, took.max(*max));
        all.add(took);
    }

    /// Takes note that the sink took something now.
    pub fn succeeded(&self) {
        self.last_success_timestamp_seconds.set(now_seconds());
    }
}

/// The present time, in seconds since 1970.
pub fn now_seconds() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.as_secs() as i64)
}

impl Counters {
    /// Counts the records that a rule drops.
    pub fn dropped(&self, rule: &str) -> Counter {
        self.labelled.dropped.get_or_create_owned(&self.labels("rule", rule))
    }

    /// Counts the records for which the decoder could not do something, by the note that says so.
    pub fn noted(&self, note: &str) -> Counter {
        self.labelled.noted.get_or_create_owned(&self.labels("note", note))
    }

    /// Counts the records whose other half was not there, by why.
    pub fn unpaired(&self, reason: &str) -> Counter {
        self.labelled.unpaired.get_or_create_owned(&self.labels("reason", reason))
    }

    /// Counts the records that name no namespace of the pipeline, and go to the one for all else.
    pub fn without_namespace(&self, reason: &str) -> Counter {
        self.labelled.without_namespace.get_or_create_owned(&self.labels("reason", reason))
    }

    /// Counts the records in which a rule that hides a field has found it. The series is there from the start, at 0.
    pub fn hidden(&self, processor: usize, field: &str) -> Counter {
        let mut labels = self.labels("processor", &processor.to_string());
        labels.push(("field", field.to_owned()));
        self.labelled.hidden.get_or_create_owned(&labels)
    }

    /// The name of the pipeline.
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// Counts the values of a field that observers could not use.
    pub fn unusable(&self, field: &str) -> Counter {
        self.labelled.unusable.get_or_create_owned(&self.labels("field", field))
    }

    /// Counts the texts of a field that `truncate` has cut.
    pub fn truncated(&self, field: &str) -> Counter {
        self.labelled.truncated.get_or_create_owned(&self.labels("field", field))
    }

    /// Counts the values that a processor found for a field and could not take.
    pub fn unmapped(&self, field: &str) -> Counter {
        self.labelled.unmapped.get_or_create_owned(&self.labels("field", field))
    }

    /// Counts the numbers that were written as texts, by the way they were.
    pub fn number_from_text(&self, kind: &str) -> Counter {
        self.labelled.numbers_from_text.get_or_create_owned(&self.labels("kind", kind))
    }

    /// Counts the records whose time could not be read, by why.
    pub fn unread_time(&self, style: &str) -> Counter {
        self.labelled.unread_times.get_or_create_owned(&self.labels("style", style))
    }

    /// Counts a record that goes to the dead letter.
    pub fn count_dead_letter(&self, reject: &Reject) {
        self.dead_lettered_total.inc();
        let mut reasons = self.dead_letter_reasons.lock().unwrap_or_else(PoisonError::into_inner);
        *reasons.entry(reject.name()).or_default() += 1;
        drop(reasons);
        let labels = vec![
            ("pipeline", self.pipeline.clone()),
            ("stage", reject.stage.as_str().to_owned()),
            ("reason", reject.reason.clone().into_owned()),
        ];
        self.labelled.dead_lettered.get_or_create_owned(&labels).inc();
    }

    /// Counts the entries of the dead letter that were replayed, by what became of them.
    pub fn replayed(&self, outcome: &str) -> Counter {
        self.labelled.replayed.get_or_create_owned(&self.labels("outcome", outcome))
    }

    /// How many records went to the dead letter.
    pub fn dead_lettered_total(&self) -> u64 {
        self.dead_lettered_total.get()
    }

    /// How many went there by stage and reason, as accounts name them: `decode/invalid_json`.
    pub fn dead_letter_reasons(&self) -> BTreeMap<String, u64> {
        self.dead_letter_reasons.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The counters of the sink of a name.
    pub fn sink(&self, sink: &str) -> SinkCounters {
        let labels = self.labels("sink", sink);
        SinkCounters {
            indexed: self.sink.indexed.get_or_create_owned(&labels),
            duplicates: self.sink.duplicates.get_or_create_owned(&labels),
            erased: self.sink.erased.get_or_create_owned(&labels),
            failure_store: self.sink.failure_store.get_or_create_owned(&labels),
            retried: self.sink.retried.get_or_create_owned(&labels),
            ready: self.sink.ready.get_or_create_owned(&labels),
            in_flight: self.sink.in_flight.get_or_create_owned(&labels),
            last_success_timestamp_seconds: self.sink.last_success.get_or_create_owned(&labels),
            name: sink.into(),
            request_seconds: self.sink.request_seconds.get_or_create_owned(&labels),
            requests: Arc::clone(&self.requests),
            allowed_requests: self.sink.allowed_requests.get_or_create_owned(&labels),
        }
    }

    /// How long requests took since somebody asked last, by sink.
    pub fn take_latency(&self) -> BTreeMap<Arc<str>, Latency> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = requests.iter_mut().map(|(sink, (latency, _))| (Arc::clone(sink), std::mem::take(latency)));
        taken.filter(|(_, latency)| latency.requests > 0).collect()
    }

    /// How long all requests to a sink took that were answered since the pipeline was started.
    pub fn request_times(&self, sink: &str) -> RequestTimes {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.get(sink).map_or_else(RequestTimes::default, |(_, all)| *all)
    }

    /// Counts what is committed and saved.
    pub fn count_settled(&self, news: &Totals) {
        self.settled.count(news);
    }

    /// Shows all that is committed and saved. A pipeline that was started before in this process has shown some of it.
    pub fn show_settled(&self, totals: &Totals) {
        self.settled.show(totals);
    }

    /// All that is committed and saved, since the folder of state was made.
    pub fn settled(&self) -> Totals {
        self.settled.totals()
    }

    fn labels(&self, name: &'static str, value: &str) -> Labels {
        vec![("pipeline", self.pipeline.clone()), (name, value.to_owned())]
    }
}

/// The counters that have no label beside the pipeline.
const COUNTERS: [(&str, &str); 17] = [
    ("inferlog_source_read_lines", "Lines read"),
    ("inferlog_source_read_bytes", "Bytes read"),
    ("inferlog_source_unreadable_files", "Files and folders that could not be read"),
    ("inferlog_source_nul_bytes", "Bytes passed over as NUL bytes that nobody filled"),
    ("inferlog_source_lost_bytes", "Bytes deleted or overwritten before they were delivered"),
    ("inferlog_decode_records", "Records that lines gave"),
    ("inferlog_enrich_unreadable_timestamps", "Records that got the read time for want of a readable one"),
    ("inferlog_enrich_left_out_members", "Members not added because a scalar stands at their prefix"),
    ("inferlog_enrich_unhashed_records", "Records shipped without a hash for want of a canonical form"),
    ("inferlog_observe_capped_labels", "Label values beyond the limits, counted as `other`"),
    ("inferlog_observe_passed_over", "Records that look like inferences and are not counted"),
    ("inferlog_observe_late_records", "Records of a window of drift that was over, counted in the open one"),
    ("inferlog_observe_unmeasured_records", "Inferences whose drift was not measured for want of a baseline"),
    (
        "inferlog_observe_unjoinable_records",
        "Inferences without `request_id` or prediction, which no label can be joined with",
    ),
    ("inferlog_delivery_requests", "Requests sent to sinks"),
    ("inferlog_dead_letter_discarded_entries", "Entries that a full dead letter dropped, as chosen"),
    ("inferlog_checkpoint_saves", "Checkpoints written"),
];

/// All counters of the process.
#[derive(Debug, Default)]
pub struct Telemetry {
    registry: Registry,
    counts: Vec<(&'static str, CounterFamily)>,
    gauges: Vec<(&'static str, GaugeFamily)>,
    spans: Vec<(&'static str, SecondsFamily)>,
    histograms: Vec<(&'static str, HistogramFamily)>,
}

impl Telemetry {
    /// Registers the counters of one pipeline.
    pub fn pipeline(&mut self, pipeline: &str) -> Counters {
        let labels: Labels = vec![("pipeline", pipeline.to_owned())];
        let [
            source_read_lines_total,
            source_read_bytes_total,
            source_unreadable_total,
            source_nul_bytes_total,
            source_lost_bytes_total,
            decode_records_total,
            enrich_unreadable_timestamps_total,
            enrich_left_out_members_total,
            enrich_unhashed_records_total,
            observe_capped_labels_total,
            observe_passed_over_total,
            observe_late_records_total,
            observe_unmeasured_records_total,
            observe_unjoinable_records_total,
            delivery_requests_total,
            dead_letter_discarded_entries_total,
            checkpoint_saves_total,
        ] = COUNTERS.map(|(name, help)| self.counts(name, help).get_or_create_owned(&labels));
        let delivery_oldest_unacknowledged_seconds = self
            .spans(
                "inferlog_delivery_oldest_unacknowledged_seconds",
                "How long the oldest batch that is not acknowledged has been on its way",
            )
            .get_or_create_owned(&labels);
        let mut gauge = |name, help| self.gauges(name, help).get_or_create_owned(&labels);
        Counters {
            pipeline: pipeline.to_owned(),
            source_read_lines_total,
            source_read_bytes_total,
            source_unreadable_total,
            source_lost_bytes_total,
            source_nul_bytes_total,
            source_matched_files: gauge("inferlog_source_matched_files", "Files that the paths find"),
            source_lag_bytes: gauge("inferlog_source_lag_bytes", "Bytes written but not delivered, over all files"),
            source_open_files: gauge("inferlog_source_open_files", "Files held open"),
            source_closed_files: gauge("inferlog_source_closed_files", "Files closed for want of places"),
            source_waiting_files: gauge("inferlog_source_waiting_files", "Closed files with something to read"),
            decode_records_total,
            enrich_unreadable_timestamps_total,
            enrich_left_out_members_total,
            enrich_unhashed_records_total,
            observe_capped_labels_total,
            source_deleted_held_bytes: gauge("inferlog_source_deleted_held_bytes", "Bytes of deleted files held open"),
            queue_bytes: gauge("inferlog_queue_bytes", "Bytes of documents that wait or are in flight"),
            outbox_documents: gauge("inferlog_outbox_documents", "inferlog's own documents that some sink lacks"),
            outbox_bytes: gauge("inferlog_outbox_bytes", "Bytes of inferlog's own documents that some sink lacks"),
            delivery_oldest_unacknowledged_seconds,
            checkpoint_last_save_timestamp_seconds: gauge(
                "inferlog_checkpoint_last_save_timestamp_seconds",
                "When the checkpoint was written last, in seconds since 1970",
            ),
            delivery_unacknowledged_bytes: gauge("inferlog_delivery_unacknowledged_bytes", "Bytes read, not committed"),
            delivery_requests_total,
            checkpoint_saves_total,
            dead_letter_discarded_entries_total,
            dead_lettered_total: Counter::default(),
            dead_letter_reasons: Arc::default(),
            observe_passed_over_total,
            observe_late_records_total,
            observe_unmeasured_records_total,
            observe_unjoinable_records_total,
            labelled: self.labelled_families(),
            sink: self.sink_families(),
            settled: settled::Settled::new(pipeline, |name, help| self.counts(name, help)),
            requests: Arc::default(),
        }
    }

    /// Registers metrics that are made when somebody looks.
    pub fn register_collector(&mut self, collector: Box<dyn Collector>) {
        self.registry.register_collector(collector);
    }

    fn labelled_families(&mut self) -> LabelledFamilies {
        LabelledFamilies {
            enrich: enrich::EnrichFamilies::new(self),
            dropped: self.counts("inferlog_enrich_dropped_records", "Records dropped by a rule"),
            noted: self.counts("inferlog_decode_noted_records", "Records that could not be decoded as asked, by note"),
            unpaired: self.counts("inferlog_decode_unpaired", "Records whose other half was not there"),
            without_namespace: self.counts(
                "inferlog_enrich_without_namespace_records",
                "Records that name no namespace of the pipeline, shipped to the one for all else",
            ),
            hidden: self.counts("inferlog_enrich_hidden_records", "Records in which a hiding rule found its field"),
            dead_lettered: self.counts("inferlog_dead_letter_records", "Records that went to the dead letter"),
            replayed: self.counts("inferlog_dead_letter_replayed_entries", "Entries of the dead letter replayed"),
            unusable: self.counts("inferlog_observe_unusable_values", "Values of a field that observers could not use"),
            unmapped: self
                .counts("inferlog_enrich_unmapped_values", "Values found for a field that could not be taken"),
            truncated: self.counts("inferlog_enrich_truncated_texts", "Texts that `truncate` has cut"),
            unread_times: self.counts(
                "inferlog_enrich_unread_times",
                "Records that got the read time, by what kept their own from being read",
            ),
            numbers_from_text: self.counts(
                "inferlog_enrich_numbers_from_text",
                "Confidences and latencies read from texts, by how they were written",
            ),
        }
    }

    fn sink_families(&mut self) -> SinkFamilies {
        SinkFamilies {
            indexed: self.counts("inferlog_sink_indexed_records", "Documents that the sink took"),
            duplicates: self.counts("inferlog_sink_duplicate_records", "Documents that the sink had already"),
            erased: self.counts("inferlog_sink_erased_records", "Documents that an order has erased, not brought back"),
            failure_store: self.counts("inferlog_sink_failure_store_records", "Documents in the failure store"),
            retried: self.counts("inferlog_sink_retried_records", "Items tried again"),
            ready: self.gauges("inferlog_sink_ready_state", "1 while the sink answers, 0 while it is in trouble"),
            allowed_requests: self.gauges(
                "inferlog_sink_allowed_requests",
                "Requests that may be under way at a time, as the sink takes them",
            ),
            in_flight: self.gauges("inferlog_sink_in_flight_requests", "Requests under way"),
            last_success: self.gauges(
                "inferlog_sink_last_success_timestamp_seconds",
                "When the sink took something last, in seconds since 1970",
            ),
            request_seconds: family(
                &mut self.registry,
                &mut self.histograms,
                "inferlog_sink_request_seconds",
                "How long requests took",
                || HistogramFamily::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            ),
        }
    }

    /// The metrics as text, in the OpenMetrics format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        sums::without_missing(text)
    }

    fn counts(&mut self, name: &'static str, help: &str) -> CounterFamily {
        family(&mut self.registry, &mut self.counts, name, help, CounterFamily::default)
    }

    fn spans(&mut self, name: &'static str, help: &str) -> SecondsFamily {
        family(&mut self.registry, &mut self.spans, name, help, SecondsFamily::default)
    }

    fn gauges(&mut self, name: &'static str, help: &str) -> GaugeFamily {
        family(&mut self.registry, &mut self.gauges, name, help, GaugeFamily::default)
    }
}

/// The family of a name, which is made and registered for the first pipeline that asks for it.
fn family<F: Metric + Clone>(
    registry: &mut Registry,
    known: &mut Vec<(&'static str, F)>,
    name: &'static str,
    help: &str,
    make: impl FnOnce() -> F,
) -> F {
    if let Some((_, family)) = known.iter().find(|(known, _)| *known == name) {
        return family.clone();
    }
    let family = make();
    registry.register(name, help, family.clone());
    known.push((name, family.clone()));
    family
}

#[cfg(test)]
mod tests;
