//! Pipeline files: what do they say, and is it right?
//!
//! The text is read as YAML (`yaml`), values are expanded (`expand`), and each stage's part is checked into plain data
//! ([`model`]), in one file of this folder for each part. All problems of all files are collected and reported together,
//! each with its place ([`report`]). Nothing here opens a log file, a socket or a store.

pub mod changes;
mod decode;
mod drift;
mod enrich;
mod expand;
mod field;
mod ground_truth;
mod limits;
mod load;
pub mod model;
mod observe;
pub mod report;
mod section;
mod sink;
mod source;
pub mod stamp;
mod system;
mod tests_section;
mod yaml;

#[cfg(test)]
mod snapshot_tests;

pub use expand::Environment;
pub use load::{load, load_text, load_text_with, load_with};
pub use model::Pipeline;
pub use report::{Position, Problem, Report, Weight};
