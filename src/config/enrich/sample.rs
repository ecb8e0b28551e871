//! Options of `sample`: how many records are shipped, and which ones always?

use super::scale::exact;
use super::{drop_name, made, paths};
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Sample, Step};
use crate::observe::options::ErrorFields;
use crate::record::Path;
use crate::text::exact::Exact;

const CONFIDENCE_BELOW: f64 = 0.6;
const NAME: &str = "sample";

pub(super) fn sample(section: &mut Section<'_>) -> Option<Step> {
    let rate = section.required("rate", rate);
    let by = section.optional("by", paths).unwrap_or_else(|| vec![Path::known("request_id")]);
    let errors = match section.optional("errors", |field| field.word(&["keep", "sample"])) {
        Some("sample") => None,
        _ => Some(ErrorFields::default()),
    };
    let confidence_below = section.optional("confidence_below", |field| field.number(0.0..=1.0));
    let confidence_below = confidence_below.unwrap_or(CONFIDENCE_BELOW);
    let keep = section.optional("keep", Field::condition);
    let rule = section.optional("name", drop_name).unwrap_or_else(|| NAME.to_owned()).into();
    let sample = rate.map(|rate| Sample { rate, by, errors, confidence_below, keep, rule });
    made(section, sample.map(Action::Sample))
}

/// A share that leaves something out, which is worth a remark.
fn rate(field: &Field<'_>) -> Option<Exact> {
    let rate = exact(field)?;
    let share = rate.as_f64();
    if !(share > 0.0 && share < 1.0) {
        return field.refuse_with(
            "a share is above 0 and below 1",
            Some("to ship all records leave out `sample`; to ship none of a kind write `drop`".to_owned()),
        );
    }
    let hint = "documents cannot show whether a prediction was made; what must be provable goes into `keep`, or into \
                a second pipeline without `sample`";
    let message = format!("`{}`: what is sampled out is no evidence", field.name);
    field.context.remark(&field.node.span, message, Some(hint.to_owned()));
    Some(rate)
}
