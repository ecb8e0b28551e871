//! `sample`: a share of the records is shipped, and observers see all of them.
//!
//! A digest of `by` decides, so that the same record is always decided on in the same way, on every host and when it is
//! read again, what is kept at one rate is kept at every higher one, and request and response with one id stay
//! together. What is left out is counted as dropped under `name`, as by `drop`, after metrics, drift and accuracy have
//! seen it. Errors and records of low confidence are always kept, unless told otherwise.
//!
//! A record that is kept carries the probability with which it was, as `sample.rate` (0 to 1; times what stands there
//! already), 1 where it is always kept: so a sum over documents of `1 / sample.rate` estimates the count of all.
//!
//! **What is sampled out is no evidence.** Whether a prediction was made cannot be shown by documents alone; `check` says
//! so, and the accounts count what was left out.
//!
//! ```yaml
//! - sample: { rate: 0.1 }
//! - sample: { name: probes, rate: 0.01, by: [session.id], keep: "model_version : canary", when: "stage : shadow" }
//! ```
//!
//! - `rate`: number, above 0 and below 1, required: the share that is kept.
//! - `by`: list of paths, default `[request_id]`: what the digest is of. A record that has none of them is decided on by
//!   its own line and place.
//! - `errors`: `keep` or `sample`, default `keep`: what becomes of errors, as `model_metrics` counts them
//!   ([metrics.md](metrics.md)).
//! - `confidence_below`: number, 0 to 1, default 0.6: records with a lower `confidence`, or with `low_confidence` true,
//!   are always kept; with 0 they are sampled.
//! - `keep`: condition: which records are always kept beside these.
//! - `name`: lower-case letters, digits, `_` and `-`, at most 64, default `sample`: what is left out is counted by.
//! - `when`: condition: on which records.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::id::hash_members;
use super::processor::{Processor, Run, Source};
use crate::flow::reject::Reject;
use crate::kql::Expression;
use crate::observe::options::ErrorFields;
use crate::observe::outcome::is_error;
use crate::record::{Path, Record, Room};
use crate::text::exact::Exact;

const SAMPLE_RATE: Path = Path::known("sample.rate");

/// Ships a share of the records.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The share: above 0 and below 1.
    pub rate: Exact,
    /// What decides.
    pub by: Vec<Path>,
    /// Where it is looked for errors, which are all kept; nowhere if they are sampled like all others.
    pub errors: Option<ErrorFields>,
    /// Records with a confidence below this are always kept.
    pub confidence_below: f64,
    /// So are these.
    pub keep: Option<Expression>,
    /// What is left out is counted by this name.
    pub rule: Arc<str>,
}

impl Processor for Sample {
    fn name(&self) -> &'static str {
        "sample"
    }

    fn adds(&self) -> Vec<Path> {
        vec![SAMPLE_RATE]
    }

    fn asks(&self) -> Option<&Expression> {
        self.keep.as_ref()
    }

    fn drops(&self) -> Option<&Arc<str>> {
        Some(&self.rule)
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        if run.answer == Some(true) || self.always_keeps(record) {
            return multiply_rate(record, Exact::ONE, run);
        }
        if self.place(record, run.source) < self.rate.as_f64() {
            return multiply_rate(record, self.rate, run);
        }
        // The first rule that meets a record has it.
        run.context.dropped.get_or_insert_with(|| Arc::clone(&self.rule));
        Ok(())
    }
}

impl Sample {
    fn always_keeps(&self, record: &Record<'_>) -> bool {
        let confidence = || record.first("confidence").and_then(|raw| raw.parse::<f64>().ok());
        let is_low = || record.first("low_confidence") == Some("true");
        self.errors.as_ref().is_some_and(|fields| is_error(record, fields))
            || (self.confidence_below > 0.0 && (is_low() || confidence().is_some_and(|it| it < self.confidence_below)))
    }

    /// Where the record stands between 0 and 1, evenly spread over records.
    fn place(&self, record: &Record<'_>, source: &Source<'_>) -> f64 {
        let mut hasher = Sha256::new();
        if !hash_members(&mut hasher, record, &self.by) {
            hasher.update(source.file.first_line_sha256);
            hasher.update(source.offset_bytes.to_le_bytes());
            hasher.update(source.ordinal.to_le_bytes());
            hasher.update(source.line);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let (first, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        // Of 64 bits the 53 that a double holds, so that 1 is never reached.
        (u64::from_be_bytes(*first) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Notes with which probability a record is kept, beside what another sampler has noted.
fn multiply_rate(record: &mut Record<'_>, rate: Exact, run: &mut Run<'_>) -> Result<(), Reject> {
    let before = record.first(SAMPLE_RATE.as_str()).and_then(Exact::read).unwrap_or(Exact::ONE);
    let rate = before.product(rate).unwrap_or(rate).to_string();
    if record.set(&SAMPLE_RATE, &rate)? == Room::Blocked {
        run.counters.enrich_left_out_members_total.inc();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::batch::SourceFile;
    use crate::record::Space;

    #[test]
    fn a_share_of_the_records_is_kept_and_the_same_ones_at_a_higher_rate() {
        let file = Arc::new(SourceFile::default());
        let sample = |rate: &str, by: &[&str]| Sample {
            rate: Exact::read(rate).unwrap(),
            by: by.iter().map(|path| Path::new(path).unwrap()).collect(),
            errors: None,
            confidence_below: 0.6,
            keep: None,
            rule: "sample".into(),
        };
        for by in [["id"], ["missing"]] {
            let mut kept = [0_u64; 3];
            for number in 0..10_000_u64 {
                let line = format!("{{\"id\":\"r-{number}\"}}");
                let mut space = Space::default();
                let record = Record::parse(&line, &mut space).unwrap();
                let source = Source { line: line.as_bytes(), ..Source::of_place(&file, number * 20) };
                let place = sample("0.1", &by).place(&record, &source);
                assert_eq!(place, sample("0.5", &by).place(&record, &source), "the rate is not part of the digest");
                for (count, rate) in kept.iter_mut().zip([0.01, 0.1, 0.5]) {
                    *count += u64::from(place < rate);
                }
            }
            // Five standard deviations of a binomial distribution of 10,000.
            for (count, (mean, around)) in kept.iter().zip([(100, 50), (1_000, 150), (5_000, 250)]) {
                assert!(count.abs_diff(mean) < around, "{by:?}: {kept:?}");
            }
        }
    }
}
