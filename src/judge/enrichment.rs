//! From a pipeline file to the stages that judge a line: decode and enrich.

use crate::config::model;
use crate::enrich::{Enrichment, Identity, Metadata};
use crate::telemetry::Counters;

/// Whether a pipeline hides anything, so that of a line that cannot be searched for it nothing may be kept.
pub fn hides(pipeline: &model::Pipeline) -> bool {
    pipeline.enrich.iter().any(|step| step.action.processor().is_hiding())
}

/// The name of this machine, as documents and ids have it.
pub fn host_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The processors of a pipeline file, with identity and metadata, as on a host of this name.
pub fn enrichment_on(host: &str, pipeline: &model::Pipeline, counters: &Counters) -> Enrichment {
    let identity = Identity::new(pipeline.source.id.as_deref().unwrap_or(host));
    let metadata = Metadata::new(host, &pipeline.name, &pipeline.digest);
    Enrichment::new(pipeline.enrich.clone(), identity, metadata, counters.clone())
}
