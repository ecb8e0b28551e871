//! The verdict: a report in one document, for those who look at many pipelines.
//!
//! ```text
//! {"@timestamp":"2026-11-30T10:00:00.000000Z","host.name":"gpu-7","agent.type":"inferlog","agent.version":"0.1.0",
//!  "inferlog.pipeline":"inference","inferlog.config":"31ad…","account.kind":"reconcile","account.verdict":"incomplete",
//!  "account.scope":"matching","account.sink":"elasticsearch","account.up_to":"2026-11-30T09:59:59.700000Z",
//!  "account.matched_files":3,"account.files_by_lines":2,"account.files_by_accounts":1,"account.waiting_files":1,"account.waiting_bytes":4711,
//!  "account.lines":100000,"account.records":100000,"account.erased":0,"account.expired":0,
//!  "account.missing":1,"account.unexpected":0,"account.undecidable":0,"account.settled_ratio":0.99987}
//! ```
//!
//! It stands beside the accounts and is none: it has neither a number nor targets nor files.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use serde_json::value::RawValue;

use super::report::{Proof, Report, Row, Scope};
use crate::flow::batch::{Id, Stream};
use crate::flow::own_document::OwnDocument;

/// What was found, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that has to be settled is, and every line is accounted for.
    Complete,
    /// Something is missing or unexpected, or waits.
    Incomplete,
    /// Nothing is known to be missing, and of some lines it cannot be told.
    Undecidable,
}

impl Verdict {
    /// As it is written in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Complete => "complete",
            Verdict::Incomplete => "incomplete",
            Verdict::Undecidable => "undecidable",
        }
    }
}

/// Whose verdict it is.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'j> {
    /// The pipeline's name.
    pub pipeline: &'j str,
    /// The host's name.
    pub host: &'j str,
    /// The digest of the configuration that lines were judged by.
    pub config: &'j str,
}

impl Report {
    /// The report in a word.
    pub fn verdict(&self) -> Verdict {
        let is_settled = self.scope == Scope::Committed || self.frontier.waiting_bytes == 0;
        let is_known = self.rows.iter().all(|row| row.missing == 0 && row.unexpected == 0);
        match () {
            () if self.is_complete() => Verdict::Complete,
            () if is_settled && is_known => Verdict::Undecidable,
            () => Verdict::Incomplete,
        }
    }

    /// The report in a document, written at this moment.
    pub fn document(&self, judged: &Judged<'_>, now: DateTime<Utc>) -> OwnDocument {
        let Judged { pipeline, host, config } = *judged;
        let sum = |of: fn(&Row) -> u64| self.rows.iter().map(of).sum::<u64>();
        let proven = |by: Proof| self.rows.iter().filter(|row| row.proof == by).count();
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut document = json!({
            "@timestamp": time(now),
            "host.name": host,
            "agent.type": "inferlog",
            "agent.version": env!("CARGO_PKG_VERSION"),
            "inferlog.pipeline": pipeline,
            "inferlog.config": config,
            "account.kind": "reconcile",
            "account.verdict": self.verdict().as_str(),
            "account.scope": self.scope,
            "account.sink": self.sink,
            "account.up_to": time(self.frontier.committed),
            "account.matched_files": self.frontier.matched_files,
            "account.files_by_lines": proven(Proof::Lines),
            "account.files_by_accounts": proven(Proof::Accounts),
            "account.waiting_files": self.frontier.waiting_files,
            "account.waiting_bytes": self.frontier.waiting_bytes,
            "account.lines": sum(|row| row.lines),
            "account.records": sum(|row| row.records),
            "account.erased": sum(|row| row.erased),
            "account.expired": sum(|row| row.expired),
            "account.missing": sum(|row| row.missing),
            "account.unexpected": sum(|row| row.unexpected),
            "account.undecidable": sum(|row| row.undecidable),
        });
        if let Some(ratio) = self.settled_ratio() {
            document["account.settled_ratio"] = json!(ratio);
        }
        let time_us = now.timestamp_micros();
        let id = Id::of_parts(now.timestamp(), &["reconcile", pipeline, host, &self.sink, &time_us.to_string()]);
        let text = RawValue::from_string(document.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        OwnDocument { stream: Stream::Accounts, id, timestamp_us: time_us, text }
    }

    /// How much of what there is is settled and accounted for, 0 to 1: the share of the bytes that do not wait, times the share of
    /// their lines that are neither missing nor undecidable. `None` where there is nothing.
    fn settled_ratio(&self) -> Option<f64> {
        let sum = |of: fn(&Row) -> u64| self.rows.iter().map(of).sum::<u64>() as f64;
        let (judged, waiting) = (sum(|row| row.to_bytes - row.from_bytes), self.frontier.waiting_bytes as f64);
        let (lines, lost) = (sum(|row| row.lines.max(row.records)), sum(|row| row.missing + row.undecidable));
        let of_lines = if lost > 0.0 { (1.0 - lost / lines.max(lost)).max(0.0) } else { 1.0 };
        (judged + waiting > 0.0).then(|| judged / (judged + waiting) * of_lines)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::proof::reconcile::Frontier;

    /// A file of 100 lines and 1,000 bytes with so many missing, unexpected, undecidable lines, and bytes that wait behind it.
    fn check(scope: Scope, counts: [u64; 4], verdict: &str, ratio: f64) {
        let [missing, unexpected, undecidable, waiting_bytes] = counts;
        let (lines, to_bytes) = (100, 1_000);
        let row = Row { lines, to_bytes, missing, unexpected, undecidable, waiting_bytes, ..Row::empty(Proof::Lines) };
        let frontier = Frontier { waiting_bytes, matched_files: 1, ..Frontier::default() };
        let report = Report { sink: "store".to_owned(), scope, frontier, rows: vec![row], findings: Vec::new() };
        let judged = Judged { pipeline: "p", host: "h", config: "c" };
        let document = report.document(&judged, Utc::now());
        let json: Value = serde_json::from_str(document.text.get()).unwrap();
        for (name, expected) in [
            ("account.kind", json!("reconcile")),
            ("account.verdict", json!(verdict)),
            ("account.missing", json!(missing)),
            ("account.unexpected", json!(unexpected)),
            ("account.undecidable", json!(undecidable)),
            ("account.waiting_bytes", json!(waiting_bytes)),
            ("account.lines", json!(100)),
            ("account.files_by_lines", json!(1)),
            ("account.files_by_accounts", json!(0)),
            ("account.targets", Value::Null),
            ("account.sequence", Value::Null),
        ] {
            assert_eq!(json[name], expected, "{name} of {json}");
        }
        let found = json["account.settled_ratio"].as_f64().unwrap();
        assert!((found - ratio).abs() < 1e-12, "{counts:?}: {found}, not {ratio}");
        assert_eq!(verdict == "complete", report.is_complete());
    }

    #[test]
    fn a_verdict_is_complete_only_where_all_is_settled_and_accounted_for() {
        check(Scope::Matching, [0, 0, 0, 0], "complete", 1.0);
        check(Scope::Matching, [1, 0, 0, 0], "incomplete", 0.99);
        check(Scope::Matching, [0, 1, 0, 0], "incomplete", 1.0);
        check(Scope::Matching, [0, 0, 1, 0], "undecidable", 0.99);
        check(Scope::Matching, [1, 0, 1, 0], "incomplete", 0.98);
        check(Scope::Matching, [0, 0, 0, 1_000], "incomplete", 0.5);
        check(Scope::Committed, [0, 0, 0, 1_000], "complete", 0.5);
        check(Scope::Matching, [0, 0, 5, 1_000], "incomplete", 0.475);
        check(Scope::Committed, [0, 0, 5, 0], "undecidable", 0.95);
    }

    #[test]
    fn where_nothing_was_there_is_no_ratio() {
        let judged = Judged { pipeline: "p", host: "h", config: "c" };
        let document = Report::default().document(&judged, Utc::now());
        assert!(!document.text.get().contains("settled_ratio"), "{}", document.text);
    }
}
