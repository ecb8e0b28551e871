//! Options of `scale`: which numbers, and by what are they multiplied?

use super::{made, paths};
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Factor, Scale, Step};
use crate::text::exact::Exact;

pub(super) fn scale(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.required("fields", paths);
    let factor = section.optional("factor", exact);
    let divisor_field = section.field("divide_by");
    let divisor = divisor_field.as_ref().and_then(exact);
    let offset = section.optional("offset", exact);
    let by = match (factor, divisor_field.zip(divisor)) {
        (Some(_), Some((field, _))) => field.refuse_with(
            "`factor` is given too",
            Some("write one of the two: `factor` multiplies, `divide_by` divides".to_owned()),
        ),
        (_, Some((field, divisor))) if divisor.is_zero() => field.refuse("nothing can be divided by 0"),
        (None, Some((_, divisor))) => Some(Factor::DividedBy(divisor)),
        (factor, None) => Some(Factor::Times(factor.unwrap_or(Exact::ONE))),
    };
    made(section, fields.zip(by).map(|(fields, by)| Action::Scale(Scale { fields, by, offset })))
}

/// A decimal number, with all of its digits.
pub(super) fn exact(field: &Field<'_>) -> Option<Exact> {
    match Exact::read(field.text()?) {
        Some(number) => Some(number),
        None => field.refuse("this has to be a number of at most 38 digits, such as `0.01` or `1e-3`"),
    }
}
