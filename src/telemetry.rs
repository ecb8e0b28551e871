//! inferlog's own counters, as `/metrics` shows them.
//!
//! One naming rule: `inferlog_<stage>_<what>_<unit>[_total]`, with a `pipeline` label. No label ever holds a path or a
//! part of a record, so their number does not grow with files or traffic.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::reject::Reject;

type Labels = Vec<(&'static str, String)>;
type Counts = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge>;

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
    /// Bytes written but not delivered, over all files.
    pub source_lag_bytes: Gauge,
    /// Files held open.
    pub source_open_files: Gauge,
    /// Lines that are records.
    pub decode_records_total: Counter,
    /// Records whose time could not be read and became the read time.
    pub enrich_unreadable_timestamps_total: Counter,
    /// Members that inferlog would have added, left out because a scalar stands at a prefix of their path.
    pub enrich_left_out_members_total: Counter,
    /// Label values beyond the limits, which observers counted as `other`.
    pub observe_capped_labels_total: Counter,
    /// Bytes of rendered documents that wait or are in flight.
    pub queue_bytes: Gauge,
    /// Span of the files between what is read and what is committed.
    pub delivery_unacknowledged_bytes: Gauge,
    /// Requests sent to sinks.
    pub delivery_requests_total: Counter,
    /// Times that a checkpoint was written.
    pub checkpoint_saves_total: Counter,
    /// All that went to the dead letter, whatever the reason; not shown, it is the sum of what is.
    dead_lettered_total: Counter,
    dropped: Counts,
    dead_lettered: Counts,
    unusable: Counts,
    sink: SinkFamilies,
}

#[derive(Clone, Debug, Default)]
struct SinkFamilies {
    indexed: Counts,
    duplicates: Counts,
    failure_store: Counts,
    retried: Counts,
    ready: Gauges,
}

/// The counters of one sink of one pipeline.
#[derive(Clone, Debug)]
pub struct SinkCounters {
    /// Documents that the sink took.
    pub indexed: Counter,
    /// Documents that it had already.
    pub duplicates: Counter,
    /// Documents that went to Elasticsearch's failure store.
    pub failure_store: Counter,
    /// Items that were tried again.
    pub retried: Counter,
    /// 1 while the sink answers, 0 while it is in trouble.
    pub ready: Gauge,
}

impl Counters {
    /// Counts the records that a rule drops.
    pub fn dropped(&self, rule: &str) -> Counter {
        self.dropped.get_or_create_owned(&vec![("pipeline", self.pipeline.clone()), ("rule", rule.to_owned())])
    }

    /// Counts the values of a field that observers could not use.
    pub fn unusable(&self, field: &str) -> Counter {
        self.unusable.get_or_create_owned(&vec![("pipeline", self.pipeline.clone()), ("field", field.to_owned())])
    }

    /// Counts a record that goes to the dead letter.
    pub fn count_dead_letter(&self, reject: &Reject) {
        self.dead_lettered_total.inc();
        let labels = vec![
            ("pipeline", self.pipeline.clone()),
            ("stage", reject.stage.as_str().to_owned()),
            ("reason", reject.reason.clone().into_owned()),
        ];
        self.dead_lettered.get_or_create_owned(&labels).inc();
    }

    /// How many records went to the dead letter.
    pub fn dead_lettered_total(&self) -> u64 {
        self.dead_lettered_total.get()
    }

    /// The counters of one sink.
    pub fn sink(&self, sink: &str) -> SinkCounters {
        let labels = vec![("pipeline", self.pipeline.clone()), ("sink", sink.to_owned())];
        SinkCounters {
            indexed: self.sink.indexed.get_or_create_owned(&labels),
            duplicates: self.sink.duplicates.get_or_create_owned(&labels),
            failure_store: self.sink.failure_store.get_or_create_owned(&labels),
            retried: self.sink.retried.get_or_create_owned(&labels),
            ready: self.sink.ready.get_or_create_owned(&labels),
        }
    }
}

/// All counters of the process.
#[derive(Debug, Default)]
pub struct Telemetry {
    registry: Registry,
    counts: Vec<(&'static str, Counts)>,
    gauges: Vec<(&'static str, Gauges)>,
}

impl Telemetry {
    /// Registers the counters of one pipeline.
    pub fn pipeline(&mut self, pipeline: &str) -> Counters {
        let labels: Labels = vec![("pipeline", pipeline.to_owned())];
        let mut count = |name, help| self.counts(name, help).get_or_create_owned(&labels);
        let source_read_lines_total = count("inferlog_source_read_lines", "Lines read");
        let source_read_bytes_total = count("inferlog_source_read_bytes", "Bytes read");
        let source_unreadable_total =
            count("inferlog_source_unreadable_files", "Files and folders that could not be read");
        let source_lost_bytes_total =
            count("inferlog_source_lost_bytes", "Bytes deleted or overwritten before they were delivered");
        let decode_records_total = count("inferlog_decode_records", "Lines that are records");
        let enrich_unreadable_timestamps_total =
            count("inferlog_enrich_unreadable_timestamps", "Records that got the read time for want of a readable one");
        let enrich_left_out_members_total =
            count("inferlog_enrich_left_out_members", "Members not added because a scalar stands at their prefix");
        let observe_capped_labels_total =
            count("inferlog_observe_capped_labels", "Label values beyond the limits, counted as `other`");
        let delivery_requests_total = count("inferlog_delivery_requests", "Requests sent to sinks");
        let checkpoint_saves_total = count("inferlog_checkpoint_saves", "Checkpoints written");
        let mut gauge = |name, help| self.gauges(name, help).get_or_create_owned(&labels);
        Counters {
            pipeline: pipeline.to_owned(),
            source_read_lines_total,
            source_read_bytes_total,
            source_unreadable_total,
            source_lost_bytes_total,
            source_lag_bytes: gauge("inferlog_source_lag_bytes", "Bytes written but not delivered, over all files"),
            source_open_files: gauge("inferlog_source_open_files", "Files held open"),
            decode_records_total,
            enrich_unreadable_timestamps_total,
            enrich_left_out_members_total,
            observe_capped_labels_total,
            queue_bytes: gauge("inferlog_queue_bytes", "Bytes of documents that wait or are in flight"),
            delivery_unacknowledged_bytes: gauge(
                "inferlog_delivery_unacknowledged_bytes",
                "Bytes of files between what is read and what is committed",
            ),
            delivery_requests_total,
            checkpoint_saves_total,
            dead_lettered_total: Counter::default(),
            dropped: self.counts("inferlog_enrich_dropped_records", "Records dropped by a rule"),
            dead_lettered: self.counts("inferlog_dead_letter_records", "Records that went to the dead letter"),
            unusable: self.counts("inferlog_observe_unusable_values", "Values of a field that observers could not use"),
            sink: self.sink_families(),
        }
    }

    /// Registers metrics that are made when somebody looks.
    pub fn register_collector(&mut self, collector: Box<dyn Collector>) {
        self.registry.register_collector(collector);
    }

    fn sink_families(&mut self) -> SinkFamilies {
        SinkFamilies {
            indexed: self.counts("inferlog_sink_indexed_records", "Documents that the sink took"),
            duplicates: self.counts("inferlog_sink_duplicate_records", "Documents that the sink had already"),
            failure_store: self.counts("inferlog_sink_failure_store_records", "Documents in the failure store"),
            retried: self.counts("inferlog_sink_retried_records", "Items tried again"),
            ready: self.gauges("inferlog_sink_ready_state", "1 while the sink answers, 0 while it is in trouble"),
        }
    }

    /// The metrics as text, in the OpenMetrics format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn counts(&mut self, name: &'static str, help: &str) -> Counts {
        if let Some((_, family)) = self.counts.iter().find(|(known, _)| *known == name) {
            return family.clone();
        }
        let family = Counts::default();
        self.registry.register(name, help, family.clone());
        self.counts.push((name, family.clone()));
        family
    }

    fn gauges(&mut self, name: &'static str, help: &str) -> Gauges {
        if let Some((_, family)) = self.gauges.iter().find(|(known, _)| *known == name) {
            return family.clone();
        }
        let family = Gauges::default();
        self.registry.register(name, help, family.clone());
        self.gauges.push((name, family.clone()));
        family
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reject::Stage;

    #[test]
    fn metrics_carry_names_and_labels() {
        let mut telemetry = Telemetry::default();
        let (first, second) = (telemetry.pipeline("a"), telemetry.pipeline("b"));
        first.source_read_lines_total.inc_by(3);
        second.sink("store").indexed.inc();
        second.count_dead_letter(&Reject::new(Stage::Decode, "invalid_json", String::new()));
        let text = telemetry.text();
        for line in [
            "inferlog_source_read_lines_total{pipeline=\"a\"} 3",
            "inferlog_source_read_lines_total{pipeline=\"b\"} 0",
            "inferlog_sink_indexed_records_total{pipeline=\"b\",sink=\"store\"} 1",
            "inferlog_dead_letter_records_total{pipeline=\"b\",stage=\"decode\",reason=\"invalid_json\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
    }
}
