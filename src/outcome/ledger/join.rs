//! The join: a prediction meets its labels, whichever of them comes first.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row, Transaction};

use super::counts::{OUTCOME, count};
use super::entry::{LabelLine, ModelVersion};
use crate::flow::batch::Id;
use crate::outcome::document::{OutcomeDocument, Subject};
use crate::outcome::figures::DelayHistogram;
use crate::outcome::label::LabelKind;
use crate::outcome::prediction::Prediction;
use crate::outcome::truth::{LabelOutcome, Said, Truth, outcome, truth};
use crate::text::digest::sha256;
use crate::text::time::rfc3339_microseconds;

/// The most versions that are told apart; further ones are kept as `other`.
pub const VERSIONS_MAX: usize = 200;

/// What a version is called beyond [`VERSIONS_MAX`].
const OTHER: &str = "other";

const PREDICTIONS: &str = "SELECT number, version, time_us, record_id, prediction, confidence FROM predictions
    WHERE key = ?1 AND request_id = ?2 AND batch_index IS ?3 ORDER BY number";

const LABELS: &str = "SELECT id, kind, label, known_us, said_by, decision, opened_us, decided_us FROM labels
    WHERE key = ?1 AND request_id = ?2 AND batch_index IS ?3 ORDER BY number";

/// One transaction of it.
pub(super) struct Join<'j> {
    pub(super) transaction: &'j Transaction<'j>,
    pub(super) subject: &'j Subject,
    pub(super) versions: &'j mut Vec<ModelVersion>,
    /// How long the first labels took that came in this transaction, by number of the version.
    pub(super) delays: BTreeMap<i64, DelayHistogram>,
}

/// A prediction as it is kept.
struct KeptPrediction {
    number: i64,
    version: i64,
    time_us: i64,
    record_id: String,
    prediction: String,
    confidence: Option<f64>,
}

/// A label as it is kept.
struct KeptLabel {
    id: String,
    kind: LabelKind,
    label: Option<String>,
    known_us: i64,
    by: Option<String>,
    decision: Option<String>,
    opened_us: Option<i64>,
    decided_us: Option<i64>,
}

impl KeptLabel {
    fn read(row: &Row<'_>) -> rusqlite::Result<KeptLabel> {
        let is_review = row.get_ref(1)?.as_str()? == LabelKind::Review.as_str();
        Ok(KeptLabel {
            id: row.get(0)?,
            kind: if is_review { LabelKind::Review } else { LabelKind::Truth },
            label: row.get(2)?,
            known_us: row.get(3)?,
            by: row.get(4)?,
            decision: row.get(5)?,
            opened_us: row.get(6)?,
            decided_us: row.get(7)?,
        })
    }

    fn of(line: &LabelLine) -> KeptLabel {
        let label = &line.label;
        KeptLabel {
            id: line.id.clone(),
            kind: label.kind,
            label: label.label.clone(),
            known_us: label.known_us.unwrap_or(line.time_us),
            by: label.by.clone(),
            decision: label.decision.map(|decision| decision.name().to_owned()),
            opened_us: label.opened_us,
            decided_us: label.decided_us,
        }
    }

    /// What it says: the class of a truth, the decision of a review.
    fn said(&self) -> Said<'_> {
        let value = if self.kind == LabelKind::Review { &self.decision } else { &self.label };
        Said { value: value.as_deref().unwrap_or_default(), known_us: self.known_us }
    }
}

/// By what predictions and labels find each other.
#[derive(Clone, Copy)]
struct Key<'k> {
    number: i64,
    request_id: &'k str,
    batch_index: Option<i64>,
}

impl<'k> Key<'k> {
    fn new(request_id: &'k str, batch_index: Option<i64>) -> Key<'k> {
        let mut eight = [0; 8];
        eight.copy_from_slice(&sha256(request_id.as_bytes())[..8]);
        let number = i64::from_be_bytes(eight).wrapping_add(batch_index.unwrap_or(-1));
        Key { number, request_id, batch_index }
    }

    fn columns(self) -> (i64, &'k str, Option<i64>) {
        (self.number, self.request_id, self.batch_index)
    }
}

impl Join<'_> {
    /// Writes down a prediction, unless it is there, and joins it with the labels that are.
    pub(super) fn enter_prediction(&mut self, prediction: &Prediction<'_>) -> rusqlite::Result<()> {
        let key = Key::new(prediction.request_id, prediction.batch_index);
        let mut there = self.transaction.prepare_cached(
            "SELECT 1 FROM predictions WHERE key = ?1 AND request_id = ?2 AND batch_index IS ?3 AND record_id = ?4",
        )?;
        if there.exists((key.number, key.request_id, key.batch_index, prediction.record_id.as_str()))? {
            return Ok(());
        }
        let version = self.version(prediction)?;
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO predictions (key, request_id, batch_index, version, time_us, record_id, prediction, confidence, flagged)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        let record_id = prediction.record_id.as_str();
        insert.execute((
            key.number,
            key.request_id,
            key.batch_index,
            version,
            prediction.time_us,
            record_id,
            prediction.prediction,
            prediction.confidence,
            prediction.flagged,
        ))?;
        let labels = self.labels(key)?;
        if labels.is_empty() {
            return Ok(());
        }
        let kept = KeptPrediction {
            number: self.transaction.last_insert_rowid(),
            version,
            time_us: prediction.time_us,
            record_id: record_id.to_owned(),
            prediction: prediction.prediction.to_owned(),
            confidence: prediction.confidence,
        };
        for place in 0..labels.len() {
            self.join(key, &kept, &labels[..=place])?;
        }
        self.waits_no_more(key)
    }

    /// Writes down a label, unless it is there, and joins it with the predictions that are.
    pub(super) fn enter_label(&mut self, line: &LabelLine, now_us: i64) -> rusqlite::Result<()> {
        let key = Key::new(&line.label.request_id, line.label.batch_index);
        let mut labels = self.labels(key)?;
        if labels.iter().any(|label| label.id == line.id) {
            return Ok(());
        }
        let predictions = self.predictions(key)?;
        let label = KeptLabel::of(line);
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO labels (key, request_id, batch_index, id, kind, label, known_us, said_by, decision, opened_us,
             decided_us, seen_us, waits) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?;
        insert.execute(rusqlite::params![
            key.number,
            key.request_id,
            key.batch_index,
            label.id,
            label.kind.as_str(),
            label.label,
            label.known_us,
            label.by,
            label.decision,
            label.opened_us,
            label.decided_us,
            now_us,
            predictions.is_empty(),
        ])?;
        labels.push(label);
        for prediction in &predictions {
            self.join(key, prediction, &labels)?;
        }
        Ok(())
    }

    fn labels(&self, key: Key<'_>) -> rusqlite::Result<Vec<KeptLabel>> {
        self.transaction.prepare_cached(LABELS)?.query_map(key.columns(), KeptLabel::read)?.collect()
    }

    fn predictions(&self, key: Key<'_>) -> rusqlite::Result<Vec<KeptPrediction>> {
        let read = |row: &Row<'_>| {
            Ok(KeptPrediction {
                number: row.get(0)?,
                version: row.get(1)?,
                time_us: row.get(2)?,
                record_id: row.get(3)?,
                prediction: row.get(4)?,
                confidence: row.get(5)?,
            })
        };
        self.transaction.prepare_cached(PREDICTIONS)?.query_map(key.columns(), read)?.collect()
    }

    fn waits_no_more(&self, key: Key<'_>) -> rusqlite::Result<()> {
        let sql = "UPDATE labels SET waits = 0 WHERE key = ?1 AND request_id = ?2 AND batch_index IS ?3 AND waits > 0";
        self.transaction.prepare_cached(sql)?.execute(key.columns()).map(|_| ())
    }

    /// Joins a prediction with the last of these labels; the others are joined already.
    fn join(&mut self, key: Key<'_>, prediction: &KeptPrediction, labels: &[KeptLabel]) -> rusqlite::Result<()> {
        let Some((label, before)) = labels.split_last() else { return Ok(()) };
        let earlier = before.iter().filter(|other| other.kind == label.kind).map(KeptLabel::said);
        let status = outcome(earlier, label.said());
        self.count(prediction.version, label.kind.as_str(), status.as_str())?;
        if status == LabelOutcome::Duplicate {
            return Ok(());
        }
        let said = labels.iter().filter(|other| other.kind == label.kind).map(KeptLabel::said);
        match label.kind {
            LabelKind::Truth => self.join_truth(key, prediction, label, status, truth(said)),
            LabelKind::Review => self.join_review(key, prediction, label, status, truth(said)),
        }
    }

    fn join_truth(
        &mut self,
        key: Key<'_>,
        prediction: &KeptPrediction,
        label: &KeptLabel,
        status: LabelOutcome,
        truth: Truth<'_>,
    ) -> rusqlite::Result<()> {
        let (class, known_us) = (truth.value(), truth.known_us());
        let mut update = self.transaction.prepare_cached("UPDATE predictions SET label = ?2 WHERE number = ?1")?;
        update.execute((prediction.number, class))?;
        let correct = class.map(|class| class == prediction.prediction);
        let delay_us = known_us.map(|known_us| known_us - prediction.time_us);
        if status == LabelOutcome::Joined {
            let agrees = if correct == Some(true) { "true" } else { "false" };
            self.count(prediction.version, OUTCOME, agrees)?;
            let delay = Duration::from_micros(delay_us.unwrap_or_default().max(0) as u64);
            self.delays.entry(prediction.version).or_default().add(delay);
        }
        let document = OutcomeDocument {
            label: class,
            correct,
            delay_s: delay_us.map(seconds),
            label_by: label.by.as_deref(),
            ..self.document(key, prediction, label, status)
        };
        self.put(prediction, label, &document)
    }

    fn join_review(
        &self,
        key: Key<'_>,
        prediction: &KeptPrediction,
        label: &KeptLabel,
        status: LabelOutcome,
        truth: Truth<'_>,
    ) -> rusqlite::Result<()> {
        // The review that counts may be an earlier one; of contradictory ones none does.
        let counts = matches!(truth, Truth::Known(said) if said == label.said());
        if counts {
            let mut update = self.transaction.prepare_cached(
                "UPDATE predictions SET decision = ?2, opened_us = ?3, decided_us = ?4 WHERE number = ?1",
            )?;
            let decided_us = label.decided_us.unwrap_or(label.known_us);
            update.execute((prediction.number, &label.decision, label.opened_us, decided_us))?;
        } else if matches!(truth, Truth::Contradictory(_)) {
            let mut update = self
                .transaction
                .prepare_cached("UPDATE predictions SET decision = 'contradictory' WHERE number = ?1")?;
            update.execute([prediction.number])?;
        }
        let duration_us = label.opened_us.zip(label.decided_us).map(|(opened, decided)| decided - opened);
        let document = OutcomeDocument {
            label: label.label.as_deref(),
            reviewer: label.by.as_deref(),
            decision: label.decision.as_deref(),
            opened: label.opened_us.map(rfc3339_microseconds),
            decided: label.decided_us.map(rfc3339_microseconds),
            duration_s: duration_us.map(seconds),
            ..self.document(key, prediction, label, status)
        };
        self.put(prediction, label, &document)
    }

    /// What every document has.
    fn document<'d>(
        &'d self,
        key: Key<'d>,
        prediction: &'d KeptPrediction,
        label: &KeptLabel,
        status: LabelOutcome,
    ) -> OutcomeDocument<'d> {
        let version = &self.versions[prediction.version as usize - 1];
        OutcomeDocument {
            timestamp: rfc3339_microseconds(label.known_us),
            kind: label.kind.as_str(),
            status: status.as_str(),
            prediction_id: &prediction.record_id,
            predicted_at: rfc3339_microseconds(prediction.time_us),
            request_id: key.request_id,
            batch_index: key.batch_index,
            model_name: &version.model_name,
            model_version: &version.model_version,
            stage: &version.stage,
            prediction: &prediction.prediction,
            confidence: prediction.confidence,
            host: &self.subject.host,
            pipeline: &self.subject.pipeline,
            ..OutcomeDocument::default()
        }
    }

    fn put(
        &self,
        prediction: &KeptPrediction,
        label: &KeptLabel,
        document: &OutcomeDocument<'_>,
    ) -> rusqlite::Result<()> {
        let id = Id::of_parts(label.known_us.div_euclid(1_000_000), &["outcome", &prediction.record_id, &label.id]);
        let text =
            serde_json::to_string(document).unwrap_or_else(|_| unreachable!("BUG: its members are texts and numbers"));
        let mut insert = self
            .transaction
            .prepare_cached("INSERT INTO documents (id, timestamp_us, document) VALUES (?1, ?2, ?3)")?;
        insert.execute((id.as_str(), label.known_us, text)).map(|_| ())
    }

    fn count(&self, version: i64, kind: &str, outcome: &str) -> rusqlite::Result<()> {
        count(self.transaction, version, kind, outcome, 1)
    }

    /// Adds the delays of this transaction to those before it.
    pub(super) fn finish(self) -> rusqlite::Result<()> {
        let mut select = self.transaction.prepare_cached("SELECT delays FROM delays WHERE version = ?1")?;
        let mut insert = self.transaction.prepare_cached("INSERT OR REPLACE INTO delays VALUES (?1, ?2)")?;
        for (version, new) in self.delays {
            let kept: Option<String> = select.query_row([version], |row| row.get(0)).optional()?;
            let mut delays: DelayHistogram = kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            delays.merge(&new);
            let text = serde_json::to_string(&delays).unwrap_or_else(|_| unreachable!("BUG: a histogram is numbers"));
            insert.execute((version, text))?;
        }
        Ok(())
    }

    /// The number of a prediction's version, which is written down when it is new.
    fn version(&mut self, prediction: &Prediction<'_>) -> rusqlite::Result<i64> {
        let Prediction { model_name, model_version, stage, .. } = *prediction;
        let find = |versions: &[ModelVersion], [name, version, stage]: [&str; 3]| {
            let is = |known: &ModelVersion| {
                known.model_name == name && known.model_version == version && known.stage == stage
            };
            versions.iter().position(is).map(|place| place as i64 + 1)
        };
        let own = [model_name, model_version, stage];
        if let Some(number) = find(self.versions, own) {
            return Ok(number);
        }
        let names = if self.versions.len() < VERSIONS_MAX { own } else { [OTHER; 3] };
        if let Some(number) = find(self.versions, names) {
            return Ok(number);
        }
        let number = self.versions.len() as i64 + 1;
        let insert = "INSERT INTO versions VALUES (?1, ?2, ?3, ?4)";
        self.transaction.prepare_cached(insert)?.execute((number, names[0], names[1], names[2]))?;
        let [model_name, model_version, stage] = names.map(str::to_owned);
        self.versions.push(ModelVersion { model_name, model_version, stage });
        Ok(number)
    }
}

fn seconds(time_us: i64) -> f64 {
    time_us as f64 / 1e6
}
