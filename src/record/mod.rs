//! A record: the bytes of one line, an index of its members, and a short list of edits.

use std::fmt;

/// A dotted path to a member, such as `user.email`. It means every spelling of it: nested, dotted, mixed, and inside
/// arrays.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(String);

impl Path {
    /// Reads a path as it is written in a pipeline file: not empty, no empty segment (`a..b`), no control characters.
    ///
    /// # Errors
    /// Says in words what is wrong with it.
    pub fn new(text: &str) -> Result<Path, String> {
        if text.is_empty() {
            return Err("a field path is empty".to_owned());
        }
        if text.split('.').any(str::is_empty) {
            return Err(format!(
                "`{text}` has an empty segment: write `a.b`, without dots at the ends or side by side"
            ));
        }
        if text.chars().any(char::is_control) {
            return Err("a field path has a control character".to_owned());
        }
        Ok(Path(text.to_owned()))
    }

    /// The dotted text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
