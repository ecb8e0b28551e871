//! Merging: the documents of many windows and hosts, added up to the counts of all their records.
//!
//! Exact, because documents carry counts and not measures. What is of another baseline cannot be added, and is told.

use std::collections::BTreeSet;

use super::baseline::{BaselineFile, Chosen};
use super::counts::WindowCounts;
use super::document::{DriftDocument, is_of_version};
use super::live::LiveCounts;
use super::reading::Reader;
use super::rows::{RowError, Versions};

/// Documents under way to their sum.
#[derive(Debug)]
pub struct Merge<'f> {
    file: &'f BaselineFile,
    digests: Vec<String>,
    readers: Vec<Reader>,
    versions: Versions<Option<MergedVersion<'f>>>,
    seen: MergedDocuments,
}

#[derive(Debug)]
struct MergedVersion<'f> {
    chosen: Chosen<'f>,
    counts: WindowCounts,
}

/// What was added, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedDocuments {
    /// Documents that were added.
    pub added: u64,
    /// Documents whose buckets are of another baseline, or of none that there is.
    pub of_other_baseline: u64,
    /// Documents that cannot be read.
    pub unreadable: u64,
    /// The hosts of what was added.
    pub hosts: BTreeSet<String>,
    /// The beginning of the first window that was added.
    pub start: String,
    /// The end of the last one.
    pub end: String,
}

impl<'f> Merge<'f> {
    /// Nothing added, for documents of these baselines.
    pub fn new(file: &'f BaselineFile) -> Merge<'f> {
        Merge {
            file,
            digests: file.baselines.iter().map(super::baseline::Baseline::digest).collect(),
            readers: file.baselines.iter().map(Reader::new).collect(),
            versions: Versions::default(),
            seen: MergedDocuments::default(),
        }
    }

    /// Adds a document, as it was shipped.
    ///
    /// # Errors
    /// When there are too many versions.
    pub fn add(&mut self, text: &str) -> Result<(), RowError> {
        let document = match DriftDocument::read(text) {
            Ok(document) => document,
            Err(_) if is_of_version(text) => return Ok(()),
            Err(_) => {
                self.seen.unreadable += 1;
                return Ok(());
            }
        };
        let file = self.file;
        let new = || {
            let chosen = file.choose(&document.model_name, &document.model_version)?;
            Some(MergedVersion { chosen, counts: WindowCounts::new(chosen.baseline) })
        };
        let version = self.versions.go_to(&document.model_name, &document.model_version, new)?;
        let place = |version: &MergedVersion<'_>| {
            let is_alike = self.digests[version.chosen.place] == document.baseline.digest;
            self.readers[version.chosen.place].place(document.kind, &document.feature).filter(|_| is_alike)
        };
        let feature = version.as_mut().and_then(|version| {
            let place = place(version)?;
            version.counts.features.get_mut(place)
        });
        match feature.map(|feature| feature.merge(&document.counts)) {
            Some(Ok(())) => self.seen.note(document),
            Some(Err(_)) | None => self.seen.of_other_baseline += 1,
        }
        Ok(())
    }

    /// The sums, by version, and what they are of.
    pub fn finish(self) -> (Vec<LiveCounts<'f>>, MergedDocuments) {
        let of_version = |version: super::rows::Version<Option<MergedVersion<'f>>>| {
            let MergedVersion { chosen, mut counts } = version.of?;
            // Each record is in the documents of every feature; where some are missing, most are known by the others.
            counts.records =
                counts.features.iter().map(|feature| feature.values() + feature.missing).max().unwrap_or(0);
            Some(LiveCounts {
                model_name: version.model_name,
                model_version: version.model_version,
                rows: counts.records,
                chosen: Some(chosen),
                counts,
            })
        };
        let versions = self.versions.into_all().into_iter().filter_map(of_version);
        (versions.filter(|version| version.rows > 0).collect(), self.seen)
    }
}

impl MergedDocuments {
    fn note(&mut self, document: DriftDocument) {
        self.added += 1;
        self.hosts.insert(document.host);
        let window = document.window;
        if self.start.is_empty() || window.start < self.start {
            self.start = window.start;
        }
        self.end = window.end.max(std::mem::take(&mut self.end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::baseline::tests::baseline;
    use crate::drift::{DocumentHead, Slot, Thresholds, document, measure};

    /// The documents of one host's window.
    fn documents(file: &BaselineFile, host: &str, counts: &WindowCounts) -> Vec<String> {
        let chosen = file.choose("", "1.0").unwrap();
        let (digest, thresholds) = (chosen.baseline.digest(), Thresholds::default());
        let head = DocumentHead {
            pipeline: "p",
            host,
            model_name: "",
            model_version: "1.0",
            window_start: "2026-11-23T10:00:00Z",
            window_end: "2026-11-23T11:00:00Z",
            alarm: false,
        };
        let reports = measure(chosen.baseline, counts, &thresholds);
        reports.iter().map(|report| document(&head, &chosen, &digest, report, counts, &thresholds)).collect()
    }

    #[test]
    fn three_replicas_give_the_measures_of_the_union() {
        let file = BaselineFile::new(vec![baseline()]);
        let chosen = file.choose("", "1.0").unwrap();
        let (mut merge, mut union) = (Merge::new(&file), WindowCounts::new(chosen.baseline));
        for (host, records) in [("a", 700_u32), ("b", 41), ("c", 1_300)] {
            let mut counts = WindowCounts::new(chosen.baseline);
            for record in 0..records {
                let amount = match record % 7 {
                    0 => Slot::Above,
                    1 => Slot::Missing,
                    other => Slot::Bucket(other % 3),
                };
                let country = if record % 11 == 0 { Slot::Unseen } else { Slot::Bucket(record % 2) };
                let with_values = [amount, country, Slot::Bucket(record % 2), Slot::Bucket(1)];
                let slots = if record % 13 == 0 { [Slot::Missing; 4] } else { with_values };
                counts.add(&slots);
                union.add(&slots);
            }
            documents(&file, host, &counts).iter().for_each(|text| merge.add(text).unwrap());
        }
        let (versions, seen) = merge.finish();
        assert_eq!(versions[0].counts, union);
        let measured = |counts: &WindowCounts| measure(chosen.baseline, counts, &Thresholds::default());
        assert_eq!(measured(&versions[0].counts), measured(&union));
        assert_eq!((seen.added, seen.hosts.len(), seen.of_other_baseline), (12, 3, 0));
        assert_eq!((&*seen.start, &*seen.end), ("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"));
    }

    #[test]
    fn what_cannot_be_added_is_told() {
        let file = BaselineFile::new(vec![baseline()]);
        let mut other = baseline();
        other.features[0].missing = 1;
        let other = BaselineFile::new(vec![other]);
        let mut counts = WindowCounts::new(&other.baselines[0]);
        counts.add(&[Slot::Missing; 4]);
        let mut merge = Merge::new(&file);
        documents(&other, "a", &counts).iter().for_each(|text| merge.add(text).unwrap());
        merge.add("{}").unwrap();
        merge.add(r#"{"kind":"version","features":7,"records":5010}"#).unwrap();
        let (versions, seen) = merge.finish();
        assert_eq!((versions.len(), seen.added, seen.of_other_baseline, seen.unreadable), (0, 0, 4, 1));
    }
}
