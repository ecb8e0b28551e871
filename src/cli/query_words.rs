//! What `inferlog query` says about its answer: how many rows, of which source and range, what is probably not meant, up to
//! when it is complete; and the manifest.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::query_hash::{LackingKey, Sought};
use super::query_source::Respondent;
use super::say;
use crate::flow::question::Question;
use crate::kql::Expression;
use crate::proof::completeness::Completeness;
use crate::query::absent::AbsentFields;
use crate::query::ask::{AskError, SearchEnd};
use crate::query::output::OutputSummary;
use crate::text::harmless::harmless;
use crate::text::units::counted;

/// Everything that is asked, ready to be put to a source.
pub(super) struct Inquiry {
    /// Only predictions of which no label is known.
    pub(super) unlabelled: bool,
    pub(super) question: Question,
    /// What is looked for by its hash.
    pub(super) sought: Vec<Sought>,
    /// The records of which some may be meant, whatever their hashes.
    pub(super) candidates: Question,
    /// As it was typed, or saved.
    pub(super) text: String,
    pub(super) columns: Vec<String>,
    pub(super) by: Option<String>,
    pub(super) shadow: &'static str,
    pub(super) now: DateTime<Utc>,
    /// What is probably not meant.
    pub(super) doubts: Vec<String>,
    /// The fields that were typed.
    pub(super) fields: Vec<String>,
}

/// What came of it.
pub(super) enum Answer {
    Count(u64),
    Rows(OutputSummary, SearchEnd),
    /// And how many groups there are beside those that were shown.
    Groups(OutputSummary, SearchEnd, u64),
    /// Nobody reads any more.
    Unread,
}

/// An answer, and what was asked.
pub(super) struct Words<'w> {
    pub(super) limit: Option<u64>,
    pub(super) format: &'w str,
    pub(super) saved: Option<&'w str>,
    pub(super) inquiry: &'w Inquiry,
    pub(super) respondent: &'w Respondent,
    pub(super) answer: &'w Answer,
    pub(super) lacking: &'w [LackingKey],
    /// How many records of the range have no confidence.
    pub(super) unknown: u64,
}

impl Words<'_> {
    /// How many rows, groups or records the answer has.
    pub(super) fn rows(&self) -> u64 {
        match self.answer {
            Answer::Count(count) => *count,
            Answer::Rows(summary, _) | Answer::Groups(summary, ..) => summary.rows,
            Answer::Unread => 0,
        }
    }

    pub(super) fn say_summary(&self) {
        let rows = match self.answer {
            Answer::Unread => return,
            Answer::Groups(summary, _, 0) => counted(summary.rows, "group"),
            Answer::Groups(summary, _, more) => {
                format!("the {} biggest groups, and {more} more that `--limit` shows,", summary.rows)
            }
            Answer::Rows(summary, _) if Some(summary.rows) == self.limit => {
                format!("{}, as many as `--limit` lets through,", counted(summary.rows, "record"))
            }
            Answer::Count(_) | Answer::Rows(..) => counted(self.rows(), "record"),
        };
        let shadow = if self.inquiry.shadow == "left out" { "; shadow records are left out" } else { "" };
        let (range, source) = (range_text(&self.inquiry.question), &self.respondent.name);
        let have = if self.unknown == 1 { "has" } else { "have" };
        let unknown = counted(self.unknown, "record");
        say(&format!("{rows} in {source}, {range}; {unknown} there {have} no confidence{shadow}"));
        if let Answer::Rows(_, end) | Answer::Groups(_, end, _) = self.answer
            && end.is_cut
        {
            say("so many records have one and the same time that their order is not the same everywhere");
        }
    }

    /// Where there is no row, says what was looked through.
    pub(super) async fn say_where_nothing_was_found(&self) -> Result<(), AskError> {
        if self.rows() > 0 {
            return Ok(());
        }
        let all = |from_ms, until_ms| Question {
            stream: self.inquiry.question.stream,
            condition: Expression::all(),
            from_ms,
            until_ms,
            order: self.inquiry.question.order,
        };
        let Question { from_ms, until_ms, .. } = self.inquiry.question;
        let in_range = self.respondent.source.count(&all(from_ms, until_ms)).await?;
        let ever = self.respondent.source.count(&all(None, None)).await?;
        let looked = match (from_ms, until_ms) {
            (None, None) => format!("looked through {}", counted(ever, "record")),
            _ => format!("looked through {} in this range, of {ever} at any time", counted(in_range, "record")),
        };
        say(&format!("{looked}: {}", harmless(&self.respondent.place)));
        Ok(())
    }

    /// What can never match, and fields that no record has.
    pub(super) async fn say_doubts(&self) -> Result<(), AskError> {
        self.inquiry.doubts.iter().for_each(|doubt| say(&format!("note: {}", harmless(doubt))));
        let Question { stream, from_ms, until_ms, .. } = self.inquiry.question;
        let absent = AbsentFields::of(&self.respondent.source, stream, &self.inquiry.fields, from_ms, until_ms).await?;
        for name in &absent.names {
            let records = match absent.looked_at {
                Some(count) => format!("none of the newest {}", counted(count, "record")),
                None => "no record".to_owned(),
            };
            let near = absent.near(name).map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            say(&format!("note: {records} in this range has a field `{}`{}", harmless(name), harmless(&near)));
        }
        Ok(())
    }

    /// Which keys were tried for what is looked for by its hash, and which would have had to be.
    pub(super) fn say_keys(&self) {
        self.inquiry.sought.iter().for_each(Sought::say_keys);
        self.lacking.iter().for_each(LackingKey::say);
    }

    /// The ids of keys for the manifest; a key without one is `null`.
    fn keys(&self) -> Value {
        if self.inquiry.sought.is_empty() {
            return Value::Null;
        }
        let mut tried: Vec<&str> = self.inquiry.sought.iter().flat_map(Sought::key_ids).collect();
        tried.sort_unstable();
        tried.dedup();
        let lacking: Vec<Option<&str>> = self.lacking.iter().map(LackingKey::id).collect();
        json!({"tried": tried, "lacking": lacking})
    }

    pub(super) fn manifest(&self, completeness: &Completeness) -> Value {
        let Words { limit, format, saved, inquiry, respondent, unknown, .. } = self;
        let (count, output, indices) = match self.answer {
            Answer::Count(count) => (json!(count), Value::Null, Vec::new()),
            Answer::Rows(summary, end) | Answer::Groups(summary, end, _) => {
                let output =
                    json!({"format": format, "rows": summary.rows, "bytes": summary.bytes, "sha256": summary.sha256});
                let count = if inquiry.by.is_some() { Value::Null } else { json!(summary.rows) };
                (count, output, end.indices.clone())
            }
            Answer::Unread => (Value::Null, Value::Null, Vec::new()),
        };
        json!({
            "tool": "inferlog", "version": env!("CARGO_PKG_VERSION"),
            "time": inquiry.now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "query": inquiry.text, "saved": saved, "by": inquiry.by, "limit": limit,
            "shadow_records": inquiry.shadow,
            "range": {"from": inquiry.question.from_ms.map(time_text), "to": inquiry.question.until_ms.map(time_text)},
            "keys": self.keys(),
            "source": {"name": respondent.name, "indices": indices},
            "count": count, "without_confidence": unknown, "output": output, "completeness": completeness.json(),
        })
    }
}

pub(super) fn say_completeness(completeness: &Completeness) {
    let through = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    say(&completeness.through.map_or("it is not known through which time this is complete".to_owned(), |time| {
        format!("complete through {}", through(time))
    }));
    completeness.gaps.iter().for_each(|gap| say(&format!("  {}", harmless(gap))));
}

/// A time in milliseconds since 1970, for people.
pub(super) fn time_text(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| format!("{ms} ms"), |time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

pub(super) fn range_text(question: &Question) -> String {
    match (question.from_ms, question.until_ms) {
        (None, None) => "at any time".to_owned(),
        (Some(from), None) => format!("from {} on", time_text(from)),
        (None, Some(until)) => format!("before {}", time_text(until)),
        (Some(from), Some(until)) => format!("from {} to {}", time_text(from), time_text(until)),
    }
}
