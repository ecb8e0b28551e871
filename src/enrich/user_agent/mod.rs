//! `user_agent`: which program made a request, out of what it says of itself.
//!
//! What is added has the names of the Elastic Common Schema: `user_agent.name` and `.version` of the program,
//! `user_agent.os.name` and `.os.version` of its system, `user_agent.device.name`; each where it is known. A member that
//! is there already stays. The rules are those of the public project uap-core, which the binary carries. A text that is
//! missing, is none, has more than 2,048 bytes, or that no rule knows, is counted in
//! `inferlog_enrich_unmatched_records_total` as `missing`, `not_a_text`, `too_long` or `unknown`.
//!
//! The first record costs time and memory, once a process: the rules are made ready. From then on a text costs most when it
//! is met, and next to nothing while it is among the latest 2,048.
//!
//! A log that has the text at `user_agent` itself leaves no room below it: rename it first.
//!
//! ```yaml
//! - rename: { fields: { user_agent: user_agent.original } }
//! - user_agent: { field: user_agent.original }
//! - user_agent: { field: request.headers.user-agent, when: "not user_agent.name : *" }
//! ```
//!
//! - `field`: path, required: the text.
//! - `into`: path, by default `user_agent`: below it stands what is found.
//! - `when`: condition: on which records.

mod cache;
mod rules;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::processor::{Processor, Run};
use crate::flow::reject::Reject;
use crate::record::{Path, Record, Room, json};
use crate::telemetry::Counter;
use cache::Cache;

/// The longest text that is looked at, in bytes. Programs say less than 500.
const TEXT_BYTES_MAX: usize = 2_048;

/// Adds what a program says of itself.
#[derive(Clone, Debug)]
pub struct UserAgent {
    field: Path,
    /// Where what is found goes, in the order of [`rules::Found`].
    into: [Path; rules::PARTS],
    cache: Arc<Mutex<Cache>>,
    /// Count the records of which nothing is found, in the order of [`Unmatched`].
    unmatched: [OnceLock<Counter>; 4],
}

/// Why nothing is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unmatched {
    Missing,
    NotAText,
    TooLong,
    Unknown,
}

impl Unmatched {
    fn as_str(self) -> &'static str {
        match self {
            Unmatched::Missing => "missing",
            Unmatched::NotAText => "not_a_text",
            Unmatched::TooLong => "too_long",
            Unmatched::Unknown => "unknown",
        }
    }
}

impl UserAgent {
    /// What is found in a field goes below a path.
    ///
    /// # Errors
    /// Says in words why there is no room for it.
    pub fn new(field: Path, into: &Path) -> Result<UserAgent, String> {
        if crate::record::covers(field.as_str(), into.as_str()) {
            return Err(format!("nothing can be added below `{into}`, since `{field}` is a text"));
        }
        let below = |name: &str| Path::new(&format!("{into}.{name}"));
        let into = [below("name")?, below("version")?, below("os.name")?, below("os.version")?, below("device.name")?];
        Ok(UserAgent { field, into, cache: Arc::default(), unmatched: Default::default() })
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Processor for UserAgent {
    fn name(&self) -> &'static str {
        "user_agent"
    }

    fn adds(&self) -> Vec<Path> {
        self.into.to_vec()
    }

    fn derives(&self) -> Vec<(Path, Path)> {
        self.into.iter().map(|into| (self.field.clone(), into.clone())).collect()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let mut cache = self.cache();
        let found = match record.first(self.field.as_str()) {
            None | Some("null") => Err(Unmatched::Missing),
            Some(raw) if !raw.starts_with('"') => Err(Unmatched::NotAText),
            Some(raw) if raw.len() > TEXT_BYTES_MAX => Err(Unmatched::TooLong),
            Some(raw) => {
                if !cache.knows(raw) {
                    // Other workers go on meanwhile.
                    drop(cache);
                    let found = rules::find(&json::unescape(raw));
                    cache = self.cache();
                    cache.learn(raw, found);
                }
                cache.get(raw).ok_or(Unmatched::Unknown)
            }
        };
        match found {
            Ok(found) => {
                for (path, raw) in self.into.iter().zip(found).filter_map(|(path, raw)| Some((path, raw.as_deref()?))) {
                    if record.add(path, |out| out.push_str(raw)) == Room::Blocked {
                        run.counters.enrich_left_out_members_total.inc();
                    }
                }
            }
            Err(why) => {
                let count = || run.counters.unmatched(self.name(), why.as_str());
                self.unmatched[why as usize].get_or_init(count).inc();
            }
        }
        Ok(())
    }
}
