//! One line: what becomes of it?
//!
//! A line gives one record or several, and each of them is a document, dropped by a rule, or turned away for a reason:
//! this is decided here and nowhere else, with the id that goes with it. A run, the replay of the dead letter,
//! `reconcile` and the verbs for people all ask a [`Judge`].

use std::sync::Arc;

use super::enrichment;
use crate::config::model;
use crate::decode::{Decoded, Decoder};
use crate::elastic::tenants::NamespaceRule;
use crate::enrich::{Enrichment, Sight, Source, Verdict, Watch};
use crate::flow::batch::{Id, Namespace, SourceFile};
use crate::flow::line::{Given, Line};
use crate::flow::reject::{Reject, Stage};
use crate::kql::Fields;
use crate::record::{Path, Record, Space};
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

/// What becomes of one record of a line.
#[derive(Debug)]
pub struct Judged<'j> {
    /// The line, and which of its records this is.
    pub source: &'j Source<'j>,
    /// What becomes of it.
    pub fate: Fate<'j>,
    /// What made it a document, to be asked of it.
    pub enrichment: &'j Enrichment,
}

/// What becomes of a record, or of a line that is none.
#[derive(Debug)]
pub enum Fate<'r> {
    /// This record is the document, to be shipped under the verdict's id.
    Document(Verdict, Record<'r>),
    /// A rule of this name drops it.
    Dropped(Arc<str>, Verdict, Record<'r>),
    /// The decoder leaves it out, under this name; kept, it would have this id.
    LeftOut(&'static str, Id),
    /// It is turned away, and has this id in the dead letter. A record, as far as it had come, if it was one.
    Rejected(Id, Reject, Option<Record<'r>>),
}

impl Judge {
    /// The judge of a pipeline file, as on a host of this name.
    pub fn new(pipeline: &model::Pipeline, host: &str, counters: &Counters) -> Judge {
        let enrichment = enrichment::enrichment_on(host, pipeline, counters);
        Judge {
            decoder: Decoder::new(&pipeline.decode, enrichment.hidden_fields(), counters),
            enrichment,
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

    /// Decides on one line, while somebody looks on: `each` is given its records in their order, at least one.
    pub fn judge(
        &mut self,
        line: &Line<'_>,
        source: &Source<'_>,
        space: &mut Space,
        watch: &mut impl Watch,
        each: &mut dyn FnMut(Judged<'_>),
    ) {
        let length_bytes = line.bytes.len() as u64;
        if length_bytes > self.line_bytes_max {
            watch.begin(None);
            let (id, reject) = self.passed_over(PassedOver::LongLine, length_bytes, source);
            return each(Judged { source, fate: Fate::Rejected(id, reject, None), enrichment: &self.enrichment });
        }
        let Judge { decoder, enrichment, namespaces, .. } = self;
        decoder.decode(line, source.file, space, &mut |ordinal, decoded| {
            let (record, given) = match &decoded {
                Decoded::Record(record, given) => (Some(record), *given),
                Decoded::LeftOut(_) | Decoded::Rejected(_) => (None, &Given::NOTHING),
            };
            let source = &Source { ordinal, given, ..*source };
            watch.begin(record);
            let fate = fate(enrichment, namespaces.as_ref(), decoded, source, watch);
            each(Judged { source, fate, enrichment });
        });
    }

    /// Decides on what the source passes over without holding it: its id is that of its place and length.
    pub fn passed_over(&mut self, what: PassedOver, length_bytes: u64, source: &Source<'_>) -> (Id, Reject) {
        let reject = match what {
            PassedOver::LongLine => too_long(length_bytes),
            PassedOver::NulBytes => nul_bytes(length_bytes),
        };
        let of_length = Source { line: &length_bytes.to_le_bytes(), ..*source };
        (self.enrichment.id_of_line(&of_length), reject)
    }

    /// The id that a line, or one of its records, has while it is no document, whatever it is.
    pub fn id_of_line(&mut self, source: &Source<'_>) -> Id {
        self.enrichment.id_of_line(source)
    }

    /// Looks at the records of a line before anything is done with them.
    pub fn look(
        &mut self,
        line: &Line<'_>,
        file: &SourceFile,
        space: &mut Space,
        each: &mut dyn FnMut(&Enrichment, &Record<'_>),
    ) {
        let Judge { decoder, enrichment, .. } = self;
        decoder.peek(line, file, space, &mut |_, decoded| {
            if let Decoded::Record(record, _) = decoded {
                each(enrichment, &record);
            }
        });
    }

    /// Whether a line is a record, or several.
    pub fn is_record(&mut self, line: &Line<'_>, file: &SourceFile, space: &mut Space) -> bool {
        let mut is_record = false;
        self.look(line, file, space, &mut |_, _| is_record = true);
        is_record
    }
}

/// Decides on one record of a line.
fn fate<'r>(
    enrichment: &mut Enrichment,
    namespaces: Option<&NamespaceRule>,
    decoded: Decoded<'r>,
    source: &Source<'_>,
    watch: &mut impl Watch,
) -> Fate<'r> {
    let (mut record, given) = match decoded {
        Decoded::Record(record, given) => (record, given),
        Decoded::LeftOut(name) => return Fate::LeftOut(name, enrichment.id_of_line(source)),
        Decoded::Rejected(reject) => return Fate::Rejected(enrichment.id_of_line(source), reject, None),
    };
    if let Some(index) = given.part {
        let first = Source { ordinal: source.ordinal - index, ..*source };
        add_batch(&mut record, index, enrichment.id_of_line(&first));
    }
    match enrichment.apply(&mut record, source, watch) {
        Ok(mut verdict) => {
            if let Some(rule) = verdict.dropped.take() {
                return Fate::Dropped(rule, verdict, record);
            }
            if let Some(rule) = namespaces {
                let decide = |document: &dyn Fields| rule.decide(document);
                verdict.namespace = enrichment.ask(Sight::Metadata, &record, source, decide);
            }
            Fate::Document(verdict, record)
        }
        Err(reject) => Fate::Rejected(enrichment.id_of_line(source), reject, Some(record)),
    }
}

/// Links the records that one batch was split into, where the record does not say by itself which ones belong together.
fn add_batch(record: &mut Record<'_>, index: u32, id: Id) {
    let quoted = |out: &mut String| {
        out.push('"');
        out.push_str(id.as_str());
        out.push('"');
    };
    record.add(&Path::known("batch.id"), quoted);
    record.add(&Path::known("batch.index"), |out| out.push_str(&index.to_string()));
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
        let long = format!("{{\"text\":\"{}\"}}", "x".repeat(64));
        for (text, expected) in [
            ("{\"n\":1}", "document"),
            ("{\"event\":\"noise\"}", "dropped by noise"),
            ("text", "rejected: decode/not_an_object"),
            ("{\"f\":{\"a\":1,\"a\":2}}", "rejected, a record: enrich/repeated_name"),
            (long.as_str(), "rejected: source/line_too_long"),
        ] {
            let line = Line { offset_bytes: 9, bytes: text.as_bytes(), text: Some(text) };
            let source = &Source::of(&file, &line, 0);
            let of_line = judge.id_of_line(source);
            let (of_place, _) = judge.passed_over(PassedOver::LongLine, text.len() as u64, source);
            let mut space = Space::default();
            let mut fates = Vec::new();
            judge.judge(&line, source, &mut space, &mut Nobody, &mut |judged| fates.push(in_words(judged.fate)));
            let [(fate, id)] = fates.as_slice() else { panic!("one record: {fates:?}") };
            let id_expected = if text.len() > 64 { of_place } else { of_line };
            assert_eq!((fate.as_str(), *id), (expected, id_expected), "{text}");
        }
    }

    fn in_words(fate: Fate<'_>) -> (String, Id) {
        match fate {
            Fate::Document(verdict, _) => ("document".to_owned(), verdict.id),
            Fate::Dropped(rule, verdict, _) => (format!("dropped by {rule}"), verdict.id),
            Fate::LeftOut(name, id) => (format!("left out: {name}"), id),
            Fate::Rejected(id, reject, None) => (format!("rejected: {}", reject.name()), id),
            Fate::Rejected(id, reject, Some(_)) => (format!("rejected, a record: {}", reject.name()), id),
        }
    }
}
