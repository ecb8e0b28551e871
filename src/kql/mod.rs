//! KQL, the filter language of Kibana: what does a condition say, and does a record meet it?

use std::borrow::Cow;

/// One JSON value that stands under a field, arrays taken apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as it is written.
    Number(&'a str),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An object: a field that has members of its own.
    Object,
}

/// What conditions are asked of.
pub trait Fields {
    /// Calls `visit` with each value of the field, in any of its spellings (`{"a":{"b":1}}`, `{"a.b":1}`, `{"a":[{"b":1}]}`
    /// are all `a.b`), arrays element by element, until it returns true. Returns whether it did.
    fn any(&self, field: &str, visit: &mut dyn FnMut(Value<'_>) -> bool) -> bool;

    /// The same for every leaf of the record, with its dotted path.
    fn any_leaf(&self, visit: &mut dyn FnMut(&str, Value<'_>) -> bool) -> bool;
}
