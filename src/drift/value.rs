//! A value: what stands at a feature, in JSON or in a cell of a table, as a number and as a category.

use std::borrow::Cow;

use crate::record::json;

/// One value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'v> {
    /// Nothing, `null`, or an empty cell.
    Missing,
    /// A JSON number, as written.
    Number(&'v str),
    /// A JSON text, `true` or `false`.
    Text(Cow<'v, str>),
    /// A cell of a table, which may be a number or a text.
    Cell(&'v str),
    /// A list, or something else that is neither number nor text.
    Unusable,
}

impl<'v> Value<'v> {
    /// Reads raw JSON.
    pub fn of_json(raw: &'v str) -> Value<'v> {
        if raw.starts_with('[') {
            return Value::Unusable;
        }
        match json::value(raw) {
            crate::kql::Value::Null => Value::Missing,
            crate::kql::Value::Number(text) => Value::Number(text),
            crate::kql::Value::String(text) => Value::Text(text),
            crate::kql::Value::Boolean(_) => Value::Text(Cow::Borrowed(raw)),
            crate::kql::Value::Object => Value::Unusable,
        }
    }

    /// Reads a cell of a CSV file: empty ones and what pandas writes or reads for nothing are missing, but for `NaN`, which is a
    /// number that is none.
    pub fn of_cell(text: &'v str) -> Value<'v> {
        match text.trim() {
            "" | "NA" | "N/A" | "<NA>" | "null" | "NULL" | "None" => Value::Missing,
            text => Value::Cell(text),
        }
    }

    /// The number that it is or spells; NaN for everything else.
    pub fn number(&self) -> f64 {
        match self {
            Value::Number(text) | Value::Cell(text) => text.parse().unwrap_or(f64::NAN),
            Value::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
            Value::Missing | Value::Unusable => f64::NAN,
        }
    }

    /// Its text, as a category.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Number(text) | Value::Cell(text) => Some(text),
            Value::Text(text) => Some(text),
            Value::Missing | Value::Unusable => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_without_a_value_are_missing_and_nan_is_no_number() {
        for text in ["", "  ", "NA", "N/A", "<NA>", "null", "NULL", "None"] {
            assert_eq!(Value::of_cell(text), Value::Missing, "{text}");
        }
        for text in ["nan", "NaN", "x"] {
            assert!(Value::of_cell(text).number().is_nan(), "{text}");
        }
        assert_eq!(Value::of_cell(" 1.5 ").number(), 1.5);
        assert_eq!(Value::of_cell("-inf").number(), f64::NEG_INFINITY);
    }
}
