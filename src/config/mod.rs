//! Pipeline files: what do they say, and is it right?
//!
//! The text is read as YAML (`yaml`), values are expanded (`expand`), and each stage's part is checked into plain data
//! ([`model`]), in one file of this folder for each part. All problems of all files are collected and reported together,
//! each with its place ([`report`]). Nothing here opens a log file, a socket or a store.

pub mod changes;
mod enrich;
mod expand;
mod field;
mod limits;
mod load;
pub mod model;
mod observe;
pub mod report;
mod section;
mod sink;
mod source;
mod tests_section;
mod yaml;

#[cfg(test)]
mod snapshot_tests;

use std::path::{Component, Path, PathBuf};

pub use expand::Environment;
pub use load::{load, load_with};
pub use model::Pipeline;
pub use report::{Position, Problem, Report, Weight};

/// An error of the operating system in words, without its number.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    let mut characters = words.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// A path without `.` and `..`, as far as that can be told from its text.
fn folded(path: &Path) -> PathBuf {
    let mut folded = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                folded.pop();
            }
            other => folded.push(other),
        }
    }
    folded
}
