//! The last word of a pipeline: what became of everything that it read?

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::pipeline::health::Health;
use crate::pipeline::lookout::by_reason;
use crate::pipeline::supervisor::Running;
use crate::text::units::counted;

/// Says what became of everything that a pipeline read.
pub(super) fn sum_up(pipeline: &Running) {
    let counters = &pipeline.counters;
    let (lines, bytes) = (counters.source_read_lines_total.get(), counters.source_read_bytes_total.get());
    let (lines, bytes) = (counted(lines, "line"), counted(bytes, "byte"));
    let of_sink = |health: &Arc<Health>| {
        let counters = counters.sink(health.sink());
        let duplicates = counted(counters.duplicates.get(), "duplicate");
        format!("; {}: {} indexed, {duplicates}", health.sink(), counters.indexed.get())
    };
    let sinks: String = pipeline.health.iter().map(of_sink).collect();
    let rules = pipeline.file.enrich.iter().filter_map(|step| step.action.processor().drops());
    let dropped: BTreeMap<String, u64> = rules.map(|rule| (rule.to_string(), counters.dropped(rule).get())).collect();
    let dropped = part("dropped", dropped);
    let dead_lettered = part("to the dead letter", counters.dead_letter_reasons());
    tracing::info!(pipeline = pipeline.name, "ended: read {lines}, {bytes}{dropped}{dead_lettered}{sinks}");
}

/// How many there were, and by what; nothing where there were none.
fn part(what: &str, mut counts: BTreeMap<String, u64>) -> String {
    counts.retain(|_, count| *count > 0);
    match counts.values().sum::<u64>() {
        0 => String::new(),
        sum => format!("; {sum} {what} ({})", by_reason(&counts)),
    }
}
