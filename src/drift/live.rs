//! The rows of one window: counted for each model version against its own baseline, or the fallback.

use super::baseline::{BaselineFile, Chosen};
use super::counts::WindowCounts;
use super::reading::Reader;
use super::rows::{Columns, RowError, Rows, Versions};
use super::value::Value;
use super::words::{Kind, Slot};

/// Counts live rows.
#[derive(Debug)]
pub struct Live<'f> {
    file: &'f BaselineFile,
    readers: Vec<Reader>,
    columns: Columns,
    versions: Versions<LiveVersion>,
}

#[derive(Debug)]
struct LiveVersion {
    /// The baseline's place in the file; `None` when no baseline is for this version.
    chosen: Option<usize>,
    /// Where in the baseline a column's feature stands.
    places: Vec<Option<usize>>,
    slots: Vec<Slot>,
    counts: WindowCounts,
    rows: u64,
}

/// What was counted of one model version.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveCounts<'f> {
    /// The model's name; empty when the rows have none.
    pub model_name: String,
    /// Its version; empty likewise.
    pub model_version: String,
    /// Rows of it.
    pub rows: u64,
    /// What it was counted against; `None` when there is no baseline for it.
    pub chosen: Option<Chosen<'f>>,
    /// The counts; empty without a baseline.
    pub counts: WindowCounts,
}

impl<'f> Live<'f> {
    /// Nothing counted.
    pub fn new(file: &'f BaselineFile) -> Live<'f> {
        let readers = file.baselines.iter().map(Reader::new).collect();
        Live { file, readers, columns: Columns::default(), versions: Versions::default() }
    }

    /// Features, prediction or confidence that rows have and no baseline that they were measured against.
    pub fn unknown(&self) -> Vec<&str> {
        let is_unknown = |column: usize| {
            let places = || self.versions.all().filter_map(|version| version.places.get(column));
            places().next().is_some() && places().all(Option::is_none)
        };
        let columns = self.columns.names.iter().enumerate();
        columns.filter(|(column, _)| is_unknown(*column)).map(|(_, (_, name))| name.as_str()).collect()
    }

    /// What was counted, in the order in which the versions were met.
    pub fn finish(self) -> Vec<LiveCounts<'f>> {
        let Live { file, versions, .. } = self;
        let of_version = |version: super::rows::Version<LiveVersion>| LiveCounts {
            chosen: file.choose(&version.model_name, &version.model_version),
            model_name: version.model_name,
            model_version: version.model_version,
            rows: version.of.rows,
            counts: version.of.counts,
        };
        versions.into_all().into_iter().map(of_version).collect()
    }
}

impl Rows for Live<'_> {
    fn column(&mut self, kind: Kind, name: &str) -> Result<usize, RowError> {
        self.columns.place(kind, name)
    }

    fn begin(&mut self, model_name: &str, model_version: &str) -> Result<(), RowError> {
        let file = self.file;
        let new = || {
            let chosen = file.choose(model_name, model_version);
            let counts = chosen.map(|chosen| WindowCounts::new(chosen.baseline)).unwrap_or_default();
            let slots = vec![Slot::Missing; counts.features.len()];
            LiveVersion { chosen: chosen.map(|chosen| chosen.place), places: Vec::new(), slots, counts, rows: 0 }
        };
        let version = self.versions.go_to(model_name, model_version, new)?;
        version.rows += 1;
        version.slots.fill(Slot::Missing);
        Ok(())
    }

    fn value(&mut self, column: usize, value: &Value<'_>) {
        let Some(version) = self.versions.current() else { return };
        let Some(reader) = version.chosen.map(|place| &self.readers[place]) else { return };
        while version.places.len() <= column {
            let (kind, name) = &self.columns.names[version.places.len()];
            version.places.push(reader.place(*kind, name));
        }
        if let Some(place) = version.places[column].filter(|place| version.slots[*place] == Slot::Missing) {
            version.slots[place] = reader.slot(place, value);
        }
    }

    fn end(&mut self) {
        if let Some(version) = self.versions.current().filter(|version| version.chosen.is_some()) {
            version.counts.add(&version.slots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::Baseline;
    use crate::drift::baseline::tests::baseline;

    #[test]
    fn rows_are_counted_by_version_as_a_reader_counts_records() {
        let strict = Baseline { fallback: false, ..baseline() };
        let file = BaselineFile::new(vec![strict]);
        let mut live = Live::new(&file);
        let amount = live.column(Kind::Feature, "amount").unwrap();
        let unknown = live.column(Kind::Feature, "unknown").unwrap();
        let country = live.column(Kind::Feature, "country").unwrap();
        for version in ["1.0", "2.0", "1.0"] {
            live.begin("", version).unwrap();
            live.value(unknown, &Value::Number("1"));
            live.value(amount, &Value::Number("15"));
            live.value(amount, &Value::Number("999"));
            live.value(country, &Value::of_cell("XX"));
            live.end();
        }
        assert_eq!(live.unknown(), ["unknown"]);
        let versions = live.finish();
        let of = |place: usize| (&*versions[place].model_version, versions[place].rows, versions[place].counts.records);
        assert_eq!((of(0), of(1)), (("1.0", 2, 2), ("2.0", 1, 0)));
        assert!(versions[1].chosen.is_none());
        let counts = &versions[0].counts.features;
        assert_eq!((&*counts[0].buckets, counts[1].unseen, counts[2].missing), (&[0, 2, 0][..], 2, 2));
    }
}
