//! `observe: drift`: against which baseline, over which windows, and when is it an alarm?

use std::sync::Arc;
use std::time::Duration;

use super::field::Field;
use super::section::Section;
use crate::drift::{BaselineFile, PsiMode, Thresholds};
use crate::kql::Expression;
use crate::observe::drift::options::{COUNTS_BYTES_MAX, DriftOptions, PANES_MAX, PaneLength};
use crate::observe::options::ModelMetricsOptions;
use crate::text::chain::chain;
use crate::text::units::{format_bytes, parse_duration};

const WINDOW_DEFAULT: PaneLength = PaneLength::Time(3_600_000_000);

const DURATION_MIN: Duration = Duration::from_secs(1);
const DURATION_MAX: Duration = Duration::from_secs(31 * 86_400);

const MODES: [&str; 2] = ["defined", "open"];

/// Reads the options.
pub(super) fn options(mut section: Section<'_>) -> Option<DriftOptions> {
    let baselines = section.required("baseline", baseline);
    let inferences = section.optional("inferences", Field::condition);
    let window = section.field("window");
    let length = window.as_ref().map_or(Some(WINDOW_DEFAULT), length);
    let slide = section.field("slide");
    let pane = slide.as_ref().map_or(length, self::length);
    let panes = length.zip(pane).and_then(|(length, pane)| panes(length, pane, slide.as_ref()));
    let thresholds = thresholds(&mut section);
    let options = baselines.zip(pane.zip(panes)).map(|(baselines, (pane, panes))| DriftOptions {
        baselines: Arc::new(baselines),
        inferences,
        pane,
        panes,
        thresholds,
        model_name: false,
        prefix: String::new(),
    });
    let bytes = options.as_ref().map_or(0, DriftOptions::version_bytes);
    if bytes > COUNTS_BYTES_MAX {
        let (bytes, most) = (format_bytes(bytes as u64), format_bytes(COUNTS_BYTES_MAX as u64));
        let hint = "slide in longer steps, or measure fewer features";
        section.complain(format!("the counts of a window take {bytes}, and may take {most}"), Some(hint.to_owned()));
    }
    section.finish();
    options
}

/// Fills in what the model metrics of the same pipeline say: the same records, and the same names.
pub(super) fn complete(drift: &mut DriftOptions, metrics: Option<&ModelMetricsOptions>, inferences: &str) {
    match metrics {
        Some(metrics) => {
            drift.model_name = metrics.model_name;
            drift.prefix.clone_from(&metrics.prefix);
        }
        None if drift.inferences.is_none() => drift.inferences = Expression::parse_condition(inferences).ok(),
        None => {}
    }
}

fn baseline(field: &Field<'_>) -> Option<BaselineFile> {
    let path = field.existing_file()?;
    match BaselineFile::read(&path) {
        Ok(file) => Some(file),
        Err(error) => {
            let hint = "make it with `inferlog baseline DATA -o FILE`".to_owned();
            field.complain(format!("`{}`: {}", field.name, chain(&error)), Some(hint));
            None
        }
    }
}

/// A span of time, or `{ records: N }`.
fn length(field: &Field<'_>) -> Option<PaneLength> {
    if let Some(mut section) = field.map_of_options() {
        let records = section.required("records", |field| field.integer(1..=1_000_000_000));
        section.finish();
        return records.map(|records| PaneLength::Records(records.into()));
    }
    let is_count = field.text().is_some_and(|text| parse_duration(text).is_err() && text.parse::<u64>().is_ok());
    if is_count {
        let hint = "a number of records is `{ records: 10000 }`".to_owned();
        return field.refuse_with("this is no span of time", Some(hint));
    }
    let duration = field.duration(DURATION_MIN..=DURATION_MAX)?;
    Some(PaneLength::Time(i64::try_from(duration.as_micros()).ok()?))
}

/// How many panes a window has.
fn panes(window: PaneLength, pane: PaneLength, slide: Option<&Field<'_>>) -> Option<usize> {
    let (whole, part) = match (window, pane) {
        (PaneLength::Time(whole), PaneLength::Time(part)) => (whole as u64, part as u64),
        (PaneLength::Records(whole), PaneLength::Records(part)) => (whole, part),
        _ => return slide?.refuse("it has to be of the same kind as `window`, a span of time or records"),
    };
    match whole / part {
        panes if panes > PANES_MAX => slide?.refuse(&format!("a window has at most {PANES_MAX} of these")),
        0 => slide?.refuse("it is longer than the window"),
        _ if whole % part != 0 => slide?.refuse("the window has to be a whole number of these"),
        panes => usize::try_from(panes).ok(),
    }
}

fn thresholds(section: &mut Section<'_>) -> Thresholds {
    let defaults = Thresholds::default();
    let mode = section.optional("mode", |field| field.word(&MODES));
    let share = |field: &Field<'_>| field.number(0.0..=1.0);
    Thresholds {
        mode: if mode == Some("open") { PsiMode::Open } else { PsiMode::Defined },
        alert_psi: section.optional("alert_psi", |field| field.number(0.0..=100.0)).unwrap_or(defaults.alert_psi),
        alert_share: section.optional("alert_share", share).unwrap_or(defaults.alert_share),
        false_discovery_rate: section.optional("false_discovery_rate", share).unwrap_or(defaults.false_discovery_rate),
        min_sample: section.optional("min_sample", |field| field.integer(1..=1_000_000_000)).map(u64::from),
    }
}
