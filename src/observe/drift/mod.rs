//! Drift: do the values that a model sees now still look like those of its training?
//!
//! Counts the values of inferences in the buckets of the baseline of their model version, measures them at the end of each
//! window, and makes a document of each feature, which `pipeline::outbox` ships. What is measured and when it is an alarm is in
//! [`crate::drift`].
//!
//! A record belongs to the window of its own time, but never to one that has not begun: a time in the future is taken for that of
//! reading. A record of a window that is over is counted in the one that is open, as late: so each is counted once, and
//! none is lost. Panes of time end when a record of a later one comes, or when every file is read to its end for a
//! moment and the time is over for [`GRACE_US`]. A window without a record gives nothing, and at its end what is shown of that version ends.
//!
//! What is counted is saved with the offset up to which each file is counted, as are the documents, which leave only then. While
//! the outbox has no room no pane ends, and what comes is counted in the open one.
//!
//! ```text
//! "drift": { "pane": { "time": 3600000000 }, "start_us": 1795428000000000, "versions": [
//!   { "model_name": "fraud", "model_version": "3.2.1", "baseline": "31ad8564c0f1aa20",
//!     "panes": { "closed": [], "open": { "start_us": …, "end_us": …, "counts": { "records": 12, "features": [ {…} ] } } },
//!     "alarms": [ {…} ], "last": {…} } ] }
//! ```

mod exposition;
pub mod options;
mod panes;

pub(super) use exposition::{DriftToShow, PublishedDrift, ShownDrift, ShownVersion, encode};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::table::{LABEL_BYTES_MAX, OTHER};
use super::value::label_text;
use crate::drift::{
    Baseline, Chosen, DocumentHead, FeatureReport, Hysteresis, Reader, WindowCounts, document, measure,
    version_document,
};
use crate::flow::batch::{Id, Stream};
use crate::flow::own_document::OwnDocument;
use crate::record::Record;
use crate::telemetry::{Counter, Counters};
use crate::text::time::rfc3339_microseconds;
use options::{DriftOptions, PaneLength};
use panes::{Ended, Pane, Panes};

/// After a pane's end its last records have so long to be read, in microseconds.
pub const GRACE_US: i64 = 2_000_000;

/// Who measures.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The pipeline's name.
    pub pipeline: String,
    /// The host's name.
    pub host: String,
}

/// The observer.
#[derive(Debug)]
pub struct Drift {
    options: DriftOptions,
    subject: Subject,
    /// One for each baseline of the file.
    readers: Vec<Reader>,
    digests: Vec<String>,
    versions: Vec<Version>,
    versions_max: usize,
    /// Where the version of the last record stands: records of one mostly follow each other.
    current: usize,
    /// When the open pane began, of panes of time.
    start_us: Option<i64>,
    documents: Vec<OwnDocument>,
    /// There is no room for documents.
    is_held: bool,
    /// What is shown has changed.
    is_news: bool,
    late: Counter,
    unmeasured: Counter,
    is_capped_said: bool,
    is_unmeasured_said: bool,
}

/// One model version.
#[derive(Debug)]
struct Version {
    kept: KeptVersion,
    /// Where its baseline stands in the file.
    baseline: usize,
    is_fallback: bool,
    /// What the last window said.
    reports: Vec<FeatureReport>,
}

/// What of it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptVersion {
    model_name: String,
    model_version: String,
    /// The digest of its baseline.
    baseline: String,
    panes: Panes,
    /// One for each feature.
    alarms: Vec<Hysteresis>,
    /// The window that was measured last.
    last: Option<Pane>,
}

/// All that was kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DriftCounts {
    pane: Option<PaneLength>,
    start_us: Option<i64>,
    versions: Vec<KeptVersion>,
}

/// The same, written from where it is.
#[derive(Debug, Serialize)]
pub(super) struct DriftCountsView<'d> {
    pane: PaneLength,
    start_us: Option<i64>,
    versions: Vec<&'d KeptVersion>,
}

impl Drift {
    /// An observer that has counted nothing.
    pub fn new(options: DriftOptions, subject: Subject, counters: &Counters) -> Drift {
        let baselines = &options.baselines.baselines;
        Drift {
            readers: baselines.iter().map(Reader::new).collect(),
            digests: baselines.iter().map(Baseline::digest).collect(),
            versions: Vec::new(),
            versions_max: options.versions_max(),
            current: 0,
            start_us: None,
            documents: Vec::new(),
            is_held: false,
            is_news: false,
            late: counters.observe_late_records_total.clone(),
            unmeasured: counters.observe_unmeasured_records_total.clone(),
            is_capped_said: false,
            is_unmeasured_said: false,
            options,
            subject,
        }
    }

    /// The options.
    pub fn options(&self) -> &DriftOptions {
        &self.options
    }

    /// Counts an inference of this time, in microseconds since 1970, which is not in the future. Allocates nothing, unless a
    /// version is new, a text has escapes, or a pane ends.
    pub fn observe(&mut self, record: &Record<'_>, time_us: i64) {
        if let PaneLength::Time(pane_us) = self.options.pane {
            self.go_to(time_us, pane_us);
        }
        let Some(place) = self.version_of(record) else {
            self.unmeasured.inc();
            return;
        };
        let Version { kept, baseline, .. } = &mut self.versions[place];
        kept.panes.note(time_us);
        kept.panes.open.counts.add(self.readers[*baseline].read(record));
        if let PaneLength::Records(records) = self.options.pane
            && kept.panes.open.counts.records >= records
            && !self.is_held
        {
            let Pane { start_us, end_us, .. } = kept.panes.open;
            self.end_pane(place, start_us, end_us);
        }
    }

    /// Ends the panes that are over at this moment, in microseconds since 1970; every file is read to its end. Says whether there
    /// were such.
    pub fn pass_time(&mut self, now_us: i64) -> bool {
        let (PaneLength::Time(pane_us), Some(start_us)) = (self.options.pane, self.start_us) else { return false };
        let is_over = now_us.saturating_sub(GRACE_US) >= start_us + pane_us && !self.is_held;
        if is_over {
            self.end_panes(floor(now_us - GRACE_US, pane_us), pane_us);
            // The next record begins a pane, whenever it is from.
            self.start_us = self.start_us.filter(|_| !self.versions.is_empty());
        }
        is_over
    }

    /// Ends what is open at this moment: nothing more comes.
    pub fn finish(&mut self, now_us: i64) {
        for place in 0..self.versions.len() {
            let open = &self.versions[place].kept.panes.open;
            let (start_us, end_us) = match (self.options.pane, self.start_us) {
                (PaneLength::Time(pane_us), Some(start_us)) => (start_us, now_us.clamp(start_us, start_us + pane_us)),
                _ => (open.start_us, open.end_us),
            };
            if open.counts.records > 0 {
                self.end_pane(place, start_us, end_us);
            }
        }
        self.start_us = None;
    }

    /// Holds panes open while there is no room for documents.
    pub fn set_held(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// The documents of the panes that have ended.
    pub fn take_documents(&mut self) -> Vec<OwnDocument> {
        std::mem::take(&mut self.documents)
    }

    fn go_to(&mut self, time_us: i64, pane_us: i64) {
        let start_us = *self.start_us.get_or_insert(floor(time_us, pane_us));
        if time_us < start_us {
            self.late.inc();
        } else if time_us - start_us >= pane_us && !self.is_held {
            self.end_panes(floor(time_us, pane_us), pane_us);
        }
    }

    /// Ends panes until the one that begins at `next_us` is open.
    fn end_panes(&mut self, next_us: i64, pane_us: i64) {
        let mut start_us = self.start_us.unwrap_or(next_us);
        // A window without a record ends what there is of its version.
        self.versions.retain(|version| !version.kept.panes.is_empty());
        while start_us < next_us && self.versions.iter().any(|version| !version.kept.panes.is_empty()) {
            (0..self.versions.len()).for_each(|place| self.end_pane(place, start_us, start_us + pane_us));
            start_us += pane_us;
        }
        self.start_us = Some(next_us);
        self.is_news = true;
    }

    /// Ends the open pane of a version, and measures the window that ends with it.
    fn end_pane(&mut self, place: usize, start_us: i64, end_us: i64) {
        let version = &mut self.versions[place];
        let baseline = &self.options.baselines.baselines[version.baseline];
        let nothing = WindowCounts::new(baseline);
        let Ended { pane, window } = version.kept.panes.end(start_us, end_us, self.options.panes, nothing);
        if window.counts.records == 0 {
            return;
        }
        self.is_news = true;
        version.reports = measure(baseline, &window.counts, &self.options.thresholds);
        let chosen = Chosen { place: version.baseline, baseline, is_fallback: version.is_fallback };
        let (window_start, window_end) = (rfc3339_microseconds(window.start_us), rfc3339_microseconds(window.end_us));
        let mut head = DocumentHead {
            pipeline: &self.subject.pipeline,
            host: &self.subject.host,
            model_name: &version.kept.model_name,
            model_version: &version.kept.model_version,
            window_start: &window_start,
            window_end: &window_end,
            alarm: false,
        };
        let (digest, thresholds) = (&self.digests[version.baseline], &self.options.thresholds);
        for report in &version.reports {
            head.alarm = version.kept.alarms[report.place].step(report.level);
            let text = document(&head, &chosen, digest, report, &pane.counts, thresholds);
            self.documents.extend(own_document(text, window.end_us));
        }
        head.alarm = version.kept.alarms.iter().any(|alarm| alarm.is_on());
        let text = version_document(&head, &chosen, digest, &version.reports, pane.counts.records, thresholds);
        self.documents.extend(own_document(text, window.end_us));
        version.kept.last = Some(window);
    }

    /// Where the version of a record stands; `None` when nothing is known of it, not even a fallback.
    fn version_of(&mut self, record: &Record<'_>) -> Option<usize> {
        let (name, version) = (label_text(record, "model_name"), label_text(record, "model_version"));
        if self.versions.get(self.current).is_some_and(|known| known.is(&name, &version)) {
            return Some(self.current);
        }
        self.current = self.place(&name, &version)?;
        Some(self.current)
    }

    fn place(&mut self, name: &str, version: &str) -> Option<usize> {
        let place = self.versions.iter().position(|known| known.is(name, version));
        let is_long = name.len() > LABEL_BYTES_MAX || version.len() > LABEL_BYTES_MAX;
        let is_other = name == OTHER && version == OTHER;
        if place.is_some() {
            place
        } else if !is_other && (is_long || self.versions.len() >= self.versions_max) {
            self.say_capped();
            self.place(OTHER, OTHER)
        } else {
            self.admit(name, version)
        }
    }

    fn admit(&mut self, name: &str, version: &str) -> Option<usize> {
        let Some(Chosen { place, baseline, is_fallback }) = self.options.baselines.choose(name, version) else {
            self.say_unmeasured();
            return None;
        };
        let kept = KeptVersion {
            model_name: name.to_owned(),
            model_version: version.to_owned(),
            baseline: self.digests[place].clone(),
            panes: Panes::new(WindowCounts::new(baseline)),
            alarms: vec![Hysteresis::default(); baseline.features.len()],
            last: None,
        };
        self.versions.push(Version { kept, baseline: place, is_fallback, reports: Vec::new() });
        Some(self.versions.len() - 1)
    }

    fn say_capped(&mut self) {
        if !std::mem::replace(&mut self.is_capped_said, true) {
            let (versions_max, hint) = (self.versions_max, "narrow `inferences`, or split the pipeline by model");
            tracing::warn!(hint, "more than {versions_max} model versions: drift of further ones is measured together");
        }
    }

    fn say_unmeasured(&mut self) {
        if !std::mem::replace(&mut self.is_unmeasured_said, true) {
            let hint = "make one with `inferlog baseline`, or mark one in the file as `fallback`; \
                        `inferlog_observe_unmeasured_records_total` counts the records";
            tracing::warn!(hint, "the drift of a model version is not measured: no baseline is for it");
        }
    }

    /// All that is counted.
    pub(super) fn counts(&self) -> DriftCountsView<'_> {
        let versions = self.versions.iter().map(|version| &version.kept).collect();
        DriftCountsView { pane: self.options.pane, start_us: self.start_us, versions }
    }

    /// Goes on from earlier counts. Those of another baseline cannot be added to, and begin anew; of windows of another length
    /// the open pane goes on.
    pub(super) fn restore(&mut self, earlier: DriftCounts) {
        let is_of_same_length = earlier.pane == Some(self.options.pane);
        self.start_us = earlier.start_us.filter(|_| matches!(self.options.pane, PaneLength::Time(_)));
        let mut left_out = 0;
        for mut kept in earlier.versions {
            let records = kept.panes.open.counts.records;
            if !is_of_same_length {
                kept.panes.closed.clear();
            }
            match self.admit(&kept.model_name, &kept.model_version) {
                Some(place) if self.goes_on_from(place, &kept) => self.go_on(place, kept),
                _ => left_out += records,
            }
        }
        if left_out > 0 {
            let (pipeline, hint) = (&self.subject.pipeline, "the next window is measured against the new one");
            tracing::warn!(
                pipeline,
                hint,
                "the baseline is another than before: {left_out} records of an open window are left out"
            );
        }
        self.is_news = true;
    }

    /// Whether earlier counts are of a version's baseline.
    fn goes_on_from(&self, place: usize, earlier: &KeptVersion) -> bool {
        let Version { kept, baseline, .. } = &self.versions[place];
        let baseline = &self.options.baselines.baselines[*baseline];
        let panes = std::iter::once(&earlier.panes.open).chain(&earlier.panes.closed).chain(&earlier.last);
        earlier.baseline == kept.baseline
            && earlier.alarms.len() == kept.alarms.len()
            && panes.into_iter().all(|pane| pane.counts.fits(baseline))
    }

    fn go_on(&mut self, place: usize, mut kept: KeptVersion) {
        while kept.panes.closed.len() >= self.options.panes {
            kept.panes.closed.pop_front();
        }
        let version = &mut self.versions[place];
        if let Some(window) = &kept.last {
            let baseline = &self.options.baselines.baselines[version.baseline];
            version.reports = measure(baseline, &window.counts, &self.options.thresholds);
        }
        version.kept = kept;
    }

    /// What is shown, if it has changed since the last call.
    pub(super) fn take_news(&mut self) -> Option<Vec<ShownVersion>> {
        std::mem::take(&mut self.is_news).then(|| {
            let shown = |version: &Version| {
                let KeptVersion { model_name, model_version, alarms, last, .. } = &version.kept;
                let window = last.clone()?;
                let is_on = |report: &FeatureReport| alarms[report.place].is_on();
                let reports = version.reports.iter().map(|report| (report.clone(), is_on(report))).collect();
                let (model_name, model_version) = (model_name.clone(), model_version.clone());
                Some(ShownVersion { model_name, model_version, baseline: version.baseline, window, reports })
            };
            self.versions.iter().filter_map(shown).collect()
        })
    }
}

impl Version {
    fn is(&self, name: &str, version: &str) -> bool {
        self.kept.model_version == version && self.kept.model_name == name
    }
}

fn floor(time_us: i64, pane_us: i64) -> i64 {
    time_us.div_euclid(pane_us) * pane_us
}

/// The id is that of the text: the same window, counted again after the folder of state was lost, is the same document.
fn own_document(text: String, end_us: i64) -> Option<OwnDocument> {
    let digest = Sha256::digest(text.as_bytes());
    let id = Id::new(end_us.div_euclid(1_000_000), digest[..16].try_into().ok()?);
    let text = RawValue::from_string(text).ok()?;
    Some(OwnDocument { stream: Stream::Drift, id, timestamp_us: end_us, text })
}

#[cfg(test)]
mod tests;
