//! Coverage: of which predictions is the label known? Labels that only some decisions get make every figure of theirs one-sided.

use serde::{Deserialize, Serialize};

use super::classes::ClassNames;
use super::confidence::{BAND_COUNT, band, is_confidence};
use super::share::ratio;

/// Predictions by decision and band of confidence, and how many of them have a label: at most 18 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Kept")]
pub struct LabelCoverage {
    decisions: ClassNames,
    /// One for each decision, and behind them one for the further ones.
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Kept {
    decisions: ClassNames,
    rows: Vec<Row>,
}

/// By band; the last is that of predictions without a confidence.
type Row = [Counts; BAND_COUNT + 1];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    all: u64,
    labelled: u64,
}

/// One decision at one band of confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CoverageCell<'c> {
    /// What was predicted; [`super::OTHER_CLASSES`] for the further classes.
    pub decision: &'c str,
    /// Confidences above the first and up to the second, from 0 on for the first band; none for predictions without one.
    pub confidence: Option<[f64; 2]>,
    /// Predictions.
    pub all: u64,
    /// Those whose label is known.
    pub labelled: u64,
}

impl CoverageCell<'_> {
    /// Labelled / all, 0 to 1.
    pub fn ratio(&self) -> Option<f64> {
        ratio(self.labelled, self.all)
    }
}

impl Default for LabelCoverage {
    fn default() -> LabelCoverage {
        LabelCoverage { decisions: ClassNames::default(), rows: vec![Row::default()] }
    }
}

impl TryFrom<Kept> for LabelCoverage {
    type Error = &'static str;

    fn try_from(kept: Kept) -> Result<LabelCoverage, &'static str> {
        let decisions = kept.decisions.checked().ok_or("the decisions of a coverage are not in order")?;
        let fits = kept.rows.len() == decisions.len() + 1;
        fits.then_some(LabelCoverage { decisions, rows: kept.rows }).ok_or("a coverage has another number of rows")
    }
}

impl Counts {
    fn merge(&mut self, other: Counts) {
        self.all = self.all.saturating_add(other.all);
        self.labelled = self.labelled.saturating_add(other.labelled);
    }
}

impl LabelCoverage {
    /// Counts one prediction.
    pub fn add(&mut self, decision: &str, confidence: Option<f64>, is_labelled: bool) {
        let mut place = self.decisions.place(decision);
        if place == self.decisions.len() && self.decisions.lacks(decision) {
            *self = self.among(self.decisions.with([decision]));
            place = self.decisions.place(decision);
        }
        let confidence = confidence.filter(|confidence| is_confidence(*confidence));
        let counts = &mut self.rows[place][confidence.map_or(BAND_COUNT, band)];
        counts.merge(Counts { all: 1, labelled: u64::from(is_labelled) });
    }

    /// Adds what others counted.
    pub fn merge(&mut self, other: &LabelCoverage) {
        *self = self.among(self.decisions.with(other.decisions.iter()));
        self.take_rows(&other.among(self.decisions.clone()), |place| place);
    }

    /// The same predictions where other decisions have counts of their own.
    fn among(&self, decisions: ClassNames) -> LabelCoverage {
        let places = self.decisions.places_in(&decisions);
        let rows = vec![Row::default(); decisions.len() + 1];
        let mut coverage = LabelCoverage { decisions, rows };
        coverage.take_rows(self, |place| places[place]);
        coverage
    }

    fn take_rows(&mut self, other: &LabelCoverage, place: impl Fn(usize) -> usize) {
        for (number, row) in other.rows.iter().enumerate() {
            self.rows[place(number)].iter_mut().zip(row).for_each(|(mine, its)| mine.merge(*its));
        }
    }

    /// What is not empty, by decision and then from the lowest confidence up.
    pub fn cells(&self) -> impl Iterator<Item = CoverageCell<'_>> {
        self.rows.iter().enumerate().flat_map(move |(place, row)| {
            let counted = row.iter().enumerate().filter(|(_, counts)| counts.all > 0);
            counted.map(move |(band, counts)| CoverageCell {
                decision: self.decisions.name(place),
                confidence: (band < BAND_COUNT).then(|| [band, band + 1].map(|edge| edge as f64 / BAND_COUNT as f64)),
                all: counts.all,
                labelled: counts.labelled,
            })
        })
    }

    /// Labelled / all, 0 to 1, over all decisions and confidences.
    pub fn ratio(&self) -> Option<f64> {
        let mut sum = Counts::default();
        self.rows.iter().flatten().for_each(|counts| sum.merge(*counts));
        ratio(sum.labelled, sum.all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::CLASSES_MAX;
    use super::*;

    fn cells(coverage: &LabelCoverage) -> Vec<(&str, Option<[f64; 2]>, u64, u64)> {
        coverage.cells().map(|cell| (cell.decision, cell.confidence, cell.all, cell.labelled)).collect()
    }

    #[test]
    fn labels_are_counted_by_decision_and_confidence() {
        let mut coverage = LabelCoverage::default();
        assert_eq!((coverage.ratio(), cells(&coverage)), (None, vec![]));
        for (decision, confidence, is_labelled) in [
            ("deny", Some(0.95), true),
            ("approve", Some(0.9), false),
            ("approve", Some(0.81), true),
            ("approve", None, false),
            ("approve", Some(7.0), false),
            ("approve", Some(0.0), false),
        ] {
            coverage.add(decision, confidence, is_labelled);
        }
        assert_eq!(coverage.ratio(), Some(2.0 / 6.0));
        let expected = [
            ("approve", Some([0.0, 0.1]), 1, 0),
            ("approve", Some([0.8, 0.9]), 2, 1),
            ("approve", None, 2, 0),
            ("deny", Some([0.9, 1.0]), 1, 1),
        ];
        assert_eq!(cells(&coverage), expected);
        assert_eq!(coverage.cells().nth(1).unwrap().ratio(), Some(0.5));
        let text = serde_json::to_string(&coverage).unwrap();
        assert_eq!(serde_json::from_str::<LabelCoverage>(&text).unwrap(), coverage);
        let broken = text.replace("[\"approve\",\"deny\"]", "[\"approve\"]");
        assert!(serde_json::from_str::<LabelCoverage>(&broken).is_err(), "{broken}");
    }

    #[test]
    fn further_decisions_are_counted_together() {
        let mut coverage = LabelCoverage::default();
        (0..250).rev().for_each(|number| coverage.add(&format!("d{number:03}"), Some(0.5), number % 2 == 0));
        let cells = cells(&coverage);
        assert_eq!(cells.len(), CLASSES_MAX + 1);
        assert_eq!((cells[99].0, cells[100]), ("d099", ("other", Some([0.4, 0.5]), 150, 75)));
        assert_eq!(coverage.ratio(), Some(0.5));
    }
}
