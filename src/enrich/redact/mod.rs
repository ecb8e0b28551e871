//! `redact`: members whose content nobody may see, and patterns that nobody may see in any text.
//!
//! It works in one of four ways. With `fields` it puts something else in the place of members, in every spelling of their
//! paths, nested, dotted, mixed and inside of arrays, with everything below them. With `patterns` or `custom` it does so
//! with what these find in texts, and leaves the rest of each text. `text` is for what people write: it keeps of these
//! members only what is said. `keep_only` removes everything that is not listed.
//!
//! Paths may have wildcards: `*` is any part of one name, `**` any number of names (`headers.x-*`, `**.password`). A `*`
//! that is part of a name is written `\*`. In a list of keys and values, `"attributes":[{"key":"user.email","value":…}]`
//! (or with `name`), as OpenTelemetry has them, `attributes.user.email` is found; an element with more than these two
//! members is an object as any other.
//!
//! Patterns see the values of strings, unescaped; not the names of members, and not numbers. **Names of people,
//! addresses and whatever else has no shape are not found in a text**: hide the whole member where it may hold such.
//!
//! What is hidden leaves no copy: a record that is turned away by a later processor is kept in the dead letter with all
//! of it hidden, whatever the conditions. Of a line that could not be decoded only its place is kept. A rule that finds
//! its field in no record is warned of, and counted in `inferlog_enrich_hidden_records_total`.
//!
//! `keep_only` sees what processors before it have added: list it, or put `keep_only` first. What inferlog adds by itself
//! stays: `@timestamp`, `batch`, `pair`, `log.iostream`, `inferlog.notes` and `inferlog.non_finite`.
//!
//! ```yaml
//! - redact: { fields: [user.email, headers, "**.password"] }
//! - redact: { fields: [ssn], with: "" }
//! - redact: { fields: [card], with: { mask: { keep_last: 4 } } }
//! - redact: { fields: [user.id], with: { hash: { key: "${HASH_KEY:a key of your own}" } } }
//! - redact:
//!     patterns: [email, iban, credit_card]
//!     custom: [{ name: ticket, regex: "T-[0-9]{6}" }]
//!     fields: [log, messages.content]
//! - redact: { text: { fields: [prompt, response], keep: length } }
//! - redact: { keep_only: [request_id, model_name, features, "usage.*_tokens"] }
//! ```
//!
//! - `fields`: list of paths, with wildcards: the members; beside patterns, those in whose texts they are looked for, by
//!   default all.
//! - `patterns`: list of `email`, `ipv4`, `ipv6`, `phone`, `credit_card` (Luhn's check digit), `iban` (its check digits),
//!   `jwt` (three parts, and a header that decodes), `api_key` (shapes of well-known vendors).
//! - `custom`: list of `{ name, regex }`, in the syntax of the Rust crate `regex`: every match is hidden. The name is for
//!   those who read the pipeline file.
//! - `with`: single value, default `[redacted]`: the text that stands in their place. Or `{ hash: { key } }`: HMAC-SHA-256
//!   of the value, as `hash` makes it, so that equal values stay equal, in members and in texts. Or `{ mask: {
//!   keep_first: 0, keep_last: 0, character: "*" } }`: some characters stay, never more than half of them; of what is
//!   neither text nor number none does.
//! - `text`: map of `fields`, a list of paths, and `keep`: `none` (`[redacted]`), `length` (`[redacted: 42 characters]`),
//!   `hash` (an HMAC-SHA-256 under `key`, which it then needs), or `pattern_redacted` (the text without what any named
//!   pattern finds). Names in free text are not found.
//! - `keep_only`: list of paths, with wildcards: what stays; the rest is removed, also from what the dead letter keeps.
//! - `when`: condition: on which records.

mod with;

use std::borrow::Cow;

pub(super) use with::REDACTED;
pub use with::{Mask, With};

use super::processor::{Processor, Run, count, count_one};
use crate::flow::reject::Reject;
use crate::record::{Change, PathPattern, Record, json};
use crate::text::pattern_redaction::Patterns;

/// What inferlog adds to a record by itself, before processors run or with the first of them.
const OWN: [&str; 6] = ["@timestamp", "batch", "pair", "log.iostream", "inferlog.notes", "inferlog.non_finite"];

/// Hides what is in a record.
#[derive(Clone, Debug)]
pub struct Redact {
    /// What it hides.
    pub what: Redacted,
    /// What stands in its place.
    pub with: With,
}

/// What is hidden.
#[derive(Clone, Debug)]
pub enum Redacted {
    /// Members, in every spelling of their paths and with everything below them.
    Members(Vec<PathPattern>),
    /// What patterns find in texts, of these members or, where none is named, of all.
    Found(Patterns, Vec<PathPattern>),
    /// All but these members: they are removed.
    AllBut(Vec<PathPattern>),
}

impl Processor for Redact {
    fn name(&self) -> &'static str {
        "redact"
    }

    fn hides(&self) -> Vec<PathPattern> {
        match &self.what {
            Redacted::Members(fields) | Redacted::Found(_, fields) => fields.clone(),
            Redacted::AllBut(_) => Vec::new(),
        }
    }

    fn is_hiding(&self) -> bool {
        true
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        match &self.what {
            Redacted::Members(_) => {
                let rewrite = |raw: &str| self.with.of_value(raw);
                let change = match &self.with {
                    With::Text(raw) => Change::Replace(raw),
                    _ => Change::Rewrite(&rewrite),
                };
                for (position, field) in run.hidden.iter().enumerate() {
                    let count = record.change(&field.pattern, change)?;
                    count_one(field, position, count > 0, &mut run.context.missed);
                }
            }
            Redacted::Found(patterns, fields) => {
                count(run.hidden, record, &mut run.context.missed);
                self.replace(patterns, fields, record);
            }
            Redacted::AllBut(kept) => keep_only(record, kept),
        }
        Ok(())
    }
}

impl Redact {
    /// Hides what it finds in texts, of all members or of those that it names.
    pub(super) fn hide_found(&self, record: &mut Record<'_>) {
        if let Redacted::Found(patterns, fields) = &self.what {
            self.replace(patterns, fields, record);
        }
    }

    fn replace(&self, patterns: &Patterns, fields: &[PathPattern], record: &mut Record<'_>) {
        let mut rewrite = |raw: &str| {
            let text = raw.starts_with('"').then(|| json::unescape_lossy(raw))?;
            let Cow::Owned(changed) = patterns.redact(text.as_bytes(), &|found, out| {
                out.extend_from_slice(self.with.of_text(&String::from_utf8_lossy(found)).as_bytes());
            }) else {
                return None;
            };
            let mut quoted = String::new();
            json::write_string(&String::from_utf8_lossy(&changed), &mut quoted);
            Some(quoted)
        };
        if fields.is_empty() {
            record.rewrite_leaves(None, &mut rewrite);
        }
        for field in fields {
            record.rewrite_leaves_of(field, &mut rewrite);
        }
    }
}

/// Removes everything but some members and what inferlog adds by itself.
pub(super) fn keep_only(record: &mut Record<'_>, kept: &[PathPattern]) {
    record.keep_only(kept, &OWN);
}
