//! Options of `copy`: which members stand once more under which name?

use super::made;
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Copy, Step};

pub(super) fn copy(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.required("fields", |field| field.by_path(Field::field_path));
    made(section, fields.map(|fields| Action::Copy(Copy { fields })))
}
