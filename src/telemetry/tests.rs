//! The registry is what `docs/metrics.md` says.

use super::*;
use crate::flow::reject::Stage;

#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    let mut telemetry = Telemetry::default();
    let counters = telemetry.pipeline("p");
    telemetry.restarts("p").inc();
    // A family without a series is not shown.
    counters.sink("store").observe_request(Duration::ZERO);
    counters.dropped("rule").inc();
    counters.hidden(1, "user.email").inc();
    counters.unusable("field").inc();
    counters.unmapped("field").inc();
    counters.truncated("field").inc();
    counters.noted("not_expanded").inc();
    counters.unpaired("alone").inc();
    counters.contract_violation("field", "missing", "1").inc();
    counters.unmatched("lookup", "not_in_table").inc();
    counters.table_reload_failures("lookup").inc();
    counters.number_from_text("quoted").inc();
    counters.unread_time("missing").inc();
    counters.without_namespace("missing").inc();
    counters.replayed("indexed").inc();
    counters.count_dead_letter(&Reject::new(Stage::Decode, "invalid_json", String::new()));
    let mut settled = Totals::default();
    settled.dropped.add("rule", 1);
    settled.dead_lettered.add("decode/invalid_json", 1);
    settled.add_documents("store", &crate::flow::tally::Delivered::default());
    counters.count_settled(&settled);
    let text = telemetry.text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut names: Vec<String> =
        types.map(|(name, kind)| format!("{name}{}", if kind == "counter" { "_total" } else { "" })).collect();
    let table = include_str!("../../docs/metrics.md");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut documented: Vec<String> = rows.map(|(name, _)| name.to_owned()).collect();
    names.sort_unstable();
    documented.sort_unstable();
    assert_eq!(names, documented);
    assert!(names.iter().all(|name| name.starts_with("inferlog_")));
}

#[test]
fn what_is_settled_is_shown_once_however_often_a_pipeline_starts() {
    let mut telemetry = Telemetry::default();
    let counters = telemetry.pipeline("p");
    let mut totals = Totals { lines: 7, records: 7, ..Totals::default() };
    totals.dropped.add("rule", 2);
    let news = Totals { lines: 3, ..Totals::default() };
    counters.show_settled(&totals);
    counters.count_settled(&news);
    totals.join(&news);
    telemetry.pipeline("p").show_settled(&totals);
    let text = telemetry.text();
    for line in [
        "inferlog_settled_lines_total{pipeline=\"p\"} 10",
        "inferlog_settled_records_total{pipeline=\"p\"} 7",
        "inferlog_settled_dropped_records_total{pipeline=\"p\",rule=\"rule\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
}

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
