//! Names: what may an index or data stream be called?

use thiserror::Error;

/// Longest name that Elasticsearch takes, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// What is wrong with a target's name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Elasticsearch refuses such a name.
    #[error("`{name}` cannot be the name of an index or data stream: {problem}")]
    Name {
        /// The name, or an example of it.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The braces of a pattern are wrong.
    #[error("`{pattern}` cannot be an index pattern: {problem}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Fails where Elasticsearch would refuse the name.
pub(super) fn check_name(name: &str) -> Result<(), TargetError> {
    let problem = if name.is_empty() || name == "." || name == ".." {
        "it is empty or only dots"
    } else if name.len() > NAME_BYTES_MAX {
        "it has more than 255 bytes"
    } else if name.starts_with(['-', '_', '+', '.']) {
        "it begins with `-`, `_`, `+` or `.`"
    } else if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':', '%', '{', '}']) {
        "it holds one of \\ / * ? \" < > | , # : % { } or a space"
    } else if name.chars().any(|character| character.is_uppercase() || character.is_control()) {
        "it holds a capital letter or a control character"
    } else {
        return Ok(());
    };
    Err(TargetError::Name { name: name.to_owned(), problem })
}
