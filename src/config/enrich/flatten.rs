//! Options of `flatten`: which objects, and what stands between the names?

use super::{made, paths};
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Flatten, Step};

pub(super) fn flatten(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.required("fields", paths);
    let separator = section.optional("separator", Field::text).unwrap_or(".").to_owned();
    made(section, fields.map(|fields| Action::Flatten(Flatten { fields, separator })))
}
