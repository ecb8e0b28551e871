//! From a pipeline file to the stages that judge a line: decode and enrich.

use crate::config::model;
use crate::decode::Decode;
use crate::enrich::{self, Action, Enrichment, Identity, Metadata, Step};
use crate::record::json;
use crate::telemetry::Counters;

/// How lines become records.
pub fn decode(decode: model::Decode) -> Decode {
    match decode {
        model::Decode::Json => Decode::Json,
    }
}

/// Whether a pipeline hides anything, so that of a line that cannot be searched for it nothing may be kept.
pub fn hides(pipeline: &model::Pipeline) -> bool {
    pipeline.enrich.iter().any(|step| !self::step(step).action.hides().is_empty())
}

/// The name of this machine, as documents and ids have it.
pub fn host_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The processors of a pipeline file, with identity and metadata, as on a host of this name.
pub fn enrichment_on(host: &str, pipeline: &model::Pipeline, counters: &Counters) -> Enrichment {
    let identity = Identity::new(pipeline.source.id.as_deref().unwrap_or(host));
    let metadata = Metadata::new(host, &pipeline.name, &pipeline.digest);
    Enrichment::new(pipeline.enrich.iter().map(step).collect(), identity, metadata, counters.clone())
}

fn step(step: &model::Step) -> Step {
    let (when, action) = match step.clone() {
        model::Step::Timestamp(it) => (it.when, Action::Timestamp(enrich::Timestamp { from: it.from, zone: it.zone })),
        model::Step::Hash(it) => {
            (it.when, Action::Hash(enrich::Hash { fields: it.fields, into: it.into, key: it.key }))
        }
        model::Step::Flag(it) => (None, Action::Flag(enrich::Flag { into: it.into, when: it.when.expression })),
        model::Step::Redact(it) => {
            let mut with = String::new();
            json::write_string(&it.with, &mut with);
            (it.when, Action::Redact(enrich::Redact { fields: it.fields, with }))
        }
        model::Step::Add(it) => (it.when, Action::Add(enrich::Add { fields: it.fields })),
        model::Step::Rename(it) => (it.when, Action::Rename(enrich::Rename { fields: it.fields })),
        model::Step::Drop(it) => (Some(it.when), Action::Drop(enrich::Drop { rule: it.name.into() })),
        model::Step::Id(it) => (it.when, Action::Id(enrich::IdFrom { from: it.from, unique: it.unique })),
    };
    Step { when: when.map(|condition| condition.expression), action }
}
