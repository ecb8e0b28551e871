//! `extract`: parts of a text become members.
//!
//! The named groups of a regular expression that matches the text at `field` become members of their names, beside
//! what is there. The text stays as it is, and so does a member that has the name already. Where the expression does
//! not match, nothing is added.
//!
//! ```yaml
//! - extract:
//!     field: message
//!     pattern: 'model=(?P<model_name>\S+) took (?P<took_ms>[0-9.]+) ms'
//!     as: { took_ms: number }
//! ```
//!
//! - `field`: path, required: the text. Of several values at it the first that matches counts.
//! - `pattern`: regular expression, required, with at least one named group; it matches anywhere in the text. The
//!   syntax is that of the Rust crate `regex`: no look-around, no back-references. A group's name may have dots:
//!   `(?P<user.id>…)`.
//! - `as`: `text` or `number`, or a map of groups to these, default `text`. What is to be a number and is none is
//!   left out, noted as `not_mapped` and counted in `inferlog_enrich_unmapped_values_total`.
//! - `when`: condition: on which records.
//!
//! What is extracted is a member of its own: a rule that hides the text does not hide it.

use regex::Regex;

use super::processor::{NOT_MAPPED, Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room, json};
use crate::text::exact::Exact;

/// Adds members from the parts of a text.
#[derive(Clone, Debug)]
pub struct Extract {
    /// Where the text is.
    pub field: Path,
    /// With named groups.
    pub pattern: Regex,
    /// The groups that become members.
    pub groups: Vec<Group>,
}

/// A named group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The member that it becomes.
    pub into: Path,
    /// Its type.
    pub kind: GroupKind,
}

/// What a part of a text becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// A text.
    Text,
    /// A number.
    Number,
}

impl Processor for Extract {
    fn name(&self) -> &'static str {
        "extract"
    }

    fn adds(&self) -> Vec<Path> {
        self.groups.iter().map(|group| group.into.clone()).collect()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        for (group, text) in self.groups.iter().zip(self.find(record)) {
            let Some(text) = text else { continue };
            let mut raw = String::new();
            match group.kind {
                GroupKind::Text => json::write_string(&text, &mut raw),
                GroupKind::Number => match Exact::read(text.trim()) {
                    Some(number) => raw = number.to_string(),
                    None => {
                        run.context.note(NOT_MAPPED);
                        run.counters.unmapped(group.into.as_str()).inc();
                        continue;
                    }
                },
            }
            if record.add(&group.into, |out| out.push_str(&raw)) == Room::Blocked {
                run.counters.enrich_left_out_members_total.inc();
            }
        }
        Ok(())
    }
}

impl Extract {
    /// What the groups found, in their order; nothing where the expression does not match.
    fn find(&self, record: &Record<'_>) -> Vec<Option<String>> {
        let mut found = Vec::new();
        record.any(self.field.as_str(), &mut |raw| {
            if !raw.starts_with('"') {
                return false;
            }
            let text = json::unescape(raw);
            let Some(captures) = self.pattern.captures(&text) else { return false };
            let group = |group: &Group| captures.name(group.into.as_str()).map(|found| found.as_str().to_owned());
            found = self.groups.iter().map(group).collect();
            true
        });
        found
    }
}
