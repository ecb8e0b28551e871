//! Options of `convert`: which values become which type?

use super::made;
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Convert, Step, ValueType};

const TYPES: [(&str, ValueType); 4] = [
    ("text", ValueType::Text),
    ("number", ValueType::Number),
    ("integer", ValueType::Integer),
    ("boolean", ValueType::Boolean),
];

pub(super) fn convert(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.required("fields", |field| field.by_path(value_type));
    made(section, fields.map(|fields| Action::Convert(Convert { fields })))
}

fn value_type(field: &Field<'_>) -> Option<ValueType> {
    let word = field.word(&TYPES.map(|(name, _)| name))?;
    TYPES.iter().find(|(name, _)| *name == word).map(|(_, value_type)| *value_type)
}
