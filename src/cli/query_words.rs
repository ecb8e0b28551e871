//! What `inferlog query` says about its answer: how many rows, of which source and range, what is probably not meant, up to
//! when it is complete; and the manifest.

use serde_json::{Value, json};

use super::query_hash::{LackingKey, Sought};
use super::say;
use crate::flow::question::Question;
use crate::proof::completeness::Completeness;
use crate::query::ask::{AskError, SearchEnd};
use crate::query::inquiry::Inquiry;
use crate::query::output::OutputSummary;
use crate::query::range::time_text;
use crate::query::respondent::Respondent;
use crate::query::words::{CUT_TIES, doubts, looked_through, summary};
use crate::text::harmless::harmless;
use crate::text::units::counted;

/// An inquiry, and what is asked beside it.
pub(super) struct Asked {
    pub(super) inquiry: Inquiry,
    /// Only predictions of which no label is known.
    pub(super) unlabelled: bool,
    /// What is looked for by its hash.
    pub(super) sought: Vec<Sought>,
    /// The records of which some may be meant, whatever their hashes.
    pub(super) candidates: Question,
    /// What groups are made by.
    pub(super) by: Option<String>,
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
    pub(super) asked: &'w Asked,
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
        say(&summary(&rows, &self.asked.inquiry, &self.respondent.name, Some(self.unknown)));
        if let Answer::Rows(_, end) | Answer::Groups(_, end, _) = self.answer
            && end.is_cut
        {
            say(CUT_TIES);
        }
    }

    /// Where there is no row, says what was looked through.
    pub(super) async fn say_where_nothing_was_found(&self) -> Result<(), AskError> {
        if self.rows() > 0 {
            return Ok(());
        }
        let looked = looked_through(&self.respondent.source, &self.asked.inquiry.question).await?;
        say(&format!("{looked}: {}", harmless(&self.respondent.place)));
        Ok(())
    }

    /// What can never match, and fields that no record has.
    pub(super) async fn say_doubts(&self) -> Result<(), AskError> {
        let doubts = doubts(&self.respondent.source, &self.asked.inquiry).await?;
        doubts.iter().for_each(|doubt| say(doubt));
        Ok(())
    }

    /// Which keys were tried for what is looked for by its hash, and which would have had to be.
    pub(super) fn say_keys(&self) {
        self.asked.sought.iter().for_each(Sought::say_keys);
        self.lacking.iter().for_each(LackingKey::say);
    }

    /// The ids of keys for the manifest; a key without one is `null`.
    fn keys(&self) -> Value {
        if self.asked.sought.is_empty() {
            return Value::Null;
        }
        let mut tried: Vec<&str> = self.asked.sought.iter().flat_map(Sought::key_ids).collect();
        tried.sort_unstable();
        tried.dedup();
        let lacking: Vec<Option<&str>> = self.lacking.iter().map(LackingKey::id).collect();
        json!({"tried": tried, "lacking": lacking})
    }

    pub(super) fn manifest(&self, completeness: &Completeness) -> Value {
        let Words { limit, format, saved, respondent, unknown, .. } = self;
        let Asked { inquiry, by, .. } = self.asked;
        let (count, output, indices) = match self.answer {
            Answer::Count(count) => (json!(count), Value::Null, Vec::new()),
            Answer::Rows(summary, end) | Answer::Groups(summary, end, _) => {
                let output =
                    json!({"format": format, "rows": summary.rows, "bytes": summary.bytes, "sha256": summary.sha256});
                let count = if by.is_some() { Value::Null } else { json!(summary.rows) };
                (count, output, end.indices.clone())
            }
            Answer::Unread => (Value::Null, Value::Null, Vec::new()),
        };
        json!({
            "tool": "inferlog", "version": env!("CARGO_PKG_VERSION"),
            "time": inquiry.now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "query": inquiry.text, "saved": saved, "by": by, "limit": limit,
            "shadow_records": inquiry.shadow,
            "range": {"from": inquiry.question.from_ms.map(time_text), "to": inquiry.question.until_ms.map(time_text)},
            "keys": self.keys(),
            "source": {"name": respondent.name, "indices": indices},
            "count": count, "without_confidence": unknown, "output": output, "completeness": completeness.json(),
        })
    }
}

pub(super) fn say_completeness(completeness: &Completeness) {
    let mut words = completeness.words().into_iter();
    words.by_ref().take(1).for_each(|through| say(&through));
    words.for_each(|gap| say(&format!("  {gap}")));
}
