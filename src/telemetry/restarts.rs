//! How often pipelines that had failed were started again.

use super::{Counter, Telemetry};

impl Telemetry {
    /// Times that a pipeline that had failed by itself, or could not be started, was started again, or tried to be.
    pub fn restarts(&mut self, pipeline: &str) -> Counter {
        let help = "Times that a pipeline that had failed was started again, or tried to be";
        self.counts("inferlog_pipeline_restarts", help).get_or_create_owned(&vec![("pipeline", pipeline.to_owned())])
    }
}
