//! One line: what becomes of it?
//!
//! A document, dropped by a rule, or turned away for a reason: this is decided here and nowhere else, with the id that
//! goes with it. A run, the replay of the dead letter, `reconcile` and the verbs for people all ask a [`Judge`].

use std::sync::Arc;

use super::enrichment;
use crate::config::model;
use crate::decode::Decoder;
use crate::elastic::tenants::NamespaceRule;
use crate::enrich::{Enrichment, Sight, Source, Verdict, Watch};
use crate::flow::batch::{Id, Namespace, SourceFile};
use crate::flow::line::Line;
use crate::flow::reject::{Reject, Stage};
use crate::kql::Fields;
use crate::record::{Record, Space};
use crate::source::files::PassedOver;
use crate::telemetry::Counters;

/// Decides on lines, as a pipeline file says.
#[derive(Debug)]
pub struct Judge {
    decoder: Decoder,
    /// What makes records documents.
    pub enrichment: Enrichment,
    line_bytes_max: u64,
    /// Which namespace a document goes to.
    namespaces: Option<NamespaceRule>,
}

/// What becomes of a line.
#[derive(Debug)]
pub enum Fate<'r> {
    /// This record is the document, to be shipped under the verdict's id.
    Document(Verdict, Record<'r>),
    /// A rule of this name drops it.
    Dropped(Arc<str>, Verdict, Record<'r>),
    /// It is turned away, and has this id in the dead letter. A record, as far as it had come, if it was one.
    Rejected(Id, Reject, Option<Record<'r>>),
}

impl Judge {
    /// The judge of a pipeline file, as on a host of this name.
    pub fn new(pipeline: &model::Pipeline, host: &str, counters: &Counters) -> Judge {
        Judge {
            decoder: Decoder::new(&pipeline.decode),
            enrichment: enrichment::enrichment_on(host, pipeline, counters),
            line_bytes_max: pipeline.source.files.line_bytes_max as u64,
            namespaces: pipeline.namespaces().cloned(),
        }
    }

    /// The namespace of a document that is there already.
    pub fn namespace_of(&self, document: &str, space: &mut Space) -> Namespace {
        let rule = self.namespaces.as_ref();
        let record = Record::parse(document, space).ok();
        rule.zip(record).map_or(Namespace::Unknown, |(rule, record)| rule.decide(&record))
    }

    /// Decides on one line, while somebody looks on.
    pub fn judge<'r>(
        &mut self,
        line: &Line<'r>,
        source: Source<'_>,
        space: &'r mut Space,
        watch: &mut impl Watch,
    ) -> Fate<'r> {
        let length_bytes = line.bytes.len() as u64;
        if length_bytes > self.line_bytes_max {
            let (id, reject) = self.passed_over(PassedOver::LongLine, length_bytes, source);
            return Fate::Rejected(id, reject, None);
        }
        let mut record = match self.decoder.decode(line, source.file, space) {
            Ok(record) => record,
            Err(reject) => return Fate::Rejected(self.enrichment.id_of_line(line.bytes, source), reject, None),
        };
        match self.enrichment.apply(&mut record, source, watch) {
            Ok(Verdict { dropped: Some(rule), id, timestamp_us, timed, namespace }) => {
                Fate::Dropped(rule, Verdict { dropped: None, id, timestamp_us, timed, namespace }, record)
            }
            Ok(mut verdict) => {
                if let Some(rule) = &self.namespaces {
                    let decide = |document: &dyn Fields| rule.decide(document);
                    verdict.namespace = self.enrichment.ask(Sight::Metadata, &record, source, decide);
                }
                Fate::Document(verdict, record)
            }
            Err(reject) => Fate::Rejected(self.enrichment.id_of_line(line.bytes, source), reject, Some(record)),
        }
    }

    /// Decides on what the source passes over without holding it: its id is that of its place and length.
    pub fn passed_over(&mut self, what: PassedOver, length_bytes: u64, source: Source<'_>) -> (Id, Reject) {
        let reject = match what {
            PassedOver::LongLine => too_long(length_bytes),
            PassedOver::NulBytes => nul_bytes(length_bytes),
        };
        (self.enrichment.id_of_line(&length_bytes.to_le_bytes(), source), reject)
    }

    /// The id that a line has while it is no document, whatever it is.
    pub fn id_of_line(&mut self, line: &[u8], source: Source<'_>) -> Id {
        self.enrichment.id_of_line(line, source)
    }

    /// The record that a line is, before anything is done with it.
    pub fn record<'r>(&mut self, line: &Line<'r>, file: &SourceFile, space: &'r mut Space) -> Option<Record<'r>> {
        self.decoder.decode(line, file, space).ok()
    }
}

/// Turns away a line that is longer than the limit.
fn too_long(length_bytes: u64) -> Reject {
    let detail = format!("the line has {length_bytes} bytes, more than `line_bytes_max`; it is still in its file");
    Reject::new(Stage::Source, "line_too_long", detail)
}

/// Turns away NUL bytes that stand where lines should be.
fn nul_bytes(length_bytes: u64) -> Reject {
    let detail = format!("{length_bytes} bytes of the file are NUL bytes, or parts of lines that they destroyed");
    Reject::new(Stage::Source, "nul_bytes", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, load_with};
    use crate::enrich::Nobody;
    use crate::telemetry::Telemetry;

    #[test]
    fn a_line_has_one_fate_and_one_id() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.yaml");
        let text = "source: { files: { paths: [a], line_bytes_max: 64 } }\ndecode: json\nsink: stdout\n\
                    enrich: [ { drop: { name: noise, when: \"event : noise\" } }, { redact: { fields: [f.a] } } ]\n";
        fs_err::write(&path, text).unwrap();
        let pipeline = load_with(&[path], &Environment::new(|_| None)).unwrap().remove(0);
        let mut judge = Judge::new(&pipeline, "host", &Telemetry::default().pipeline("p"));
        let file = Arc::new(SourceFile { path: "/a".to_owned(), inode: 7, ..SourceFile::default() });
        let source = Source { file: &file, offset_bytes: 9, read_us: 0 };
        let long = format!("{{\"text\":\"{}\"}}", "x".repeat(64));
        for (text, expected) in [
            ("{\"n\":1}", "document"),
            ("{\"event\":\"noise\"}", "dropped by noise"),
            ("text", "rejected: decode/not_an_object"),
            ("{\"f\":{\"a\":1,\"a\":2}}", "rejected, a record: enrich/repeated_name"),
            (long.as_str(), "rejected: source/line_too_long"),
        ] {
            let line = Line { offset_bytes: 9, bytes: text.as_bytes(), text: Some(text) };
            let of_line = judge.id_of_line(line.bytes, source);
            let (of_place, _) = judge.passed_over(PassedOver::LongLine, text.len() as u64, source);
            let mut space = Space::default();
            let (fate, id) = match judge.judge(&line, source, &mut space, &mut Nobody) {
                Fate::Document(verdict, _) => ("document".to_owned(), verdict.id),
                Fate::Dropped(rule, verdict, _) => (format!("dropped by {rule}"), verdict.id),
                Fate::Rejected(id, reject, None) => (format!("rejected: {}", reject.name()), id),
                Fate::Rejected(id, reject, Some(_)) => (format!("rejected, a record: {}", reject.name()), id),
            };
            let id_expected = if text.len() > 64 { of_place } else { of_line };
            assert_eq!((fate.as_str(), id), (expected, id_expected), "{text}");
        }
    }
}
