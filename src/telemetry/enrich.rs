//! What processors count by labels of their own: contracts that were broken, and tables in files.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Counter, CounterFamily, Counters, Telemetry};

/// The most model versions under which broken contracts are counted; those that come later are [`OTHER`].
pub(super) const VERSIONS_MAX: usize = 100;

/// The longest model version that is a label, in bytes.
const VERSION_BYTES_MAX: usize = 128;

/// Stands for the versions beyond the limits.
const OTHER: &str = "other";

/// Counters of processors that have more labels than one.
#[derive(Clone, Debug)]
pub(super) struct EnrichFamilies {
    contract_violations: CounterFamily,
    unmatched: CounterFamily,
    reload_failures: CounterFamily,
    /// The model versions that are labels.
    versions: Arc<Mutex<BTreeSet<String>>>,
}

impl EnrichFamilies {
    pub(super) fn new(telemetry: &mut Telemetry) -> EnrichFamilies {
        EnrichFamilies {
            contract_violations: telemetry
                .counts("inferlog_enrich_contract_violations", "Members that broke a contract, by field and reason"),
            unmatched: telemetry.counts(
                "inferlog_enrich_unmatched_records",
                "Records of which a processor did not know what it looks up",
            ),
            reload_failures: telemetry.counts(
                "inferlog_enrich_table_reload_failures",
                "Tables in files that had changed and could not be read: the one before stays in force",
            ),
            versions: Arc::default(),
        }
    }

    /// The version as a label: itself while there is room.
    fn version<'v>(&self, version: &'v str) -> &'v str {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = versions.len() < VERSIONS_MAX && version.len() <= VERSION_BYTES_MAX;
        match versions.contains(version) || (has_room && versions.insert(version.to_owned())) {
            true => version,
            false => OTHER,
        }
    }
}

impl Counters {
    /// Counts the members that broke a contract.
    pub fn contract_violation(&self, field: &str, reason: &str, version: &str) -> Counter {
        let version = self.labelled.enrich.version(version);
        let more = [("reason", reason.to_owned()), ("model_version", version.to_owned())];
        let labels = self.labels("field", field).into_iter().chain(more).collect();
        self.labelled.enrich.contract_violations.get_or_create_owned(&labels)
    }

    /// Counts the records of which a processor did not know what it looks up, by why.
    pub fn unmatched(&self, processor: &str, reason: &str) -> Counter {
        let mut labels = self.labels("processor", processor);
        labels.push(("reason", reason.to_owned()));
        self.labelled.enrich.unmatched.get_or_create_owned(&labels)
    }

    /// Counts the times that a table in a file had changed and could not be read.
    pub fn table_reload_failures(&self, processor: &str) -> Counter {
        self.labelled.enrich.reload_failures.get_or_create_owned(&self.labels("processor", processor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_versions_are_labels_within_a_limit() {
        let counters = Telemetry::default().pipeline("p");
        let version = |version: &str| counters.labelled.enrich.version(version).to_owned();
        for n in 0..VERSIONS_MAX {
            assert_eq!(version(&n.to_string()), n.to_string());
        }
        assert_eq!(version("one more"), OTHER);
        assert_eq!(version("0"), "0", "those that came first stay");
        let counters = Telemetry::default().pipeline("p");
        assert_eq!(counters.labelled.enrich.version(&"x".repeat(VERSION_BYTES_MAX + 1)), OTHER);
    }
}
