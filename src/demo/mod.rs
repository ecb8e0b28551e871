//! The demo: what does inferlog do, shown on a machine that has no model server?
//!
//! Sample model servers write logs as real ones do; everything behind those files is a real pipeline. Nothing here reads
//! a log, ships or prints.

pub mod history;
mod models;
pub mod writers;
