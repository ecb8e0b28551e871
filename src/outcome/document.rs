//! The document of an outcome: a prediction, and what a label or a review says of it.
//!
//! ```text
//! {"@timestamp":"2026-11-30T09:00:00.000000Z","kind":"truth","status":"joined","prediction_id":"AGc…","predicted_at":"…",
//!  "request_id":"r-1","batch.index":0,"model_name":"fraud","model_version":"3.2.1","stage":"primary","prediction":"ok",
//!  "confidence":0.93,"label":"fraud","correct":false,"delay_s":604800.0,"label_by":"chargebacks",
//!  "host.name":"gpu-7","inferlog.pipeline":"inference"}
//! ```
//!
//! One a label and prediction that it was joined with, under an id made of the two. A correction is a document of its own, whose
//! `label` is the one that counts now; of contradictory labels none does, and `correct` is not there. A review has `reviewer`,
//! `decision`, `opened`, `decided`, `duration_s`, and the class that the reviewer gave, where there is one, in `label`; it has no
//! `correct`.

use serde::Serialize;

/// Whose outcomes they are.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The pipeline's name.
    pub pipeline: String,
    /// The host's name.
    pub host: String,
}

/// The members, in their order.
#[derive(Debug, Default, Serialize)]
pub(super) struct OutcomeDocument<'d> {
    #[serde(rename = "@timestamp")]
    pub(super) timestamp: String,
    pub(super) kind: &'d str,
    pub(super) status: &'d str,
    pub(super) prediction_id: &'d str,
    pub(super) predicted_at: String,
    pub(super) request_id: &'d str,
    #[serde(rename = "batch.index", skip_serializing_if = "Option::is_none")]
    pub(super) batch_index: Option<i64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) model_name: &'d str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) model_version: &'d str,
    pub(super) stage: &'d str,
    pub(super) prediction: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correct: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delay_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label_by: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reviewer: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decision: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) opened: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decided: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration_s: Option<f64>,
    #[serde(rename = "host.name", skip_serializing_if = "str::is_empty")]
    pub(super) host: &'d str,
    #[serde(rename = "inferlog.pipeline")]
    pub(super) pipeline: &'d str,
}
