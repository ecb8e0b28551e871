//! `flatten`: what is inside of an object becomes members of the top level.
//!
//! `{"features":{"amount":12.5,"card":{"country":"DE"}}}` becomes `{"features.amount":12.5,"features.card.country":"DE"}`.
//! To conditions, hashes and Elasticsearch these are the same; it is for readers of the documents that are not so
//! lenient, and for names with another separator. Arrays are values, whatever is in them. Where a new name is taken,
//! stands twice, or is no path, the object stays as it is, which is noted in `inferlog.notes` as `not_mapped`.
//!
//! ```yaml
//! - flatten: { fields: [features, labels] }
//! - flatten: { fields: [http], separator: _ }
//! ```
//!
//! - `fields`: list of paths, required: the objects.
//! - `separator`: text, default `.`: what stands between the names. With another one, nothing at or below these paths
//!   can be hidden by a rule of the pipeline, since no rule would know the new names.
//! - `when`: condition: on which records.

use super::processor::{NOT_MAPPED, Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room, covers};

/// What stands between the names of a path.
const DOT: &str = ".";

/// Makes members of the top level of what is inside of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flatten {
    /// The objects.
    pub fields: Vec<Path>,
    /// What stands between the names.
    pub separator: String,
}

impl Processor for Flatten {
    fn name(&self) -> &'static str {
        "flatten"
    }

    fn scatters(&self) -> &[Path] {
        if self.separator == DOT { &[] } else { &self.fields }
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        for field in &self.fields {
            let Some(members) = self.members(record, field) else { continue };
            match self.new_names(record, field, &members) {
                Some(names) => {
                    record.remove(field)?;
                    for (name, (_, raw)) in names.iter().zip(&members) {
                        record.add(name, |out| out.push_str(raw));
                    }
                }
                None => {
                    run.context.note(NOT_MAPPED);
                    run.counters.unmapped(field.as_str()).inc();
                }
            }
        }
        Ok(())
    }
}

impl Flatten {
    /// The members inside of an object and their raw values, by what their names will be; `None` when it is no object.
    fn members(&self, record: &Record<'_>, field: &Path) -> Option<Vec<(String, String)>> {
        let whole = record.whole(field.as_str()).filter(|whole| whole.starts_with('{'))?;
        let mut members = Vec::new();
        self.collect(field.as_str().replace(DOT, &self.separator), &whole, &mut members);
        Some(members)
    }

    fn collect(&self, name: String, raw: &str, members: &mut Vec<(String, String)>) {
        let mut inside = sonic_rs::to_object_iter(raw).flatten().peekable();
        if !raw.starts_with('{') || inside.peek().is_none() {
            return members.push((name, raw.to_owned()));
        }
        for (inner, value) in inside {
            let inner = inner.replace(DOT, &self.separator);
            self.collect(format!("{name}{}{inner}", self.separator), value.as_raw_str(), members);
        }
    }

    /// The names as paths; `None` when they could not all be members.
    fn new_names(&self, record: &Record<'_>, field: &Path, members: &[(String, String)]) -> Option<Vec<Path>> {
        let names: Vec<Path> = members.iter().map(|(name, _)| Path::new(name).ok()).collect::<Option<_>>()?;
        let mut sorted: Vec<&str> = names.iter().map(Path::as_str).collect();
        sorted.sort_unstable();
        let is_twice = sorted.windows(2).any(|pair| covers(pair[0], pair[1]));
        // What is at the path now is taken away before.
        let has_room = |name: &Path| covers(field.as_str(), name.as_str()) || record.room(name.as_str()) == Room::Free;
        (!is_twice && names.iter().all(has_room)).then_some(names)
    }
}
